//! The native module of the Python package: converts, maps errors, detaches. No decoding logic.

mod arrow;
mod async_iterator;
mod batches;
mod bson_types;
mod bulk;
mod client;
mod codec;
mod column_node;
mod document;
mod documents;
mod error;
mod feed;
mod ffi;
mod field_slot;
mod form;
mod given;
mod list;
mod lock;
mod model;
mod model_class;
mod node;
mod operation;
mod reader;
mod report;
mod result;
mod rows;
mod run;
mod session;
mod settings;
mod show;
mod value;
mod watch;

use pyo3::prelude::*;

// A server reply of 16 MB is mapped anew each time by glibc's allocator, which costs a drain up to half its time.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DEFAULT_TIMEOUT", client::DEFAULT_TIMEOUT)?;
    error::register(module)?;
    document::register(module)?;
    model::register(module)?;
    module.add_class::<client::Client>()?;
    module.add_class::<operation::Operation>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<reader::Reader>()?;
    module.add_class::<batches::BatchReader>()?;
    module.add_class::<arrow::RecordBatch>()?;
    module.add_class::<arrow::Schema>()?;
    module.add_class::<form::Form>()?;
    module.add_class::<result::ResultData>()?;
    module.add_class::<documents::Documents>()?;
    module.add_class::<documents::Instances>()?;
    module.add_class::<async_iterator::AsyncIterator>()?;
    module.add_class::<async_iterator::Interruption>()?;
    module.add_function(wrap_pyfunction!(client::check_names, module)?)?;
    module.add_function(wrap_pyfunction!(reader::read_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(reader::read_file, module)?)?;
    module.add_function(wrap_pyfunction!(reader::read_iterable, module)?)?;
    module.add_function(wrap_pyfunction!(result::from_arrow, module)?)?;
    module.add_function(wrap_pyfunction!(settings::configure, module)?)?;
    module.add_function(wrap_pyfunction!(settings::runs, module)?)?;
    module.add_function(wrap_pyfunction!(settings::configuration, module)?)?;
    module.add_function(wrap_pyfunction!(settings::shutdown, module)?)?;
    module.add("DUPLICATE_KEY_CODES", error::DUPLICATE_KEY)?;
    module.add("LOG_CONNECTIONS", watch::CONNECTION)?;
    module.add("LOG_CURSORS", watch::CURSOR)?;
    module.add("LOG_COMMANDS", watch::COMMAND)?;
    module.add("LOG_FAILURES", watch::FAILURES)?;
    module.add("CALL_LISTENERS", watch::LISTENERS)?;
    module.add_function(wrap_pyfunction!(watch::set_tellers, module)?)?;
    module.add_function(wrap_pyfunction!(watch::tell_events, module)?)?;
    Ok(())
}
