//! One piece of a batch: its rows as documents or statements.

use arrow_array::RecordBatch;

use super::document::DocumentWriter;
use super::encoded::{Piece, Skipped};
use super::key::KeyWriter;
use super::object_ids::ObjectIds;
use super::output::{Header, Output};
use super::update::UpdateWriter;
use super::{EncodeOptions, Nulls, Operation};
use crate::chunk::{Chunk, Documents};
use crate::conform::{chunks_from_batch, columns_from_batch, shapes_column, BatchColumns};
use crate::error::{Error, ErrorKind, Result};
use crate::raw::ElementType;

/// The rows of a piece, as columns.
pub(super) enum Rows {
    /// The columns of a batch: each row has all of them, and the options say what Arrow's null is.
    Columns(BatchColumns),
    /// Documents of a table with shapes, which distinguish null from missing.
    Chunks(Vec<Chunk>),
}

impl Rows {
    /// Reads the rows of `batch`.
    pub(super) fn read(batch: &RecordBatch, options: &EncodeOptions) -> Result<Rows> {
        if shapes_column(&batch.schema()).is_some() {
            return Ok(Rows::Chunks(chunks_from_batch(
                batch,
                crate::conform::Nulls::Keep,
            )?));
        }
        Ok(Rows::Columns(columns_from_batch(batch, options.lossy())?))
    }

    /// Writes all rows. `ids` are for documents without an `_id`.
    ///
    /// # Errors
    /// An error with the row, counted from 0 in the piece.
    pub(super) fn write(
        &self,
        options: &EncodeOptions,
        ids: Option<(&ObjectIds, usize)>,
        expected: usize,
    ) -> Result<Piece> {
        let mut writer = PieceWriter {
            options,
            ids,
            out: Output::new(expected),
            ends: Vec::new(),
            key_hashes: Vec::new(),
        };
        match self {
            Rows::Columns(columns) => {
                let keeps_null = options.nulls == Nulls::Keep;
                writer.write(&columns.documents, keeps_null)?;
            }
            Rows::Chunks(chunks) => {
                for chunk in chunks {
                    let first = writer.ends.len() as u64;
                    // A key that no document of the chunk has is missing in its first one.
                    writer.write(&chunk.documents, true).map_err(|mut error| {
                        error.location_mut().document.get_or_insert(first);
                        error
                    })?;
                }
            }
        }
        Ok(Piece {
            bytes: writer.out.into_bytes(),
            ends: writer.ends,
            key_hashes: writer.key_hashes,
            skipped: self.skipped(),
        })
    }

    fn skipped(&self) -> Vec<Skipped> {
        let losses = match self {
            Rows::Columns(columns) => &columns.losses[..],
            Rows::Chunks(_) => &[],
        };
        let skipped = losses.iter().map(|loss| Skipped {
            path: loss.path.clone(),
            nulled: loss.nulled,
            rounded: loss.rounded,
            first_row: loss.first_row,
        });
        skipped.collect()
    }
}

struct PieceWriter<'a> {
    options: &'a EncodeOptions,
    /// Ids, and the number of the first.
    ids: Option<(&'a ObjectIds, usize)>,
    out: Output,
    ends: Vec<usize>,
    key_hashes: Vec<u128>,
}

impl PieceWriter<'_> {
    fn write(&mut self, documents: &Documents, keeps_null: bool) -> Result<()> {
        let writer = DocumentWriter::new(documents, keeps_null);
        let writer = &writer;
        let nulls = self.options.nulls;
        let options = self.options;
        match &options.operation {
            Operation::Insert { .. } => self.documents(writer),
            Operation::Update {
                on,
                upsert,
                many,
                nested,
            } => {
                let keys = KeyWriter::new(writer, on)?;
                let update = UpdateWriter::new(writer, on, *nested, nulls, *upsert)?;
                let flags = flags(&[("upsert", *upsert), ("multi", *many)]);
                self.statements(writer, &keys, &flags, |row, out| {
                    let write_keys =
                        |name: &Header, out: &mut Output| keys.write(name, row, false, out);
                    update.write(row, nulls, write_keys, out)
                })
            }
            Operation::Replace { on, upsert } => {
                let keys = KeyWriter::new(writer, on)?;
                let u = Header::new(ElementType::Document, "u");
                let flags = flags(&[("upsert", *upsert)]);
                self.statements(writer, &keys, &flags, |row, out| {
                    let start = out.begin_element(&u);
                    writer.write_elements(row, out);
                    out.end(start);
                    Ok(())
                })
            }
            Operation::Delete { on, many } => {
                let keys = KeyWriter::new(writer, on)?;
                let limit = i32::from(!*many).to_le_bytes();
                let header = Header::new(ElementType::Int32, "limit");
                self.statements(writer, &keys, &[], |_, out| {
                    out.element(&header, limit);
                    Ok(())
                })
            }
        }
    }

    fn documents(&mut self, writer: &DocumentWriter<'_>) -> Result<()> {
        let id = writer.documents().position("_id");
        let id_header = Header::new(ElementType::ObjectId, "_id");
        for row in 0..writer.documents().len() {
            self.out.limit_to(self.options.max_document_bytes);
            let start = self.out.begin();
            if let Some((ids, first)) = self.ids {
                if !id.is_some_and(|id| writer.writes(row, id)) {
                    let id = ids.get(first + self.ends.len());
                    self.out.element(&id_header, id);
                }
            }
            writer.write_elements(row, &mut self.out);
            self.out.end(start);
            self.row_ended()?;
        }
        Ok(())
    }

    /// Writes a statement for each row: the filter, the elements that `write` writes, and `flags`.
    fn statements(
        &mut self,
        writer: &DocumentWriter<'_>,
        keys: &KeyWriter<'_>,
        flags: &[u8],
        write: impl Fn(usize, &mut Output) -> Result<()>,
    ) -> Result<()> {
        let q = Header::new(ElementType::Document, "q");
        for row in 0..writer.documents().len() {
            let number = self.ends.len() as u64;
            let out = &mut self.out;
            let located = |mut error: Error| {
                error.location_mut().document = Some(number);
                error
            };
            if self.options.hash_keys {
                self.key_hashes.push(keys.hash(row, out).map_err(located)?);
            }
            let start = out.begin();
            keys.write(&q, row, true, out).map_err(located)?;
            out.limit_to(self.options.max_document_bytes);
            write(row, out).map_err(located)?;
            let is_full = out.is_full();
            out.bytes(flags);
            out.bytes(&self.options.statement_elements);
            out.end(start);
            match is_full {
                true => return Err(self.too_large()),
                false => self.ends.push(self.out.len()),
            }
        }
        Ok(())
    }

    fn row_ended(&mut self) -> Result<()> {
        if self.out.is_full() {
            return Err(self.too_large());
        }
        self.ends.push(self.out.len());
        Ok(())
    }

    fn too_large(&self) -> Error {
        let limit = self.options.max_document_bytes;
        let text = format!(
            "the document is larger than {limit} bytes, the largest that the server accepts"
        );
        let mut error = Error::new(ErrorKind::InvalidArgument(text));
        error.location_mut().document = Some(self.ends.len() as u64);
        error
    }
}

/// The elements of the flags that are true.
fn flags(flags: &[(&str, bool)]) -> Vec<u8> {
    let mut out = Output::new(0);
    for (name, _) in flags.iter().filter(|(_, value)| *value) {
        out.element(&Header::new(ElementType::Boolean, name), [1]);
    }
    out.into_bytes()
}
