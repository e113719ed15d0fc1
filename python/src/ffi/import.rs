//! Arrow data of other libraries, over the C interface.
//!
//! Arrow's own reader of C streams slices structs in a sliced struct twice, and panics, for example on a slice of a pyarrow
//! table of nested documents. So imported data is moved to offset 0 before arrays are made from it.

use std::ffi::CStr;
use std::sync::Arc;

use arrow_array::ffi::{from_ffi_and_data_type, FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchOptions, StructArray};
use arrow_data::ArrayData;
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

use super::check::{check, lengths};
use super::nulls;
use crate::error::arrow_error;

/// The schema and the RecordBatches of an object with `__arrow_c_stream__` or `__arrow_c_array__`.
///
/// # Errors
/// The exceptions of the object; ValueError for data that is not a table.
pub fn batches(object: &Bound<'_, PyAny>) -> PyResult<(SchemaRef, Vec<RecordBatch>)> {
    let mut source = Batches::of(object)?;
    let mut batches = Vec::new();
    while let Some(batch) = source.next(object.py())? {
        batches.push(batch);
        object.py().check_signals()?;
    }
    Ok((source.schema, batches))
}

/// A table, read batch by batch.
pub struct Batches {
    schema: SchemaRef,
    source: Source,
}

enum Source {
    Stream(FFI_ArrowArrayStream),
    Batch(Option<RecordBatch>),
}

impl Batches {
    /// The batches of an object with `__arrow_c_stream__` or `__arrow_c_array__`.
    ///
    /// # Errors
    /// The exceptions of the object; ValueError for data that is not a table.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.hasattr("__arrow_c_stream__")? {
            let capsule = object.call_method0("__arrow_c_stream__")?;
            return Batches::of_stream(capsule.cast::<PyCapsule>()?);
        }
        let (schema, batch) = single(object)?;
        Ok(Batches {
            schema,
            source: Source::Batch(Some(batch)),
        })
    }

    fn of_stream(capsule: &Bound<'_, PyCapsule>) -> PyResult<Self> {
        let pointer = capsule.pointer_checked(Some(c"arrow_array_stream"))?;
        // SAFETY: a capsule of this name holds this struct, by the PyCapsule interface. It is moved out, which marks it as
        // released; dropping ours releases the stream.
        let mut stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.cast().as_ptr()) };
        let (Some(get_schema), Some(_)) = (stream.get_schema, stream.get_next) else {
            return Err(PyValueError::new_err("this Arrow stream was read already"));
        };
        let mut schema = FFI_ArrowSchema::empty();
        // Detached, here and below: threads that must attach may feed the stream, such as DuckDB's over a Python object.
        // SAFETY: `stream` is a live stream that only this function has, and `schema` is valid for writes.
        let code = capsule
            .py()
            .detach(|| unsafe { get_schema(&mut stream, &mut schema) });
        if code != 0 {
            return Err(failure(&mut stream));
        }
        let schema = Schema::try_from(&schema).map_err(|error| {
            PyTypeError::new_err(format!("this Arrow stream is not a table: {error}"))
        })?;
        Ok(Batches {
            schema: Arc::new(schema),
            source: Source::Stream(stream),
        })
    }

    /// The schema of all batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// ValueError with the message of the stream, or for data that is not a table.
    pub fn next(&mut self, py: Python<'_>) -> PyResult<Option<RecordBatch>> {
        let stream = match &mut self.source {
            Source::Stream(stream) => stream,
            Source::Batch(batch) => return Ok(batch.take()),
        };
        let Some(get_next) = stream.get_next else {
            return Ok(None);
        };
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: `stream` is a live stream that only `self` has, and `array` is valid for writes.
        if py.detach(|| unsafe { get_next(stream, &mut array) }) != 0 {
            return Err(failure(stream));
        }
        if array.is_released() {
            return Ok(None);
        }
        let rows = DataType::Struct(self.schema.fields().clone());
        // SAFETY: an array of a stream has the type of the stream's schema.
        let data = unsafe { read(array, &rows) };
        let batch = data.and_then(|data| table(&data, &self.schema));
        batch.map(Some).map_err(arrow_error)
    }
}

/// An array of type `kind`.
///
/// # Safety
/// `array` is live and of that type, and its buffers have the lengths that the C interface requires.
unsafe fn read(array: FFI_ArrowArray, kind: &DataType) -> Result<ArrayData, ArrowError> {
    // SAFETY: as the caller guarantees. A type that differs from `kind` has the same layout.
    let data = unsafe {
        lengths(&array, kind)?;
        let readable = nulls::readable(&array, kind);
        from_ffi_and_data_type(array, readable)?
    };
    nulls::restored(data, kind)
}

/// The message of a stream's last error.
fn failure(stream: &mut FFI_ArrowArrayStream) -> PyErr {
    let Some(get_last_error) = stream.get_last_error else {
        return PyValueError::new_err("the Arrow stream failed");
    };
    // SAFETY: `stream` is live. The text, if any, is valid until the next call of the stream.
    let text = unsafe {
        let text = get_last_error(stream);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    PyValueError::new_err(text.unwrap_or_else(|| "the Arrow stream failed".into()))
}

fn table(data: &ArrayData, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    check(data)?;
    let len = data.len();
    // Only an array of structs can have null rows, never a table. Its columns may still have values in these rows.
    let null = data
        .nulls()
        .and_then(|nulls| (0..len).find(|&row| nulls.is_null(row)));
    if let Some(row) = null {
        let text = format!("row {row} of an array of structs is null, and not a document");
        return Err(ArrowError::InvalidArgumentError(text));
    }
    let rows = StructArray::from(straight(data, 0, len));
    let options = RecordBatchOptions::new().with_row_count(Some(len));
    RecordBatch::try_new_with_options(Arc::clone(schema), rows.into_parts().1, &options)
}

/// `len` slots from `offset` on. Arrays whose offset applies to their children get an offset of 0.
fn straight(data: &ArrayData, offset: usize, len: usize) -> ArrayData {
    let from = data.offset() + offset;
    let (scale, whole) = match data.data_type() {
        DataType::Struct(_) => (1, false),
        DataType::FixedSizeList(_, size) => (*size as usize, false),
        _ => (0, true),
    };
    let children = data.child_data().iter().map(|child| match whole {
        true => straight(child, 0, child.len()),
        false => straight(child, from * scale, len * scale),
    });
    let children = children.collect();
    let builder = if whole {
        if data.child_data().is_empty() {
            return data.slice(offset, len);
        }
        data.slice(offset, len).into_builder()
    } else {
        let nulls = data.nulls().map(|nulls| nulls.slice(offset, len));
        ArrayData::builder(data.data_type().clone())
            .len(len)
            .nulls(nulls)
    };
    // SAFETY: the same slots of the same array. The children of a struct or fixed-size list are cut to its slots; those of
    // any other array are whole and hold the same values.
    unsafe { builder.child_data(children).build_unchecked() }
}

/// The batch of an object with `__arrow_c_array__`, and its schema.
fn single(object: &Bound<'_, PyAny>) -> PyResult<(SchemaRef, RecordBatch)> {
    let pair = object.call_method0("__arrow_c_array__")?;
    let pair = pair.cast::<PyTuple>()?;
    let (schema, array) = (pair.get_item(0)?, pair.get_item(1)?);
    let schema = schema.cast::<PyCapsule>()?;
    let schema = schema.pointer_checked(Some(c"arrow_schema"))?;
    let array = array.cast::<PyCapsule>()?;
    let array = array.pointer_checked(Some(c"arrow_array"))?;
    // SAFETY: capsules of these names hold these structs, by the PyCapsule interface; `pair` keeps them alive. The array is
    // moved out, which marks it as released.
    let (schema, array) = unsafe {
        let array = FFI_ArrowArray::from_raw(array.cast().as_ptr());
        (schema.cast::<FFI_ArrowSchema>().as_ref(), array)
    };
    if array.is_released() {
        return Err(PyValueError::new_err("this Arrow array was read already"));
    }
    let kind = DataType::try_from(schema).map_err(arrow_error)?;
    // SAFETY: both came from one exporter, as a pair.
    let data = unsafe { read(array, &kind) }.map_err(arrow_error)?;
    let schema: SchemaRef = Arc::new(Schema::try_from(schema).map_err(arrow_error)?);
    let batch = table(&data, &schema).map_err(arrow_error)?;
    Ok((schema, batch))
}
