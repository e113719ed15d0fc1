//! The native module of the Python package: converts, maps errors, detaches. No decoding logic.

mod client;
mod codec;
mod error;
mod operation;
mod reader;
mod session;

use pyo3::prelude::*;

// A server reply of 16 MB is mapped anew each time by glibc's allocator, which costs a drain up to half its time.
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    error::register(module)?;
    module.add_class::<client::Client>()?;
    module.add_class::<operation::Operation>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<codec::Codec>()?;
    module.add_class::<reader::Reader>()?;
    Ok(())
}
