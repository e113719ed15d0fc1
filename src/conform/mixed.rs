//! Mixed columns: each cell as the BSON document `{"": value}`, or as Extended JSON.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, BinaryArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::cell_builder::Slots;
use super::{ConformResult, Failure};
use crate::chunk::{encode_wrapped, write_json, Cell, JsonMode};
use crate::error::{Error, ErrorKind};

/// Encodes the cells of `slots`; null and missing cells give null.
pub(super) fn encode(slots: &Slots<'_>) -> ConformResult<ArrayRef> {
    let len = slots.len();
    let mut bytes = Vec::new();
    let mut offsets: Vec<i32> = Vec::with_capacity(len + 1);
    offsets.push(0);
    let mut valid = Vec::with_capacity(len);
    for slot in 0..len {
        let cell = slots.get(slot);
        let there = !matches!(cell, Cell::Null);
        if there {
            encode_wrapped(&cell, &mut bytes).map_err(Failure::Error)?;
        }
        valid.push(there);
        offsets.push(offset(bytes.len())?);
    }
    let nulls = Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let array = BinaryArray::try_new(offsets, Buffer::from_vec(bytes), nulls)?;
    Ok(Arc::new(array))
}

/// Writes the cells of `slots` as relaxed Extended JSON in `storage`; null and missing cells give null.
pub(super) fn json(slots: &Slots<'_>, storage: &DataType) -> ConformResult<ArrayRef> {
    let mut builder = StringBuilder::with_capacity(slots.len(), 0);
    let mut text = String::new();
    let mut total = 0;
    for cell in slots.iter() {
        if matches!(cell, Cell::Null) {
            builder.append_null();
            continue;
        }
        text.clear();
        write_json(&cell, JsonMode::Relaxed, &mut text);
        total += text.len();
        offset(total)?;
        builder.append_value(&text);
    }
    let array: ArrayRef = Arc::new(builder.finish());
    Ok(arrow_cast::cast(&array, storage)?)
}

pub(super) fn offset(len: usize) -> ConformResult<i32> {
    i32::try_from(len).map_err(|_| {
        let text = "a column of one batch would hold over 2 GiB; read with a smaller batch size";
        Failure::Error(Error::new(ErrorKind::InvalidArgument(text.into())))
    })
}
