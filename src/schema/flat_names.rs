//! Names of the columns of flattened tables: the keys of the path, with points between them.

use arrow_schema::Field;

use crate::error::{Error, ErrorKind, Result};

/// Metadata key of a column whose name does not show its path, as a key has a point: the keys, as a JSON array of text.
pub const PATH_KEY: &str = "data_bridge.path";

/// Returns `field` as the column of a flattened table that holds the values at `path`.
pub fn flat_field(field: &Field, path: &[&str]) -> Field {
    let flat = field.clone().with_name(path.join("."));
    if path.iter().all(|key| !key.contains('.')) {
        return flat;
    }
    let mut metadata = flat.metadata().clone();
    metadata.insert(PATH_KEY.into(), serde_json::Value::from(path).to_string());
    flat.with_metadata(metadata)
}

/// Returns the keys of the path of a flattened column.
///
/// # Errors
/// `InvalidArgument` for metadata that is not an array of text.
pub(super) fn flat_path(field: &Field) -> Result<Vec<String>> {
    let Some(keys) = field.metadata().get(PATH_KEY) else {
        return Ok(field.name().split('.').map(str::to_owned).collect());
    };
    match serde_json::from_str::<Vec<String>>(keys) {
        Ok(keys) if !keys.is_empty() => Ok(keys),
        _ => Err(Error::new(ErrorKind::InvalidArgument(format!(
            "the metadata {PATH_KEY:?} of the field {:?} must be a JSON array of keys, got {keys:?}",
            field.name()
        )))),
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::DataType;

    use super::*;

    #[test]
    fn names_and_metadata_give_the_path_back() {
        let field = Field::new("x", DataType::Int32, true);
        for path in [
            &["a"][..],
            &["a", "b", "c"],
            &["a.b"],
            &["a", "b.c", ""],
            &["", ""],
            &["."],
            &["\"", "é.\n"],
        ] {
            let flat = flat_field(&field, path);
            assert_eq!(flat.name(), &path.join("."));
            assert_eq!(flat_path(&flat).unwrap(), path);
        }
        let plain = flat_field(&field, &["a", "b"]);
        assert!(plain.metadata().is_empty());
        for wrong in ["", "[]", "[1]", "a.b", "{}"] {
            let metadata = [(PATH_KEY.to_owned(), wrong.to_owned())];
            let field = field.clone().with_metadata(metadata.into());
            let text = flat_path(&field).unwrap_err().to_string();
            assert!(text.contains("data_bridge.path"), "{text}");
        }
    }
}
