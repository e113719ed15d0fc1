//! Tables with one column for each leaf of embedded documents, named by the path with points.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, FieldRef, Schema, SchemaRef};

use super::internal_error;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{flat_field, Kind, TableSchema};

/// The columns of a flattened table: the schema, and the place of each column in the table with embedded documents.
#[derive(Clone, Debug)]
pub struct FlatSchema {
    arrow: SchemaRef,
    /// For each column, the position of the top-level column and of the field at each level below it.
    places: Vec<Vec<usize>>,
}

impl FlatSchema {
    /// Flattens the documents of `schema`; lists and all other types stay as they are.
    ///
    /// # Errors
    /// `InvalidArgument` when two columns have one name.
    pub fn new(schema: &TableSchema) -> Result<Self> {
        let mut leaves = Leaves::default();
        let kinds = schema.fields().iter().map(|(_, kind)| Some(kind));
        // The column of rescued values has no kind.
        let kinds = kinds.chain(std::iter::repeat(None));
        for (place, (field, kind)) in schema.arrow().fields().iter().zip(kinds).enumerate() {
            leaves.add(field, kind, &mut vec![field.name()], &mut vec![place])?;
        }
        Ok(FlatSchema {
            arrow: Arc::new(Schema::new(leaves.fields)),
            places: leaves.places,
        })
    }

    /// The Arrow schema of the flattened table.
    pub fn arrow(&self) -> &SchemaRef {
        &self.arrow
    }

    /// Flattens a batch of the schema that this was made of.
    ///
    /// # Errors
    /// An internal error for a batch of another schema.
    pub fn flatten(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.places.iter().map(|place| leaf(batch, place));
        let columns = columns.collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.arrow), columns, &options)
            .map_err(internal_error)
    }
}

#[derive(Default)]
struct Leaves {
    fields: Vec<FieldRef>,
    places: Vec<Vec<usize>>,
    names: HashSet<String>,
}

impl Leaves {
    fn add<'a>(
        &mut self,
        field: &FieldRef,
        kind: Option<&'a Kind>,
        path: &mut Vec<&'a str>,
        place: &mut Vec<usize>,
    ) -> Result<()> {
        if let (Some(Kind::Document(kinds)), DataType::Struct(fields)) = (kind, field.data_type()) {
            for (position, (field, (key, kind))) in fields.iter().zip(kinds).enumerate() {
                path.push(key);
                place.push(position);
                self.add(field, Some(kind), path, place)?;
                place.pop();
                path.pop();
            }
            return Ok(());
        }
        let flat = flat_field(field, path);
        if !self.names.insert(flat.name().clone()) {
            let text = format!(
                "two columns of the flattened table have the name {:?}: a key with a point has the name of a nested key; \
                 exclude one by a projection, or read without flatten",
                flat.name()
            );
            return Err(Error::new(ErrorKind::InvalidArgument(text)));
        }
        self.fields.push(Arc::new(flat));
        self.places.push(place.clone());
        Ok(())
    }
}

/// Returns a nested column, null where a document around it is null.
fn leaf(batch: &RecordBatch, place: &[usize]) -> Result<ArrayRef> {
    let missing = || internal_error("a flattened column is not in its table");
    let (first, below) = place.split_first().ok_or_else(missing)?;
    let mut array = Arc::clone(batch.columns().get(*first).ok_or_else(missing)?);
    let mut nulls: Option<NullBuffer> = None;
    for &position in below {
        let documents = array.as_struct_opt().ok_or_else(missing)?;
        nulls = NullBuffer::union(nulls.as_ref(), documents.nulls());
        let column = documents.columns().get(position).ok_or_else(missing)?;
        array = Arc::clone(column);
    }
    super::with_nulls(&array, nulls.as_ref())
}
