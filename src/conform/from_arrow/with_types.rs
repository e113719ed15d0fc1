//! The types of an earlier schema on the columns of a batch whose metadata a consumer dropped.

use std::sync::Arc;

use arrow_array::{make_array, Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};

use crate::conform::internal_error;
use crate::error::Result;

/// Returns `batch` with the types of `schema`, by names of columns: those that it lacks stay as they are.
///
/// # Errors
/// An internal error for a batch that Arrow refuses.
pub fn with_types(batch: &RecordBatch, schema: &Schema) -> Result<RecordBatch> {
    let fields = fields_with_types(batch.schema().fields(), schema.fields());
    let typed = Arc::new(Schema::new(fields.clone()));
    let columns = batch.columns().iter().zip(&fields);
    let columns = columns.map(|(column, field)| retyped(column, field.data_type()));
    let columns = columns.collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(typed, columns, &options).map_err(internal_error)
}

fn fields_with_types(fields: &Fields, types: &Fields) -> Fields {
    let typed = |field: &FieldRef| match types.iter().find(|found| found.name() == field.name()) {
        Some(found) => Arc::new(with_types_of(field, found)),
        None => Arc::clone(field),
    };
    fields.iter().map(typed).collect()
}

/// Returns `array` as `data_type`, which differs in the metadata of nested fields only.
fn retyped(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    let data = array.to_data().into_builder().data_type(data_type.clone());
    let children = array.to_data().child_data().to_vec();
    let types: Vec<&DataType> = match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::List(item) | DataType::LargeList(item) => vec![item.data_type()],
        _ => Vec::new(),
    };
    let children = children
        .into_iter()
        .zip(types)
        .map(|(child, data_type)| Ok(retyped(&make_array(child), data_type)?.to_data()));
    let data = data.child_data(children.collect::<Result<_>>()?);
    Ok(make_array(data.build().map_err(internal_error)?))
}

/// Sets the metadata of `field` to the types of `schema`, another field of its name, at every level.
///
/// polars, DuckDB and pandas drop the metadata of the tables that they read.
fn with_types_of(field: &Field, schema: &Field) -> Field {
    let data_type = match (field.data_type(), schema.data_type()) {
        (DataType::Struct(fields), DataType::Struct(types)) => {
            DataType::Struct(fields_with_types(fields, types))
        }
        (DataType::List(item), DataType::List(types) | DataType::LargeList(types)) => {
            DataType::List(Arc::new(with_types_of(item, types)))
        }
        (DataType::LargeList(item), DataType::List(types) | DataType::LargeList(types)) => {
            DataType::LargeList(Arc::new(with_types_of(item, types)))
        }
        (other, _) => other.clone(),
    };
    let typed = field.clone().with_data_type(data_type);
    match crate::schema::type_metadata(schema, field.data_type()) {
        Some((key, value)) => typed.with_metadata([(key.to_owned(), value.to_owned())].into()),
        None => typed,
    }
}
