//! A column: cells of one wire type, or of several types with a tag each.

use std::sync::Arc;

use arrow_array::{
    Array, BinaryArray, BooleanArray, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array,
    StringArray, TimestampMillisecondArray, UInt64Array, UInt8Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};

use super::Documents;
use crate::raw::ElementType;

/// The cells at one path.
///
/// A slot without a value is either missing or null; the shape of its document distinguishes the two. A list has no
/// missing items.
#[derive(Debug)]
pub struct Column {
    placement: Placement,
    values: Values,
}

/// The rows of a column's slots.
#[derive(Debug)]
pub enum Placement {
    /// One slot per row.
    Dense,
    /// Only the rows that have a cell (null or not), ascending; all other rows are missing.
    Sparse {
        /// Row numbers.
        rows: Vec<u32>,
        /// The number of rows of the column.
        len: usize,
    },
}

/// The cells in wire types. Slots that are null in the Arrow sense are null or missing.
#[derive(Debug)]
pub enum Values {
    /// No cell has a value.
    Null(usize),
    /// double
    Double(Float64Array),
    /// string
    String(StringArray),
    /// Embedded documents; slots of this column are rows of `documents`.
    Document {
        /// The slots that hold a document.
        nulls: Option<NullBuffer>,
        /// The contents of the documents.
        documents: Arc<Documents>,
    },
    /// Lists; null items are null slots of `items`.
    List {
        /// The slots that hold a list.
        nulls: Option<NullBuffer>,
        /// The range of each list in `items`.
        offsets: OffsetBuffer<i32>,
        /// All items.
        items: Arc<Column>,
    },
    /// Binary, all of subtype 0.
    Binary(BinaryArray),
    /// Binary of any subtypes; both arrays have the same nulls. Subtype 2 without its inner length.
    Subtyped {
        /// The subtype of each value.
        subtypes: UInt8Array,
        /// The bytes of each value.
        bytes: BinaryArray,
    },
    /// Binary, all of subtype 4 and 16 bytes.
    Uuid(FixedSizeBinaryArray),
    /// ObjectId, 12 bytes
    ObjectId(FixedSizeBinaryArray),
    /// bool
    Boolean(BooleanArray),
    /// date: milliseconds since 1970 in UTC; the array's type carries the time zone "UTC".
    DateTime(TimestampMillisecondArray),
    /// Regular expressions; both arrays have the same nulls.
    Regex {
        /// The pattern of each value.
        pattern: StringArray,
        /// The options of each value, as sent.
        options: StringArray,
    },
    /// dbPointer; both arrays have the same nulls.
    DbPointer {
        /// The namespace of each value.
        namespace: StringArray,
        /// The ObjectId of each value.
        id: FixedSizeBinaryArray,
    },
    /// JavaScript
    Code(StringArray),
    /// symbol
    Symbol(StringArray),
    /// JavaScript with a scope; both arrays have the same nulls.
    CodeWithScope {
        /// The code of each value.
        code: StringArray,
        /// The scope of each value: a BSON document in normal form.
        scope: BinaryArray,
    },
    /// int32
    Int32(Int32Array),
    /// Internal timestamps: seconds in the high half, increment in the low one.
    Timestamp(UInt64Array),
    /// int64
    Int64(Int64Array),
    /// decimal128 as its 16 little-endian bytes on the wire (BID)
    Decimal128(FixedSizeBinaryArray),
    /// undefined, minKey or maxKey: a slot is true or null.
    Marker(Marker, BooleanArray),
    /// Several types.
    Tagged(Tagged),
}

/// A BSON type with a single value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// undefined
    Undefined,
    /// minKey
    MinKey,
    /// maxKey
    MaxKey,
}

/// Cells kept as BSON values in normal form.
#[derive(Debug, Default)]
pub struct Tagged {
    tags: Vec<u8>,
    offsets: Vec<u32>,
    bytes: Vec<u8>,
    /// True for cells of a table in which they were mixed.
    mixed_in_table: bool,
}

impl Tagged {
    /// The tag of a missing slot.
    pub const MISSING: u8 = 0;

    /// Returns an empty column with capacity for `cells` cells.
    pub fn with_capacity(cells: usize) -> Self {
        let mut offsets = Vec::with_capacity(cells + 1);
        offsets.push(0);
        Tagged {
            tags: Vec::with_capacity(cells),
            offsets,
            bytes: Vec::new(),
            mixed_in_table: false,
        }
    }

    /// Returns an empty column for cells of a table in which they were mixed.
    pub fn mixed_in_table(cells: usize) -> Self {
        Tagged {
            mixed_in_table: true,
            ..Tagged::with_capacity(cells)
        }
    }

    /// Returns whether the cells come from a table in which they were mixed, not from documents.
    pub fn is_mixed_in_table(&self) -> bool {
        self.mixed_in_table
    }

    /// The number of slots.
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Returns whether there are no slots.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// The size of all cells in bytes; the offsets between cells are 32 bits wide.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a slot: `write` appends the value's bytes in normal form.
    ///
    /// # Errors
    /// The error of `write`; the slot is then not appended.
    pub fn push_with<E>(
        &mut self,
        tag: u8,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.bytes.len();
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(before);
            return Err(error);
        }
        self.tags.push(tag);
        self.offsets.push(self.bytes.len() as u32);
        Ok(())
    }

    /// Appends a missing slot.
    pub fn push_missing(&mut self) {
        self.tags.push(Self::MISSING);
        self.offsets.push(self.bytes.len() as u32);
    }

    /// The type and bytes of a slot; `None` if it is missing.
    #[inline]
    pub fn get(&self, slot: usize) -> Option<(ElementType, &[u8])> {
        let kind = ElementType::from_byte(self.tags[slot])?;
        let range = self.offsets[slot] as usize..self.offsets[slot + 1] as usize;
        Some((kind, &self.bytes[range]))
    }

    /// The set of types in the slots, as [`ElementType::bit`]s.
    pub fn types(&self) -> u32 {
        let mut seen = [false; 256];
        for &tag in &self.tags {
            seen[tag as usize] = true;
        }
        ElementType::ALL
            .iter()
            .filter(|kind| seen[kind.byte() as usize])
            .fold(0, |bits, kind| bits | kind.bit())
    }
}

impl Column {
    /// Returns a column with one slot per row.
    pub fn dense(values: Values) -> Self {
        Column {
            placement: Placement::Dense,
            values,
        }
    }

    /// Returns a column of `len` rows with slots at `rows` only.
    ///
    /// # Panics
    /// When `rows` and `values` differ in length, or a row is not below `len`.
    pub fn sparse(rows: Vec<u32>, len: usize, values: Values) -> Self {
        assert_eq!(rows.len(), values.len());
        assert!(rows.last().is_none_or(|&last| (last as usize) < len));
        Column {
            placement: Placement::Sparse { rows, len },
            values,
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        match &self.placement {
            Placement::Dense => self.values.len(),
            Placement::Sparse { len, .. } => *len,
        }
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows of the slots.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The cells by slot.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The slot of `row`; `None` if a sparse column has no slot there.
    #[inline]
    pub fn slot(&self, row: usize) -> Option<usize> {
        match &self.placement {
            Placement::Dense => Some(row),
            Placement::Sparse { rows, .. } => rows.binary_search(&(row as u32)).ok(),
        }
    }
}

impl Values {
    /// The number of slots.
    pub fn len(&self) -> usize {
        match self {
            Values::Null(len) => *len,
            Values::Double(array) => array.len(),
            Values::String(array) | Values::Code(array) | Values::Symbol(array) => array.len(),
            Values::Document { documents, .. } => documents.len(),
            Values::List { offsets, .. } => offsets.len() - 1,
            Values::Binary(array) => array.len(),
            Values::Subtyped { bytes, .. } => bytes.len(),
            Values::Uuid(array) | Values::ObjectId(array) | Values::Decimal128(array) => {
                array.len()
            }
            Values::Boolean(array) | Values::Marker(_, array) => array.len(),
            Values::DateTime(array) => array.len(),
            Values::Regex { pattern, .. } => pattern.len(),
            Values::DbPointer { id, .. } => id.len(),
            Values::CodeWithScope { code, .. } => code.len(),
            Values::Int32(array) => array.len(),
            Values::Timestamp(array) => array.len(),
            Values::Int64(array) => array.len(),
            Values::Tagged(tagged) => tagged.len(),
        }
    }

    /// Returns whether there are no slots.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
