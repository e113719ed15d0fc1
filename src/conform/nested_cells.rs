//! Documents and lists converted cell by cell: nested cells are extracted first, then built as columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, FixedSizeListArray, MapArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};

use super::cell_builder::{build_array, Slots};
use super::column::struct_from_parts;
use super::{internal_error, mixed, nested, ConformResult, Failure, Policy, UnknownKeys};
use crate::chunk::Cell;
use crate::schema::Kind;

/// Builds a struct of documents, after extracting the cells of each key.
pub(super) fn documents(
    slots: &Slots<'_>,
    fields: &[(Arc<str>, Kind)],
    field: &Field,
    policy: &Policy,
) -> ConformResult<ArrayRef> {
    let DataType::Struct(arrow) = field.data_type() else {
        return Err(Failure::Error(internal_error("a struct was expected")));
    };
    let places: HashMap<&str, usize> = fields.iter().map(|(name, _)| &**name).zip(0..).collect();
    let len = slots.len();
    // Sparse storage: a dense cell for each slot of each field would multiply the memory by the width of the schema.
    let mut columns: Vec<Vec<(usize, Cell<'_>)>> = vec![Vec::new(); fields.len()];
    let mut valid = Vec::with_capacity(len);
    for (slot, cell) in slots.iter().enumerate() {
        match cell {
            Cell::Null => valid.push(false),
            Cell::Document(document) => {
                valid.push(true);
                for (key, cell) in document.entries() {
                    match places.get(key) {
                        Some(&place) => columns[place].push((slot, cell)),
                        None if policy.unknown == UnknownKeys::Conflict => {
                            return Err(Failure::Conflict)
                        }
                        None => {}
                    }
                }
            }
            _ => return Err(Failure::Conflict),
        }
    }
    let mut children = Vec::with_capacity(fields.len());
    for ((extracted, (_, kind)), field) in columns.into_iter().zip(fields).zip(arrow) {
        let mut cells = vec![Cell::Null; len];
        for (slot, cell) in extracted {
            cells[slot] = cell;
        }
        children.push(build_array(&Slots::Cells(cells), kind, field, policy)?);
    }
    struct_from_parts(field, children, Some(&NullBuffer::from(valid)))
}

/// Builds lists of any length, after extracting all items.
pub(super) fn lists(
    slots: &Slots<'_>,
    kind: &Kind,
    field: &Field,
    policy: &Policy,
) -> ConformResult<ArrayRef> {
    let len = slots.len();
    let mut items = Vec::new();
    let mut offsets = Vec::with_capacity(len + 1);
    offsets.push(0);
    let mut valid = Vec::with_capacity(len);
    for cell in slots.iter() {
        match cell {
            Cell::Null => valid.push(false),
            Cell::List(list) => {
                valid.push(true);
                items.extend(list.items());
            }
            _ => return Err(Failure::Conflict),
        }
        offsets.push(mixed::offset(items.len())?);
    }
    let items = build_array(
        &Slots::Cells(items),
        kind,
        nested::item_field(field)?,
        policy,
    )?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    nested::list_of(field, offsets, items, Some(NullBuffer::from(valid)))
}

/// Builds lists that all have the same length.
pub(super) fn fixed_lists(
    slots: &Slots<'_>,
    kind: &Kind,
    size: i32,
    field: &Field,
    policy: &Policy,
) -> ConformResult<ArrayRef> {
    let width = size as usize;
    let mut items = Vec::with_capacity(slots.len().saturating_mul(width));
    let mut valid = Vec::with_capacity(slots.len());
    for cell in slots.iter() {
        let before = items.len();
        match cell {
            Cell::Null => valid.push(false),
            Cell::List(list) => {
                valid.push(true);
                items.extend(list.items());
                if items.len() != before + width {
                    return Err(Failure::Conflict);
                }
            }
            _ => return Err(Failure::Conflict),
        }
        // Null lists have as many items as the others.
        items.resize(before + width, Cell::Null);
    }
    let item = nested::item_field(field)?;
    let items = build_array(&Slots::Cells(items), kind, item, policy)?;
    let nulls = Some(NullBuffer::from(valid));
    let len = slots.len();
    let list = FixedSizeListArray::try_new_with_length(Arc::clone(item), size, items, nulls, len)?;
    Ok(Arc::new(list))
}

/// Builds maps of documents, with keys in document order.
pub(super) fn maps(
    slots: &Slots<'_>,
    kind: &Kind,
    field: &Field,
    policy: &Policy,
) -> ConformResult<ArrayRef> {
    let (entries, keys_and_values) = match field.data_type() {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(parts) if parts.len() == 2 => (entries, parts),
            _ => {
                return Err(Failure::Error(internal_error(
                    "keys and values were expected",
                )))
            }
        },
        _ => return Err(Failure::Error(internal_error("a map was expected"))),
    };
    let mut keys = StringBuilder::new();
    let mut text = 0;
    let mut values = Vec::new();
    let mut offsets = Vec::with_capacity(slots.len() + 1);
    offsets.push(0);
    let mut valid = Vec::with_capacity(slots.len());
    for cell in slots.iter() {
        match cell {
            Cell::Null => valid.push(false),
            Cell::Document(document) => {
                valid.push(true);
                for (key, cell) in document.entries() {
                    text += key.len();
                    mixed::offset(text)?;
                    keys.append_value(key);
                    values.push(cell);
                }
            }
            _ => return Err(Failure::Conflict),
        }
        offsets.push(mixed::offset(values.len())?);
    }
    let values = build_array(&Slots::Cells(values), kind, &keys_and_values[1], policy)?;
    let columns: Vec<ArrayRef> = vec![Arc::new(keys.finish()), values];
    let columns = StructArray::try_new(keys_and_values.clone(), columns, None)?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let nulls = Some(NullBuffer::from(valid));
    let map = MapArray::try_new(Arc::clone(entries), offsets, columns, nulls, false)?;
    Ok(Arc::new(map))
}
