//! Record batches as documents: equal to the documents that are read from the same batch, and the inverse of tables.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

mod schema_documents;

use std::sync::Arc;

use arrow_array::builder::*;
use arrow_array::*;
use arrow_buffer::i256;
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};
use bson::{bson, doc, Bson, Document};
use data_bridge::conform::{add_shapes, chunks_from_batch, conform, with_shapes, Policy};
use data_bridge::encode::*;
use data_bridge::error::{Error, ErrorKind, Step};
use data_bridge::raw::{normalise_document, TextPolicy};
use data_bridge::schema::{
    DecimalForm, Limits, MixedForm, Representation, StorageForm, StringLayout,
};
use schema_documents::*;

fn encode(batch: &RecordBatch, options: EncodeOptions) -> Result<Vec<Vec<u8>>, Error> {
    let plan = Plan::new(&batch.schema(), options)?;
    let encoded = plan.encode(batch, 0)?;
    assert_eq!(encoded.len(), batch.num_rows());
    let rows: Vec<Vec<u8>> = encoded.iter().map(<[u8]>::to_vec).collect();
    assert_eq!(encoded.byte_len(), rows.concat().len());
    Ok(rows)
}

fn with_nulls(nulls: Nulls) -> EncodeOptions {
    EncodeOptions {
        nulls,
        ..EncodeOptions::default()
    }
}

fn normal(document: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    normalise_document(document, 1, TextPolicy::Strict, &mut out).unwrap();
    out
}

/// Storage options that differ in every respect.
fn representations() -> Vec<Representation> {
    vec![
        Representation::exact(),
        Representation::plain(),
        Representation {
            decimal: DecimalForm::Text,
            mixed: MixedForm::Json,
            uuid: StorageForm::Bytes,
            strings: StringLayout::View,
            ..Representation::plain()
        },
        Representation {
            object_id: StorageForm::Bytes,
            strings: StringLayout::Large,
            ..Representation::exact()
        },
    ]
}

#[test]
fn documents_equal_those_that_are_read_from_the_batch() {
    let mut random = Random(5);
    for round in 0..60 {
        let documents = random.documents(40);
        for representation in representations() {
            let (_, table) = table_in(&documents, 7, &Limits::default(), &representation);
            for batch in [table.clone(), table.slice(13, 9), table.slice(5, 0)] {
                for (ours, theirs) in [
                    (Nulls::Keep, data_bridge::conform::Nulls::Keep),
                    (Nulls::Omit, data_bridge::conform::Nulls::Omit),
                    (Nulls::Unset, data_bridge::conform::Nulls::Omit),
                ] {
                    let read: Vec<_> = chunks_from_batch(&batch, theirs)
                        .unwrap()
                        .iter()
                        .flat_map(bson)
                        .collect();
                    let written = encode(&batch, with_nulls(ours)).unwrap();
                    assert_eq!(written, read, "round {round}, {ours:?}");
                }
            }
        }
    }
}

#[test]
fn documents_with_shapes_come_back_to_the_byte() {
    for seed in 1..80 {
        let documents = Random(seed).documents(30);
        let limits = Limits::default();
        let policy = Policy::default();
        let (chunks, observed) = observed(&documents, 11, &limits);
        let schema = observed.resolve(&limits, &Representation::exact()).unwrap();
        let shaped = with_shapes(schema.arrow()).unwrap();
        let batches: Vec<_> = chunks
            .iter()
            .map(|chunk| {
                let batch = conform(chunk, &schema, &policy).unwrap();
                add_shapes(chunk, &schema, &policy, &batch, &shaped).unwrap()
            })
            .collect();
        let batch = arrow_select::concat::concat_batches(&shaped, &batches).unwrap();
        let wanted: Vec<_> = documents.iter().map(|document| normal(document)).collect();
        for nulls in [Nulls::Keep, Nulls::Omit] {
            assert_eq!(
                encode(&batch, with_nulls(nulls)).unwrap(),
                wanted,
                "seed {seed}"
            );
        }
        let half = batch.slice(17, 13);
        assert_eq!(
            encode(&half, with_nulls(Nulls::Keep)).unwrap(),
            wanted[17..]
        );
    }
}

#[test]
fn decoding_is_the_inverse() {
    let mut random = Random(77);
    for round in 0..60 {
        let documents = random.documents(40);
        for representation in representations() {
            let limits = Limits::default();
            let (schema, table) = table_in(&documents, 7, &limits, &representation);
            let options = EncodeOptions {
                // Text under the name of another extension type is text, unless the schema says otherwise.
                schema: (representation.mixed == MixedForm::Json).then(|| schema.arrow().clone()),
                ..with_nulls(Nulls::Omit)
            };
            let written = encode(&table, options).unwrap();
            let again = conform(&chunk(&written), &schema, &Policy::default()).unwrap();
            assert_eq!(again, table, "round {round}, {representation:?}");
        }
    }
}

fn one(array: ArrayRef) -> RecordBatch {
    let field = Field::new("v", array.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap()
}

fn documents(bytes: &[Vec<u8>]) -> Vec<Document> {
    let read = |bytes: &Vec<u8>| Document::from_reader(&bytes[..]).unwrap();
    bytes.iter().map(read).collect()
}

#[test]
fn pieces_of_any_number_keep_the_order_of_rows() {
    let rows = 100_000;
    let ids = Int64Array::from_iter_values(0..rows);
    let texts = StringArray::from_iter(
        (0..rows).map(|row| (row % 7 > 0).then(|| "x".repeat(row as usize % 45))),
    );
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("_id", Arc::new(ids) as ArrayRef, true),
        ("text", Arc::new(texts) as ArrayRef, true),
    ])
    .unwrap();
    let plan = Plan::new(&batch.schema(), with_nulls(Nulls::Omit)).unwrap();
    let encoded = plan.encode(&batch, 0).unwrap();
    for row in 0..rows as usize {
        let mut wanted = doc! {"_id": row as i64};
        if row % 7 > 0 {
            wanted.insert("text", "x".repeat(row % 45));
        }
        assert_eq!(encoded.get(row), wanted.to_vec().unwrap(), "row {row}");
    }
    let mut items = Vec::new();
    encoded.append_items(99_990..99_993, 9, &mut items);
    let mut list = ((items.len() + 5) as i32).to_le_bytes().to_vec();
    list.extend(items);
    list.push(0);
    let list = Document::from_reader(&list[..]).unwrap();
    assert_eq!(list.keys().collect::<Vec<_>>(), ["9", "10", "11"]);
    assert_eq!(
        list.get_document("11").unwrap().get_i64("_id").unwrap(),
        99_992
    );
}

#[test]
fn long_lists_have_their_positions_as_keys() {
    let mut builder = ListBuilder::new(Int32Builder::new());
    for length in [0, 1, 10, 11, 1234] {
        builder.append_value((0..length).map(|item| (item % 3 > 0).then_some(item)));
    }
    let written = encode(&one(Arc::new(builder.finish())), EncodeOptions::default()).unwrap();
    for (document, length) in documents(&written).iter().zip([0, 1, 10, 11, 1234]) {
        let items: Vec<Bson> = (0..length)
            .map(|item| {
                if item % 3 > 0 {
                    bson!(item)
                } else {
                    Bson::Null
                }
            })
            .collect();
        assert_eq!(*document, doc! {"v": items.clone()});
        assert_eq!(
            document.to_vec().unwrap(),
            doc! {"v": items}.to_vec().unwrap()
        );
    }
}

#[test]
fn values_that_bson_cannot_hold_are_errors_with_row_and_path() {
    let late: ArrayRef = Arc::new(UInt64Array::from(vec![1, 2, u64::MAX, u64::MAX]));
    let early: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![0, 1, 0, 0]));
    let batch = RecordBatch::try_from_iter([
        (
            "_id",
            Arc::new(StringArray::from(vec!["a", "b", "c", "d"])) as ArrayRef,
        ),
        ("late", late),
        ("early", early),
    ])
    .unwrap();
    let plan = Plan::new(&batch.schema(), EncodeOptions::default()).unwrap();
    let error = plan.encode(&batch, 1000).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::InvalidArgument(_)),
        "{error}"
    );
    assert_eq!(error.location().document, Some(1001));
    assert_eq!(error.location().path, [Step::Key("early".into())]);
    assert_eq!(error.location().id.as_ref().unwrap().to_string(), "\"b\"");

    let nulled = EncodeOptions {
        on_conflict: OnConflict::Null,
        nulls: Nulls::Omit,
        ..EncodeOptions::default()
    };
    let plan = Plan::new(&batch.schema(), nulled).unwrap();
    let encoded = plan.encode(&batch, 1000).unwrap();
    let epoch = bson::DateTime::from_millis(0);
    let rows: Vec<Vec<u8>> = encoded.iter().map(<[u8]>::to_vec).collect();
    assert_eq!(
        documents(&rows),
        [
            doc! {"_id": "a", "late": 1i64, "early": epoch},
            doc! {"_id": "b", "late": 2i64},
            doc! {"_id": "c", "early": epoch},
            doc! {"_id": "d", "early": epoch},
        ]
    );
    let skipped: Vec<_> = encoded
        .skipped()
        .into_iter()
        .map(|skipped| {
            (
                skipped.path,
                skipped.nulled,
                skipped.rounded,
                skipped.first_row,
            )
        })
        .collect();
    assert_eq!(
        skipped,
        [
            (vec![Step::Key("late".into())], 2, 0, 1002),
            (vec![Step::Key("early".into())], 1, 0, 1001),
        ]
    );
}

#[test]
fn types_without_a_counterpart_are_refused_before_the_first_row() {
    for array in [
        Arc::new(Time32SecondArray::from(vec![Some(1), None])) as ArrayRef,
        Arc::new(DurationSecondArray::from(vec![Some(1), None])),
        Arc::new(IntervalYearMonthArray::from(vec![Some(1), None])),
    ] {
        let batch = one(array);
        let error = Plan::new(&batch.schema(), EncodeOptions::default()).unwrap_err();
        assert_eq!(error.location().path, [Step::Key("v".into())]);
        let options = EncodeOptions {
            on_conflict: OnConflict::Null,
            ..EncodeOptions::default()
        };
        let encoded = Plan::new(&batch.schema(), options)
            .unwrap()
            .encode(&batch, 0)
            .unwrap();
        assert_eq!(encoded.get(0), doc! {"v": Bson::Null}.to_vec().unwrap());
        assert_eq!(encoded.skipped()[0].nulled, 1);
    }
}

#[test]
fn roundings_are_by_name_and_counted() {
    let dates: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![-1, 1999, 2000]));
    let long = i256::from_string(&format!("1{}5", "0".repeat(39))).unwrap();
    let decimals: ArrayRef = Arc::new(
        Decimal256Array::from(vec![long, i256::from_i128(15), i256::from_i128(1)])
            .with_precision_and_scale(60, 2)
            .unwrap(),
    );
    let batch = RecordBatch::try_from_iter([("t", dates), ("d", decimals)]).unwrap();
    let plan = |roundings| {
        let options = EncodeOptions {
            roundings,
            ..EncodeOptions::default()
        };
        Plan::new(&batch.schema(), options).unwrap()
    };
    let only_dates = Roundings {
        dates: true,
        decimals: false,
    };
    let error = plan(only_dates).encode(&batch, 0).unwrap_err();
    assert_eq!(error.location().path, [Step::Key("d".into())]);
    let both = Roundings {
        decimals: true,
        ..only_dates
    };
    let encoded = plan(both).encode(&batch, 0).unwrap();
    let first = Document::from_reader(encoded.get(0)).unwrap();
    assert_eq!(first.get_datetime("t").unwrap().timestamp_millis(), -1);
    let Some(Bson::Decimal128(decimal)) = first.get("d") else {
        panic!()
    };
    assert_eq!(decimal.to_string(), format!("1.{}E+38", "0".repeat(33)));
    let second = Document::from_reader(encoded.get(1)).unwrap();
    assert_eq!(second.get_datetime("t").unwrap().timestamp_millis(), 1);
    let rounded: Vec<u64> = encoded
        .skipped()
        .iter()
        .map(|skipped| skipped.rounded)
        .collect();
    assert_eq!(rounded, [2, 1]);
}

#[test]
fn documents_over_the_limit_name_their_row() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a".repeat(100), "b".repeat(101)]));
    let batch = one(texts);
    let options = |max_document_bytes| EncodeOptions {
        max_document_bytes,
        ..EncodeOptions::default()
    };
    // Length, type, key, length, text, NUL, NUL.
    let fits = 4 + 3 + 4 + 101 + 1 + 1;
    assert!(encode(&batch, options(fits)).is_ok());
    let plan = Plan::new(&batch.schema(), options(fits - 1)).unwrap();
    let error = plan.encode(&batch, 7).unwrap_err();
    assert_eq!(error.location().document, Some(8));
    assert!(error.to_string().contains("larger than"), "{error}");

    // A list of nulls takes no memory, but its keys do.
    let nulls = NullArray::new(5_000_000);
    let item = Arc::new(Field::new("item", DataType::Null, true));
    let offsets = arrow_buffer::OffsetBuffer::from_lengths([5_000_000]);
    let list: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::new(nulls), None));
    let error = encode(&one(list), EncodeOptions::default()).unwrap_err();
    assert_eq!(error.location().document, Some(0));
}

#[test]
fn ids_are_made_where_they_are_missing() {
    let ids: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let with_ids =
        RecordBatch::try_from_iter_with_nullable([("v", values.clone(), true), ("_id", ids, true)])
            .unwrap();
    let insert = |nulls| EncodeOptions {
        operation: Operation::Insert { make_ids: true },
        nulls,
        ..EncodeOptions::default()
    };
    let written = documents(&encode(&with_ids, insert(Nulls::Omit)).unwrap());
    assert_eq!(written[0], doc! {"v": 1, "_id": "a"});
    assert!(written[1].get_object_id("_id").is_ok());
    assert_eq!(written[1].keys().collect::<Vec<_>>(), ["_id", "v"]);
    let written = documents(&encode(&with_ids, insert(Nulls::Keep)).unwrap());
    assert_eq!(written[1], doc! {"v": 2, "_id": Bson::Null});

    let written = documents(&encode(&one(values), insert(Nulls::Keep)).unwrap());
    let ids: Vec<_> = written
        .iter()
        .map(|document| document.get_object_id("_id"))
        .collect();
    assert!(ids[0].as_ref().unwrap() < ids[1].as_ref().unwrap());
    assert_eq!(written[1].get_i32("v").unwrap(), 2);
}

#[test]
fn schemas_give_text_its_type() {
    let id = "0123456789abcdef01234567";
    let batch = RecordBatch::try_from_iter([
        ("_id", Arc::new(StringArray::from(vec![id])) as ArrayRef),
        ("other", Arc::new(StringArray::from(vec![id])) as ArrayRef),
    ])
    .unwrap();
    let stored = vec![document_with_id()];
    let (schema, _) = table(&stored, 1, &Limits::default());
    let options = EncodeOptions {
        schema: Some(schema.arrow().clone()),
        ..EncodeOptions::default()
    };
    let written = documents(&encode(&batch, options).unwrap());
    let wanted = bson::oid::ObjectId::parse_str(id).unwrap();
    assert_eq!(written, [doc! {"_id": wanted, "other": id}]);
}

fn document_with_id() -> Vec<u8> {
    bytes(&[("_id", (0x07, vec![1; 12]))])
}

#[test]
fn dictionaries_are_their_values() {
    let strings: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None, Some("y")]));
    let kind = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8));
    let written = encode(
        &one(cast(&strings, &kind).unwrap()),
        EncodeOptions::default(),
    );
    assert_eq!(
        documents(&written.unwrap()),
        [doc! {"v": "x"}, doc! {"v": Bson::Null}, doc! {"v": "y"}]
    );
}
