//! The names of databases and collections.

use crate::error::{Error, ErrorKind, Result};

/// Refuses names that no server accepts, before they are sent: a NUL would cut off the rest of a name.
pub(crate) fn check(database: &str, collection: Option<&str>) -> Result<()> {
    let invalid = |text: String| Err(Error::new(ErrorKind::InvalidArgument(text)));
    if database.is_empty() || database.len() > 63 {
        return invalid(format!(
            "a database name has 1 to 63 bytes, not {}",
            database.len()
        ));
    }
    let forbidden = [
        '/', '\\', '.', ' ', '"', '$', '*', '<', '>', ':', '|', '?', '\0',
    ];
    if let Some(found) = database.chars().find(|c| forbidden.contains(c)) {
        if database != "$external" {
            return invalid(format!(
                "a database name cannot hold {found:?}: {database:?}"
            ));
        }
    }
    let Some(collection) = collection else {
        return Ok(());
    };
    let system = collection.starts_with("oplog.$main") || collection.starts_with("$cmd");
    if collection.is_empty()
        || collection.contains('\0')
        || collection.contains("..")
        || collection.starts_with('.')
        || collection.ends_with('.')
        || (collection.contains('$') && !system)
    {
        return invalid(format!(
            "a collection name is not empty, holds no NUL and no \"$\", and no dot at its ends or beside another: \
             {collection:?}"
        ));
    }
    if database.len() + 1 + collection.len() > 255 {
        return invalid("database and collection name have more than 255 bytes together".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_and_refuses() {
        for (database, collection) in [
            ("shop", "orders"),
            ("shop", "a.b"),
            ("$external", "x"),
            ("local", "oplog.$main"),
            ("æ", "ø å"),
        ] {
            assert!(
                check(database, Some(collection)).is_ok(),
                "{database} {collection}"
            );
        }
        let long = "x".repeat(256);
        for (database, collection) in [
            ("", "c"),
            ("a.b", "c"),
            ("a b", "c"),
            ("a\0", "c"),
            ("$a", "c"),
            (&long, "c"),
            ("a", ""),
            ("a", "b\0"),
            ("a", "$b"),
            ("a", ".b"),
            ("a", "b."),
            ("a", "b..c"),
            ("a", &long),
        ] {
            let error = check(database, Some(collection)).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)));
        }
    }
}
