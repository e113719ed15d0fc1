//! Statements of write commands: filters by key columns, modifications, and the rows and names that are refused.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

use std::sync::Arc;

use arrow_array::*;
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field};
use bson::{doc, Bson, Document};
use data_bridge::encode::*;
use data_bridge::error::{Error, Step};

fn path(path: &[&str]) -> KeyPath {
    path.iter().map(|&key| key.into()).collect()
}

fn id() -> Vec<KeyPath> {
    vec![path(&["_id"])]
}

fn options(operation: Operation, nulls: Nulls) -> EncodeOptions {
    EncodeOptions {
        operation,
        nulls,
        ..EncodeOptions::default()
    }
}

fn update(on: Vec<KeyPath>) -> Operation {
    Operation::Update {
        on,
        upsert: false,
        many: false,
        nested: Nested::Merge,
    }
}

fn upsert(on: Vec<KeyPath>) -> Operation {
    Operation::Update {
        on,
        upsert: true,
        many: false,
        nested: Nested::Merge,
    }
}

fn statements(batch: &RecordBatch, options: EncodeOptions) -> Result<Vec<Document>, Error> {
    let encoded = Plan::new(&batch.schema(), options)?.encode(batch, 0)?;
    let read = |bytes: &[u8]| Document::from_reader(bytes).unwrap();
    Ok(encoded.iter().map(read).collect())
}

fn ints(values: impl IntoIterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(Int32Array::from_iter(values))
}

fn structs(fields: Vec<(&str, ArrayRef)>, valid: Vec<bool>) -> ArrayRef {
    let (fields, arrays): (Vec<_>, Vec<_>) = fields
        .into_iter()
        .map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array))
        .unzip();
    let nulls = Some(NullBuffer::from(valid));
    Arc::new(StructArray::new(fields.into(), arrays, nulls))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// Two documents with nulls at two levels.
fn nested() -> RecordBatch {
    let below = structs(
        vec![("b", ints([Some(1), None])), ("c", ints([None, Some(2)]))],
        vec![true, true],
    );
    let absent = structs(vec![("d", ints([Some(3), None]))], vec![true, false]);
    batch(vec![
        ("_id", ints([Some(7), Some(8)])),
        ("a", below),
        ("s", absent),
        ("n", ints([None, Some(5)])),
    ])
}

#[test]
fn updates_set_columns_and_merge_structs() {
    let rows = nested();
    let written = statements(&rows, options(update(id()), Nulls::Omit)).unwrap();
    assert_eq!(
        written,
        [
            doc! {"q": {"_id": 7}, "u": {"$set": {"a.b": 1, "s.d": 3}}},
            doc! {"q": {"_id": 8}, "u": {"$set": {"a.c": 2, "n": 5}}},
        ]
    );
    let written = statements(&rows, options(update(id()), Nulls::Keep)).unwrap();
    assert_eq!(
        written,
        [
            doc! {"q": {"_id": 7}, "u": {"$set": {"a.b": 1, "a.c": Bson::Null, "s.d": 3, "n": Bson::Null}}},
            doc! {"q": {"_id": 8}, "u": {"$set": {"a.b": Bson::Null, "a.c": 2, "s": Bson::Null, "n": 5}}},
        ]
    );
    let written = statements(&rows, options(upsert(id()), Nulls::Unset)).unwrap();
    assert_eq!(
        written,
        [
            doc! {
                "q": {"_id": 7},
                "u": {"$set": {"a.b": 1, "s.d": 3}, "$unset": {"a.c": true, "n": true}},
                "upsert": true,
            },
            doc! {
                "q": {"_id": 8},
                "u": {"$set": {"a.c": 2, "n": 5}, "$unset": {"a.b": true, "s": true}},
                "upsert": true,
            },
        ]
    );
    let replace = Operation::Update {
        on: id(),
        upsert: false,
        many: true,
        nested: Nested::Replace,
    };
    let written = statements(&rows, options(replace, Nulls::Omit)).unwrap();
    assert_eq!(
        written[0],
        doc! {"q": {"_id": 7}, "u": {"$set": {"a": {"b": 1}, "s": {"d": 3}}}, "multi": true}
    );
}

#[test]
fn a_row_without_values_is_no_replacement() {
    let rows = batch(vec![("_id", ints([Some(1)])), ("v", ints([None]))]);
    let written = statements(&rows, options(upsert(id()), Nulls::Omit)).unwrap();
    let wanted = doc! {"q": {"_id": 1}, "u": {"$setOnInsert": {"_id": 1}}, "upsert": true};
    assert_eq!(written, [wanted]);
    let written = statements(&rows, options(update(id()), Nulls::Unset)).unwrap();
    assert_eq!(
        written,
        [doc! {"q": {"_id": 1}, "u": {"$unset": {"v": true}}}]
    );
}

#[test]
fn ids_beside_other_keys_are_only_inserted() {
    let rows = batch(vec![
        ("_id", ints([Some(1), None])),
        ("k", ints([Some(2), Some(3)])),
        ("v", ints([Some(4), Some(5)])),
    ]);
    let on = vec![path(&["k"])];
    let written = statements(&rows, options(upsert(on.clone()), Nulls::Omit)).unwrap();
    assert_eq!(
        written,
        [
            doc! {"q": {"k": 2}, "u": {"$set": {"v": 4}, "$setOnInsert": {"_id": 1}}, "upsert": true},
            doc! {"q": {"k": 3}, "u": {"$set": {"v": 5}}, "upsert": true},
        ]
    );
    let written = statements(&rows, options(update(on), Nulls::Omit)).unwrap();
    assert_eq!(written[0], doc! {"q": {"k": 2}, "u": {"$set": {"v": 4}}});
}

#[test]
fn keys_in_embedded_documents_are_paths() {
    let below = structs(
        vec![
            ("k", ints([Some(1), Some(2)])),
            ("v", ints([Some(3), Some(4)])),
        ],
        vec![true, true],
    );
    let rows = batch(vec![("a", below.clone()), ("x", ints([Some(5), Some(6)]))]);
    let on = vec![path(&["a", "k"]), path(&["x"])];
    let written = statements(&rows, options(update(on.clone()), Nulls::Omit)).unwrap();
    assert_eq!(
        written[1],
        doc! {"q": {"a.k": 2, "x": 6}, "u": {"$set": {"a.v": 4}}}
    );
    let delete = Operation::Delete {
        on: on.clone(),
        many: false,
    };
    let written = statements(&rows, options(delete, Nulls::Omit)).unwrap();
    assert_eq!(written[0], doc! {"q": {"a.k": 1, "x": 5}, "limit": 1});
    let replace = Operation::Update {
        on,
        upsert: false,
        many: false,
        nested: Nested::Replace,
    };
    assert!(statements(&rows, options(replace, Nulls::Omit)).is_err());

    // A document as a key is compared as a whole.
    let rows = batch(vec![("_id", below)]);
    let many = Operation::Delete {
        on: id(),
        many: true,
    };
    let written = statements(&rows, options(many, Nulls::Omit)).unwrap();
    assert_eq!(
        written[0],
        doc! {"q": {"_id": {"$eq": {"k": 1, "v": 3}}}, "limit": 0}
    );
}

#[test]
fn replacements_are_whole_documents() {
    let replace = |upsert| Operation::Replace { on: id(), upsert };
    let written = statements(&nested(), options(replace(true), Nulls::Keep)).unwrap();
    assert_eq!(
        written[1],
        doc! {
            "q": {"_id": 8},
            "u": {"_id": 8, "a": {"b": Bson::Null, "c": 2}, "s": Bson::Null, "n": 5},
            "upsert": true,
        }
    );
    let rows = batch(vec![("_id", ints([Some(1)])), ("$set", ints([Some(1)]))]);
    let error = statements(&rows, options(replace(false), Nulls::Keep)).unwrap_err();
    assert_eq!(error.location().path, [Step::Key("$set".into())]);
}

#[test]
fn names_that_are_no_paths_are_written_by_a_pipeline() {
    let below = structs(
        vec![("0", ints([Some(1)])), ("c", ints([Some(2)]))],
        vec![true],
    );
    let rows = batch(vec![
        ("_id", ints([Some(9)])),
        ("k", ints([Some(8)])),
        ("x.y", ints([Some(3)])),
        ("$z", ints([None])),
        ("a", below),
        ("n", ints([None])),
    ]);
    let on = vec![path(&["k"])];
    let written = statements(&rows, options(upsert(on.clone()), Nulls::Keep)).unwrap();
    let merge = doc! {"$mergeObjects": ["$a", {"$literal": {"0": 1, "c": 2}}]};
    let literal = doc! {"x.y": 3, "$z": Bson::Null, "n": Bson::Null};
    assert_eq!(
        written,
        [doc! {
            "q": {"k": 8},
            "u": [{"$replaceWith": {"$mergeObjects": [
                {"$literal": {"_id": 9}}, "$$ROOT", {"$literal": literal}, {"a": merge},
            ]}}],
            "upsert": true,
        }]
    );
    // A name that is no path cannot be removed by its path.
    let error = statements(&rows, options(update(on), Nulls::Unset)).unwrap_err();
    assert_eq!(error.location().path, [Step::Key("x.y".into())]);
    let special = structs(vec![("b", ints([Some(1)]))], vec![true]);
    let rows = batch(vec![("_id", ints([Some(1)])), ("x.y", special)]);
    assert!(statements(&rows, options(update(id()), Nulls::Omit)).is_err());
}

#[test]
fn nulls_that_are_removed_by_a_pipeline() {
    let below = structs(
        vec![("b", ints([None])), ("0", ints([Some(1)]))],
        vec![true],
    );
    let rows = batch(vec![
        ("_id", ints([Some(9)])),
        ("a", below),
        ("n", ints([None])),
    ]);
    let error = statements(&rows, options(update(id()), Nulls::Unset)).unwrap_err();
    assert_eq!(
        error.location().path,
        [Step::Key("a".into()), Step::Key("0".into())]
    );
}

#[test]
fn keys_that_find_no_document_are_refused() {
    let decimal = Decimal128Array::from(vec![1])
        .with_precision_and_scale(5, 0)
        .unwrap();
    let cases: [(ArrayRef, Option<u64>); 4] = [
        (ints([Some(1), None]), Some(1)),
        (Arc::new(Float64Array::from(vec![0.5, f64::NAN])), Some(1)),
        (Arc::new(NullArray::new(2)), Some(0)),
        (Arc::new(decimal), None),
    ];
    for (keys, refused) in cases {
        let rows = batch(vec![("_id", keys)]);
        let delete = Operation::Delete {
            on: id(),
            many: false,
        };
        match (statements(&rows, options(delete, Nulls::Keep)), refused) {
            (Err(error), Some(_)) => {
                assert_eq!(error.location().document, refused);
                assert_eq!(error.location().path, [Step::Key("_id".into())]);
            }
            (Ok(_), None) => {}
            (outcome, _) => panic!("{outcome:?}"),
        }
    }
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let offsets = arrow_buffer::OffsetBuffer::from_lengths([1]);
    let list = ListArray::new(item, offsets, ints([Some(1)]), None);
    let rows = batch(vec![("k", Arc::new(list) as ArrayRef)]);
    assert!(statements(&rows, options(update(vec![path(&["k"])]), Nulls::Omit)).is_err());
}

#[test]
fn keys_are_checked_once() {
    let rows = batch(vec![("_id", ints([Some(1)])), ("a.b", ints([Some(1)]))]);
    for on in [
        vec![],
        vec![path(&[])],
        vec![path(&["absent"])],
        vec![path(&["a.b"])],
        vec![path(&["$x"])],
        vec![path(&["_id", "below"])],
        vec![path(&["_id"]), path(&["_id"])],
    ] {
        let plan = Plan::new(&rows.schema(), options(update(on.clone()), Nulls::Omit));
        assert!(plan.is_err(), "{on:?}");
    }
}

#[test]
fn elements_are_added_to_each_statement() {
    let rows = batch(vec![("_id", ints([Some(1)]))]);
    let hint = doc! {"hint": "_id_"}.to_vec().unwrap();
    let with_hint = EncodeOptions {
        statement_elements: hint[4..hint.len() - 1].to_vec(),
        ..options(
            Operation::Delete {
                on: id(),
                many: false,
            },
            Nulls::Omit,
        )
    };
    let written = statements(&rows, with_hint).unwrap();
    assert_eq!(
        written,
        [doc! {"q": {"_id": 1}, "limit": 1, "hint": "_id_"}]
    );
}

#[test]
fn equal_keys_have_equal_hashes() {
    let hashes = |keys: ArrayRef| {
        let rows = batch(vec![("_id", keys)]);
        let options = EncodeOptions {
            hash_keys: true,
            ..options(update(id()), Nulls::Omit)
        };
        let plan = Plan::new(&rows.schema(), options).unwrap();
        let encoded = plan.encode(&rows, 0).unwrap();
        (0..rows.num_rows())
            .map(|row| encoded.key_hash(row).unwrap())
            .collect::<Vec<_>>()
    };
    let ints = hashes(ints([Some(1), Some(2), Some(-1)]));
    let longs = hashes(Arc::new(Int64Array::from(vec![1, 2, -1])));
    let doubles = hashes(Arc::new(Float64Array::from(vec![1.0, 2.0, -1.0])));
    let decimal = Decimal128Array::from(vec![100, 200, -100]);
    let decimals = hashes(Arc::new(decimal.with_precision_and_scale(5, 2).unwrap()));
    assert_eq!(ints, longs);
    assert_eq!(ints, doubles);
    assert_eq!(ints, decimals);
    assert_ne!(ints[0], ints[1]);
    assert_ne!(ints[0], ints[2]);
    let texts = hashes(Arc::new(StringArray::from(vec!["1", "2", "1"])));
    assert_eq!(texts[0], texts[2]);
    assert_ne!(texts[0], ints[0]);
    let nested = |value| structs(vec![("a", value)], vec![true]);
    let one: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let two: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    assert_eq!(hashes(nested(one)), hashes(nested(two)));
}
