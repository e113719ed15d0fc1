//! The native module `data_bridge._core`: converts, maps errors, detaches. No decoding happens here.

mod bson_types;
mod codec;
mod document;
mod error;
mod ffi;
mod list;
mod node;
mod show;
mod value;

use pyo3::prelude::*;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    document::register(module)
}
