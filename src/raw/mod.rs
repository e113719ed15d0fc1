//! L1: BSON bytes: element types, a bounds-checked walk, validation, normal form.
//!
//! Source: the BSON specification 1.1, <https://bsonspec.org/spec.html>. The walk accepts the documents that PyMongo
//! accepts.

mod decimal;
mod element;
mod magic;
mod normal;
mod splice;
mod text;
mod uuid;
mod validate;
mod walk;

pub use decimal::{Decimal, Digits, POWERS_OF_TEN};
pub use element::ElementType;
pub use magic::other_format;
pub use normal::{normalise_document, normalise_value};
pub use splice::splice_elements;
pub use text::{InvalidText, TextPolicy};
pub use uuid::{hex_bytes, uuid_bytes, LegacyUuid};
pub use validate::{find_id, validate};
pub use walk::{
    array, document_len, i32_at, key_len, value_len, Element, Elements, Malformed, MAX_DEPTH,
};
