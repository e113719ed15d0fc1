//! Structs as documents, with shapes derived from their nulls, and lists as lists.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, ListArray, StructArray, UInt32Array};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{FieldRef, Fields};

use super::{ArrowReader, Nulls, Rows};
use crate::chunk::{Documents, Field, Shapes, Tagged, Values};
use crate::conform::internal_error;
use crate::conform::with_nulls;
use crate::error::{Result, Step};

impl ArrowReader {
    /// Reads documents with one key per field; null values are missing keys.
    pub(super) fn documents(
        &mut self,
        fields: &Fields,
        arrays: &[ArrayRef],
        len: usize,
        nulls: Option<&NullBuffer>,
    ) -> Result<Documents> {
        let mut names = HashSet::new();
        let mut columns = Vec::with_capacity(fields.len());
        for (field, array) in fields.iter().zip(arrays) {
            let name: Arc<str> = field.name().as_str().into();
            let column = self.read_below(Step::Key(Arc::clone(&name)), |reader| {
                if !names.insert(Arc::clone(&name)) {
                    return Err(
                        reader.invalid("two fields have this name: rename or drop one".into())
                    );
                }
                if name.contains('\0') {
                    return Err(reader.invalid("a BSON key cannot hold NUL".into()));
                }
                let array = reader.unpack(array)?;
                reader.column(field, &with_nulls(&array, nulls)?)
            })?;
            columns.push(Field { name, column });
        }
        let shapes = match self.nulls {
            Nulls::Omit if !self.uniform => shapes(&columns, len),
            _ => Shapes::uniform((0..columns.len() as u32).collect()),
        };
        Ok(Documents::new(len, shapes, columns))
    }

    pub(super) fn struct_values(&mut self, fields: &Fields, array: &StructArray) -> Result<Values> {
        let documents = self.documents(fields, array.columns(), array.len(), array.nulls())?;
        Ok(Values::Document {
            nulls: array.nulls().cloned(),
            documents: Arc::new(documents),
        })
    }

    pub(super) fn list_values(&mut self, item: &FieldRef, array: &ListArray) -> Result<Values> {
        let (offsets, items) = items(array)?;
        let items = self.items(&offsets, |reader| reader.column(item, &items))?;
        Ok(Values::List {
            nulls: array.nulls().cloned(),
            offsets,
            items,
        })
    }

    /// Reads the items of lists with these offsets.
    pub(super) fn items<T>(
        &mut self,
        offsets: &OffsetBuffer<i32>,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let outer = self.rows.clone();
        self.rows = Rows::Items(offsets.clone(), Arc::new(outer.clone()));
        let outcome = self.read_below(Step::Index(0), read);
        self.rows = outer;
        outcome
    }
}

/// Returns the items that belong to a list, with offsets from 0.
pub(super) fn items(array: &ListArray) -> Result<(OffsetBuffer<i32>, ArrayRef)> {
    let array = compact(array)?;
    let offsets = array.offsets();
    let (first, last) = (offsets[0], offsets[array.len()]);
    let items = array
        .values()
        .slice(first as usize, (last - first) as usize);
    if first == 0 {
        return Ok((offsets.clone(), items));
    }
    let moved: Vec<i32> = offsets.iter().map(|offset| offset - first).collect();
    Ok((OffsetBuffer::new(ScalarBuffer::from(moved)), items))
}

/// Removes items under null lists.
fn compact(array: &ListArray) -> Result<ListArray> {
    let offsets = array.offsets();
    let hidden =
        (0..array.len()).any(|list| array.is_null(list) && offsets[list] != offsets[list + 1]);
    if !hidden {
        return Ok(array.clone());
    }
    let all: UInt32Array = (0..array.len() as u32).map(Some).collect();
    let taken = arrow_select::take::take(array, &all, None).map_err(internal_error)?;
    taken
        .as_any()
        .downcast_ref::<ListArray>()
        .cloned()
        .ok_or_else(|| internal_error("a list was expected"))
}

/// The slots of a column that hold a value.
enum Present<'a> {
    All,
    None,
    Bits(&'a NullBuffer),
    Tags(&'a Tagged),
}

impl Present<'_> {
    fn of(values: &Values) -> Present<'_> {
        let nulls = match values {
            Values::Null(_) => return Present::None,
            Values::Tagged(tagged) => return Present::Tags(tagged),
            Values::Document { nulls, .. } | Values::List { nulls, .. } => nulls.as_ref(),
            Values::Double(array) => array.nulls(),
            Values::String(array) | Values::Code(array) | Values::Symbol(array) => array.nulls(),
            Values::Binary(array) => array.nulls(),
            Values::Subtyped { bytes, .. } => bytes.nulls(),
            Values::Uuid(array) | Values::ObjectId(array) | Values::Decimal128(array) => {
                array.nulls()
            }
            Values::Boolean(array) | Values::Marker(_, array) => array.nulls(),
            Values::DateTime(array) => array.nulls(),
            Values::Regex { pattern, .. } => pattern.nulls(),
            Values::DbPointer { id, .. } => id.nulls(),
            Values::CodeWithScope { code, .. } => code.nulls(),
            Values::Int32(array) => array.nulls(),
            Values::Timestamp(array) => array.nulls(),
            Values::Int64(array) => array.nulls(),
        };
        match nulls {
            Some(nulls) if nulls.null_count() > 0 => Present::Bits(nulls),
            _ => Present::All,
        }
    }

    fn at(&self, row: usize) -> bool {
        match self {
            Present::All => true,
            Present::None => false,
            Present::Bits(nulls) => nulls.is_valid(row),
            Present::Tags(tagged) => tagged.get(row).is_some(),
        }
    }
}

/// Returns the shape of each row: the fields with a value, in field order.
fn shapes(fields: &[Field], len: usize) -> Shapes {
    let columns: Vec<Present<'_>> = fields
        .iter()
        .map(|field| Present::of(field.column.values()))
        .collect();
    let fixed = |column: &Present<'_>| matches!(column, Present::All | Present::None);
    if columns.iter().all(fixed) {
        let all = (0..).zip(&columns).filter(|(_, column)| column.at(0));
        return Shapes::uniform(all.map(|(field, _)| field).collect());
    }
    let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
    let mut shape = Vec::with_capacity(fields.len());
    let mut of_row = Vec::with_capacity(len);
    for row in 0..len {
        shape.clear();
        shape.extend(
            (0..)
                .zip(&columns)
                .filter(|(_, column)| column.at(row))
                .map(|(field, _)| field),
        );
        let next = known.len() as u32;
        of_row.push(match known.get(&shape) {
            Some(&number) => number,
            None => {
                known.insert(shape.clone(), next);
                next
            }
        });
    }
    let mut all: Vec<(Vec<u32>, u32)> = known.into_iter().collect();
    all.sort_unstable_by_key(|(_, number)| *number);
    match all.is_empty() {
        true => Shapes::uniform(Vec::new()),
        false => Shapes::new(all.into_iter().map(|(shape, _)| shape), of_row),
    }
}
