//! Memory costs of small inputs. The column limits change only the storage of cells, not their values.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

mod schema_documents;

use data_bridge::chunk::{Chunk, Values};
use data_bridge::decode::{decode, DecodeOptions};
use schema_documents::{bytes, chunk, document, int, list, null, Value};

fn wide(keys: usize) -> Vec<(String, Value)> {
    (0..keys).map(|n| (format!("{n:x}"), null())).collect()
}

/// Returns the chunk of `bytes`, and the peak memory growth of the process during decoding.
fn measured(bytes: &[u8]) -> (Chunk, usize) {
    let peak = || -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kilobytes.parse::<usize>().unwrap() << 10
    };
    std::fs::write("/proc/self/clear_refs", "5").unwrap(); // resets VmHWM
    let before = peak();
    let chunk = decode(bytes, &[0], &DecodeOptions::default()).unwrap();
    (chunk, peak() - before)
}

/// The other tests of this file may run at the same time, but they are too small to matter.
#[test]
#[cfg(target_os = "linux")]
fn memory_is_proportional_to_document_size() {
    let keys = document(&wide(1_000_000));
    for (name, value, times) in [
        ("a wide document", keys.clone(), 4),
        ("a list of wide documents", list(&[keys.clone(), keys]), 4),
        ("a list of nulls", list(&vec![null(); 2_000_000]), 4),
        (
            "a list of empty documents",
            list(&vec![document::<&str>(&[]); 1_000_000]),
            4,
        ),
    ] {
        let bytes = bytes(&[("v", value)]);
        let (chunk, grown) = measured(&bytes);
        assert_eq!(chunk.rows(), 1);
        eprintln!("{name}: {} bytes, {grown} more", bytes.len());
        assert!(
            grown < times * bytes.len() + (8 << 20),
            "{name}: {} bytes became {grown}",
            bytes.len()
        );
    }
}

#[test]
fn a_document_too_wide_for_columns_is_read_to_its_end() {
    let normal = |keys: usize, last: Value| {
        let mut fields = wide(keys);
        fields.push(("last".into(), last));
        bytes(&[("w", document(&fields)), ("after", int(1))])
    };
    for keys in [998, 999, 1000, 1500] {
        let chunk = chunk(&[normal(3, int(1)), normal(keys, int(1)), normal(2, null())]);
        let fields = chunk.documents.fields();
        let tagged = matches!(fields[0].column.values(), Values::Tagged(_));
        assert_eq!(tagged, keys + 1 > 1000, "{keys}");
        assert!(matches!(fields[1].column.values(), Values::Int32(_)));
        let broken = normal(keys, (0x08, vec![2]));
        let error = decode(&broken, &[0], &DecodeOptions::default()).unwrap_err();
        assert_eq!(error.location().path.len(), 2, "{error}");
    }
}

#[test]
fn duplicates_are_counted_at_every_path() {
    let twice = document(&[("a", int(1)), ("a", int(2))]);
    let scope = |inner: &Value| {
        let body = [&b"\x02\0\0\0f\0"[..], &inner.1].concat();
        let len = (body.len() as i32 + 4).to_le_bytes();
        (0x0F, [&len[..], &body].concat())
    };
    let documents = [
        bytes(&[("v", int(1)), ("s", scope(&twice))]),
        bytes(&[("v", twice.clone())]), // kept as BSON beside the integer
        bytes(&[("v", list(&[twice.clone(), int(1), twice.clone()]))]),
        bytes(&[("v", twice.clone()), ("v", twice)]),
    ];
    let each: Vec<_> = documents
        .iter()
        .map(|document| chunk(std::slice::from_ref(document)).duplicates)
        .collect();
    assert_eq!(each, [1, 1, 2, 2]); // duplicate keys in a dropped value are not searched
    for end in 1..=documents.len() {
        let sum: u64 = each[..end].iter().sum();
        assert_eq!(chunk(&documents[..end]).duplicates, sum, "{end}");
    }
}
