//! The base class of models, the classes that make instances, their fields, and the conversions of their values.

mod choice;
mod containers;
pub(crate) mod field_slot;
mod held_values;
mod instance_state;
mod location;
pub(crate) mod model_class;
pub(crate) mod model_view;
mod native_converter;
mod scalars;
mod stored;
