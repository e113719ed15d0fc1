//! Input of the core's benchmarks: files of BSON documents, split into pieces like the replies of a reader.

use std::io;
use std::path::Path;

use arrow_array::RecordBatch;
use data_bridge::conform::{conform, Policy};
use data_bridge::decode::{decode, DecodeOptions};
use data_bridge::error::Error;
use data_bridge::raw::{document_len, key_len, value_len, ElementType};
use data_bridge::schema::{Limits, ObservedTypes, Representation};

/// Size of a piece in bytes: the piece size of a reader.
const PIECE: usize = 1 << 20;

/// Documents decoded together.
pub struct Piece {
    /// The concatenated documents.
    pub bytes: Vec<u8>,
    /// The start of each document.
    pub offsets: Vec<u32>,
}

/// Reads the documents of the file at `path` as pieces.
///
/// # Errors
/// When the file cannot be read, or does not hold complete BSON documents.
pub fn read(path: &Path) -> io::Result<Vec<Piece>> {
    let bytes = std::fs::read(path)?;
    let mut pieces = Vec::new();
    let (mut start, mut at, mut offsets) = (0, 0, Vec::new());
    while at < bytes.len() {
        offsets.push((at - start) as u32);
        at += document_len(&bytes, at)
            .map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed.reason))?;
        if at - start >= PIECE || at == bytes.len() {
            pieces.push(Piece {
                bytes: bytes[start..at].to_vec(),
                offsets: std::mem::take(&mut offsets),
            });
            start = at;
        }
    }
    Ok(pieces)
}

/// Returns the exact table of the documents of `piece`.
///
/// # Errors
/// When the documents are not valid BSON.
pub fn table(piece: &Piece) -> Result<RecordBatch, Error> {
    let chunk = decode(&piece.bytes, &piece.offsets, &DecodeOptions::default())?;
    let observed = ObservedTypes::of(&chunk, 0);
    let schema = observed.resolve(&Limits::default(), &Representation::exact())?;
    conform(&chunk, &schema, &Policy::default())
}

/// Counts the elements of the documents of `piece`, including nested ones: the minimum work of a decoder, which is to
/// read every header.
pub fn walk(piece: &Piece) -> u64 {
    piece
        .offsets
        .iter()
        .map(|&offset| walk_document(&piece.bytes, offset as usize).0)
        .sum()
}

/// Returns the number of elements of the document at `at`, and its end.
fn walk_document(bytes: &[u8], at: usize) -> (u64, usize) {
    let Ok(len) = document_len(bytes, at) else {
        return (0, bytes.len());
    };
    let end = at + len - 1;
    let (mut at, mut elements) = (at + 4, 0);
    while at < end {
        elements += 1;
        let Some(kind) = ElementType::from_byte(bytes[at]) else {
            break;
        };
        let Ok(key) = key_len(&bytes[..end], at + 1) else {
            break;
        };
        at += key + 2;
        if matches!(kind, ElementType::Document | ElementType::List) {
            let (inside, after) = walk_document(bytes, at);
            elements += inside;
            at = after;
        } else {
            let Ok(len) = value_len(kind, &bytes[..end], at) else {
                break;
            };
            at += len;
        }
    }
    (elements, end + 1)
}
