//! The base class of models, the classes that make instances, and their fields.

pub(crate) mod field_slot;
pub(crate) mod model_class;
pub(crate) mod model_view;
