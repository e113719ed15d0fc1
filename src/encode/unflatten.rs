//! Embedded documents of columns whose names are paths with points, the inverse of flattened tables.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, FieldRef, Schema};

use super::key::invalid;
use super::options::KeyPath;
use crate::error::{Error, ErrorKind, Result};

/// Columns below one document.
#[derive(Default)]
struct Node {
    children: Vec<(Arc<str>, Child)>,
}

enum Child {
    Column(FieldRef, ArrayRef),
    Document(Node),
}

/// Returns `batch` with a struct for each name before a point. A struct is null where all columns below it are.
///
/// # Errors
/// `InvalidArgument` with the path of a column that has the name of a document of others.
pub(super) fn unflattened(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let mut root = Node::default();
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let mut path: Vec<&str> = field.name().split('.').collect();
        let last = path.pop().unwrap_or_default();
        let column = Child::Column(Arc::clone(field), Arc::clone(array));
        if !root.insert(&path, last, column) {
            let path: KeyPath = vec![field.name().as_str().into()];
            let text = "the column has the name of a document of other columns, or lies below another column: rename one";
            return Err(invalid(&path, text));
        }
    }
    let (fields, arrays, _) = root.build(batch.num_rows())?;
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options).map_err(internal)
}

impl Node {
    /// Adds a column; returns whether its place was free.
    fn insert(&mut self, path: &[&str], name: &str, column: Child) -> bool {
        let next = path.first().copied().unwrap_or(name);
        let known = self.children.iter_mut().find(|(child, _)| **child == *next);
        match (known, path) {
            (Some((_, Child::Document(below))), [_, rest @ ..]) => below.insert(rest, name, column),
            (Some(_), _) => false,
            (None, []) => {
                self.children.push((name.into(), column));
                true
            }
            (None, [first, rest @ ..]) => {
                let mut below = Node::default();
                below.insert(rest, name, column);
                self.children
                    .push(((*first).into(), Child::Document(below)));
                true
            }
        }
    }

    /// Returns the fields, the arrays, and the rows that have a value.
    fn build(self, rows: usize) -> Result<(Vec<Field>, Vec<ArrayRef>, Option<NullBuffer>)> {
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        let mut present: Option<Vec<bool>> = Some(vec![false; rows]);
        for (name, child) in self.children {
            let (field, array) = match child {
                Child::Column(field, array) => {
                    let field = Field::clone(&field).with_name(&*name).with_nullable(true);
                    (field, array)
                }
                Child::Document(below) => {
                    let (fields, arrays, nulls) = below.build(rows)?;
                    let array =
                        StructArray::try_new_with_length(fields.into(), arrays, nulls, rows);
                    let array: ArrayRef = Arc::new(array.map_err(internal)?);
                    (Field::new(&*name, array.data_type().clone(), true), array)
                }
            };
            match (array.logical_nulls(), &mut present) {
                (None, _) if *array.data_type() != DataType::Null => present = None,
                (Some(nulls), Some(present)) => {
                    for (row, present) in present.iter_mut().enumerate() {
                        *present |= nulls.is_valid(row);
                    }
                }
                _ => {}
            }
            fields.push(field);
            arrays.push(array);
        }
        Ok((fields, arrays, present.map(NullBuffer::from)))
    }
}

fn internal(error: arrow_schema::ArrowError) -> Error {
    Error::new(ErrorKind::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int32Array, NullArray};

    fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
        let columns = columns
            .iter()
            .map(|(name, array)| (*name, Arc::clone(array), true));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    #[test]
    fn names_with_points_are_paths() {
        let ints =
            |values: [Option<i32>; 3]| Arc::new(Int32Array::from(values.to_vec())) as ArrayRef;
        let flat = batch(&[
            ("_id", ints([Some(1), Some(2), Some(3)])),
            ("a.b", ints([Some(4), None, None])),
            ("x", ints([None; 3])),
            ("a.c.d", ints([None, Some(5), None])),
            ("a.n", Arc::new(NullArray::new(3))),
        ]);
        let nested = unflattened(&flat).unwrap();
        let schema = nested.schema();
        let names: Vec<_> = schema.fields().iter().map(|field| field.name()).collect();
        assert_eq!(names, ["_id", "a", "x"]);
        let a = nested.column(1);
        assert_eq!(
            (0..3).map(|row| a.is_null(row)).collect::<Vec<_>>(),
            [false, false, true]
        );
        let a = a.as_any().downcast_ref::<StructArray>().unwrap();
        let c = a.column_by_name("c").unwrap();
        assert_eq!(
            (0..3).map(|row| c.is_null(row)).collect::<Vec<_>>(),
            [true, false, true]
        );
    }

    #[test]
    fn places_that_are_taken_are_refused() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        for names in [["a", "a.b"], ["a.b", "a"], ["a.b", "a.b"], ["a.b.c", "a.b"]] {
            let flat = batch(&names.map(|name| (name, Arc::clone(&ints))));
            let error = unflattened(&flat).unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::InvalidArgument(_)),
                "{names:?}"
            );
        }
    }
}
