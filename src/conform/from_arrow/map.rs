//! Maps as documents: their keys differ by row, so they are kept as BSON instead of one column per key.

use arrow_array::{cast::AsArray, Array, ListArray, MapArray};
use arrow_schema::DataType;

use super::{nested, push_null, ArrowReader};
use crate::chunk::{encode_cell, Tagged, Values};
use crate::error::{Error, Result};
use crate::raw::{normalise_document, ElementType, TextPolicy};

impl ArrowReader {
    pub(super) fn map_values(&mut self, map: &MapArray) -> Result<Values> {
        let (offsets, entries) = nested::items(&ListArray::from(map.clone()))?;
        let entries = entries.as_struct();
        let keys = self.unpack(entries.column(0))?;
        if !matches!(
            keys.data_type(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        ) {
            return Err(self.invalid(format!(
                "a map's keys must be strings to be BSON keys, not {}",
                keys.data_type()
            )));
        }
        let keys = self.items(&offsets, |reader| reader.text(&keys))?;
        let (_, field) = map.entries_fields();
        let values = self.items(&offsets, |reader| reader.column(field, entries.column(1)))?;

        let keeps_null = self.keeps_null();
        let depth = self.path.len() + 1;
        let mut tagged = Tagged::mixed_in_table(map.len());
        let mut scratch = Vec::new();
        for row in 0..map.len() {
            if map.is_null(row) {
                push_null(&mut tagged, keeps_null);
                continue;
            }
            scratch.clear();
            scratch.extend_from_slice(&[0; 4]);
            for entry in offsets[row] as usize..offsets[row + 1] as usize {
                let key = keys.value(entry);
                if key.contains('\0') {
                    return Err(self.value_error(row, "a BSON key cannot hold NUL"));
                }
                let cell = values.cell(entry);
                scratch.push(cell.element_type().byte());
                scratch.extend_from_slice(key.as_bytes());
                scratch.push(0);
                encode_cell(&cell, &mut scratch).map_err(|error| self.locate(row, error))?;
            }
            scratch.push(0);
            let len = i32::try_from(scratch.len())
                .map_err(|_| self.value_error(row, "the document would exceed 2 GiB"))?;
            scratch[..4].copy_from_slice(&len.to_le_bytes());
            // Duplicate keys are merged: the last value wins, as everywhere.
            tagged
                .push_with(ElementType::Document.byte(), |out| {
                    normalise_document(&scratch, depth, TextPolicy::Strict, out).map(drop)
                })
                .map_err(|bad| self.locate(row, Error::decode(bad.offset, bad.reason)))?;
            self.check_size(row, &tagged)?;
        }
        Ok(Values::Tagged(tagged))
    }
}
