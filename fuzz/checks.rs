//! Invariants for any bytes. The fuzz targets check them, and `tests/fuzz_seeds.rs` for the seeds and for inputs that
//! failed before.
#![allow(dead_code)] // each target uses its own part

#[path = "grow.rs"]
mod grow;

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use data_bridge::chunk::{
    encode_cell, encode_document, write_json, Cell, Chunk, DocumentCell, JsonMode, ListCell,
};
use data_bridge::conform::{add_shapes, chunks_from_batch, conform, with_shapes, Nulls, Policy};
use data_bridge::decode::{decode, DecodeOptions};
use data_bridge::encode::{self, EncodeOptions, Nested, Operation, Plan};
use data_bridge::error::ErrorKind;
use data_bridge::raw::{
    document_len, normalise_document, validate, Elements, LegacyUuid, TextPolicy,
};
use data_bridge::reader::{Framing, Progress, Reader, ReaderOptions, Reply, ReplySource};
use data_bridge::schema::{
    DecimalForm, Limits, MixedForm, ObservedTypes, Representation, StringLayout, TableSchema,
};

/// One input: options and documents.
pub struct Input {
    pub options: DecodeOptions,
    /// A position among the documents, not bounded by their number.
    pub split_at: usize,
    /// Documents; the last one may have an impossible length.
    pub documents: Vec<Vec<u8>>,
}

/// Parses three bytes of options, followed by documents on the wire, or by the bytes to grow documents from.
pub fn input(data: &[u8]) -> Option<Input> {
    let (&[settings, limits, split_at], rest) = data.split_first_chunk::<3>()?;
    let mut options = DecodeOptions {
        text: match settings % 4 {
            1 => TextPolicy::Replace,
            2 => TextPolicy::Ignore,
            _ => TextPolicy::Strict,
        },
        ..DecodeOptions::default()
    };
    // Small limits, so that small inputs reach them.
    if limits & 1 == 1 {
        options.limits.max_levels = 1 + u32::from(limits >> 1 & 3);
        options.limits.max_keys = 1 + usize::from(limits >> 3 & 7);
    }
    let documents = if settings & 4 == 4 {
        grow::documents(rest)
    } else {
        split(rest)
    };
    Some(Input {
        options,
        split_at: split_at.into(),
        documents,
    })
}

fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut documents = Vec::new();
    while !bytes.is_empty() {
        let len = document_len(bytes, 0).unwrap_or(bytes.len());
        documents.push(bytes[..len].to_vec());
        bytes = &bytes[len..];
    }
    documents
}

fn chunk(documents: &[Vec<u8>], options: &DecodeOptions) -> data_bridge::error::Result<Chunk> {
    let mut offsets = Vec::new();
    let mut at = 0;
    for document in documents {
        offsets.push(at);
        at += document.len() as u32;
    }
    decode(&documents.concat(), &offsets, options)
}

fn rows(chunk: &Chunk) -> Vec<Vec<u8>> {
    let documents = &chunk.documents;
    (0..chunk.rows())
        .map(|row| {
            let mut out = Vec::new();
            encode_document(&DocumentCell::Row { documents, row }, &mut out)
                .expect("a document that was read can be written");
            out
        })
        .collect()
}

/// The input, its documents decoded as a whole, and the limits of its tables; `None` for documents that are refused.
fn decoded(data: &[u8]) -> Option<(Input, Chunk, Limits)> {
    let input = input(data)?;
    let whole = chunk(&input.documents, &input.options).ok()?;
    let limits = Limits {
        nested: input.options.limits,
        ..Limits::default()
    };
    Some((input, whole, limits))
}

/// Decoding accepts the documents that the exact check accepts, returns their normal form, and reports the first
/// other document.
pub fn check_decode(data: &[u8]) {
    let Some(input) = input(data) else { return };
    let text = input.options.text;
    let mut expected = Vec::new();
    let mut duplicates = 0;
    let mut first = None;
    for (number, document) in input.documents.iter().enumerate() {
        let mut normal = Vec::new();
        let outcome = validate(document, text);
        let normalised = normalise_document(document, 1, text, &mut normal);
        // Normal form reads one document from the start of the bytes; the caller checks for further bytes.
        let whole = document_len(document, 0) == Ok(document.len());
        assert_eq!(outcome.is_ok(), whole && normalised.is_ok(), "{outcome:?}");
        match outcome {
            Ok(()) => expected.push(normal),
            Err(error) => {
                first = first.or(Some((number, error)));
            }
        }
        duplicates += normalised.unwrap_or_default();
    }
    match (chunk(&input.documents, &input.options), &first) {
        (Ok(chunk), None) => {
            assert_eq!(rows(&chunk), expected);
            assert_eq!(chunk.duplicates, duplicates);
        }
        (Err(error), Some((number, slow))) => {
            let mut slow = slow.clone();
            slow.location_mut().document = Some(*number as u64);
            assert_eq!(error.kind(), slow.kind());
            assert_eq!(error.location(), slow.location());
        }
        (Ok(_), Some((number, error))) => panic!("document {number} was accepted: {error}"),
        (Err(error), None) => panic!("sound documents were refused: {error}"),
    }
    let bad = first.map(|(number, _)| number as u64);
    for framing in [Framing::Concatenated, Framing::List] {
        check_reader(&input, framing, &expected, bad);
    }
    // Bytes that were never documents of a list.
    read(data[3..].to_vec(), Framing::List, &input.options)
        .1
        .ok();
}

fn check_reader(input: &Input, framing: Framing, expected: &[Vec<u8>], bad: Option<u64>) {
    let mut bytes = Vec::new();
    for (index, document) in input.documents.iter().enumerate() {
        if framing == Framing::List {
            bytes.push(3);
            bytes.extend_from_slice(index.to_string().as_bytes());
            bytes.push(0);
        }
        bytes.extend_from_slice(document);
    }
    let (found, outcome) = read(bytes, framing, &input.options);
    match (outcome, bad) {
        (Ok(()), None) => assert_eq!(found, expected),
        (Err(error), Some(bad)) => {
            assert_eq!(error.location().document, Some(bad), "{error}");
            // Pieces are decoded all or nothing. Only complete pieces precede the malformed document.
            assert!(found.len() as u64 <= bad);
            assert_eq!(found, expected[..found.len()]);
        }
        (outcome, bad) => panic!("{outcome:?}, but the first bad document is {bad:?}"),
    }
}

fn read(
    bytes: Vec<u8>,
    framing: Framing,
    decode: &DecodeOptions,
) -> (Vec<Vec<u8>>, data_bridge::error::Result<()>) {
    let len = bytes.len();
    let reply = Reply::new(Arc::new(bytes), 0..len, framing);
    let options = ReaderOptions {
        decode: *decode,
        piece_bytes: 64,
        inline_bytes: usize::MAX, // no threads: one thread does the work of a run, so runs can be repeated
        ..ReaderOptions::default()
    };
    let mut reader = Reader::new(Box::new(ReplySource::new(vec![reply])), options);
    let mut found = Vec::new();
    loop {
        match reader.poll(Duration::from_secs(10)) {
            Ok(Progress::Chunk(decoded)) => found.extend(rows(&decoded.chunk)),
            Ok(Progress::Pending) => panic!("nothing to wait for"),
            Ok(Progress::End) => return (found, Ok(())),
            Err(error) => {
                let internal = matches!(error.kind(), ErrorKind::Internal(_));
                assert!(!internal, "{error}");
                return (found, Err(error));
            }
        }
    }
}

/// Decoded documents make a valid table, whose schema and cells do not depend on the split.
pub fn check_table(data: &[u8]) {
    let Some((input, whole, limits)) = decoded(data) else {
        return;
    };
    let observed = ObservedTypes::of(&whole, 0);
    let views = Representation {
        decimal: DecimalForm::Text,
        mixed: MixedForm::Json,
        strings: StringLayout::View,
        legacy_uuid: Some(LegacyUuid::Java),
        ..Representation::plain()
    };
    for representation in [Representation::exact(), Representation::plain(), views] {
        let Ok(schema) = observed.resolve(&limits, &representation) else {
            return;
        };
        check_parts(&input, &whole, &schema);
        check_again(&schema);
    }

    let split_at = input.split_at % (input.documents.len() + 1);
    let (head, tail) = input.documents.split_at(split_at);
    let head = chunk(head, &input.options).unwrap();
    let tail = chunk(tail, &input.options).unwrap();
    assert_eq!(head.duplicates + tail.duplicates, whole.duplicates);
    let mut joined = ObservedTypes::of(&head, 0);
    joined.prune(&limits);
    joined.join(ObservedTypes::of(&tail, split_at as u64));
    joined.prune(&limits);
    for representation in [Representation::exact(), Representation::plain(), views] {
        let schema = observed.resolve(&limits, &representation).unwrap();
        let again = joined.resolve(&limits, &representation).unwrap();
        assert_eq!(schema.arrow(), again.arrow(), "split at {split_at}");
    }
}

/// The schema of a table, passed as a user's schema, has the same columns.
fn check_again(schema: &TableSchema) {
    if let Ok(again) = TableSchema::from_user(schema.arrow()) {
        assert_eq!(schema.arrow(), again.arrow());
    }
}

/// Checks that a table is made, and that the split of the result does not change it.
fn check_parts(input: &Input, whole: &Chunk, schema: &TableSchema) {
    let table = conform(whole, schema, &Policy::default()).unwrap();
    for column in table.columns() {
        column.to_data().validate_full().unwrap();
    }

    let split_at = input.split_at % (input.documents.len() + 1);
    let (head, tail) = input.documents.split_at(split_at);
    let head = chunk(head, &input.options).unwrap();
    let tail = chunk(tail, &input.options).unwrap();
    for (part, start) in [(head, 0), (tail, split_at)] {
        let part = conform(&part, schema, &Policy::default()).unwrap();
        for (column, all) in part.columns().iter().zip(table.columns()) {
            let part = column.to_data();
            part.validate_full().unwrap();
            assert_eq!(part, all.slice(start, part.len()).to_data());
        }
    }
}

/// Every value can be read alone, and the values together equal the document.
pub fn check_view(data: &[u8]) {
    let Some(input) = input(data) else { return };
    let Ok(chunk) = chunk(&input.documents, &input.options) else {
        return;
    };
    let documents = &chunk.documents;
    for (row, document) in input.documents.iter().enumerate() {
        let mut normal = Vec::new();
        normalise_document(document, 1, input.options.text, &mut normal).unwrap();
        let row = DocumentCell::Row { documents, row };
        assert_eq!(rebuilt(&row), normal);
        assert_eq!(rebuilt(&DocumentCell::Bson(&normal)), normal);
        for mode in [JsonMode::Relaxed, JsonMode::Canonical] {
            let (mut columns, mut bytes) = (String::new(), String::new());
            write_json(&Cell::Document(row.clone()), mode, &mut columns);
            let bson = DocumentCell::Bson(&normal);
            write_json(&Cell::Document(bson), mode, &mut bytes);
            assert_eq!(columns, bytes);
        }
    }
}

/// Encodes the document from its cells, without the shortcuts of `encode_document`.
fn rebuilt(document: &DocumentCell<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, cell) in document.entries() {
        element(key, &cell, &mut body);
    }
    grow::framed(&body)
}

fn element(key: &str, cell: &Cell<'_>, out: &mut Vec<u8>) {
    out.push(cell.element_type().byte());
    out.extend_from_slice(key.as_bytes());
    out.push(0);
    match cell {
        Cell::Document(document) => out.extend(rebuilt(document)),
        Cell::List(list) => out.extend(rebuilt_list(list)),
        Cell::CodeWithScope { scope, .. } => {
            assert_eq!(rebuilt(&DocumentCell::Bson(scope)), *scope);
            encode_cell(cell, out).expect("a cell that was read can be written");
        }
        cell => encode_cell(cell, out).expect("a cell that was read can be written"),
    }
}

fn rebuilt_list(list: &ListCell<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    for (index, cell) in list.items().enumerate() {
        element(&index.to_string(), &cell, &mut body);
    }
    grow::framed(&body)
}

/// Encoding is the inverse of the table: it gives the documents that are read from it, to the byte with shapes.
pub fn check_encode(data: &[u8]) {
    let Some((_, whole, limits)) = decoded(data) else {
        return;
    };
    let observed = ObservedTypes::of(&whole, 0);
    for representation in [Representation::exact(), Representation::plain()] {
        let Ok(schema) = observed.resolve(&limits, &representation) else {
            return;
        };
        let table = conform(&whole, &schema, &Policy::default()).unwrap();
        for (nulls, read) in [
            (encode::Nulls::Keep, Nulls::Keep),
            (encode::Nulls::Omit, Nulls::Omit),
        ] {
            let read = chunks_from_batch(&table, read).unwrap();
            let read: Vec<_> = read.iter().flat_map(rows).collect();
            let written = encoded(&table, Operation::Insert { make_ids: false }, nulls).unwrap();
            assert_eq!(written, read);
        }
        let written = encoded(
            &table,
            Operation::Insert { make_ids: false },
            encode::Nulls::Omit,
        );
        if let Ok(again) = chunk(&written.unwrap(), &DecodeOptions::default()) {
            // Values that a table keeps as BSON may nest deeper with other limits, so the schema is that of the first table.
            let again = conform(&again, &schema, &Policy::default()).unwrap();
            assert_eq!(again, table);
        }
        check_statements(&table);
    }
    let schema = observed.resolve(&limits, &Representation::exact()).unwrap();
    let Ok(shaped) = with_shapes(schema.arrow()) else {
        return;
    };
    let table = conform(&whole, &schema, &Policy::default()).unwrap();
    let table = add_shapes(&whole, &schema, &Policy::default(), &table, &shaped).unwrap();
    let operation = Operation::Insert { make_ids: false };
    let written = encoded(&table, operation, encode::Nulls::Omit).unwrap();
    assert_eq!(written, rows(&whole));
    check_statements(&table);
}

/// Statements by the first column are refused, or are documents.
fn check_statements(table: &RecordBatch) {
    let schema = table.schema();
    let Some(first) = schema.fields().first() else {
        return;
    };
    let on = vec![vec![first.name().as_str().into()]];
    for nulls in [encode::Nulls::Omit, encode::Nulls::Unset] {
        for nested in [Nested::Merge, Nested::Replace] {
            let update = Operation::Update {
                on: on.clone(),
                upsert: true,
                many: false,
                nested,
            };
            match encoded(table, update, nulls) {
                Ok(statements) => {
                    for statement in statements {
                        let keys = Elements::new(&statement).unwrap();
                        let keys = keys.map(|element| element.unwrap().key);
                        assert!(keys.eq([&b"q"[..], b"u", b"upsert"]));
                        assert_eq!(document_len(&statement, 0), Ok(statement.len()));
                    }
                }
                Err(error) => {
                    let internal = matches!(error.kind(), ErrorKind::Internal(_));
                    assert!(!internal, "{error}");
                }
            }
        }
    }
}

fn encoded(
    table: &RecordBatch,
    operation: Operation,
    nulls: encode::Nulls,
) -> data_bridge::error::Result<Vec<Vec<u8>>> {
    let hash_keys = !matches!(operation, Operation::Insert { .. });
    let options = EncodeOptions {
        operation,
        nulls,
        hash_keys,
        ..EncodeOptions::default()
    };
    let encoded = Plan::new(&table.schema(), options)?.encode(table, 0)?;
    Ok(encoded.iter().map(<[u8]>::to_vec).collect())
}
