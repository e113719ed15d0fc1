//! Rows with a column of shapes, read as the original documents.

use arrow_array::{Array, BinaryArray, RecordBatch};
use arrow_schema::extension::EXTENSION_TYPE_METADATA_KEY;
use arrow_schema::{DataType, FieldRef, Schema};

use super::{chunk_from_batch, read_batch, ArrowReader, Nulls, StoredTypes};
use crate::chunk::{encode_document, Chunk, DocumentCell};
use crate::conform::internal_error;
use crate::conform::shapes::{fingerprint, DocumentWriter};
use crate::decode::{decode, DecodeOptions};
use crate::error::{Error, Location, Result, Step};
use crate::schema::{extension_name, SHAPES};

/// Bytes of BSON in one Chunk: the piece size of a reader.
const PIECE: usize = 1 << 20;

/// Reads the rows of `batch` as documents, with the meaning `nulls` of Arrow's null. With the column of shapes, they equal the original documents.
///
/// # Errors
/// The errors of [`chunk_from_batch`]; also `InvalidArgument` when the column of shapes describes other columns, and
/// a decode error when its content is invalid.
pub fn chunks_from_batch(batch: &RecordBatch, nulls: Nulls) -> Result<Vec<Chunk>> {
    let schema = batch.schema();
    let Some(place) = shapes_column(&schema) else {
        return Ok(vec![chunk_from_batch(batch, nulls)?]);
    };
    let field = &schema.fields()[place];
    let mut reader = ArrowReader::new(Nulls::Omit, StoredTypes::Ignore);
    reader.path = vec![Step::Key(field.name().as_str().into())];
    let mut columns = batch.clone();
    columns.remove_column(place);
    let found = fingerprint(columns.schema().fields().iter());
    if field.metadata().get(EXTENSION_TYPE_METADATA_KEY) != Some(&found) {
        return Err(reader.invalid(
            "these shapes belong to other columns: read the table with its original columns, or drop this column"
                .into(),
        ));
    }
    if !is_binary(batch.column(place).data_type()) {
        return Err(reader.invalid(format!("{SHAPES} over {}", field.data_type())));
    }
    let shapes = reader.bytes(batch.column(place))?;
    // The shapes tell nulls from missing keys.
    let plain = read_batch(&columns, Nulls::Omit, StoredTypes::Ignore)?;
    if shapes.null_count() == shapes.len() {
        return Ok(vec![plain]);
    }
    Pieces::default().read(&plain, &shapes, reader.path)
}

/// The position of the column of shapes; `None` without one.
pub fn shapes_column(schema: &Schema) -> Option<usize> {
    let is_shapes = |field: &FieldRef| extension_name(field) == Some(SHAPES);
    schema.fields().iter().position(is_shapes)
}

/// Returns whether a type is Binary, in any layout that tools convert it to.
fn is_binary(found: &DataType) -> bool {
    match found {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::Dictionary(_, values) => is_binary(values),
        DataType::RunEndEncoded(_, values) => is_binary(values.data_type()),
        _ => false,
    }
}

/// Documents as BSON, decoded in pieces.
#[derive(Default)]
struct Pieces {
    chunks: Vec<Chunk>,
    rows: usize,
    bson: Vec<u8>,
    starts: Vec<u32>,
}

impl Pieces {
    fn read(mut self, plain: &Chunk, shapes: &BinaryArray, path: Vec<Step>) -> Result<Vec<Chunk>> {
        let documents = &plain.documents;
        let mut shaped = DocumentWriter::default();
        for row in 0..plain.rows() {
            let start = u32::try_from(self.bson.len()).map_err(internal_error)?;
            if shapes.is_null(row) {
                encode_document(&DocumentCell::Row { documents, row }, &mut self.bson)?;
            } else {
                shaped
                    .write(shapes.value(row), documents, row, &mut self.bson)
                    .map_err(|bad| {
                        Error::decode(bad.offset, bad.reason).at(Location {
                            document: Some(row as u64),
                            id: None,
                            path: path.clone(),
                        })
                    })?;
            }
            self.starts.push(start);
            if self.bson.len() >= PIECE {
                self.decode()?;
            }
        }
        if !self.starts.is_empty() {
            self.decode()?;
        }
        Ok(self.chunks)
    }

    fn decode(&mut self) -> Result<()> {
        let chunk = decode(&self.bson, &self.starts, &DecodeOptions::default());
        let chunk = chunk.map_err(|mut error| {
            if let Some(document) = &mut error.location_mut().document {
                *document += self.rows as u64;
            }
            error
        })?;
        self.rows += chunk.rows();
        self.chunks.push(chunk);
        self.bson.clear();
        self.starts.clear();
        Ok(())
    }
}
