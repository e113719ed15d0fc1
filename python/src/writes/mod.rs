//! Python values and Arrow data as the statements of write commands.

pub(crate) mod arrow_source;
pub(crate) mod arrow_writer;
pub(crate) mod command;
pub(crate) mod dict_encoder;
pub(crate) mod encode;
pub(crate) mod inserts;
pub(crate) mod requests;
