//! Detection of other formats in the place of BSON, by their first bytes, after these failed to be a document.

/// Returns the format that `bytes` start with and the action to take; `None` for an unknown format.
///
/// Call it only for bytes that are not a valid document: a document of 559,903 bytes starts like gzip data.
pub fn other_format(bytes: &[u8]) -> Option<&'static str> {
    const FORMATS: [(&[u8], &str); 8] = [
        (
            b"\x1f\x8b\x08",
            "this is gzip data (decompress it with gunzip, or pass gzip.open(path))",
        ),
        (
            b"\x28\xb5\x2f\xfd",
            "this is zstd data (decompress it with `zstd -d`, or pass a file object that decompresses it)",
        ),
        // The magic number of an archive: 0x8199e26d, little-endian.
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
    ];
    const ARROW_STREAM: &str =
        "this is an Arrow stream (read it with pyarrow or polars, and pass the table to from_arrow)";
    const JSON: &str = "this is JSON text (bson.json_util.loads() reads what mongoexport wrote)";

    let found = FORMATS.iter().find(|(magic, _)| bytes.starts_with(magic));
    found.map(|(_, meaning)| *meaning).or_else(|| {
        if starts_arrow_stream(bytes) {
            return Some(ARROW_STREAM);
        }
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

/// Returns whether `bytes` start with a message of an Arrow stream: a marker, the length of the metadata, and the offset
/// of the metadata's root table. The marker alone is also the length of a corrupt document, -1.
fn starts_arrow_stream(bytes: &[u8]) -> bool {
    const MAX_METADATA: u32 = 1 << 24;
    let word = |at: usize| {
        bytes
            .get(at..)?
            .first_chunk()
            .copied()
            .map(u32::from_le_bytes)
    };
    match (word(0), word(4), word(8)) {
        (Some(u32::MAX), Some(length), Some(root)) => {
            length < MAX_METADATA && length.is_multiple_of(8) && root != 0 && root < length
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_detected_by_its_first_bytes() {
        for (bytes, word) in [
            (&b"\x1f\x8b\x08\0"[..], "gzip"),
            (b"\x28\xb5\x2f\xfd\0", "zstd"),
            (&0x8199_e26d_u32.to_le_bytes(), "mongorestore"),
            (b"\xff\xff\xff\xff\x78\0\0\0\x10\0\0\0", "Arrow stream"),
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
            b"\xff\xff\xff\xff",
            b"\xff\xff\xff\xff\x10_id\0\x01\0\0\0\0",
            b"\xff\xff\xff\xff\x08a\0\x01\0",
            b"[",
        ] {
            assert_eq!(other_format(bytes), None);
        }
    }
}
