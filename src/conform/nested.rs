//! Documents as structs, and lists as lists: columns of columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{new_null_array, Array, ArrayRef, LargeListArray, ListArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields};

use super::column::{column, struct_from_parts};
use super::{internal_error, ConformResult, Failure, Policy, UnknownKeys};
use crate::chunk::{Column, Documents};
use crate::schema::Kind;

/// Builds a struct of `documents`, with the nulls of `nulls`.
pub(super) fn document(
    documents: &Documents,
    nulls: Option<&NullBuffer>,
    fields: &[(Arc<str>, Kind)],
    field: &Field,
    policy: &Policy,
) -> ConformResult<ArrayRef> {
    let DataType::Struct(arrow) = field.data_type() else {
        return Err(Failure::Error(internal_error("a struct was expected")));
    };
    struct_from_parts(field, children(documents, fields, arrow, policy)?, nulls)
}

/// Builds an array for each of `fields`, with nulls for keys that no document has.
pub(super) fn children(
    documents: &Documents,
    fields: &[(Arc<str>, Kind)],
    arrow: &Fields,
    policy: &Policy,
) -> ConformResult<Vec<ArrayRef>> {
    let mut places = Places::new(documents);
    let mut known = vec![false; documents.fields().len()];
    let mut arrays = Vec::with_capacity(fields.len());
    for ((name, kind), field) in fields.iter().zip(arrow) {
        arrays.push(match places.of(name) {
            Some(place) => {
                known[place] = true;
                column(&documents.fields()[place].column, kind, field, policy)?
            }
            None => new_null_array(field.data_type(), documents.len()),
        });
    }
    if policy.unknown == UnknownKeys::Conflict && has_unknown(documents, &known) {
        return Err(Failure::Conflict);
    }
    Ok(arrays)
}

/// Returns whether a document has a key that the schema lacks, even with a null value.
fn has_unknown(documents: &Documents, known: &[bool]) -> bool {
    let shapes = documents.shapes();
    !documents.is_empty()
        && known.contains(&false)
        && (0..shapes.count()).any(|id| shapes.get(id).iter().any(|&field| !known[field as usize]))
}

/// Positions of keys among the fields of documents; mostly equal to those in the schema.
struct Places<'a> {
    documents: &'a Documents,
    expected: usize,
    /// Filled when the first key is not at its expected position.
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Places<'a> {
    fn new(documents: &'a Documents) -> Self {
        Places {
            documents,
            expected: 0,
            by_name: HashMap::new(),
        }
    }

    fn of(&mut self, name: &str) -> Option<usize> {
        let fields = self.documents.fields();
        let place = match fields.get(self.expected) {
            Some(field) if *field.name == *name => self.expected,
            _ => {
                if self.by_name.is_empty() {
                    let names = fields.iter().map(|field| &*field.name);
                    self.by_name = names.zip(0..).collect();
                }
                *self.by_name.get(name)?
            }
        };
        self.expected = place + 1;
        Some(place)
    }
}

/// Builds a list array with the same offsets.
pub(super) fn list(
    items: &Column,
    offsets: &OffsetBuffer<i32>,
    nulls: Option<&NullBuffer>,
    kind: &Kind,
    field: &Field,
    policy: &Policy,
) -> ConformResult<ArrayRef> {
    let item = item_field(field)?;
    let items = column(items, kind, item, policy)?;
    list_of(field, offsets.clone(), items, nulls.cloned())
}

/// Returns the field of the items of the list `field`.
pub(super) fn item_field(field: &Field) -> ConformResult<&Arc<Field>> {
    match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Ok(item)
        }
        _ => Err(Failure::Error(internal_error("a list was expected"))),
    }
}

pub(super) fn list_of(
    field: &Field,
    offsets: OffsetBuffer<i32>,
    items: ArrayRef,
    nulls: Option<NullBuffer>,
) -> ConformResult<ArrayRef> {
    let item = Arc::clone(item_field(field)?);
    let list: ArrayRef = if matches!(field.data_type(), DataType::LargeList(_)) {
        let wide: Vec<i64> = offsets.iter().map(|&offset| offset.into()).collect();
        let offsets = OffsetBuffer::new(wide.into());
        Arc::new(LargeListArray::try_new(item, offsets, items, nulls)?)
    } else {
        Arc::new(ListArray::try_new(item, offsets, items, nulls)?)
    };
    debug_assert_eq!(list.data_type(), field.data_type());
    Ok(list)
}
