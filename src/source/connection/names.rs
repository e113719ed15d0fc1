//! The names of databases and collections.

use crate::error::{Error, ErrorKind, Result};

/// Characters that PyMongo and the server refuse in the name of a database. A server on Windows refuses more of them.
const REFUSED: [char; 7] = ['/', '\\', '.', ' ', '"', '$', '\0'];

/// Refuses a name that no server accepts, before anything is sent: a NUL would cut off the rest of a name.
///
/// The rules are those of PyMongo 4.20 (`_check_name` of `database_shared.py`, `Collection.__init__`). The server checks
/// the rest, such as lengths, which differ between its releases.
///
/// # Errors
///
/// [`ErrorKind::InvalidQuery`], with the name and the fault.
pub fn check(database: &str, collection: Option<&str>) -> Result<()> {
    let invalid = |text: String| Err(Error::new(ErrorKind::InvalidQuery(text)));
    if database.is_empty() {
        return invalid("a database name cannot be empty".into());
    }
    if database != "$external" {
        if let Some(found) = database.chars().find(|c| REFUSED.contains(c)) {
            return invalid(format!(
                "a database name cannot contain {found:?}: {database:?}"
            ));
        }
    }
    let Some(name) = collection else {
        return Ok(());
    };
    if name.is_empty() {
        return invalid("a collection name cannot be empty".into());
    }
    if name.contains('\0') {
        return invalid(format!("a collection name cannot contain NUL: {name:?}"));
    }
    if name.contains("..") || name.starts_with('.') || name.ends_with('.') {
        return invalid(format!(
            "a collection name cannot start or end with '.' or contain \"..\": {name:?}"
        ));
    }
    if name.contains('$') && !name.starts_with("oplog.$main") && !name.starts_with("$cmd") {
        return invalid(format!("a collection name cannot contain '$': {name:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_and_refuses() {
        let long = "x".repeat(256);
        for (database, collection) in [
            ("shop", "orders"),
            ("shop", "a.b"),
            ("$external", "x"),
            ("local", "oplog.$main"),
            ("æ", "ø å"),
            ("a*b<c>:|?", "d*e"),
            (&long, &long),
        ] {
            assert!(
                check(database, Some(collection)).is_ok(),
                "{database} {collection}"
            );
        }
        for (database, collection) in [
            ("", "c"),
            ("a.b", "c"),
            ("a b", "c"),
            ("a\0", "c"),
            ("$a", "c"),
            ("a", ""),
            ("a", "b\0"),
            ("a", "$b"),
            ("a", ".b"),
            ("a", "b."),
            ("a", "b..c"),
        ] {
            let error = check(database, Some(collection)).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidQuery(_)));
        }
    }
}
