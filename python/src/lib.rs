//! The native module of the Python package: converts arguments and results, maps errors, detaches from the interpreter.

mod client;
mod documents;
mod error;
mod ffi;
mod lock;
mod models;
mod operations;
mod reads;
mod values;
mod writes;

use pyo3::prelude::*;

use crate::operations::operation_events;

// glibc's allocator maps memory anew for each server reply of 16 MB, which takes up to half the time of a drain.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DEFAULT_TIMEOUT", client::mongo_client::DEFAULT_TIMEOUT)?;
    error::register(module)?;
    documents::document::register(module)?;
    models::model_view::register(module)?;
    module.add_class::<client::mongo_client::Client>()?;
    module.add_class::<operations::completions::Completions>()?;
    module.add_class::<operations::operation::Operation>()?;
    module.add_class::<client::session::Session>()?;
    module.add_class::<writes::arrow_source::ArrowSource>()?;
    module.add_class::<writes::arrow_writer::ArrowWriter>()?;
    module.add_class::<writes::command::WriteCommand>()?;
    module.add_class::<writes::inserts::InsertEncoder>()?;
    module.add_class::<reads::reader::Reader>()?;
    module.add_class::<reads::batches::BatchReader>()?;
    module.add_class::<reads::arrow::RecordBatch>()?;
    module.add_class::<reads::arrow::Schema>()?;
    module.add_class::<reads::table_options::TableOptions>()?;
    module.add_class::<reads::result::ResultData>()?;
    module.add_class::<reads::document_iterator::DocumentIterator>()?;
    module.add_class::<reads::document_iterator::InstanceIterator>()?;
    module.add_class::<reads::async_iterator::AsyncIterator>()?;
    module.add_class::<reads::async_iterator::Interruption>()?;
    module.add_function(wrap_pyfunction!(client::mongo_client::check_names, module)?)?;
    module.add_function(wrap_pyfunction!(writes::dict_encoder::encode_dict, module)?)?;
    module.add_function(wrap_pyfunction!(writes::requests::encode_requests, module)?)?;
    module.add_function(wrap_pyfunction!(reads::reader::read_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(reads::reader::read_file, module)?)?;
    module.add_function(wrap_pyfunction!(reads::reader::read_iterable, module)?)?;
    module.add_function(wrap_pyfunction!(reads::result::from_arrow, module)?)?;
    module.add_function(wrap_pyfunction!(writes::encode::encode_arrow, module)?)?;
    module.add_function(wrap_pyfunction!(client::settings::configure, module)?)?;
    module.add_function(wrap_pyfunction!(client::settings::runs, module)?)?;
    module.add_function(wrap_pyfunction!(client::settings::configuration, module)?)?;
    module.add_function(wrap_pyfunction!(client::settings::shutdown, module)?)?;
    module.add("DUPLICATE_KEY_CODES", error::DUPLICATE_KEY)?;
    module.add("LOG_CONNECTIONS", operation_events::CONNECTION)?;
    module.add("LOG_CURSORS", operation_events::CURSOR)?;
    module.add("LOG_COMMANDS", operation_events::COMMAND)?;
    module.add("LOG_FAILURES", operation_events::FAILURES)?;
    module.add("CALL_LISTENERS", operation_events::LISTENERS)?;
    module.add_function(wrap_pyfunction!(
        operation_events::set_event_callbacks,
        module
    )?)?;
    module.add_function(wrap_pyfunction!(operation_events::deliver_events, module)?)?;
    Ok(())
}
