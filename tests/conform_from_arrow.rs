//! Documents over Arrow data: the inverse of `conform`, and every Arrow type that has a BSON counterpart.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

mod schema_documents;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::*;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{i256, NullBuffer, OffsetBuffer};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use data_bridge::chunk::{encode_cell, Cell, Chunk, DocumentCell, Values};
use data_bridge::conform::{
    add_shapes, chunk_from_batch, chunks_from_batch, conform, with_shapes, Nulls, Policy,
};
use data_bridge::error::{Error, ErrorKind, Step};
use data_bridge::schema::{Kind, Limits, Representation, TableSchema};
use schema_documents::*;

#[test]
fn documents_with_shapes_round_trip_at_any_batch_size() {
    for seed in 1..120 {
        let documents = Random(seed).documents(30);
        let limits = Limits::default();
        let policy = Policy::default();
        for size in [1, 3, 30] {
            let (chunks, observed) = observed(&documents, size, &limits);
            let schema = observed.resolve(&limits, &Representation::exact()).unwrap();
            let shaped = with_shapes(schema.arrow()).unwrap();
            for chunk in &chunks {
                let batch = conform(chunk, &schema, &policy).unwrap();
                let batch = add_shapes(chunk, &schema, &policy, &batch, &shaped).unwrap();
                validate(&batch);
                let whole: Vec<_> = chunks_from_batch(&batch, Nulls::Omit)
                    .unwrap()
                    .iter()
                    .flat_map(bson)
                    .collect();
                assert_eq!(whole, bson(chunk), "seed {seed}");
                let half = batch.num_rows() / 2;
                let rest =
                    chunks_from_batch(&batch.slice(half, batch.num_rows() - half), Nulls::Omit)
                        .unwrap();
                let rest: Vec<_> = rest.iter().flat_map(bson).collect();
                assert_eq!(rest, bson(chunk)[half..], "seed {seed}");
            }
        }
    }
}

/// A value without the properties that tables lose: key order, nulls in documents, number widths.
#[derive(Debug, PartialEq)]
enum Plain {
    Document(BTreeMap<String, Plain>),
    List(Vec<Plain>),
    Int(i64),
    Other(u8, Vec<u8>),
}

fn plain(cell: &Cell<'_>) -> Plain {
    match cell {
        Cell::Document(document) => plain_document(document),
        Cell::List(list) => Plain::List(list.items().map(|item| plain(&item)).collect()),
        Cell::Int32(value) => Plain::Int((*value).into()),
        Cell::Int64(value) => Plain::Int(*value),
        Cell::Double(value) if data_bridge::schema::double_to_int(*value).is_some() => {
            Plain::Int(*value as i64)
        }
        other => {
            let mut bytes = Vec::new();
            encode_cell(other, &mut bytes).unwrap();
            Plain::Other(other.element_type().byte(), bytes)
        }
    }
}

fn plain_document(document: &DocumentCell<'_>) -> Plain {
    let entries = document
        .entries()
        .filter(|(_, cell)| !matches!(cell, Cell::Null));
    Plain::Document(
        entries
            .map(|(key, cell)| (key.to_string(), plain(&cell)))
            .collect(),
    )
}

fn rows(chunk: &Chunk) -> Vec<Plain> {
    let documents = &chunk.documents;
    (0..chunk.rows())
        .map(|row| plain_document(&DocumentCell::Row { documents, row }))
        .collect()
}

#[test]
fn a_table_read_back_gives_the_same_documents() {
    let mut random = Random(23);
    for round in 0..80 {
        let documents = random.documents(40);
        let (schema, table) = table(&documents, 7, &Limits::default());
        let back = chunk_from_batch(&table, Nulls::Omit).unwrap();
        assert_eq!(rows(&back), rows(&chunk(&documents)), "round {round}");
        // Also from a slice, and back into the same table.
        let slice = chunk_from_batch(&table.slice(13, 9), Nulls::Omit).unwrap();
        assert_eq!(
            rows(&slice),
            rows(&chunk(&documents[13..22])),
            "round {round}"
        );
        let again = conform(&back, &schema, &Policy::default()).unwrap();
        validate(&again);
        assert_eq!(again, table);
        let again = conform(&slice, &schema, &Policy::default()).unwrap();
        assert_eq!(again, table.slice(13, 9));
    }
}

#[test]
fn every_type_comes_back_from_every_place() {
    for value in one_of_each().into_iter().chain([
        binary(2, &[1, 0, 0, 0, 9]),
        binary(0x80, b"x"),
        binary(4, &[1; 16]),
    ]) {
        let documents = [
            bytes(&[("v", value.clone()), ("l", list(&[value.clone(), null()]))]),
            bytes(&[(
                "d",
                document(&[
                    ("v", value.clone()),
                    ("m", list(&[document(&[("v", value)])])),
                ]),
            )]),
        ];
        let (_, table) = table(&documents, 1, &Limits::default());
        let back = chunk_from_batch(&table, Nulls::Omit).unwrap();
        assert_eq!(rows(&back), rows(&chunk(&documents)));
    }
}

fn one(field: Field, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap()
}

/// Returns the values of a column "v" of `array`; `None` for a missing key.
fn read(array: ArrayRef) -> Result<Vec<Option<Value>>, Error> {
    let batch = one(Field::new("v", array.data_type().clone(), true), array);
    let chunk = chunk_from_batch(&batch, Nulls::Omit)?;
    let documents = &chunk.documents;
    let value = |row| {
        let document = DocumentCell::Row { documents, row };
        let cell = document.entries().next().map(|(_, cell)| cell)?;
        let mut bytes = Vec::new();
        encode_cell(&cell, &mut bytes).unwrap();
        Some((cell.element_type().byte(), bytes))
    };
    Ok((0..chunk.rows()).map(value).collect())
}

fn date(value: i64) -> Value {
    (0x09, value.to_le_bytes().to_vec())
}

#[test]
fn numbers_of_all_widths() {
    let ints = Int64Array::from(vec![Some(7), None]);
    for kind in [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::UInt8,
        DataType::UInt16,
    ] {
        assert_eq!(
            read(cast(&ints, &kind).unwrap()).unwrap(),
            [Some(int(7)), None]
        );
    }
    for kind in [DataType::Int64, DataType::UInt32, DataType::UInt64] {
        assert_eq!(
            read(cast(&ints, &kind).unwrap()).unwrap(),
            [Some(long(7)), None]
        );
    }
    for kind in [DataType::Float16, DataType::Float32, DataType::Float64] {
        assert_eq!(
            read(cast(&ints, &kind).unwrap()).unwrap(),
            [Some(double(7.0)), None]
        );
    }
    let error = read(Arc::new(UInt64Array::from(vec![1, u64::MAX]))).unwrap_err();
    assert_eq!(error.location().document, Some(1));
    assert_eq!(error.location().path, [Step::Key("v".into())]);
}

#[test]
fn text_and_bytes_of_all_layouts() {
    let strings: ArrayRef = Arc::new(StringArray::from(vec![
        Some("a string longer than a view"),
        None,
        Some("b"),
    ]));
    let wanted = [
        Some(text("a string longer than a view")),
        None,
        Some(text("b")),
    ];
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::LargeUtf8));
    let runs = DataType::RunEndEncoded(
        Arc::new(Field::new("run_ends", DataType::Int32, false)),
        Arc::new(Field::new("values", DataType::Utf8, true)),
    );
    for kind in [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        dictionary,
        runs,
    ] {
        assert_eq!(
            read(cast(&strings, &kind).unwrap()).unwrap(),
            wanted,
            "{kind}"
        );
    }
    let blobs: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&b"abc"[..]), None]));
    for kind in [
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
        DataType::FixedSizeBinary(3),
    ] {
        assert_eq!(
            read(cast(&blobs, &kind).unwrap()).unwrap(),
            [Some(binary(0, b"abc")), None],
            "{kind}"
        );
    }
}

#[test]
fn dates_are_exact_or_refused() {
    let days = Date32Array::from(vec![Some(-1), None]);
    assert_eq!(
        read(Arc::new(days)).unwrap(),
        [Some(date(-86_400_000)), None]
    );
    assert_eq!(
        read(Arc::new(Date64Array::from(vec![5]))).unwrap(),
        [Some(date(5))]
    );
    for zone in [None, Some("UTC"), Some("+02:00"), Some("Europe/Oslo")] {
        let seconds = TimestampSecondArray::from(vec![-2]).with_timezone_opt(zone);
        assert_eq!(read(Arc::new(seconds)).unwrap(), [Some(date(-2000))]);
        let millis = TimestampMillisecondArray::from(vec![i64::MIN]).with_timezone_opt(zone);
        assert_eq!(read(Arc::new(millis)).unwrap(), [Some(date(i64::MIN))]);
        let micros = TimestampMicrosecondArray::from(vec![-7000]).with_timezone_opt(zone);
        assert_eq!(read(Arc::new(micros)).unwrap(), [Some(date(-7))]);
        let nanos = TimestampNanosecondArray::from(vec![3_000_000]).with_timezone_opt(zone);
        assert_eq!(read(Arc::new(nanos)).unwrap(), [Some(date(3))]);
    }
    let cases: [ArrayRef; 3] = [
        Arc::new(TimestampMicrosecondArray::from(vec![0, 1001])),
        Arc::new(TimestampNanosecondArray::from(vec![0, 1_000_001])),
        Arc::new(TimestampSecondArray::from(vec![0, i64::MAX])),
    ];
    for array in cases {
        let error = read(array).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)));
        assert_eq!(error.location().document, Some(1));
    }
}

#[test]
fn decimals_keep_their_scale() {
    let wanted = |coefficient: u128, exponent: i32, negative: bool| {
        let bits = u128::from(negative) << 127 | ((6176 + exponent) as u128) << 113 | coefficient;
        Some((0x13, bits.to_le_bytes().to_vec()))
    };
    let decimal = Decimal128Array::from(vec![Some(-1250), None])
        .with_precision_and_scale(38, 2)
        .unwrap();
    assert_eq!(
        read(Arc::new(decimal)).unwrap(),
        [wanted(1250, -2, true), None]
    );
    let narrow = Decimal32Array::from(vec![5])
        .with_precision_and_scale(9, -3)
        .unwrap();
    assert_eq!(read(Arc::new(narrow)).unwrap(), [wanted(5, 3, false)]);
    let wide = Decimal256Array::from(vec![i256::from_i128(7)])
        .with_precision_and_scale(76, 70)
        .unwrap();
    assert_eq!(read(Arc::new(wide)).unwrap(), [wanted(7, -70, false)]);
    // The driver's own reading of 9.99, in MongoDB's encoding.
    let known = Decimal128Array::from(vec![999])
        .with_precision_and_scale(10, 2)
        .unwrap();
    let (_, bytes) = read(Arc::new(known)).unwrap()[0].clone().unwrap();
    assert_eq!(
        bytes,
        0x303C_0000_0000_0000_0000_0000_0000_03E7u128.to_le_bytes()
    );
    let long = Decimal128Array::from(vec![1, 10i128.pow(34)])
        .with_precision_and_scale(38, 0)
        .unwrap();
    assert_eq!(
        read(Arc::new(long)).unwrap_err().location().document,
        Some(1)
    );
}

#[test]
fn lists_of_all_layouts_omit_items_under_nulls() {
    let items: ArrayRef = Arc::new(Int32Array::from(vec![
        Some(9),
        Some(1),
        None,
        Some(3),
        Some(4),
        Some(5),
    ]));
    let item = Arc::new(Field::new("element", DataType::Int32, true));
    let offsets = OffsetBuffer::new(vec![1, 3, 5, 6].into());
    let nulls = NullBuffer::from(vec![true, false, true]);
    let array: ArrayRef = Arc::new(ListArray::new(item.clone(), offsets, items, Some(nulls)));
    let wanted = [Some(list(&[int(1), null()])), None, Some(list(&[int(5)]))];
    for kind in [
        DataType::List(item.clone()),
        DataType::LargeList(item.clone()),
        DataType::ListView(item.clone()),
        DataType::LargeListView(item.clone()),
    ] {
        assert_eq!(
            read(cast(&array, &kind).unwrap()).unwrap(),
            wanted,
            "{kind}"
        );
    }
    let items: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
    let fixed = FixedSizeListArray::new(item, 2, items, Some(NullBuffer::from(vec![false, true])));
    assert_eq!(
        read(Arc::new(fixed)).unwrap(),
        [None, Some(list(&[int(3), int(4)]))]
    );
}

#[test]
fn lists_behind_offsets_of_more_than_32_bits_are_read() {
    let before = i64::from(i32::MAX) + 5;
    let item = Arc::new(Field::new("item", DataType::Null, true));
    let offsets = OffsetBuffer::new(vec![before, before + 2, before + 2].into());
    let items: ArrayRef = Arc::new(NullArray::new(before as usize + 2));
    let lists = LargeListArray::new(item, offsets, items, None);
    assert_eq!(
        read(Arc::new(lists)).unwrap(),
        [Some(list(&[null(), null()])), Some(list(&[]))]
    );
}

#[test]
fn maps_are_documents_with_keys_of_their_own() {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for (key, value) in [("b", Some(1)), ("a", None), ("b", Some(2))] {
        builder.keys().append_value(key);
        builder.values().append_option(value);
    }
    builder.append(true).unwrap();
    builder.append(false).unwrap();
    builder.append(true).unwrap();
    builder.keys().append_value("c");
    builder.values().append_value(3);
    builder.append(true).unwrap();
    let none: &[(&str, Value)] = &[];
    let map = builder.finish();
    let wanted = [
        Some(document(&[("b", long(2)), ("a", null())])),
        None,
        Some(document(none)),
        Some(document(&[("c", long(3))])),
    ];
    assert_eq!(read(Arc::new(map.clone())).unwrap(), wanted);
    assert_eq!(read(Arc::new(map.slice(2, 2))).unwrap(), wanted[2..]);

    let mut builder = MapBuilder::new(None, Int32Builder::new(), Int32Builder::new());
    builder.append(true).unwrap();
    assert!(read(Arc::new(builder.finish())).is_err());
}

#[test]
fn values_under_a_null_struct_are_ignored() {
    let child: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let dictionary: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::from_iter(["x", "y"]));
    let fields = vec![
        Field::new("c", DataType::Int32, true),
        Field::new("s", dictionary.data_type().clone(), true),
    ];
    let nulls = NullBuffer::from(vec![false, true]);
    let array: ArrayRef = Arc::new(StructArray::new(
        fields.into(),
        vec![child, dictionary],
        Some(nulls),
    ));
    let wanted = document(&[("c", int(2)), ("s", text("y"))]);
    assert_eq!(read(array.clone()).unwrap(), [None, Some(wanted)]);
    let batch = one(Field::new("v", array.data_type().clone(), true), array);
    let chunk = chunk_from_batch(&batch, Nulls::Omit).unwrap();
    let Values::Document { documents, .. } = chunk.documents.fields()[0].column.values() else {
        panic!()
    };
    let counts = documents.fields().iter().map(|field| {
        (0..2)
            .filter(|&row| !matches!(field.column.cell(row), Cell::Null))
            .count()
    });
    assert_eq!(counts.collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn types_without_a_bson_counterpart_are_refused_by_path() {
    let cases: [ArrayRef; 3] = [
        Arc::new(Time32SecondArray::from(vec![1])),
        Arc::new(DurationSecondArray::from(vec![1])),
        Arc::new(IntervalYearMonthArray::from(vec![1])),
    ];
    for array in cases {
        let inner = Field::new("t", array.data_type().clone(), true);
        let array: ArrayRef = Arc::new(StructArray::new(vec![inner].into(), vec![array], None));
        let error = read(array).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)));
        assert_eq!(
            error.location().path,
            [Step::Key("v".into()), Step::Key("t".into())]
        );
    }
    let fields = vec![Field::new("a", DataType::Int32, true); 2];
    let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let twice = RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        vec![column.clone(), column.clone()],
    )
    .unwrap();
    assert!(chunk_from_batch(&twice, Nulls::Omit).is_err());
    assert!(chunk_from_batch(
        &one(Field::new("a\0b", DataType::Int32, true), column),
        Nulls::Omit
    )
    .is_err());
}

#[test]
fn corrupt_mixed_cells_are_decode_errors_with_row_and_path() {
    let good = bytes(&[("", text("x"))]);
    let mut truncated = good.clone();
    truncated.pop();
    let mut long = good.clone();
    long.push(0);
    for bad in [
        truncated,
        long,
        vec![],
        bytes(&[("k", int(1))]),
        bytes::<&str>(&[]),
        bytes(&[("", int(1)), ("", int(2))]),
    ] {
        let schema = TableSchema::new(vec![(key("l"), Kind::List(Box::new(Kind::Mixed)))]);
        let cells: ArrayRef = Arc::new(BinaryArray::from(vec![
            Some(&good[..]),
            None,
            Some(&good),
            Some(&bad),
        ]));
        let DataType::List(item) = schema.arrow().field(0).data_type() else {
            panic!()
        };
        let offsets = OffsetBuffer::from_lengths([1, 3]);
        let lists: ArrayRef = Arc::new(ListArray::new(item.clone(), offsets, cells, None));
        let batch = RecordBatch::try_new(schema.arrow().clone(), vec![lists]).unwrap();
        let error = chunk_from_batch(&batch, Nulls::Omit).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Decode { .. }), "{error}");
        assert_eq!(error.location().document, Some(1));
        assert_eq!(
            error.location().path,
            [Step::Key("l".into()), Step::Index(2)]
        );
    }
}

#[test]
fn matching_columns_keep_their_buffers() {
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let batch = one(Field::new("v", DataType::Int32, false), ints.clone());
    let chunk = chunk_from_batch(&batch, Nulls::Omit).unwrap();
    let Values::Int32(kept) = chunk.documents.fields()[0].column.values() else {
        panic!()
    };
    let ints = ints.as_any().downcast_ref::<Int32Array>().unwrap();
    assert_eq!(kept.values().as_ptr(), ints.values().as_ptr());
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let dates: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1]).with_timezone("UTC"));
    assert_eq!(dates.data_type(), &utc);
    assert_eq!(read(dates).unwrap(), [Some(date(1))]);
}
