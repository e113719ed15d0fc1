//! The one module with `unsafe`. Each block says why it holds; nothing else in the project has any.

#![allow(unsafe_code)]

mod check;
mod import;
mod nulls;
mod objects;

pub use import::batches;
#[cfg(unix)]
pub use objects::duplicate;
pub use objects::{untracked, AsyncGenerator, PlainClass, Subclass};
