//! Values: BSON as Python objects, and the settings of the conversion.

pub(crate) mod bson_types;
pub(crate) mod codec;
pub(crate) mod repr;
pub(crate) mod value;
