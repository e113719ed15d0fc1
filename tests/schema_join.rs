//! Joins of observed types: the rules for every pair of types, limits, and independence of the split of a result.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

mod schema_documents;

use data_bridge::chunk::Marker;
use data_bridge::error::ErrorKind;
use data_bridge::schema::{Kind, Limits, ObservedTypes, Representation, SchemaStep};
use schema_documents::*;

const TYPES: usize = 21;

/// Returns the kind of a column that holds only the value numbered `i` of `one_of_each`.
fn alone(i: usize) -> Kind {
    match i {
        0 => Kind::Double,
        1 => Kind::String,
        2 => Kind::Document(vec![(key("k"), Kind::Int32)]),
        3 => Kind::List(Box::new(Kind::Int32)),
        4 => Kind::Binary,
        5 => Kind::Marker(Marker::Undefined),
        6 => Kind::ObjectId,
        7 => Kind::Boolean,
        8 => Kind::DateTime,
        9 => Kind::Null,
        10 => Kind::Regex,
        11 => Kind::DbPointer,
        12 => Kind::Code,
        13 => Kind::Symbol,
        14 => Kind::CodeWithScope,
        15 => Kind::Int32,
        16 => Kind::Timestamp,
        17 => Kind::Int64,
        18 => Kind::Decimal128,
        19 => Kind::Marker(Marker::MaxKey),
        _ => Kind::Marker(Marker::MinKey),
    }
}

fn joined(a: usize, b: usize) -> Kind {
    const DOUBLE: usize = 0;
    const NULL: usize = 9;
    const INT: usize = 15;
    const LONG: usize = 17;
    match (a.min(b), a.max(b)) {
        (x, y) if x == y => alone(x),
        (x, NULL) => alone(x),
        (NULL, y) => alone(y),
        (INT, LONG) => Kind::Int64,
        (DOUBLE, INT | LONG) => Kind::Double,
        _ => Kind::Mixed,
    }
}

#[test]
fn every_pair_of_types_at_every_kind_of_place() {
    type Wrap = (fn(Value) -> Value, fn(Kind) -> Kind);
    let places: [Wrap; 5] = [
        (|value| value, |kind| kind),
        (
            |value| document(&[("x", value)]),
            |kind| Kind::Document(vec![(key("x"), kind)]),
        ),
        (|value| list(&[value]), |kind| Kind::List(Box::new(kind))),
        (
            |value| list(&[document(&[("x", value)])]),
            |kind| Kind::List(Box::new(Kind::Document(vec![(key("x"), kind)]))),
        ),
        (
            |value| list(&[list(&[value])]),
            |kind| Kind::List(Box::new(Kind::List(Box::new(kind)))),
        ),
    ];
    let values = one_of_each();
    for a in 0..TYPES {
        for b in 0..TYPES {
            for (wrap, kind) in &places {
                let documents = [
                    bytes(&[("v", wrap(values[a].clone()))]),
                    bytes::<&str>(&[]),
                    bytes(&[("v", wrap(values[b].clone()))]),
                    bytes(&[("v", null())]),
                ];
                let whole = table(&documents, 9, &Limits::default());
                let single = table(&documents, 1, &Limits::default());
                assert_eq!(field(&whole.0, "v"), kind(joined(a, b)), "{a} and {b}");
                assert_eq!(whole.0, single.0);
                assert_eq!(whole.1, single.1);
            }
        }
    }
}

#[test]
fn lists_join_by_element() {
    let documents = [
        bytes(&[
            ("l", list(&[])),
            ("n", list(&[null()])),
            ("m", list(&[int(1), text("")])),
        ]),
        bytes(&[("l", list(&[int(1), long(2)])), ("n", list(&[]))]),
        bytes(&[("l", list(&[double(0.5), null()]))]),
    ];
    for size in [1, 2, 3] {
        let (schema, _) = table(&documents, size, &Limits::default());
        assert_eq!(field(&schema, "l"), Kind::List(Box::new(Kind::Double)));
        assert_eq!(field(&schema, "n"), Kind::List(Box::new(Kind::Null)));
        assert_eq!(field(&schema, "m"), Kind::List(Box::new(Kind::Mixed)));
    }
}

#[test]
fn an_integer_no_double_can_hold_makes_doubles_mixed() {
    let big = 1i64 << 53;
    for (value, kind) in [
        (big, Kind::Double),
        (big + 1, Kind::Mixed),
        (i64::MAX, Kind::Mixed),
        (i64::MIN, Kind::Double),
    ] {
        let documents = [
            bytes(&[("v", long(value))]),
            bytes(&[("v", double(0.5))]),
            bytes(&[("v", int(i32::MAX))]),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let documents = order.map(|i: usize| documents[i].clone());
            for size in [1, 2, 3] {
                let (schema, _) = table(&documents, size, &Limits::default());
                assert_eq!(field(&schema, "v"), kind, "{value}");
            }
        }
    }
}

#[test]
fn binaries_join_by_subtype() {
    let generic = || binary(0, b"x");
    let uuid = || binary(4, &[1; 16]);
    let cases = [
        (vec![generic(), generic()], Kind::Binary),
        (vec![uuid(), null(), uuid()], Kind::Uuid),
        (vec![uuid(), binary(4, &[1; 15])], Kind::Subtyped),
        (vec![uuid(), generic()], Kind::Subtyped),
        (vec![binary(0x80, b""), generic()], Kind::Subtyped),
        (vec![binary(2, &[0, 0, 0, 0])], Kind::Subtyped),
        (vec![uuid(), generic(), int(1)], Kind::Mixed),
    ];
    for (values, kind) in cases {
        let documents: Vec<_> = values.into_iter().map(|v| bytes(&[("v", v)])).collect();
        for size in 1..=3 {
            let (schema, _) = table(&documents, size, &Limits::default());
            assert_eq!(field(&schema, "v"), kind);
        }
    }
}

#[test]
fn only_empty_documents_are_mixed_and_keys_come_by_first_appearance() {
    let none: &[(&str, Value)] = &[];
    let documents = [
        bytes(&[("e", document(none)), ("d", document(none))]),
        bytes(&[
            ("d", document(&[("b", int(1))])),
            ("l", list(&[document(none)])),
        ]),
        bytes(&[("d", document(&[("a", int(1)), ("b", null())]))]),
    ];
    for size in 1..=3 {
        let (schema, _) = table(&documents, size, &Limits::default());
        assert_eq!(field(&schema, "e"), Kind::Mixed);
        assert_eq!(field(&schema, "l"), Kind::List(Box::new(Kind::Mixed)));
        let fields = vec![(key("b"), Kind::Int32), (key("a"), Kind::Int32)];
        assert_eq!(field(&schema, "d"), Kind::Document(fields));
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(int(1), |value, level| match level % 2 {
        0 => document(&[("a", value)]),
        _ => list(&[value]),
    })
}

fn levels(kind: &Kind) -> usize {
    match kind {
        Kind::Document(fields) => 1 + levels(&fields[0].1),
        Kind::List(items) => 1 + levels(items),
        _ => 0,
    }
}

#[test]
fn nesting_past_the_limit_is_mixed() {
    for (deep, columns) in [(46, 46), (47, 47), (48, 47), (60, 47)] {
        let documents = [
            bytes(&[("v", nested(deep))]),
            bytes(&[("v", null())]),
            bytes(&[("v", nested(deep))]),
        ];
        for size in 1..=3 {
            let (schema, _) = table(&documents, size, &Limits::default());
            assert_eq!(levels(&field(&schema, "v")), columns, "{deep}");
        }
    }
}

#[test]
fn too_many_keys_are_mixed_below_and_refused_at_the_top() {
    let mut limits = Limits::default();
    limits.nested.max_keys = 4;
    limits.max_top_level_keys = 6;
    for (keys, mixed) in [(4, false), (5, true)] {
        let documents: Vec<_> = (0..keys)
            .map(|i| bytes(&[("m", document(&[(format!("k{i}"), int(i))]))]))
            .collect();
        for size in 1..=keys as usize {
            let (schema, _) = table(&documents, size, &limits);
            assert_eq!(field(&schema, "m") == Kind::Mixed, mixed);
        }
    }
    let documents: Vec<_> = (0..7)
        .map(|i| bytes(&[(format!("k{i}"), int(i))]))
        .collect();
    assert!(observed(&documents[..6], 2, &limits)
        .1
        .resolve(&limits, &Representation::exact())
        .is_ok());
    let error = observed(&documents, 2, &limits)
        .1
        .resolve(&limits, &Representation::exact())
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::SchemaConflict { .. }));
    assert!(error.to_string().contains("projection"), "{error}");
}

#[test]
fn any_split_gives_the_same_schema_and_table() {
    let mut random = Random(7);
    for round in 0..60 {
        let documents = random.documents(if round % 10 == 0 { 300 } else { 40 });
        let limits = Limits::default();
        for representation in [Representation::exact(), Representation::plain()] {
            let made = |size| table_in(&documents, size, &limits, &representation);
            let (schema, batch) = made(documents.len());
            for size in [1, 2, 3, 17, 100] {
                let (other, joined) = made(size);
                assert_eq!(schema, other, "round {round}, pieces of {size}");
                assert_eq!(batch, joined, "round {round}, pieces of {size}");
            }
        }
    }
}

#[test]
fn joining_is_associative() {
    let mut random = Random(11);
    let limits = Limits::default();
    for _ in 0..40 {
        let documents = random.documents(30);
        let parts: Vec<ObservedTypes> = documents
            .chunks(10)
            .zip([0, 10, 20])
            .map(|(piece, first)| ObservedTypes::of(&chunk(piece), first))
            .collect();
        let [a, b, c] = [0, 1, 2].map(|i: usize| parts[i].clone());
        let mut left = a.clone();
        left.join(b.clone());
        left.join(c.clone());
        let mut tail = b;
        tail.join(c);
        let mut right = a;
        right.join(tail.clone());
        assert_eq!(left, right);

        // The whole result and parts that were pruned between joins give the same schema.
        let mut whole = ObservedTypes::of(&chunk(&documents), 0);
        for representation in [Representation::exact(), Representation::plain()] {
            assert_eq!(
                whole.resolve(&limits, &representation).unwrap(),
                left.resolve(&limits, &representation).unwrap()
            );
            assert_eq!(
                whole.widened_paths(&limits, &representation),
                left.widened_paths(&limits, &representation)
            );
            assert_eq!(
                whole.column_notes(&limits, &representation),
                left.column_notes(&limits, &representation)
            );
        }
        let mut pruned = ObservedTypes::default();
        for part in parts {
            pruned.join(part);
            pruned.prune(&limits);
        }
        whole.prune(&limits);
        left.prune(&limits);
        assert_eq!(pruned, left);
        assert_eq!(pruned, whole);
    }
}

#[test]
fn widened_paths_name_the_first_difference() {
    let documents = [
        bytes(&[("_id", text("x")), ("a", int(1))]),
        bytes(&[("_id", text("y")), ("l", list(&[])), ("a", int(2))]),
        bytes(&[
            ("_id", text("z")),
            ("l", list(&[int(1), text("s")])),
            ("a", long(2)),
        ]),
        bytes(&[("l", list(&[text("t")]))]),
    ];
    for size in 1..=4 {
        let (_, seen) = observed(&documents, size, &Limits::default());
        let found = seen.widened_paths(&Limits::default(), &Representation::exact());
        assert_eq!(found.len(), 2);
        let a = &found[0];
        assert_eq!(a.path, [SchemaStep::Key(key("a"))]);
        assert_eq!(a.kind, Kind::Int64);
        assert_eq!([a.types[0].count, a.types[1].count], [2, 1]);
        let second = a.types[1].first.as_ref().unwrap();
        assert_eq!(second.row, 2);
        assert_eq!(second.id.as_ref().unwrap().to_string(), "\"z\"");
        let l = &found[1];
        assert_eq!(l.path, [SchemaStep::Key(key("l")), SchemaStep::Items]);
        assert_eq!(l.kind, Kind::Mixed);
        assert_eq!(l.types[1].count, 2);
        assert_eq!(l.types[1].first.as_ref().unwrap().row, 2);
    }
}
