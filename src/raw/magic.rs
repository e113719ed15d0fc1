//! Other formats that are handed over as BSON: told by their first bytes, once those turned out to be no document.

/// The format that `bytes` start with, and the way to its documents; nothing for bytes that no known format starts with.
///
/// A document may start like gzip data (its length is then 559,903 bytes), so only what is no document is looked at.
pub fn other_format(bytes: &[u8]) -> Option<&'static str> {
    const FORMATS: [(&[u8], &str); 9] = [
        (
            b"\x1f\x8b\x08",
            "this is gzip data (decompress it with gunzip, or pass gzip.open(path))",
        ),
        (
            b"\x28\xb5\x2f\xfd",
            "this is zstd data (decompress it with `zstd -d`, or pass a file object that decompresses it)",
        ),
        // 0x8199e26d, little-endian: an archive's prelude.
        (
            b"\x6d\xe2\x99\x81",
            "this is an archive of mongodump (restore it with `mongorestore --archive`, or dump with `mongodump --out`, \
             which writes a BSON file for each collection)",
        ),
        (
            b"\xfd7zXZ\0",
            "this is xz data (decompress it with unxz, or pass lzma.open(path))",
        ),
        (
            b"BZh",
            "this is bzip2 data (decompress it with bunzip2, or pass bz2.open(path))",
        ),
        (b"PK\x03\x04", "this is a ZIP archive (unpack it)"),
        (
            b"PAR1",
            "this is a Parquet file (read it with pyarrow or polars, and pass the table to from_arrow)",
        ),
        (
            b"ARROW1",
            "this is an Arrow file (read it with pyarrow or polars, and pass the table to from_arrow)",
        ),
        (
            b"\xff\xff\xff\xff",
            "this is an Arrow stream (read it with pyarrow or polars, and pass the table to from_arrow)",
        ),
    ];
    const JSON: &str = "this is JSON text (bson.json_util.loads() reads what mongoexport wrote)";

    let found = FORMATS.iter().find(|(magic, _)| bytes.starts_with(magic));
    found.map(|(_, meaning)| *meaning).or_else(|| {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = text.trim_ascii_start();
        let inside = match text.split_first() {
            Some((b'{', inside)) => inside.trim_ascii_start(),
            Some((b'[', inside)) => {
                return inside.trim_ascii_start().starts_with(b"{").then_some(JSON)
            }
            _ => return None,
        };
        inside.starts_with(b"\"").then_some(JSON)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_format_starts_with_is_named() {
        for (bytes, word) in [
            (&b"\x1f\x8b\x08\0"[..], "gzip"),
            (b"\x28\xb5\x2f\xfd\0", "zstd"),
            (&0x8199_e26d_u32.to_le_bytes(), "mongorestore"),
            (b" {\"a\": 1}", "JSON"),
            (b"[\n{\"a\": 1}]", "JSON"),
            (b"\xef\xbb\xbf{ \"a\": 1}", "JSON"),
        ] {
            assert!(other_format(bytes).is_some_and(|text| text.contains(word)));
        }
        for bytes in [
            &b""[..],
            b"\x1f\x8b",
            b"\x05\0\0\0\0",
            b"{",
            b"{\0\0\0\x02",
            b"[",
        ] {
            assert_eq!(other_format(bytes), None);
        }
    }
}
