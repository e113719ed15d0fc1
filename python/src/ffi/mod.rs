//! The only module of the project with `unsafe`. A comment above each block states the reason for which it is sound.

#![allow(unsafe_code)]

mod check;
mod descriptor;
mod import;
mod nulls;
mod objects;

pub use descriptor::{duplicate, RawHandle, Sender};
pub use import::{batches, Batches};
pub use objects::{
    set_slot, track, untrack_list, untracked, AsyncGenerator, ListClass, PlainClass, Subclass,
};
