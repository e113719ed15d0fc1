//! The only module of the project with `unsafe`. A comment above each block states the reason for which it is sound.

#![allow(unsafe_code)]

mod check;
mod import;
mod nulls;
mod objects;

pub use import::batches;
#[cfg(unix)]
pub use objects::duplicate;
pub use objects::{untracked, AsyncGenerator, PlainClass, Subclass};
