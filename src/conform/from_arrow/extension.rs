//! Conversion of our extension types to BSON types, from any storage that other tools convert them to.

use std::sync::Arc;

use arrow_array::types::{UInt32Type, UInt8Type};
use arrow_array::{
    cast::AsArray, Array, ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray,
    UInt64Array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field};

use super::{push_null, ArrowReader};
use crate::chunk::{Marker, Tagged, Values};
use crate::error::{Error, Result};
use crate::raw::{normalise_document, normalise_value, Elements, Malformed, TextPolicy};
use crate::schema::{
    pymongoarrow_subtype, ARROW_UUID, CODE, CODE_WITH_SCOPE, DBPOINTER, DECIMAL128, MAX_KEY,
    MIN_KEY, MIXED, NO_SUBTYPE, OBJECT_ID, PYMONGOARROW_BINARY, REGEX, SUBTYPED, SYMBOL, TIMESTAMP,
    UNDEFINED,
};

/// The binary subtype of UUIDs.
const UUID_SUBTYPE: u8 = 4;

impl ArrowReader {
    /// Reads the values of an extension type; `None` for other extension types, which are read as their storage.
    pub(super) fn extension(&mut self, name: &str, array: &ArrayRef) -> Result<Option<Values>> {
        Ok(Some(match name {
            OBJECT_ID => Values::ObjectId(self.fixed(name, array, 12)?),
            DECIMAL128 => Values::Decimal128(self.fixed(name, array, 16)?),
            ARROW_UUID => Values::Uuid(self.fixed(name, array, 16)?),
            CODE => Values::Code(self.text(array)?),
            SYMBOL => Values::Symbol(self.text(array)?),
            UNDEFINED => Values::Marker(Marker::Undefined, self.marker(name, array)?),
            MIN_KEY => Values::Marker(Marker::MinKey, self.marker(name, array)?),
            MAX_KEY => Values::Marker(Marker::MaxKey, self.marker(name, array)?),
            MIXED => self.mixed(&self.bytes(array)?)?,
            SUBTYPED => {
                let [subtypes, bytes] = self.parts(name, array, ["subtype", "data"])?;
                let subtypes = self.cast(&subtypes, &DataType::UInt8)?;
                let subtypes: &PrimitiveArray<UInt8Type> = subtypes.as_primitive();
                Values::Subtyped {
                    subtypes: subtypes.clone(),
                    bytes: self.bytes(&bytes)?,
                }
            }
            REGEX => {
                let [pattern, options] = self.parts(name, array, ["pattern", "options"])?;
                let (pattern, options) = (self.text(&pattern)?, self.text(&options)?);
                self.refuse_nul(&pattern)?;
                self.refuse_nul(&options)?;
                Values::Regex { pattern, options }
            }
            DBPOINTER => {
                let [namespace, id] = self.parts(name, array, ["namespace", "id"])?;
                Values::DbPointer {
                    namespace: self.text(&namespace)?,
                    id: self.fixed(name, &id, 12)?,
                }
            }
            CODE_WITH_SCOPE => {
                let [code, scope] = self.parts(name, array, ["code", "scope"])?;
                Values::CodeWithScope {
                    code: self.text(&code)?,
                    scope: self.scopes(&self.bytes(&scope)?)?,
                }
            }
            TIMESTAMP => {
                let [time, increment] = self.parts(name, array, ["time", "increment"])?;
                Values::Timestamp(self.timestamps(&time, &increment)?)
            }
            _ => return Ok(None),
        }))
    }

    /// Reads PyMongoArrow's binary, whose cells have the subtype in the field's metadata.
    pub(super) fn pymongoarrow_binary(&self, field: &Field, array: &ArrayRef) -> Result<Values> {
        let subtype = pymongoarrow_subtype(field).ok_or_else(|| self.invalid(NO_SUBTYPE.into()))?;
        let bytes = self.bytes(array)?;
        let mut values = (0..bytes.len()).filter(|&slot| bytes.is_valid(slot));
        Ok(match subtype {
            0 => Values::Binary(bytes),
            UUID_SUBTYPE if values.all(|slot| bytes.value_length(slot) == 16) => {
                let array: ArrayRef = Arc::new(bytes);
                Values::Uuid(self.fixed(PYMONGOARROW_BINARY, &array, 16)?)
            }
            subtype => {
                let subtypes = vec![subtype; bytes.len()].into();
                Values::Subtyped {
                    subtypes: PrimitiveArray::new(subtypes, bytes.nulls().cloned()),
                    bytes,
                }
            }
        })
    }

    fn fixed(
        &self,
        name: &str,
        array: &ArrayRef,
        width: i32,
    ) -> Result<arrow_array::FixedSizeBinaryArray> {
        if array.data_type() == &DataType::FixedSizeBinary(width) {
            return Ok(array.as_fixed_size_binary().clone());
        }
        let bytes = self.bytes(array)?;
        let wrong = (0..bytes.len())
            .find(|&slot| bytes.is_valid(slot) && bytes.value(slot).len() != width as usize);
        if let Some(slot) = wrong {
            let text = format!(
                "{name} holds {width} bytes, not {}",
                bytes.value(slot).len()
            );
            return Err(self.value_error(slot, text));
        }
        let array: ArrayRef = Arc::new(bytes);
        let cast = self.cast(&array, &DataType::FixedSizeBinary(width))?;
        Ok(cast.as_fixed_size_binary().clone())
    }

    pub(super) fn bytes(&self, array: &ArrayRef) -> Result<BinaryArray> {
        let array = self.unpack(array)?;
        Ok(self.cast(&array, &DataType::Binary)?.as_binary().clone())
    }

    /// Reads true as a value and false as none; this package never writes false.
    fn marker(&self, name: &str, array: &ArrayRef) -> Result<BooleanArray> {
        let DataType::Boolean = array.data_type() else {
            return Err(self.invalid(format!("{name} over {}", array.data_type())));
        };
        let array = array.as_boolean();
        if array.false_count() == 0 {
            return Ok(array.clone());
        }
        let there = NullBuffer::new(array.values().clone());
        let nulls = NullBuffer::union(array.nulls(), Some(&there));
        Ok(BooleanArray::new(array.values().clone(), nulls))
    }

    /// Returns the named parts of a struct; a part that is null in a valid row is an error.
    fn parts(&self, name: &str, array: &ArrayRef, names: [&str; 2]) -> Result<[ArrayRef; 2]> {
        let found = array.as_struct_opt().and_then(|array| {
            let [first, second] = names.map(|name| array.column_by_name(name));
            Some((array, first?, second?))
        });
        let Some((array, first, second)) = found else {
            let [first, second] = names;
            return Err(self.invalid(format!(
                "{name} is a struct of {first} and {second}, not {}",
                array.data_type()
            )));
        };
        let mask = |part: &ArrayRef| {
            let part = crate::conform::with_nulls(&self.unpack(part)?, array.nulls())?;
            let hole = (0..part.len()).find(|&slot| part.is_null(slot) && array.is_valid(slot));
            match hole {
                Some(slot) => Err(self.value_error(slot, format!("a part of {name} is null"))),
                None => Ok(part),
            }
        };
        Ok([mask(first)?, mask(second)?])
    }

    fn refuse_nul(&self, array: &StringArray) -> Result<()> {
        let slots = (0..array.len()).filter(|&slot| array.is_valid(slot));
        match slots
            .into_iter()
            .find(|&slot| array.value(slot).contains('\0'))
        {
            Some(slot) => Err(self.value_error(slot, "a BSON regular expression cannot hold NUL")),
            None => Ok(()),
        }
    }

    fn timestamps(&self, time: &ArrayRef, increment: &ArrayRef) -> Result<UInt64Array> {
        let time = self.cast(time, &DataType::UInt32)?;
        let increment = self.cast(increment, &DataType::UInt32)?;
        let time: &PrimitiveArray<UInt32Type> = time.as_primitive();
        let increment: &PrimitiveArray<UInt32Type> = increment.as_primitive();
        let values: Vec<u64> = time
            .values()
            .iter()
            .zip(increment.values())
            .map(|(&time, &increment)| u64::from(time) << 32 | u64::from(increment))
            .collect();
        Ok(UInt64Array::new(values.into(), time.nulls().cloned()))
    }

    /// Reads cells of the form `{"": value}`, validates them, and converts them to normal form.
    fn mixed(&self, cells: &BinaryArray) -> Result<Values> {
        let keeps_null = self.keeps_null();
        let depth = self.path.len().max(1);
        let mut tagged = Tagged::mixed_in_table(cells.len());
        for slot in 0..cells.len() {
            if cells.is_null(slot) {
                push_null(&mut tagged, keeps_null);
            } else {
                unwrap_mixed(cells.value(slot), depth, &mut tagged)
                    .map_err(|bad| self.locate(slot, Error::decode(bad.offset, bad.reason)))?;
                self.check_size(slot, &tagged)?;
            }
        }
        Ok(Values::Tagged(tagged))
    }

    fn scopes(&self, scopes: &BinaryArray) -> Result<BinaryArray> {
        let depth = self.path.len() + 1;
        let mut builder = arrow_array::builder::BinaryBuilder::new();
        let mut scratch = Vec::new();
        for slot in 0..scopes.len() {
            if scopes.is_null(slot) {
                builder.append_null();
                continue;
            }
            scratch.clear();
            normalise_scope(scopes.value(slot), depth, &mut scratch)
                .map_err(|bad| self.locate(slot, Error::decode(bad.offset, bad.reason)))?;
            builder.append_value(&scratch);
        }
        Ok(builder.finish())
    }
}

fn normalise_scope(bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    check_length(bytes)?;
    normalise_document(bytes, depth, TextPolicy::Strict, out).map(drop)
}

/// Checks that the document at the start of `bytes` fills them.
fn check_length(bytes: &[u8]) -> Result<(), Malformed> {
    match crate::raw::document_len(bytes, 0)? {
        len if len == bytes.len() => Ok(()),
        len => Err(Malformed {
            offset: len,
            reason: "there are bytes after the document",
        }),
    }
}

/// Appends the value of the document `{"": value}`.
fn unwrap_mixed(bytes: &[u8], depth: usize, tagged: &mut Tagged) -> Result<(), Malformed> {
    let wrong = |offset| Malformed {
        offset,
        reason: "a mixed cell is a document with the one key \"\"",
    };
    check_length(bytes)?;
    let mut elements = Elements::new(bytes)?;
    let element = elements.next().ok_or_else(|| wrong(4))??;
    if !element.key.is_empty() || elements.next().is_some() {
        return Err(wrong(4));
    }
    tagged.push_with(element.kind.byte(), |out| {
        normalise_value(element.kind, element.value, depth, TextPolicy::Strict, out).map(drop)
    })
}
