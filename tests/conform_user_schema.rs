//! Schemas from users: exact conversion, and rescued or nulled conflicts, independent of batch boundaries.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

mod schema_documents;

use arrow_array::{cast::AsArray, types::*, Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use data_bridge::conform::{
    conform, conform_with_counts, ConflictCounts, OnConflict, Policy, UnknownKeys,
};
use data_bridge::error::{Error, ErrorKind, Step};
use data_bridge::schema::{Limits, Representation, TableSchema};
use schema_documents::*;

fn given(kind: DataType) -> TableSchema {
    TableSchema::from_user(&Schema::new(vec![Field::new("x", kind, true)])).unwrap()
}

fn made(kind: DataType, values: &[Value]) -> Result<RecordBatch, Error> {
    let documents: Vec<_> = values.iter().map(|v| bytes(&[("x", v.clone())])).collect();
    let policy = Policy {
        unknown: UnknownKeys::Skip,
        ..Policy::default()
    };
    conform(&chunk(&documents), &given(kind), &policy).inspect(validate)
}

#[test]
fn numbers_are_converted_without_loss() {
    let batch = made(
        DataType::UInt64,
        &[long(i64::MAX), double(2f64.powi(63)), null()],
    )
    .unwrap();
    let column = batch.column(0).as_primitive::<UInt64Type>();
    assert_eq!(column.values()[..2], [i64::MAX as u64, 1 << 63]);
    assert!(column.is_null(2));
    let batch = made(
        DataType::Float32,
        &[double(0.5), double(f64::NAN), int(1 << 24)],
    )
    .unwrap();
    let column = batch.column(0).as_primitive::<Float32Type>();
    assert_eq!(column.value(0), 0.5);
    assert!(column.value(1).is_nan());
    assert_eq!(column.value(2), 16_777_216.0);
    for (kind, value) in [
        (DataType::Int8, int(-129)),
        (DataType::UInt16, int(-1)),
        (DataType::UInt32, double(0.5)),
        (DataType::Float32, double(0.1)),
        (DataType::Float32, int((1 << 24) + 1)),
        (DataType::Decimal128(3, 1), double(1.5)),
        (DataType::Decimal128(3, 1), int(100)),
    ] {
        let error = made(kind, &[null(), value]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::SchemaConflict { .. }));
        assert_eq!(error.location().document, Some(1));
        assert_eq!(error.location().path, [Step::Key("x".into())]);
    }
}

#[test]
fn dates_are_converted_without_loss() {
    let date = |ms: i64| (0x09, ms.to_le_bytes().to_vec());
    let batch = made(DataType::Date32, &[date(-86_400_000)]).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Date32Type>().value(0), -1);
    let zoned = DataType::Timestamp(TimeUnit::Nanosecond, Some("Asia/Tokyo".into()));
    let batch = made(zoned.clone(), &[date(1)]).unwrap();
    assert_eq!(batch.column(0).data_type(), &zoned);
    let column = batch.column(0).as_primitive::<TimestampNanosecondType>();
    assert_eq!(column.value(0), 1_000_000);
    for (kind, ms) in [
        (DataType::Date32, 1),
        (DataType::Timestamp(TimeUnit::Second, None), 1),
        (
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            i64::MAX / 1_000,
        ),
    ] {
        made(kind, &[date(ms)]).unwrap_err();
    }
}

/// Returns the table of `documents` in pieces of `size`, and the conflict counts.
fn in_pieces(
    documents: &[Vec<u8>],
    size: usize,
    schema: &TableSchema,
    policy: &Policy,
) -> (RecordBatch, ConflictCounts) {
    let mut conflict_counts = ConflictCounts::default();
    let mut first_row = 0;
    let mut batches = Vec::new();
    for piece in documents.chunks(size) {
        let (batch, found) = conform_with_counts(&chunk(piece), schema, policy).unwrap();
        validate(&batch);
        conflict_counts.join(&found, first_row);
        first_row += piece.len() as u64;
        batches.push(batch);
    }
    let batch = arrow_select::concat::concat_batches(schema.arrow(), &batches).unwrap();
    (batch, conflict_counts)
}

#[test]
fn rescued_values_do_not_depend_on_batch_boundaries() {
    let mut misfit_paths = 0;
    for seed in 1..60 {
        let mut random = Random(seed);
        let documents = random.documents(40);
        let (_, seen) = observed(&documents[..4], 4, &Limits::default());
        let policies = [OnConflict::Rescue, OnConflict::Null];
        let representations = [Representation::exact(), Representation::plain()];
        let cases =
            policies.map(|policy| representations.map(|representation| (policy, representation)));
        for (on_conflict, representation) in cases.into_iter().flatten() {
            let frozen = seen.resolve(&Limits::default(), &representation).unwrap();
            let schema = match on_conflict {
                OnConflict::Rescue => frozen.with_rescued(&representation).unwrap(),
                _ => frozen,
            };
            for unknown in [UnknownKeys::Conflict, UnknownKeys::Skip] {
                let policy = Policy {
                    unknown,
                    on_conflict,
                };
                let (whole, conflict_counts) = in_pieces(&documents, 40, &schema, &policy);
                misfit_paths += conflict_counts.conflicts().found().len();
                for size in [1, 3, 7] {
                    let (batch, found) = in_pieces(&documents, size, &schema, &policy);
                    assert_eq!(batch, whole, "seed {seed}, {size} at a time");
                    assert_eq!(
                        found.conflicts().found(),
                        conflict_counts.conflicts().found()
                    );
                }
                if on_conflict == OnConflict::Rescue {
                    // The number of rescued values equals the count.
                    let lists = whole.column(whole.num_columns() - 1).as_list::<i32>();
                    let found = conflict_counts.conflicts().found().into_iter();
                    let counts = found.flat_map(|(_, misfit)| &misfit.types);
                    let count: u64 = counts.map(|seen| seen.count).sum();
                    assert_eq!(lists.values().len() as u64, count);
                }
            }
        }
    }
    assert!(misfit_paths > 100, "{misfit_paths}");
}
