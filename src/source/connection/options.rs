//! Options of reads: from BSON to the driver's structs.
//!
//! The driver's structs ignore unknown names, and skip a few known ones. So names are checked here first: an option that is not sent
//! must not be accepted.

use std::time::Duration;

use mongodb::bson::{deserialize_from_document, Bson, Document, Timestamp};
use mongodb::options::{
    AggregateOptions, CountOptions, DistinctOptions, EstimatedDocumentCountOptions, FindOptions,
    ReadConcern, SelectionCriteria, SessionOptions, TransactionOptions,
};

use super::caller_bson;
use crate::error::{Error, ErrorKind, Result};

/// The selection of a server (read preference), and the read concern.
#[derive(Default)]
pub(crate) struct Selection {
    pub(crate) criteria: Option<SelectionCriteria>,
    pub(crate) read_concern: Option<ReadConcern>,
    /// The name of the read concern, which the driver does not expose.
    pub(crate) level: Option<String>,
    /// The time that all reads of a partitioned result see.
    pub(crate) snapshot: Option<SnapshotTime>,
}

/// A point in time to read at.
#[derive(Clone, Copy)]
pub(crate) struct SnapshotTime {
    pub(crate) time: Timestamp,
    /// Seconds for which the server keeps history, if they are known.
    pub(crate) window: Option<i64>,
}

impl Selection {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let document = caller_bson::document(bytes, "selection")?;
        check_names(
            &document,
            "selection",
            &["readPreference", "readConcern", "snapshot"],
        )?;
        let mut selection = Selection::default();
        if let Some(snapshot) = nested(&document, "selection", "snapshot")? {
            check_names(snapshot, "snapshot", &["time", "window"])?;
            let Some(Bson::Timestamp(time)) = snapshot.get("time") else {
                return Err(invalid("snapshot", "time is not a timestamp"));
            };
            selection.snapshot = Some(SnapshotTime {
                time: *time,
                window: snapshot.get_i64("window").ok(),
            });
        }
        if let Some(preference) = nested(&document, "selection", "readPreference")? {
            check_names(
                preference,
                "readPreference",
                &["mode", "tagSets", "maxStalenessSeconds", "hedge"],
            )?;
            selection.criteria = Some(read(preference.clone(), "readPreference")?);
        }
        if let Some(concern) = nested(&document, "selection", "readConcern")? {
            check_names(concern, "readConcern", &["level"])?;
            selection.level = match concern.get("level") {
                None | Some(Bson::Null) => None,
                Some(Bson::String(level)) => Some(level.clone()),
                Some(_) => return Err(invalid("readConcern", "level is not a string")),
            };
            selection.read_concern = selection.level.as_ref().map(ReadConcern::custom);
        }
        Ok(selection)
    }
}

/// Reads options with a struct of the driver, which has different names for `maxTimeMS`.
macro_rules! options {
    ($(#[$doc:meta])* $name:ident, $struct:ty, $what:literal, [$($option:literal),* $(,)?]) => {
        $(#[$doc])*
        pub(crate) fn $name(bytes: &[u8], selection: &Selection) -> Result<$struct> {
            let mut document = caller_bson::document(bytes, concat!("options of ", $what))?;
            check_names(&document, $what, &["maxTimeMS", $($option),*])?;
            let max_time = take_millis(&mut document, $what, "maxTimeMS")?;
            check_collation(&mut document, $what)?;
            check_write_concern(&document, $what)?;
            let mut options: $struct = read(document, $what)?;
            options.max_time = max_time;
            options.selection_criteria = selection.criteria.clone();
            options.read_concern = selection.read_concern.clone();
            Ok(options)
        }
    };
}

options!(
    /// Options of a find. Tailable cursors are not among them: their results have no end.
    find, FindOptions, "find", [
        "allowDiskUse", "allowPartialResults", "batchSize", "collation", "comment", "hint", "let", "limit", "max",
        "min", "noCursorTimeout", "projection", "returnKey", "showRecordId", "skip", "sort",
    ]
);
options!(
    /// Options of an aggregate; `writeConcern` is for one that writes.
    aggregate, AggregateOptions, "aggregate", [
        "allowDiskUse", "batchSize", "bypassDocumentValidation", "collation", "comment", "hint", "let", "writeConcern",
    ]
);
options!(
    /// Options of a count of documents.
    count, CountOptions, "count_documents", ["collation", "comment", "hint", "limit", "skip"]
);
options!(
    /// Options of an estimated count.
    estimated, EstimatedDocumentCountOptions, "estimated_document_count", ["comment"]
);
options!(
    /// Options of a distinct.
    distinct, DistinctOptions, "distinct", ["collation", "comment", "hint"]
);

/// Options of a session.
pub(crate) fn session(bytes: &[u8]) -> Result<SessionOptions> {
    let what = "start_session";
    let document = caller_bson::document(bytes, "options of start_session")?;
    check_names(&document, what, &["causalConsistency", "snapshot"])?;
    read(document, what)
}

/// Options of a transaction.
pub(crate) fn transaction(bytes: &[u8]) -> Result<TransactionOptions> {
    let what = "start_transaction";
    let mut document = caller_bson::document(bytes, "options of start_transaction")?;
    check_names(
        &document,
        what,
        &[
            "readConcern",
            "writeConcern",
            "readPreference",
            "maxCommitTimeMS",
        ],
    )?;
    let max_commit_time = take_millis(&mut document, what, "maxCommitTimeMS")?;
    let mut options: TransactionOptions = read(document, what)?;
    options.max_commit_time = max_commit_time;
    Ok(options)
}

fn read<T>(document: Document, what: &str) -> Result<T>
where
    T: serde::de::DeserializeOwned,
{
    deserialize_from_document(document).map_err(|error| invalid(what, &error.to_string()))
}

fn check_names(document: &Document, what: &str, known: &[&str]) -> Result<()> {
    match document.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(invalid(
            what,
            &format!("no option {name:?}; there are {}", known.join(", ")),
        )),
    }
}

/// Removes an empty collation, which means none to a server: the driver's struct requires a locale.
fn check_collation(document: &mut Document, what: &str) -> Result<()> {
    match nested(document, what, "collation")? {
        None => Ok(()),
        Some(collation) if collation.is_empty() => {
            document.remove("collation");
            Ok(())
        }
        Some(collation) => check_names(
            collation,
            "collation",
            &[
                "locale",
                "strength",
                "caseLevel",
                "caseFirst",
                "numericOrdering",
                "alternate",
                "maxVariable",
                "normalization",
                "backwards",
            ],
        ),
    }
}

fn check_write_concern(document: &Document, what: &str) -> Result<()> {
    match nested(document, what, "writeConcern")? {
        None => Ok(()),
        Some(concern) => check_names(concern, "writeConcern", &["w", "wtimeout", "j"]),
    }
}

fn nested<'a>(document: &'a Document, what: &str, name: &str) -> Result<Option<&'a Document>> {
    match document.get(name) {
        None | Some(Bson::Null) => Ok(None),
        Some(Bson::Document(nested)) => Ok(Some(nested)),
        Some(_) => Err(invalid(what, &format!("{name} is not a document"))),
    }
}

fn take_millis(document: &mut Document, what: &str, name: &str) -> Result<Option<Duration>> {
    let millis = match document.remove(name) {
        None | Some(Bson::Null) => return Ok(None),
        Some(Bson::Int32(millis)) => i64::from(millis),
        Some(Bson::Int64(millis)) => millis,
        // Whole and small enough to be exact, so the cast loses nothing.
        Some(Bson::Double(millis)) if millis.fract() == 0.0 && millis.abs() < 1e15 => millis as i64,
        Some(_) => return Err(invalid(what, &format!("{name} is not a whole number"))),
    };
    match u64::try_from(millis) {
        Ok(millis) => Ok(Some(Duration::from_millis(millis))),
        Err(_) => Err(invalid(what, &format!("{name} is negative"))),
    }
}

fn invalid(what: &str, reason: &str) -> Error {
    Error::new(ErrorKind::InvalidQuery(format!("{what}: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;
    use mongodb::options::{Hint, ReadPreference, WriteConcern};

    fn bytes(document: Document) -> Vec<u8> {
        document.to_vec().unwrap()
    }

    #[test]
    fn reads_every_option_of_find() {
        let given = bytes(doc! {
            "allowDiskUse": true, "allowPartialResults": true, "batchSize": 7_i64, "collation": {"locale": "nb"},
            "comment": {"a": [1]}, "hint": {"_id": 1}, "let": {"x": 1}, "limit": 5, "max": {"_id": 9}, "maxTimeMS": 1500,
            "min": {"_id": 0}, "noCursorTimeout": true, "projection": {"a": 1}, "returnKey": false,
            "showRecordId": false, "skip": 3, "sort": {"b": -1, "a": 1},
        });
        let selection = Selection::parse(&bytes(doc! {
            "readPreference": {"mode": "secondaryPreferred", "tagSets": [{"dc": "east"}, {}]},
            "readConcern": {"level": "majority"},
        }))
        .unwrap();
        let options = find(&given, &selection).unwrap();
        assert_eq!(options.allow_disk_use, Some(true));
        assert_eq!(options.allow_partial_results, Some(true));
        assert_eq!(options.batch_size, Some(7));
        assert_eq!(options.collation.unwrap().locale, "nb");
        assert_eq!(options.comment, Some(Bson::from(doc! {"a": [1]})));
        assert_eq!(options.hint, Some(Hint::Keys(doc! {"_id": 1})));
        assert_eq!(options.let_vars, Some(doc! {"x": 1}));
        assert_eq!(options.limit, Some(5));
        assert_eq!(options.max, Some(doc! {"_id": 9}));
        assert_eq!(options.max_time, Some(Duration::from_millis(1500)));
        assert_eq!(options.min, Some(doc! {"_id": 0}));
        assert_eq!(options.no_cursor_timeout, Some(true));
        assert_eq!(options.projection, Some(doc! {"a": 1}));
        assert_eq!(options.return_key, Some(false));
        assert_eq!(options.show_record_id, Some(false));
        assert_eq!(options.skip, Some(3));
        assert_eq!(options.sort, Some(doc! {"b": -1, "a": 1}));
        assert_eq!(options.read_concern, Some(ReadConcern::majority()));
        assert!(matches!(
            options.selection_criteria,
            Some(SelectionCriteria::ReadPreference(
                ReadPreference::SecondaryPreferred { .. }
            ))
        ));
    }

    #[test]
    fn an_empty_collation_is_none() {
        let (empty, selection) = (bytes(doc! {"collation": {}}), Selection::default());
        assert!(find(&empty, &selection).unwrap().collation.is_none());
        assert!(aggregate(&empty, &selection).unwrap().collation.is_none());
        assert!(count(&empty, &selection).unwrap().collation.is_none());
        assert!(distinct(&empty, &selection).unwrap().collation.is_none());
    }

    #[test]
    fn reads_a_write_concern_of_an_aggregate() {
        let selection = Selection::default();
        let given = bytes(doc! {"writeConcern": {"w": 2, "wtimeout": 1500, "j": true}});
        let concern = aggregate(&given, &selection).unwrap().write_concern;
        let mut expected = WriteConcern::nodes(2);
        expected.w_timeout = Some(Duration::from_millis(1500));
        expected.journal = Some(true);
        assert_eq!(concern, Some(expected));
        for refused in [
            doc! {"writeConcern": {"fsync": true}},
            doc! {"writeConcern": 1},
        ] {
            assert!(aggregate(&bytes(refused), &selection).is_err());
        }
        assert!(find(&given, &selection).is_err());
    }

    #[test]
    fn refuses_options_that_would_be_ignored() {
        let selection = Selection::default();
        for (options, name) in [
            (doc! {"batch_size": 7}, "batch_size"),
            (doc! {"cursorType": "tailable"}, "cursorType"),
            (doc! {"readConcern": {"level": "local"}}, "readConcern"),
            (
                doc! {"collation": {"locale": "nb", "strenght": 1}},
                "strenght",
            ),
        ] {
            let error = find(&bytes(options), &selection).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidQuery(_)));
            assert!(error.to_string().contains(name), "{error}");
        }
        for options in [
            doc! {"batchSize": "7"},
            doc! {"batchSize": -1},
            doc! {"maxTimeMS": -1},
            doc! {"maxTimeMS": 1.5},
            doc! {"sort": 1},
        ] {
            assert!(
                find(&bytes(options.clone()), &selection).is_err(),
                "{options}"
            );
        }
        assert!(Selection::parse(&bytes(doc! {"readPreference": {"mode": "fastest"}})).is_err());
        assert!(Selection::parse(&bytes(
            doc! {"readPreference": {"mode": "nearest", "tags": []}}
        ))
        .is_err());
        assert!(Selection::parse(&bytes(doc! {"readPreferences": {}})).is_err());
    }

    #[test]
    fn reads_the_other_options() {
        let selection = Selection::default();
        let count = count(
            &bytes(doc! {"limit": 3, "skip": 1, "hint": "_id_", "maxTimeMS": 9_i64}),
            &selection,
        )
        .unwrap();
        assert_eq!((count.limit, count.skip), (Some(3), Some(1)));
        assert_eq!(count.hint, Some(Hint::Name("_id_".into())));
        assert_eq!(count.max_time, Some(Duration::from_millis(9)));
        let aggregate = aggregate(
            &bytes(doc! {"allowDiskUse": true, "batchSize": 2, "let": {"a": 1}}),
            &selection,
        )
        .unwrap();
        assert_eq!(
            (aggregate.allow_disk_use, aggregate.batch_size),
            (Some(true), Some(2))
        );
        assert!(estimated(&bytes(doc! {"maxTimeMS": 9}), &selection)
            .unwrap()
            .max_time
            .is_some());
        assert!(
            distinct(&bytes(doc! {"collation": {"locale": "nb"}}), &selection)
                .unwrap()
                .collation
                .is_some()
        );
        assert_eq!(
            session(&bytes(doc! {"snapshot": true})).unwrap().snapshot,
            Some(true)
        );
        let transaction = transaction(&bytes(doc! {
            "readConcern": {"level": "snapshot"}, "writeConcern": {"w": "majority"},
            "readPreference": {"mode": "primary"}, "maxCommitTimeMS": 5,
        }))
        .unwrap();
        assert!(transaction.write_concern.is_some() && transaction.selection_criteria.is_some());
        assert_eq!(transaction.max_commit_time, Some(Duration::from_millis(5)));
    }
}
