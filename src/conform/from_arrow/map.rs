//! Maps as documents: their keys differ by row, so they stay BSON and not a column each.

use arrow_array::{cast::AsArray, Array, MapArray};
use arrow_schema::DataType;

use super::Reading;
use crate::chunk::{encode_cell, Tagged, Values};
use crate::error::{Error, Result, Step};
use crate::raw::{normalise_document, ElementType, TextPolicy};

impl Reading {
    pub(super) fn map_values(&mut self, map: &MapArray) -> Result<Values> {
        let (key_field, value_field) = map.entries_fields();
        let key_array = self.unpacked(map.keys())?;
        if !matches!(
            key_array.data_type(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        ) {
            return Err(self.refuse(format!(
                "a map's keys must be strings to be BSON keys, not {}",
                key_field.data_type()
            )));
        }
        let keys = self.cast(&key_array, &DataType::Utf8)?;
        let keys = keys.as_string::<i32>();
        let outer = std::sync::Arc::new(self.rows.clone());
        self.rows = super::Rows::Items(map.offsets().clone(), outer.clone());
        let values = self.inside(Step::Index(0), |reading| {
            reading.column(value_field, map.values())
        });
        self.rows = (*outer).clone();
        let values = values?;

        let mut tagged = Tagged::with_capacity(map.len());
        let mut scratch = Vec::new();
        for row in 0..map.len() {
            if map.is_null(row) {
                tagged.push_missing();
                continue;
            }
            scratch.clear();
            scratch.extend_from_slice(&[0; 4]);
            for entry in map.offsets()[row] as usize..map.offsets()[row + 1] as usize {
                let cell = values.cell(entry);
                let key = keys.value(entry);
                if key.contains('\0') {
                    return Err(self.value_error(row, "a BSON key cannot hold NUL"));
                }
                scratch.push(cell.element_type().byte());
                scratch.extend_from_slice(key.as_bytes());
                scratch.push(0);
                encode_cell(&cell, &mut scratch);
            }
            scratch.push(0);
            let len = i32::try_from(scratch.len())
                .map_err(|_| self.value_error(row, "a document of over 2 GiB"))?;
            scratch[..4].copy_from_slice(&len.to_le_bytes());
            // A key that occurs twice is merged: the last value wins, as everywhere.
            let level = self.path.len();
            tagged
                .push_with(ElementType::Document.byte(), |out| {
                    normalise_document(&scratch, level + 1, TextPolicy::Strict, out).map(drop)
                })
                .map_err(|bad| self.at(row, Error::decode(bad.offset, bad.reason)))?;
        }
        Ok(Values::Tagged(tagged))
    }
}
