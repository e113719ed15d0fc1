//! Test documents, written byte by byte to cover all 21 types and unusual shapes, and tables of them.
#![allow(dead_code)] // each test file uses its own part

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use data_bridge::chunk::{encode_document, Chunk, DocumentCell};
use data_bridge::conform::{conform, Policy};
use data_bridge::decode::{decode, DecodeOptions};
use data_bridge::schema::{Kind, Limits, ObservedTypes, Representation, TableSchema};

/// A BSON type byte and a value's bytes.
pub type Value = (u8, Vec<u8>);

pub fn int(value: i32) -> Value {
    (0x10, value.to_le_bytes().to_vec())
}
pub fn long(value: i64) -> Value {
    (0x12, value.to_le_bytes().to_vec())
}
pub fn double(value: f64) -> Value {
    (0x01, value.to_le_bytes().to_vec())
}
pub fn text(value: &str) -> Value {
    (0x02, string(value))
}
pub fn null() -> Value {
    (0x0A, Vec::new())
}
pub fn binary(subtype: u8, bytes: &[u8]) -> Value {
    let mut out = (bytes.len() as i32).to_le_bytes().to_vec();
    out.push(subtype);
    out.extend_from_slice(bytes);
    (0x05, out)
}
pub fn document<K: AsRef<str>>(fields: &[(K, Value)]) -> Value {
    (0x03, bytes(fields))
}
pub fn list(items: &[Value]) -> Value {
    let fields: Vec<_> = (0..)
        .zip(items)
        .map(|(i, v): (usize, _)| (i.to_string(), v.clone()))
        .collect();
    (0x04, bytes(&fields))
}
fn string(value: &str) -> Vec<u8> {
    let mut out = (value.len() as i32 + 1).to_le_bytes().to_vec();
    out.extend_from_slice(value.as_bytes());
    out.push(0);
    out
}

/// Returns a complete document.
pub fn bytes<K: AsRef<str>>(fields: &[(K, Value)]) -> Vec<u8> {
    let mut out = vec![0; 4];
    for (key, (tag, value)) in fields {
        out.push(*tag);
        out.extend_from_slice(key.as_ref().as_bytes());
        out.push(0);
        out.extend_from_slice(value);
    }
    out.push(0);
    let len = out.len() as i32;
    out[..4].copy_from_slice(&len.to_le_bytes());
    out
}

/// One value of each of the 21 types, in the order of their bytes.
pub fn one_of_each() -> Vec<Value> {
    let mut scope = string("f()");
    scope.extend(bytes(&[("x", int(1))]));
    let mut with_scope = (scope.len() as i32 + 4).to_le_bytes().to_vec();
    with_scope.extend(scope);
    let mut pointer = string("db.c");
    pointer.extend([7; 12]);
    vec![
        double(1.5),
        text("text"),
        document(&[("k", int(1))]),
        list(&[int(1)]),
        binary(0, b"data"),
        (0x06, vec![]),
        (0x07, vec![9; 12]),
        (0x08, vec![1]),
        (0x09, 1_700_000_000_000i64.to_le_bytes().to_vec()),
        null(),
        (0x0B, b"a.*\0im\0".to_vec()),
        (0x0C, pointer),
        (0x0D, string("code")),
        (0x0E, string("symbol")),
        (0x0F, with_scope),
        int(1),
        (0x11, ((7u64 << 32) | 3).to_le_bytes().to_vec()),
        long(1),
        (0x13, vec![5; 16]),
        (0x7F, vec![]),
        (0xFF, vec![]),
    ]
}

pub fn chunk(documents: &[Vec<u8>]) -> Chunk {
    chunk_with(documents, &DecodeOptions::default())
}

pub fn chunk_with(documents: &[Vec<u8>], options: &DecodeOptions) -> Chunk {
    let mut all = Vec::new();
    let mut offsets = Vec::new();
    for document in documents {
        offsets.push(all.len() as u32);
        all.extend_from_slice(document);
    }
    decode(&all, &offsets, options).unwrap()
}

/// Observes `documents` in pieces of `size`.
pub fn observed(
    documents: &[Vec<u8>],
    size: usize,
    limits: &Limits,
) -> (Vec<Chunk>, ObservedTypes) {
    let options = DecodeOptions {
        limits: limits.nested,
        ..Default::default()
    };
    let mut all = ObservedTypes::default();
    let mut chunks = Vec::new();
    for piece in documents.chunks(size) {
        let chunk = chunk_with(piece, &options);
        all.join(ObservedTypes::of(&chunk, all.rows()));
        chunks.push(chunk);
    }
    (chunks, all)
}

/// Returns the table of `documents`, read in pieces of `size`.
pub fn table(documents: &[Vec<u8>], size: usize, limits: &Limits) -> (TableSchema, RecordBatch) {
    table_in(documents, size, limits, &Representation::exact())
}

/// Returns the table in the storage of `representation`.
pub fn table_in(
    documents: &[Vec<u8>],
    size: usize,
    limits: &Limits,
    representation: &Representation,
) -> (TableSchema, RecordBatch) {
    let (chunks, all) = observed(documents, size, limits);
    let schema = all.resolve(limits, representation).unwrap();
    let batches: Vec<_> = chunks
        .iter()
        .map(|chunk| {
            let batch = conform(chunk, &schema, &Policy::default()).unwrap();
            validate(&batch);
            batch
        })
        .collect();
    let batch = arrow_select::concat::concat_batches(schema.arrow(), &batches).unwrap();
    validate(&batch);
    (schema, batch)
}

pub fn validate(batch: &RecordBatch) {
    for column in batch.columns() {
        column.to_data().validate_full().unwrap();
        assert_eq!(column.len(), batch.num_rows());
    }
}

pub fn field(schema: &TableSchema, name: &str) -> Kind {
    let found = schema.fields().iter().find(|(field, _)| **field == *name);
    found.unwrap().1.clone()
}

pub fn key(name: &str) -> Arc<str> {
    name.into()
}

/// A small random number generator (SplitMix64) with equal output on every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Returns a value, mostly of the type that `taste` selects, so that some columns have one type.
    pub fn value(&mut self, taste: usize, depth: usize) -> Value {
        let each = one_of_each();
        if self.below(8) == 0 {
            return null();
        }
        let choice = match self.below(40) {
            0 => self.below(10),
            _ => taste % 10,
        };
        match choice {
            0 => int(self.next() as i32 >> self.below(32)),
            1 => match self.below(3) {
                0 => int(self.next() as i32),
                _ => long(self.next() as i64 >> self.below(64)),
            },
            2 => match self.below(3) {
                0 => int(self.below(100) as i32),
                1 => long(self.next() as i64 >> (11 + self.below(50))),
                _ => double(self.next() as f64 / 7.0),
            },
            3 => text(&"αbc"[..2 * self.below(2)]),
            4 => {
                let subtype = [0, 4, 2, 0x80][if taste < 20 { 0 } else { self.below(4) }];
                match subtype {
                    2 => binary(2, &[3, 0, 0, 0, 1, 2, 3]),
                    4 => binary(4, &[8; 16][..16 - self.below(2)]),
                    other => binary(other, &self.next().to_le_bytes()[..self.below(8)]),
                }
            }
            5 | 6 if depth < 4 => {
                let n = self.below(4);
                let keys = ["a", "b.c", "", "$d", "e"];
                let start = self.below(5);
                let fields: Vec<_> = (0..n)
                    .map(|i| {
                        (
                            keys[(start + i) % 5],
                            self.value(taste * 7 + start + i, depth + 1),
                        )
                    })
                    .collect();
                document(&fields)
            }
            7 if depth < 4 => {
                let items: Vec<_> = (0..self.below(4))
                    .map(|_| self.value(taste * 3 + 1, depth + 1))
                    .collect();
                list(&items)
            }
            8 => binary(4, &[self.below(256) as u8; 16]),
            _ => each[taste % 21].clone(),
        }
    }

    /// Returns documents with conflicts, sparse keys, and keys in any order.
    pub fn documents(&mut self, rows: usize) -> Vec<Vec<u8>> {
        let salt = self.below(1000);
        (0..rows)
            .map(|row| {
                let mut fields = vec![("_id".to_string(), int(row as i32))];
                let start = self.below(3);
                for i in 0..12 {
                    let i = (i + start) % 12;
                    if self.below(5) > 0 {
                        fields.push((format!("k{i}"), self.value(salt + i, 0)));
                    }
                }
                if self.below(100) == 0 {
                    fields.push((format!("rare{}", self.below(3)), self.value(salt + 12, 0)));
                }
                bytes(&fields)
            })
            .collect()
    }
}

/// The documents of a chunk.
pub fn bson(chunk: &Chunk) -> Vec<Vec<u8>> {
    let documents = &chunk.documents;
    let row = |row| {
        let mut bytes = Vec::new();
        encode_document(&DocumentCell::Row { documents, row }, &mut bytes).unwrap();
        bytes
    };
    (0..chunk.rows()).map(row).collect()
}
