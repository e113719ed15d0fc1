//! Arrow schemas as bytes: for pickles of schemas, which the same release reads.

use arrow_schema::{Schema, SchemaRef};

use crate::error::{Error, ErrorKind, Result};

/// Returns the schema with its metadata as bytes that [`schema_from_bytes`] reads.
///
/// # Errors
/// [`ErrorKind::Internal`] for a type that has no serialised form.
pub fn schema_to_bytes(schema: &Schema) -> Result<Vec<u8>> {
    serde_json::to_vec(schema)
        .map_err(|error| Error::new(ErrorKind::Internal(format!("a schema as bytes: {error}"))))
}

/// Returns the schema of [`schema_to_bytes`].
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] for other bytes.
pub fn schema_from_bytes(bytes: &[u8]) -> Result<SchemaRef> {
    let schema: Schema = serde_json::from_slice(bytes).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument(format!(
            "not the bytes of a schema: {error}"
        )))
    })?;
    Ok(schema.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::{DataType, Field, Fields, TimeUnit};

    #[test]
    fn schemas_return_with_types_and_metadata() {
        let metadata = [("name".to_owned(), "objectid".to_owned())];
        let nested = Fields::from(vec![Field::new("a.b", DataType::Decimal128(18, 2), true)]);
        let schema = Schema::new(vec![
            Field::new("_id", DataType::Utf8, true).with_metadata(metadata.into()),
            Field::new("", DataType::Struct(nested), true),
            Field::new(
                "at",
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
                true,
            ),
            Field::new_list("l", Field::new_list_field(DataType::Utf8View, true), true),
        ]);
        let bytes = schema_to_bytes(&schema).unwrap();
        assert_eq!(*schema_from_bytes(&bytes).unwrap(), schema);
        assert!(schema_from_bytes(b"{").is_err());
    }
}
