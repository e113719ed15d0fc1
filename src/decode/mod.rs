//! L4: conversion of an index to a Chunk, column by column, in tight loops whose types are known in advance.

mod binary;
mod column;
mod duplicates;
mod frame;
mod nested;
mod primitive;
mod tagged;
mod text;

use std::cell::Cell;
use std::sync::Arc;

use crate::chunk::{Chunk, DuplicateKeys};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{index_piece, Limits, Node, ScanStop};
use crate::raw::{document_len, normalise_document, validate, Malformed, TextPolicy};
use frame::Frame;

/// Options of decoding.
#[derive(Clone, Copy, Debug, Default)]
pub struct DecodeOptions {
    /// Policy for text that is not UTF-8.
    pub text: TextPolicy,
    /// Limits of the columns.
    pub limits: Limits,
}

/// Decodes the documents that start at `offsets` in `bytes`, all or none.
///
/// # Errors
/// A decode error with the location in the first malformed document; document numbers count from 0 in `offsets`.
/// `InvalidArgument` for 4 GiB of `bytes` or more, because positions are 32 bits wide.
pub fn decode(bytes: &[u8], offsets: &[u32], options: &DecodeOptions) -> Result<Chunk> {
    if bytes.len() >= u32::MAX as usize {
        let text = "4 GiB or more cannot be decoded as one piece";
        return Err(Error::new(ErrorKind::InvalidArgument(text.into())));
    }
    let starts = || offsets.iter().map(|&offset| offset as usize);
    let made = match index_piece(bytes, starts(), options.text, options.limits) {
        Ok(root) => gather(bytes, root, options, 0)
            .map_err(|malformed| locate_error(bytes, offsets, options.text, malformed)),
        Err(ScanStop::Malformed(malformed)) => {
            Err(locate_error(bytes, offsets, options.text, malformed))
        }
        Err(ScanStop::Duplicate) => decode_normalised(bytes, offsets, options)
            .map_err(|malformed| locate_error(bytes, offsets, options.text, malformed)),
    };
    let mut chunk = made?;
    if chunk.duplicates > 0 {
        chunk.duplicate_keys = duplicates::find(bytes, offsets, options.text);
    }
    Ok(chunk)
}

/// Decodes a piece in which a document holds a key twice, by bringing all documents into normal form first. Slow, but
/// rare.
fn decode_normalised(
    bytes: &[u8],
    offsets: &[u32],
    options: &DecodeOptions,
) -> Result<Chunk, Malformed> {
    let mut normal = Vec::with_capacity(bytes.len());
    let mut starts = Vec::with_capacity(offsets.len());
    let mut duplicates = 0;
    for &offset in offsets {
        starts.push(normal.len());
        let start = offset as usize;
        let len = document_len(bytes, start)?;
        duplicates += normalise_document(&bytes[start..start + len], 1, options.text, &mut normal)?;
        if normal.len() >= u32::MAX as usize {
            return Err(Malformed {
                offset: 0,
                reason: "4 GiB or more in normal form in one piece",
            });
        }
    }
    match index_piece(&normal, starts.into_iter(), options.text, options.limits) {
        Ok(root) => gather(&normal, root, options, duplicates),
        Err(ScanStop::Malformed(malformed)) => Err(malformed),
        Err(ScanStop::Duplicate) => Err(Malformed {
            offset: 0,
            reason: "a key occurs twice after normalisation",
        }),
    }
}

fn gather(
    bytes: &[u8],
    root: Node,
    options: &DecodeOptions,
    duplicates: u64,
) -> Result<Chunk, Malformed> {
    let gather = Gather {
        bytes,
        text: options.text,
        duplicates: Cell::new(duplicates),
    };
    let frame = Frame::whole(root.rows as usize);
    let documents = gather.documents(&root, &frame, 1)?;
    Ok(Chunk {
        documents: Arc::new(documents),
        bytes: bytes.len(),
        duplicates: gather.duplicates.get(),
        duplicate_keys: DuplicateKeys::default(),
    })
}

/// The input of every gather.
struct Gather<'a> {
    bytes: &'a [u8],
    text: TextPolicy,
    /// Number of keys merged so far. Duplicate keys in cells kept as BSON are detected only here.
    duplicates: Cell<u64>,
}

impl Gather<'_> {
    fn count_duplicates(&self, more: u64) {
        self.duplicates.set(self.duplicates.get() + more);
    }
}

/// Locates the error in the first malformed document.
#[cold]
fn locate_error(bytes: &[u8], offsets: &[u32], text: TextPolicy, malformed: Malformed) -> Error {
    for (number, &offset) in offsets.iter().enumerate() {
        let start = offset as usize;
        let there = bytes.get(start..).unwrap_or_default();
        let len = document_len(there, 0).unwrap_or(there.len());
        if let Err(mut error) = validate(&there[..len], text) {
            error.location_mut().document = Some(number as u64);
            return error;
        }
    }
    // The fast and the slow check disagree: a bug. An error is still better than a wrong result.
    Error::decode(malformed.offset, malformed.reason)
}
