//! Bytes that are not BSON give an error with document, offset and path, at any position of the document. They never
//! cause a panic or a partial piece.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

#[path = "../fuzz/checks.rs"]
mod checks;
mod schema_documents;

use std::sync::Arc;
use std::time::Duration;

use data_bridge::chunk::Cell;
use data_bridge::decode::{decode, DecodeOptions};
use data_bridge::error::{Error, ErrorKind, PathDisplay, Step};
use data_bridge::raw::TextPolicy;
use data_bridge::reader::{Framing, Progress, Reader, ReaderOptions, Reply, ReplySource};
use schema_documents::{bytes, document, int, list, one_of_each, text, Value};

fn good() -> Vec<u8> {
    bytes(&[("_id", int(1)), ("v", text("fine"))])
}

/// Returns `broken` as the first, a middle and the last document of five.
fn placed(broken: &[u8]) -> impl Iterator<Item = (usize, Vec<Vec<u8>>)> + '_ {
    [0, 2, 4].into_iter().map(|place| {
        let mut documents = vec![good(); 5];
        documents[place] = broken.to_vec();
        (place, documents)
    })
}

/// Returns the error of a piece with `broken` at any position, after checking that all readers report the same error.
fn refused(broken: &[u8]) -> Error {
    let mut errors = Vec::new();
    for (place, documents) in placed(broken) {
        let offsets: Vec<u32> = documents
            .iter()
            .scan(0, |at, document| {
                let start = *at;
                *at += document.len() as u32;
                Some(start)
            })
            .collect();
        let mut error =
            decode(&documents.concat(), &offsets, &DecodeOptions::default()).unwrap_err();
        assert_eq!(error.location().document, Some(place as u64), "{error}");
        for framing in [Framing::Concatenated, Framing::List] {
            for eager in [false, true] {
                let found = read(&documents, framing, eager);
                assert_eq!(found.kind(), error.kind());
                assert_eq!(found.location(), error.location());
            }
        }
        error.location_mut().document = None;
        errors.push(error);
    }
    let last = errors.pop().unwrap();
    // A wrong length extends into the following bytes, so the reason may differ; the kind is equal.
    for error in errors {
        assert!(matches!(error.kind(), ErrorKind::Decode { .. }), "{error}");
    }
    last
}

/// Returns the error of reading `documents` as one piece.
fn read(documents: &[Vec<u8>], framing: Framing, eager: bool) -> Error {
    let mut all = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        if framing == Framing::List {
            all.extend([&[3][..], index.to_string().as_bytes(), &[0]].concat());
        }
        all.extend_from_slice(document);
    }
    let len = all.len();
    let reply = Reply::new(Arc::new(all), 0..len, framing);
    let options = ReaderOptions {
        eager,
        ..ReaderOptions::default()
    };
    let mut reader = Reader::new(Box::new(ReplySource::new(vec![reply])), options);
    loop {
        match reader.poll(Duration::from_secs(60)) {
            // Valid documents before one with a malformed frame form a piece.
            Ok(Progress::Chunk(decoded)) => assert_eq!(decoded.first_row, 0),
            Ok(_) => panic!("the end, or nothing"),
            Err(error) => {
                assert!(matches!(reader.poll(Duration::ZERO), Ok(Progress::End)));
                return error;
            }
        }
    }
}

fn with(value: Value) -> Vec<u8> {
    bytes(&[("_id", int(7)), ("v", value)])
}

/// The contents of the test documents: all types, some of them nested.
fn sound() -> Vec<Vec<u8>> {
    let mut documents: Vec<_> = one_of_each().into_iter().map(with).collect();
    let all = one_of_each();
    documents.push(with(list(&all)));
    documents.push(with(document(&[(
        "a",
        list(&[document(&[("b", text("é"))])]),
    )])));
    documents.push(with(list(&[
        list(&[all[14].clone()]),
        document(&[("", int(1))]),
    ])));
    documents.push(bytes(&[("a", int(1)), ("b", int(2)), ("a", text("twice"))]));
    documents.push(bytes::<&str>(&[]));
    documents
}

#[test]
fn decoder_and_exact_check_agree_on_truncations_and_bit_flips() {
    let mut inputs = 0u32;
    for sound in sound() {
        let flips = (0..sound.len() * 8).map(|bit| {
            let mut flipped = sound.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        });
        let cuts = (0..sound.len()).map(|end| sound[..end].to_vec());
        for changed in flips.chain(cuts) {
            for text in 0..3 {
                checks::check_decode(&[&[text, 0, 0][..], &changed].concat());
            }
            for (_, documents) in placed(&changed) {
                checks::check_decode(&[&[0, 0, 0][..], &documents.concat()].concat());
            }
            // With columns of one level only, the same bytes are read as cells kept as BSON.
            checks::check_decode(&[&[0, 1, 0][..], &changed].concat());
            inputs += 7;
        }
    }
    assert!(inputs > 20_000, "{inputs}");
}

#[test]
fn every_truncation_of_the_last_document_is_refused() {
    for sound in sound() {
        for end in 1..sound.len() {
            let documents = [good(), sound[..end].to_vec()];
            let all = documents.concat();
            let error = decode(&all, &[0, good().len() as u32], &DecodeOptions::default());
            let error = error.unwrap_err();
            assert_eq!(error.location().document, Some(1), "{error}");
            for framing in [Framing::Concatenated, Framing::List] {
                let error = read(&documents, framing, false);
                assert_eq!(error.location().document, Some(1), "{error}");
            }
        }
    }
}

#[test]
fn errors_name_the_fault() {
    let scope = |inner: &[u8]| {
        let body = [&b"\x02\0\0\0f\0"[..], inner].concat();
        (
            0x0F,
            [&(body.len() as i32 + 4).to_le_bytes()[..], &body].concat(),
        )
    };
    // The value of "v" starts at byte 16: length 4, _id 9, type and key 3.
    for (value, offset, path, reason) in [
        ((0x14, vec![]), 13, r#"["v"]"#, "unknown element type"),
        ((0x08, vec![2]), 16, r#"["v"]"#, "boolean"),
        (
            (0x02, b"\x02\0\0\0\xff\0".to_vec()),
            20,
            r#"["v"]"#,
            "UTF-8",
        ),
        (
            (0x0D, b"\x03\0\0\0a\xff\0".to_vec()),
            21,
            r#"["v"]"#,
            "UTF-8",
        ),
        (
            (0x0E, b"\x02\0\0\0\xff\0".to_vec()),
            20,
            r#"["v"]"#,
            "UTF-8",
        ),
        ((0x0B, b"a\xff\0\0".to_vec()), 17, r#"["v"]"#, "UTF-8"),
        ((0x0B, b"a\0\xff\0".to_vec()), 18, r#"["v"]"#, "UTF-8"),
        (
            (0x0C, b"\x02\0\0\0\xff\0............".to_vec()),
            20,
            r#"["v"]"#,
            "UTF-8",
        ),
        ((0x02, b"\x02\0\0\0ab".to_vec()), 21, r#"["v"]"#, "NUL"),
        ((0x02, b"\0\0\0\0".to_vec()), 16, r#"["v"]"#, "under 1"),
        (
            (0x05, b"\xff\xff\xff\xff\0".to_vec()),
            16,
            r#"["v"]"#,
            "negative",
        ),
        (
            (0x05, b"\x04\0\0\0\x02\x01\0\0\0".to_vec()),
            21,
            r#"["v"]"#,
            "subtype 2",
        ),
        ((0x03, b"\x05\0\0\0\x01".to_vec()), 20, r#"["v"]"#, "NUL"),
        ((0x04, b"\x04\0\0\0".to_vec()), 16, r#"["v"]"#, "under 5"),
        (
            list(&[int(1), (0x08, vec![3])]),
            30,
            r#"["v"][1]"#,
            "boolean",
        ),
        (
            document(&[("a.b", list(&[document(&[("", (0x08, vec![3]))])]))]),
            38,
            r#"["v"]["a.b"][0][""]"#,
            "boolean",
        ),
        (
            scope(&bytes(&[("x", (0x08, vec![9]))])),
            33,
            r#"["v"]["x"]"#,
            "boolean",
        ),
    ] {
        let error = refused(&with(value));
        assert!(error.to_string().contains(reason), "{error}: no {reason}");
        assert_eq!(
            PathDisplay(&error.location().path).to_string(),
            path,
            "{error}"
        );
        let ErrorKind::Decode { offset: found, .. } = error.kind() else {
            panic!("{error}")
        };
        assert_eq!(*found, offset, "{error}");
        let id = error.location().id.as_ref().map(ToString::to_string);
        assert_eq!(id.as_deref(), Some("7"), "{error}");
    }
    let mut key = with(int(1));
    key[14] = 0xff;
    let error = refused(&key);
    assert_eq!(
        error.to_string(),
        "malformed BSON: a key is not UTF-8 at byte 14 (_id 7, path [\"\u{FFFD}\"])"
    );
    let mut endless = with(int(1));
    let last = endless.len() - 1;
    endless[last] = 1;
    assert!(refused(&endless).to_string().contains("NUL"));
}

#[test]
fn wrong_lengths_are_refused() {
    let each = one_of_each();
    // The positions of the value's length fields, from the value's start.
    let fields: [(usize, &[usize]); 8] = [
        (1, &[0]),         // string
        (2, &[0]),         // document
        (3, &[0]),         // list
        (4, &[0]),         // binary
        (11, &[0]),        // dbPointer
        (12, &[0]),        // code
        (13, &[0]),        // symbol
        (14, &[0, 4, 12]), // code with scope: itself, its code, its scope
    ];
    let v = Step::Key("v".into());
    for (kind, at) in fields {
        for &at in at {
            for outer in [with as fn(Value) -> Vec<u8>, |value| with(list(&[value]))] {
                let sound = outer(each[kind].clone());
                let value = sound
                    .windows(each[kind].1.len())
                    .position(|window| window == each[kind].1)
                    .unwrap();
                let field = value + at..value + at + 4;
                let honest = i32::from_le_bytes(sound[field.clone()].try_into().unwrap());
                for lie in [honest + 1, honest - 1, 0, 4, -1, i32::MIN, i32::MAX] {
                    if lie == honest {
                        continue;
                    }
                    let mut broken = sound.clone();
                    broken[field.clone()].copy_from_slice(&lie.to_le_bytes());
                    let error = refused(&broken);
                    let ErrorKind::Decode { offset, .. } = error.kind() else {
                        panic!("{error}")
                    };
                    assert!(*offset >= value as u64, "{kind} {lie}: {error}");
                    // If a value is too short, the following bytes form an element, possibly without a key.
                    let short = (0..honest).contains(&lie);
                    assert!(
                        short || error.location().path.first() == Some(&v),
                        "{error}"
                    );
                }
            }
        }
    }
    // The document's own length: an error of the frame has no path and no certain offset.
    for lie in [0, 4, -1, i32::MIN, i32::MAX] {
        let mut broken = good();
        broken[..4].copy_from_slice(&lie.to_le_bytes());
        refused(&broken);
    }
}

/// Returns `levels` nested documents, lists or scopes, written from both ends because copying would be quadratic.
fn nested(levels: usize, kind: fn(usize) -> u8) -> Vec<u8> {
    let mut lengths = vec![5i32];
    for level in (1..levels).rev() {
        let scope = if kind(level) == 0x0F { 9 } else { 0 };
        lengths.push(lengths[lengths.len() - 1] + 8 + scope);
    }
    let mut out = Vec::new();
    for (level, len) in (1..levels).zip(lengths.iter().rev()) {
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&[kind(level), b'0', 0]);
        if kind(level) == 0x0F {
            out.extend_from_slice(&(len - 8).to_le_bytes());
            out.extend_from_slice(b"\x01\0\0\0\0");
        }
    }
    out.extend_from_slice(&[5, 0, 0, 0, 0]);
    out.extend(vec![0; levels - 1]);
    out
}

#[test]
fn two_hundred_levels_of_any_kind_and_no_more() {
    let kinds: [fn(usize) -> u8; 4] = [
        |_| 0x03,
        |_| 0x04,
        |_| 0x0F,
        |level| [0x03, 0x04, 0x0F][level % 3],
    ];
    for kind in kinds {
        let deepest = nested(200, kind);
        for max_levels in [1, 48, 199, u32::MAX] {
            let mut options = DecodeOptions::default();
            options.limits.max_levels = max_levels;
            decode(&deepest, &[0], &options).unwrap();
            let error = decode(&nested(201, kind), &[0], &options).unwrap_err();
            assert_eq!(error.location().path.len(), 200);
        }
        checks::check_decode(&[&[0, 0, 0][..], &deepest].concat());
        checks::check_view(&[&[0, 0, 0][..], &deepest].concat());
        checks::check_table(&[&[0, 0, 0][..], &deepest].concat());
        for levels in [201, 100_000, 2_000_000] {
            let error = refused(&nested(levels, kind));
            assert!(error.to_string().contains("too deep"));
            assert_eq!(error.location().path.len(), 200);
        }
    }
}

#[test]
fn a_reply_that_holds_no_documents_is_refused() {
    let len = 8;
    for bytes in [b"\x10_id\0\0\0\0", b"\x03000000\0", b"\x03noNULno"] {
        let reply = Reply::new(Arc::new(bytes.to_vec()), 0..len, Framing::List);
        let mut reader = Reader::new(
            Box::new(ReplySource::new(vec![reply])),
            ReaderOptions::default(),
        );
        let Err(error) = reader.poll(Duration::ZERO) else {
            panic!("accepted")
        };
        assert_eq!(error.location().document, Some(0));
        assert_eq!(error.location().id, None);
    }
}

#[test]
fn a_start_past_the_end_is_an_error() {
    let error = decode(&good(), &[0, 1000], &DecodeOptions::default()).unwrap_err();
    assert_eq!(error.location().document, Some(1));
}

#[test]
#[ignore = "4 GiB of memory, none of it touched"]
fn four_gigabytes_in_one_piece_are_refused() {
    let mut bytes = vec![0; 1 << 32];
    let good = good();
    bytes[..good.len()].copy_from_slice(&good);
    let error = decode(&bytes, &[0], &DecodeOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)));
    bytes.truncate(u32::MAX as usize - 1);
    assert_eq!(
        decode(&bytes, &[0], &DecodeOptions::default())
            .unwrap()
            .rows(),
        1
    );
}

/// Different keys that are not UTF-8 may decode to equal text. They are then one key, and the last value wins.
#[test]
fn keys_with_equal_text_are_one_key() {
    let int = |key: &[u8], value: u8| [&[0x10], key, &[0, value, 0, 0, 0]].concat();
    let framed = |body: Vec<Vec<u8>>| {
        let body = body.concat();
        [&(body.len() as i32 + 5).to_le_bytes()[..], &body, &[0]].concat()
    };
    let replaced = "\u{FFFD}".as_bytes();
    let documents = [
        framed(vec![int(b"\xff", 1)]),
        framed(vec![int(b"\xfe", 2), int(replaced, 3), int(b"\xff", 4)]),
        framed(vec![int(replaced, 5)]),
    ];
    let expected = |text| match text {
        TextPolicy::Replace => (vec!["\u{FFFD}"], 2),
        _ => (vec!["", "\u{FFFD}"], 1),
    };
    for text in [TextPolicy::Replace, TextPolicy::Ignore] {
        let options = DecodeOptions {
            text,
            ..DecodeOptions::default()
        };
        let chunk = schema_documents::chunk_with(&documents, &options);
        let names: Vec<_> = chunk
            .documents
            .fields()
            .iter()
            .map(|field| field.name.to_string())
            .collect();
        assert_eq!(
            (names.iter().map(String::as_str).collect(), chunk.duplicates),
            expected(text)
        );
        let Cell::Int32(last) = chunk.documents.fields()[0].column.cell(1) else {
            panic!("no int32")
        };
        assert_eq!(last, 4);
        let settings = if text == TextPolicy::Replace { 1 } else { 2 };
        let data = [&[settings, 0, 1][..], &documents.concat()].concat();
        checks::check_decode(&data);
        checks::check_table(&data);
        checks::check_view(&data);
    }
}
