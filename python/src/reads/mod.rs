//! Reads under way, their results, and the Arrow interface of both.

pub(crate) mod arrow;
pub(crate) mod async_iterator;
pub(crate) mod batches;
pub(crate) mod document_iterator;
pub(crate) mod iterable_source;
pub(crate) mod object_lists;
pub(crate) mod reader;
pub(crate) mod report;
pub(crate) mod result;
pub(crate) mod rows;
pub(crate) mod run;
pub(crate) mod schema_mapping;
pub(crate) mod table_options;
