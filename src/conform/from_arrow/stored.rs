//! Columns of plain tables: values in the type that the field's metadata records.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder};
use arrow_array::{cast::AsArray, Array, ArrayRef, FixedSizeBinaryArray, StringArray, StructArray};
use arrow_schema::Field;

use super::{json, push_null, ArrowReader, StoredTypes};
use crate::chunk::{Tagged, Values};
use crate::conform::internal_error;
use crate::error::{Error, Result};
use crate::raw::{hex_bytes, normalise_value, uuid_bytes, Decimal, TextPolicy};
use crate::schema::{extension_name_of, stored_type, Kind, Represented};

impl ArrowReader {
    /// Reads a column by the stored type of its field's metadata; `None` if there is none, or if it is that of a column
    /// that was cast since.
    pub(super) fn stored(&mut self, field: &Field, array: &ArrayRef) -> Result<Option<Values>> {
        if self.stored_types == StoredTypes::Ignore {
            return Ok(None);
        }
        let field = field.clone().with_data_type(array.data_type().clone());
        match stored_type(&field) {
            Some(represented) => self.represented(&represented, array),
            None => Ok(None),
        }
    }

    fn represented(&mut self, stored: &Represented, array: &ArrayRef) -> Result<Option<Values>> {
        let is_text = stored.is_text();
        Ok(Some(match stored.base() {
            // A column of numbers has one scale for all values.
            Kind::Decimal128 if stored.decimal_number().is_some() => return Ok(None),
            Kind::Decimal128 if is_text => {
                Values::Decimal128(self.parsed(array, "decimal", Decimal::parse)?)
            }
            Kind::ObjectId if is_text => {
                Values::ObjectId(self.parsed(array, "ObjectId", hex_bytes::<12>)?)
            }
            Kind::Uuid if is_text => Values::Uuid(self.parsed(array, "UUID", uuid_bytes)?),
            Kind::Mixed if is_text => self.mixed_json(&self.text(array)?)?,
            Kind::DbPointer => {
                let array = self.with_second_part(array, |reader, ids| {
                    let ids = reader.parsed(ids, "ObjectId", hex_bytes::<12>)?;
                    Ok(Arc::new(ids) as ArrayRef)
                })?;
                return self.extension(extension_name_of(stored.base()), &array);
            }
            Kind::CodeWithScope => {
                let array = self.with_second_part(array, |reader, scopes| {
                    reader.scopes_of_json(&reader.text(scopes)?)
                })?;
                return self.extension(extension_name_of(stored.base()), &array);
            }
            base => return self.extension(extension_name_of(base), array),
        }))
    }

    /// Parses the text of each value.
    fn parsed<const N: usize>(
        &self,
        array: &ArrayRef,
        what: &str,
        parse: impl Fn(&str) -> Option<[u8; N]>,
    ) -> Result<FixedSizeBinaryArray> {
        let text = self.text(array)?;
        let mut builder = FixedSizeBinaryBuilder::with_capacity(text.len(), N as i32);
        for (slot, text) in text.iter().enumerate() {
            let Some(text) = text else {
                builder.append_null();
                continue;
            };
            let Some(bytes) = parse(text) else {
                return Err(self.value_error(
                    slot,
                    format!(
                        "the text {text:.60?} is no {what}, which the column's metadata says it is: remove the metadata to read \
                         text"
                    ),
                ));
            };
            builder.append_value(bytes).map_err(internal_error)?;
        }
        Ok(builder.finish())
    }

    /// Replaces the second part of a struct of two parts.
    fn with_second_part(
        &self,
        array: &ArrayRef,
        read: impl Fn(&Self, &ArrayRef) -> Result<ArrayRef>,
    ) -> Result<ArrayRef> {
        let parts = array
            .as_struct_opt()
            .map(|array| (array, array.columns(), array.fields()));
        let Some((array, [first, second], fields)) = parts else {
            return Err(self.unsupported(array.data_type()));
        };
        let second = read(self, &self.unpack(second)?)?;
        let field = fields[1]
            .as_ref()
            .clone()
            .with_data_type(second.data_type().clone());
        let fields = vec![Arc::clone(&fields[0]), Arc::new(field)];
        let columns = vec![Arc::clone(first), second];
        let array = StructArray::try_new(fields.into(), columns, array.nulls().cloned());
        Ok(Arc::new(array.map_err(internal_error)?))
    }

    /// Reads cells of Extended JSON.
    fn mixed_json(&self, cells: &StringArray) -> Result<Values> {
        let keeps_null = self.keeps_null();
        let depth = self.path.len().max(1);
        let mut tagged = Tagged::mixed_in_table(cells.len());
        for (slot, cell) in cells.iter().enumerate() {
            let Some(text) = cell else {
                push_null(&mut tagged, keeps_null);
                continue;
            };
            let (kind, bytes) =
                json::value(text).map_err(|reason| self.value_error(slot, reason))?;
            tagged
                .push_with(kind.byte(), |out| {
                    normalise_value(kind, &bytes, depth, TextPolicy::Strict, out).map(drop)
                })
                .map_err(|bad| self.locate(slot, Error::decode(bad.offset, bad.reason)))?;
            self.check_size(slot, &tagged)?;
        }
        Ok(Values::Tagged(tagged))
    }

    fn scopes_of_json(&self, scopes: &StringArray) -> Result<ArrayRef> {
        let mut builder = BinaryBuilder::new();
        for (slot, scope) in scopes.iter().enumerate() {
            match scope {
                Some(text) => {
                    let scope = json::document(text);
                    builder.append_value(scope.map_err(|reason| self.value_error(slot, reason))?);
                }
                None => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}
