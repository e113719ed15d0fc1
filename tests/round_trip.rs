//! Every document decoded into a Chunk is encoded to the same bytes in normal form, for any split of the input.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

mod generate;

use std::sync::Arc;
use std::time::Duration;

use data_bridge::chunk::{encode_document, Chunk, DocumentCell};
use data_bridge::decode::{decode, DecodeOptions};
use data_bridge::raw::{normalise_document, validate, TextPolicy};
use data_bridge::reader::{Framing, Progress, Reader, ReaderOptions, Reply, ReplySource};
use generate::{document, Random, Shape};

/// The naive twin: converts each document alone, from bytes to bytes.
fn normal(document: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    normalise_document(document, 1, TextPolicy::Strict, &mut out).unwrap();
    out
}

fn rows(chunk: &Chunk) -> Vec<Vec<u8>> {
    (0..chunk.rows())
        .map(|row| {
            let mut out = Vec::new();
            let documents = &chunk.documents;
            encode_document(&DocumentCell::Row { documents, row }, &mut out).unwrap();
            out
        })
        .collect()
}

fn read(replies: Vec<Reply>, options: ReaderOptions) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(Box::new(ReplySource::new(replies)), options);
    let mut all = Vec::new();
    loop {
        match reader.poll(Duration::from_secs(60)).unwrap() {
            Progress::Chunk(decoded) => {
                assert_eq!(decoded.first_row, all.len() as u64);
                all.extend(rows(&decoded.chunk));
            }
            Progress::Pending => panic!("nothing in a minute"),
            Progress::End => return all,
        }
    }
}

fn concatenated(documents: &[Vec<u8>]) -> Reply {
    let bytes = documents.concat();
    let len = bytes.len();
    Reply::new(Arc::new(bytes), 0..len, Framing::Concatenated)
}

fn listed(documents: &[Vec<u8>]) -> Reply {
    let mut bytes = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        bytes.push(3);
        bytes.extend_from_slice(index.to_string().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(document);
    }
    let len = bytes.len();
    Reply::new(Arc::new(bytes), 0..len, Framing::List)
}

const SHAPES: [Shape; 4] = [
    Shape {
        keys: 8,
        depth: 3,
        duplicates: 0,
        conflicts: 0,
    },
    Shape {
        keys: 12,
        depth: 4,
        duplicates: 0,
        conflicts: 20,
    },
    Shape {
        keys: 6,
        depth: 2,
        duplicates: 30,
        conflicts: 10,
    },
    Shape {
        keys: 3,
        depth: 6,
        duplicates: 0,
        conflicts: 100,
    },
];

#[test]
fn documents_round_trip_for_any_split() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let shape = SHAPES[seed as usize % SHAPES.len()];
        let documents: Vec<_> = (0..300).map(|_| document(&mut random, shape)).collect();
        for document in &documents {
            validate(document, TextPolicy::Strict).unwrap();
        }
        let expected: Vec<_> = documents.iter().map(|document| normal(document)).collect();
        for (size, eager, piece_bytes) in [
            (1, false, 1 << 20),
            (1, true, 1 << 20),
            (2, false, 1 << 20),
            (3, true, 700),
            (100, false, 1),
            (300, true, 5000),
            (300, false, 1 << 20),
        ] {
            let options = ReaderOptions {
                eager,
                piece_bytes,
                inline_bytes: if seed.is_multiple_of(2) { 0 } else { 64 << 10 },
                boundary: seed.is_multiple_of(3).then_some(seed),
                ..ReaderOptions::default()
            };
            let frame = if seed.is_multiple_of(2) {
                listed
            } else {
                concatenated
            };
            let replies = documents.chunks(size).map(frame).collect();
            let found = read(replies, options);
            assert_eq!(found.len(), expected.len(), "seed {seed}, size {size}");
            for (row, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found, expected, "seed {seed}, size {size}, row {row}");
            }
        }
    }
}

#[test]
fn a_sparse_column_takes_memory_per_cell() {
    use data_bridge::chunk::Placement;
    let int = |key: &str| [&[0x10], key.as_bytes(), &[0, 1, 0, 0, 0]].concat();
    let documents: Vec<_> = (0..4000)
        .map(|n| generate::framed(&[int("always"), int(&format!("k{}", n % 500))].concat()))
        .collect();
    let bytes = documents.concat();
    let offsets: Vec<u32> = documents
        .iter()
        .scan(0, |at, document| {
            let start = *at;
            *at += document.len() as u32;
            Some(start)
        })
        .collect();
    let chunk = decode(&bytes, &offsets, &DecodeOptions::default()).unwrap();
    let fields = chunk.documents.fields();
    assert_eq!(fields.len(), 501);
    assert!(matches!(fields[0].column.placement(), Placement::Dense));
    for field in &fields[1..] {
        assert!(
            matches!(field.column.placement(), Placement::Sparse { rows, len: 4000 } if rows.len() == 8)
        );
    }
    assert_eq!(rows(&chunk), documents);
}

#[test]
fn the_first_malformed_document_is_named_at_any_batch_size() {
    let good = generate::framed(b"\x10_id\0\x01\0\0\0");
    let bad = generate::framed(b"\x10_id\0\x07\0\0\0\x08ok\0\x02");
    let worse = vec![4, 0, 0, 0];
    for (at, broken) in [(50, &bad), (50, &worse)] {
        let mut documents = vec![good.clone(); 100];
        documents[at] = broken.clone();
        documents[at + 10] = worse.clone();
        for size in [1, 7, 100] {
            for eager in [false, true] {
                let replies = documents.chunks(size).map(concatenated).collect();
                let options = ReaderOptions {
                    eager,
                    ..ReaderOptions::default()
                };
                let mut reader = Reader::new(Box::new(ReplySource::new(replies)), options);
                let mut rows = 0;
                let error = loop {
                    match reader.poll(Duration::from_secs(60)) {
                        Ok(Progress::Chunk(decoded)) => rows += decoded.chunk.rows(),
                        Ok(_) => panic!("the end, or nothing"),
                        Err(error) => break error,
                    }
                };
                assert_eq!(error.location().document, Some(50), "{error}");
                assert!(rows <= 50);
                assert!(matches!(reader.poll(Duration::ZERO), Ok(Progress::End)));
            }
        }
    }
    // The error of a value also has key, offset and _id.
    let error = decode(&bad, &[0], &DecodeOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed BSON: a boolean is neither 0 nor 1 at byte 17 (document 0, _id 7, path [\"ok\"])"
    );
}

#[test]
fn columns_stop_at_48_levels_and_at_1000_keys_and_lose_nothing() {
    let mut deep = generate::framed(b"\x10x\0\x01\0\0\0");
    for _ in 0..150 {
        deep = generate::framed(&[b"\x03d\0", &deep[..]].concat());
    }
    let keys: Vec<u8> = (0..1500)
        .flat_map(|n| [&[0x0A], format!("k{n}").as_bytes(), &[0]].concat())
        .collect();
    let wide = generate::framed(&[b"\x03w\0", &generate::framed(&keys)[..]].concat());
    let documents = [deep, wide.clone(), wide];
    assert_eq!(
        read(vec![concatenated(&documents)], ReaderOptions::default()),
        documents
    );
}
