//! The plan of a write: columns and keys checked once per stream, batches encoded in parallel.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use rayon::prelude::*;

use super::encoded::{Encoded, Piece};
use super::key::invalid;
use super::object_ids::ObjectIds;
use super::options::KeyPath;
use super::piece::Rows;
use super::unflatten::unflattened;
use super::{EncodeOptions, Nested, Operation};
use crate::chunk::{encode_cell, Cell};
use crate::conform::{columns_from_batch, shapes_column, with_types, Lossy};
use crate::error::{Error, RawValue, Result};
use crate::reader::pool;

/// The size of the data of a piece: that of a piece of a reply.
const PIECE_BYTES: usize = 1 << 20;
/// The rows of a piece: enough that the work per column does not count, few enough for parallel work.
const PIECE_ROWS: std::ops::RangeInclusive<usize> = 64..=8192;
/// The key of documents that the server indexes.
const ID: &str = "_id";

/// The plan of a write: the conversion of batches of one schema.
#[derive(Debug)]
pub struct Plan {
    schema: SchemaRef,
    options: EncodeOptions,
}

impl Plan {
    /// Checks the columns, and prepares their conversion.
    ///
    /// # Errors
    /// `InvalidArgument` with the path of a column that BSON cannot hold, or whose name cannot be a key; for a key of `on`
    /// that is no column, or that a filter cannot name; for a name or a combination of options that the operation cannot
    /// express.
    pub fn new(schema: &Schema, options: EncodeOptions) -> Result<Plan> {
        let plan = Plan {
            schema: Arc::new(schema.clone()),
            options,
        };
        plan.check_options()?;
        // The checks of columns are those of their conversion, without rows.
        let empty = plan.typed(&RecordBatch::new_empty(Arc::clone(&plan.schema)))?;
        let lossless = EncodeOptions {
            operation: Operation::Insert { make_ids: false },
            ..plan.options.clone()
        };
        let has_shapes = shapes_column(schema).is_some();
        if has_shapes && plan.options.unflatten {
            let text = "a table with shapes has documents, not flattened names: unflatten= does not apply to it";
            return Err(invalid(&Vec::new(), text));
        }
        let operation = match has_shapes {
            // The keys of documents are known with their rows.
            true => &lossless,
            false => &plan.options,
        };
        Rows::read(&empty, &plan.options)?.write(operation, None, 0)?;
        Ok(plan)
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The options.
    pub fn options(&self) -> &EncodeOptions {
        &self.options
    }

    /// Encodes the rows of `batch`, which has the schema of the plan; `first_row` is the number of rows before it.
    ///
    /// # Errors
    /// `InvalidArgument` for the first row with a value that BSON cannot hold, with a key that is null or NaN, or with a
    /// document that is too large; a decode error for a mixed cell that holds invalid BSON. The location has the row, counted
    /// in the stream, its `_id` if that can be read, and the path.
    pub fn encode(&self, batch: &RecordBatch, first_row: u64) -> Result<Encoded> {
        self.encode_sparing(batch, first_row, 0)
    }

    /// Encodes as [`encode`](Self::encode), and leaves `spared` of the pool's threads alone: their cores have other work.
    ///
    /// # Errors
    /// As `encode`.
    pub fn encode_sparing(
        &self,
        batch: &RecordBatch,
        first_row: u64,
        spared: usize,
    ) -> Result<Encoded> {
        let typed = self.typed(batch)?;
        let rows = typed.num_rows();
        let row_bytes = data_bytes(&typed) / rows.max(1);
        let piece_rows = PIECE_BYTES / row_bytes.max(1);
        let piece_rows = piece_rows.clamp(*PIECE_ROWS.start(), *PIECE_ROWS.end());
        let ids = match self.options.operation {
            Operation::Insert { make_ids: true } => Some(ObjectIds::reserve(rows)?),
            _ => None,
        };
        let starts: Vec<usize> = (0..rows).step_by(piece_rows).collect();
        let encode = |&start: &usize| {
            let batch = typed.slice(start, piece_rows.min(rows - start));
            let ids = ids.as_ref().map(|ids| (ids, start));
            // Values and keys of short names take about as much as in Arrow.
            let expected = batch.num_rows() * (row_bytes * 2 + 16);
            let piece = self.piece(&batch, ids, expected);
            let mut piece = piece.map_err(|error| shifted(error, start as u64 + first_row))?;
            for skipped in &mut piece.skipped {
                skipped.first_row += start as u64 + first_row;
            }
            Ok(piece)
        };
        let pieces: Vec<Result<Piece>> = match &starts[..] {
            [] | [_] => starts.iter().map(encode).collect(),
            starts => {
                let pool = pool()?;
                let threads = pool.current_num_threads().saturating_sub(spared).max(1);
                // As many shares as threads; without a spared one, threads take pieces from each other.
                let share = match spared {
                    0 => 1,
                    _ => starts.len().div_ceil(threads),
                };
                pool.install(|| starts.par_iter().with_min_len(share).map(encode).collect())
            }
        };
        Ok(Encoded {
            // The error of the first piece is that of the first row.
            pieces: pieces.into_iter().collect::<Result<_>>()?,
            piece_rows,
            rows,
        })
    }

    fn typed(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = self.options.schema.as_ref();
        let with_types = |batch: RecordBatch| match schema {
            Some(schema) => with_types(&batch, schema),
            None => Ok(batch),
        };
        // The schema has the names of the columns, or those of the documents.
        let typed = with_types(batch.clone())?;
        match self.options.unflatten {
            true => with_types(unflattened(&typed)?),
            false => Ok(typed),
        }
    }

    /// Encodes a slice; the error is that of its first row with an error.
    fn piece(
        &self,
        batch: &RecordBatch,
        ids: Option<(&ObjectIds, usize)>,
        expected: usize,
    ) -> Result<Piece> {
        let encode = |batch: &RecordBatch| {
            let rows = Rows::read(batch, &self.options)?;
            rows.write(&self.options, ids, expected)
        };
        encode(batch).map_err(|mut error| {
            // Columns are read one by one, so a row before this one may have an error in another column.
            while let Some(row) = error.location().document {
                match encode(&batch.slice(0, row as usize)) {
                    Err(earlier) if earlier.location().document < Some(row) => error = earlier,
                    _ => break,
                }
            }
            if let Some(row) = error.location().document {
                error.location_mut().id = id_of(batch, row as usize);
            }
            error
        })
    }

    fn check_options(&self) -> Result<()> {
        let on = match &self.options.operation {
            Operation::Insert { .. } => return Ok(()),
            Operation::Replace { on, .. } => {
                let names = self.schema.fields().iter().map(|field| field.name());
                if let Some(name) = names.into_iter().find(|name| name.starts_with('$')) {
                    let text = "the server refuses replacements with a key that starts with a dollar: drop or rename the column";
                    return Err(invalid(&vec![name.as_str().into()], text));
                }
                on
            }
            Operation::Update { on, nested, .. } => {
                let overlaps = |path: &&KeyPath| path.len() > 1 && *nested == Nested::Replace;
                if let Some(path) = on.iter().find(overlaps) {
                    let text = "a struct that holds a key cannot be replaced as a whole: use nested=\"merge\", or a key at the \
                                top level";
                    return Err(invalid(path, text));
                }
                on
            }
            Operation::Delete { on, .. } => on,
        };
        if on.is_empty() {
            let text = "on= names no column, so that each statement would concern any document";
            return Err(invalid(&Vec::new(), text));
        }
        let mut paths = HashSet::new();
        for path in on {
            let is_plain =
                |key: &Arc<str>| !key.is_empty() && !key.contains('.') && !key.starts_with('$');
            if path.is_empty() || !path.iter().all(is_plain) {
                let text = "a key of on= must not be empty, hold a point or start with a dollar, because filters take names as \
                            paths; a key in an embedded document is a sequence of names";
                return Err(invalid(path, text));
            }
            let is_part = |other: &KeyPath| other.len() < path.len() && path.starts_with(other);
            if !paths.insert(path) || on.iter().any(is_part) {
                let text = "on= names a key twice, or a part of another key";
                return Err(invalid(path, text));
            }
        }
        Ok(())
    }
}

/// The size of the data of `batch`, without the rows of its buffers that are not in it.
fn data_bytes(batch: &RecordBatch) -> usize {
    let bytes = |column: &Arc<dyn Array>| {
        let sliced = column.to_data().get_slice_memory_size();
        sliced.unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(bytes).sum()
}

/// The `_id` of a row, if it can be read.
fn id_of(batch: &RecordBatch, row: usize) -> Option<RawValue> {
    let (place, _) = batch.schema().column_with_name(ID)?;
    let id = batch.project(&[place]).ok()?;
    let columns = columns_from_batch(&id.slice(row, 1), Lossy::default()).ok()?;
    let cell = columns.documents.fields().first()?.column.cell(0);
    if matches!(cell, Cell::Null) {
        return None;
    }
    let mut bytes = Vec::new();
    encode_cell(&cell, &mut bytes).ok()?;
    Some(RawValue {
        tag: cell.element_type().byte(),
        bytes,
    })
}

/// Counts the row of `error` in the stream.
fn shifted(mut error: Error, first_row: u64) -> Error {
    if let Some(row) = &mut error.location_mut().document {
        *row += first_row;
    }
    error
}
