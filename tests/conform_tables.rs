//! Chunks to tables: shared buffers, exact casts, conflicts with row and path, unknown keys.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

mod schema_documents;

use std::sync::Arc;

use arrow_array::{cast::AsArray, types::*, Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use data_bridge::chunk::Values;
use data_bridge::conform::{conform, OnConflict, Policy, UnknownKeys};
use data_bridge::decode::DecodeOptions;
use data_bridge::error::{Error, ErrorKind, Step};
use data_bridge::schema::{Kind, Limits, ObservedTypes, Representation, TableSchema};
use schema_documents::*;

const PROJECTION: Policy = Policy {
    unknown: UnknownKeys::Skip,
    on_conflict: OnConflict::Error,
};

fn given(fields: &[(&str, Kind)]) -> TableSchema {
    TableSchema::new(
        fields
            .iter()
            .map(|(name, kind)| (key(name), kind.clone()))
            .collect(),
    )
}

fn batch(documents: &[Vec<u8>], schema: &TableSchema) -> Result<RecordBatch, Error> {
    conform(&chunk(documents), schema, &PROJECTION).inspect(validate)
}

#[test]
fn matching_columns_keep_their_buffers() {
    let documents: Vec<_> = (0..100)
        .map(|i| {
            bytes(&[
                ("i", int(i)),
                ("d", document(&[("s", text("abc")), ("l", list(&[int(i)]))])),
            ])
        })
        .collect();
    let chunk = chunk(&documents);
    let schema = ObservedTypes::of(&chunk, 0)
        .resolve(&Limits::default(), &Representation::exact())
        .unwrap();
    let batch = conform(&chunk, &schema, &Policy::default()).unwrap();
    validate(&batch);
    let fields = chunk.documents.fields();
    let Values::Int32(ints) = fields[0].column.values() else {
        panic!()
    };
    let kept = batch.column(0).as_primitive::<Int32Type>();
    assert_eq!(ints.values().as_ptr(), kept.values().as_ptr());
    let Values::Document { documents, .. } = fields[1].column.values() else {
        panic!()
    };
    let Values::String(strings) = documents.fields()[0].column.values() else {
        panic!()
    };
    let kept = batch.column(1).as_struct().column(0).as_string::<i32>();
    assert_eq!(strings.value_data().as_ptr(), kept.value_data().as_ptr());
    let Values::List { items, .. } = documents.fields()[1].column.values() else {
        panic!()
    };
    let Values::Int32(items) = items.values() else {
        panic!()
    };
    let kept = batch
        .column(1)
        .as_struct()
        .column(1)
        .as_list::<i32>()
        .values();
    let kept = kept.as_primitive::<Int32Type>();
    assert_eq!(items.values().as_ptr(), kept.values().as_ptr());
}

#[test]
fn every_type_has_its_arrow_type() {
    let fields: Vec<_> = (0..)
        .zip(one_of_each())
        .map(|(i, v): (usize, _)| (format!("c{i:02}"), v))
        .collect();
    let (schema, batch) = table(&[bytes(&fields), bytes::<&str>(&[])], 2, &Limits::default());
    let time = batch.column_by_name("c16").unwrap().as_struct();
    assert_eq!(time.column(0).as_primitive::<UInt32Type>().value(0), 7);
    assert_eq!(time.column(1).as_primitive::<UInt32Type>().value(0), 3);
    assert!(time.is_null(1));
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let wanted = [
        ("c00", DataType::Float64, None),
        ("c01", DataType::Utf8, None),
        ("c04", DataType::Binary, None),
        ("c05", DataType::Boolean, Some("data_bridge.undefined")),
        (
            "c06",
            DataType::FixedSizeBinary(12),
            Some("data_bridge.objectid"),
        ),
        ("c07", DataType::Boolean, None),
        ("c08", utc, None),
        ("c09", DataType::Null, None),
        ("c12", DataType::Utf8, Some("data_bridge.code")),
        ("c13", DataType::Utf8, Some("data_bridge.symbol")),
        ("c15", DataType::Int32, None),
        ("c17", DataType::Int64, None),
        (
            "c18",
            DataType::FixedSizeBinary(16),
            Some("data_bridge.decimal128"),
        ),
        ("c19", DataType::Boolean, Some("data_bridge.maxkey")),
        ("c20", DataType::Boolean, Some("data_bridge.minkey")),
    ];
    for (name, kind, extension) in wanted {
        let field = schema.arrow().field_with_name(name).unwrap();
        assert_eq!(
            (field.data_type(), field.extension_type_name()),
            (&kind, extension)
        );
    }
    for (name, extension) in [
        ("c10", "data_bridge.regex"),
        ("c11", "data_bridge.dbpointer"),
        ("c14", "data_bridge.code_with_scope"),
        ("c16", "data_bridge.timestamp"),
    ] {
        let field = schema.arrow().field_with_name(name).unwrap();
        assert!(matches!(field.data_type(), DataType::Struct(_)));
        assert_eq!(field.extension_type_name(), Some(extension));
    }
    let again = TableSchema::from_user(schema.arrow()).unwrap();
    assert_eq!(again.arrow(), schema.arrow());
}

#[test]
fn sparse_columns_are_spread_at_every_level() {
    let rare = || document(&[("x", text("deep")), ("l", list(&[int(1), null()]))]);
    let documents: Vec<_> = (0..1000)
        .map(|i| match i % 100 {
            50 => bytes(&[
                ("i", int(i)),
                ("rare", rare()),
                ("d", document(&[("r", rare())])),
            ]),
            51 => bytes(&[
                ("i", int(i)),
                ("mix", int(i)),
                ("d", document(&[("n", null())])),
            ]),
            52 => bytes(&[("mix", text("s"))]),
            _ => bytes(&[("i", int(i)), ("d", document(&[("a", int(i))]))]),
        })
        .collect();
    let (schema, whole) = table(&documents, 1000, &Limits::default());
    let (_, single) = table(&documents, 1, &Limits::default());
    assert_eq!(whole, single);
    assert_eq!(field(&schema, "mix"), Kind::Mixed);
    let rare = whole.column_by_name("rare").unwrap().as_struct();
    assert_eq!(rare.len() - rare.null_count(), 10);
    assert_eq!(rare.column(0).as_string::<i32>().value(150), "deep");
}

#[test]
fn user_schemas_cast_only_without_loss() {
    let documents = |values: &[Value]| -> Vec<_> {
        values.iter().map(|v| bytes(&[("v", v.clone())])).collect()
    };
    let schema = given(&[("v", Kind::Int32)]);
    let got = batch(
        &documents(&[int(1), long(-2), double(3.0), null()]),
        &schema,
    )
    .unwrap();
    let got: Vec<_> = got.column(0).as_primitive::<Int32Type>().iter().collect();
    assert_eq!(got, [Some(1), Some(-2), Some(3), None]);
    for (value, found) in [
        (long(1 << 31), "int64 2147483648"),
        (double(1.5), "double 1.5"),
        (double(-0.0), "double -0.0"),
        (double(f64::NAN), "double NaN"),
        (text("1"), "string"),
    ] {
        // A value alone in its piece, and among others: typed and tagged columns agree.
        for documents in [
            documents(std::slice::from_ref(&value)),
            documents(&[int(1), value.clone()]),
        ] {
            let error = batch(&documents, &schema).unwrap_err();
            let wanted = ErrorKind::SchemaConflict {
                expected: "int32".into(),
                found: found.into(),
            };
            assert_eq!(error.kind(), &wanted);
            assert_eq!(error.location().document, Some(documents.len() as u64 - 1));
        }
    }
    let schema = given(&[("v", Kind::Double)]);
    let nan = batch(&documents(&[double(f64::NAN), int(7)]), &schema).unwrap();
    assert!(nan
        .column(0)
        .as_primitive::<Float64Type>()
        .value(0)
        .is_nan());
    assert!(batch(&documents(&[long(i64::MAX)]), &schema).is_err());
}

#[test]
fn a_user_schema_is_a_projection_at_every_level() {
    let documents = [
        bytes(&[
            ("x", text("skip")),
            ("a", document(&[("y", int(1)), ("z", int(2))])),
        ]),
        bytes(&[("a", document(&[("z", long(3))]))]),
        bytes(&[("a", null())]),
        bytes(&[(
            "b",
            list(&[document(&[("p", int(1)), ("q", int(2))]), null()]),
        )]),
    ];
    let item = Kind::Document(vec![(key("p"), Kind::Int64)]);
    let schema = given(&[
        ("b", Kind::List(Box::new(item))),
        (
            "a",
            Kind::Document(vec![(key("z"), Kind::Int64), (key("none"), Kind::Regex)]),
        ),
        ("absent", Kind::Decimal128),
    ]);
    let whole = batch(&documents, &schema).unwrap();
    let parts: Vec<_> = documents
        .iter()
        .map(|d| batch(std::slice::from_ref(d), &schema).unwrap())
        .collect();
    let parts = arrow_select::concat::concat_batches(schema.arrow(), &parts).unwrap();
    assert_eq!(whole, parts);
    let a = whole.column(1).as_struct();
    let z: Vec<_> = a.column(0).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(z, [Some(2), Some(3), None, None]);
    assert!(a.is_valid(1) && a.is_null(2) && a.is_null(3));
    assert_eq!(whole.column(2).null_count(), 4);
}

/// Documents kept as BSON (here because of too many keys) are read into a struct of the schema like those in columns.
#[test]
fn a_struct_of_a_user_schema_reads_documents_kept_as_bson() {
    let each = one_of_each();
    let documents: Vec<_> = (0..40)
        .map(|i| {
            let keys = [i % 7, 7 + i % 6, 13 + i % 8];
            let fields = keys.map(|k| (format!("k{k:02}"), each[k].clone()));
            bytes(&[
                ("m", document(&fields)),
                ("l", list(&[document(&fields), null()])),
            ])
        })
        .collect();
    let (schema, wide) = table(&documents, 40, &Limits::default());
    let mut options = DecodeOptions::default();
    options.limits.max_keys = 3;
    let narrow = chunk_with(&documents, &options);
    let Values::Tagged(_) = narrow.documents.fields()[0].column.values() else {
        panic!()
    };
    let batch = conform(&narrow, &schema, &Policy::default()).unwrap();
    validate(&batch);
    assert_eq!(batch, wide);
}

#[test]
fn no_columns_still_have_rows() {
    let documents = vec![bytes::<&str>(&[]); 3];
    let (_, none) = table(&documents, 2, &Limits::default());
    assert_eq!((none.num_columns(), none.num_rows()), (0, 3));
    let projected = batch(&[bytes(&[("a", int(1))])], &given(&[])).unwrap();
    assert_eq!((projected.num_columns(), projected.num_rows()), (0, 1));
}

#[test]
fn conflicts_name_the_first_row_id_and_path() {
    let item = |value: Value| list(&[document(&[("x", int(1))]), document(&[("x", value)])]);
    let prefix = [bytes(&[
        ("_id", int(0)),
        ("l", item(int(1))),
        ("s", text("")),
        ("n", null()),
    ])];
    let (schema, _) = table(&prefix, 1, &Limits::default());
    let case = |document: Vec<u8>| {
        let documents = [prefix[0].clone(), document.clone(), document];
        let error = conform(&chunk(&documents), &schema, &Policy::default()).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::SchemaConflict { .. }),
            "{error}"
        );
        assert_eq!(error.location().document, Some(1));
        (
            error.location().path.clone(),
            error.location().id.clone(),
            error.to_string(),
        )
    };
    let k = |name: &str| Step::Key(name.into());
    let (path, id, _) = case(bytes(&[
        ("_id", text("x")),
        ("l", item(text("y"))),
        ("s", int(1)),
    ]));
    assert_eq!(path, [k("_id")]);
    assert_eq!(id.unwrap().to_string(), "\"x\"");
    let (path, id, message) = case(bytes(&[
        ("_id", int(5)),
        ("l", item(text("y"))),
        ("s", int(1)),
    ]));
    assert_eq!(path, [k("l"), Step::Index(1), k("x")]);
    assert_eq!(id.unwrap().to_string(), "5");
    assert!(
        message.contains("expected int32, found string"),
        "{message}"
    );
    assert_eq!(case(bytes(&[("s", int(1)), ("l", int(2))])).0, [k("s")]);
    assert_eq!(case(bytes(&[("n", int(1))])).0, [k("n")]);
    assert_eq!(case(bytes(&[("new", null())])).0, [k("new")]);
    assert_eq!(
        case(bytes(&[("l", list(&[document(&[("new", int(1))])]))])).0,
        [k("l"), Step::Index(0), k("new")]
    );
}

/// For any schema inferred from a prefix, pieces of any size give equal rows or the same first conflict.
#[test]
fn conflicts_do_not_depend_on_the_split() {
    let mut random = Random(3);
    let mut conflicts = 0;
    for round in 0..150 {
        let documents = random.documents(24);
        let (schema, _) = table(&documents[..8], 8, &Limits::default());
        for policy in [Policy::default(), PROJECTION] {
            let outcome = |size: usize| {
                let mut batches = Vec::new();
                for (number, piece) in documents.chunks(size).enumerate() {
                    match conform(&chunk(piece), &schema, &policy) {
                        Ok(batch) => batches.push(batch),
                        Err(error) => {
                            let place = error.location();
                            let row = (number * size) as u64 + place.document.unwrap();
                            let place = (
                                row,
                                place.id.clone(),
                                place.path.clone(),
                                error.kind().clone(),
                            );
                            return Err(Box::new(place));
                        }
                    }
                }
                batches.iter().for_each(validate);
                Ok(arrow_select::concat::concat_batches(schema.arrow(), &batches).unwrap())
            };
            let whole = outcome(24);
            conflicts += usize::from(whole.is_err());
            if let Err(place) = &whole {
                let (row, _, path, kind) = &**place;
                assert!(*row >= 8, "round {round}: {path:?} {kind:?}");
            }
            for size in [1, 2, 3, 5] {
                assert_eq!(whole, outcome(size), "round {round}, pieces of {size}");
            }
        }
    }
    assert!(conflicts > 50, "{conflicts}");
}

#[test]
fn types_that_user_schemas_cannot_hold_are_refused() {
    let schema = Schema::new(vec![Field::new(
        "a",
        DataType::List(Arc::new(Field::new(
            "item",
            DataType::Duration(TimeUnit::Second),
            true,
        ))),
        true,
    )]);
    let error = TableSchema::from_user(&schema).unwrap_err();
    assert_eq!(
        error.location().path,
        [Step::Key("a".into()), Step::Index(0)]
    );
}
