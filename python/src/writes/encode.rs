//! Arrow data of any library as BSON.

use std::sync::Arc;

use data_bridge::encode::{
    EncodeOptions, KeyPath, Nested, Nulls, OnConflict, Operation, Plan, Roundings,
    MAX_DOCUMENT_BYTES,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::to_pyerr_of_table;
use crate::ffi;
use crate::reads::table_options::TableOptions;

/// Encode the rows of any object with `__arrow_c_stream__` or `__arrow_c_array__`: documents, or statements of a write command.
#[pyfunction]
#[pyo3(signature = (
    stream, operation="insert", *, on=None, nulls="keep", nested="merge", upsert=false, many=false, make_ids=false,
    on_conflict="error", round_dates=false, round_decimals=false, unflatten=false, form=None
))]
#[allow(clippy::too_many_arguments)] // they are Python's keyword arguments
pub(crate) fn encode_arrow<'py>(
    py: Python<'py>,
    stream: &Bound<'py, PyAny>,
    operation: &str,
    on: Option<Vec<Vec<String>>>,
    nulls: &str,
    nested: &str,
    upsert: bool,
    many: bool,
    make_ids: bool,
    on_conflict: &str,
    round_dates: bool,
    round_decimals: bool,
    unflatten: bool,
    form: Option<&TableOptions>,
) -> PyResult<Bound<'py, PyBytes>> {
    let on = on.map_or_else(|| vec![vec!["_id".into()]], key_paths);
    let nested = choice(
        "nested",
        nested,
        &[("merge", Nested::Merge), ("replace", Nested::Replace)],
    )?;
    let operation = choice(
        "operation",
        operation,
        &[
            ("insert", Operation::Insert { make_ids }),
            (
                "update",
                Operation::Update {
                    on: on.clone(),
                    upsert,
                    many,
                    nested,
                },
            ),
            (
                "replace",
                Operation::Replace {
                    on: on.clone(),
                    upsert,
                },
            ),
            ("delete", Operation::Delete { on, many }),
        ],
    )?;
    let options = EncodeOptions {
        operation,
        nulls: choice(
            "nulls",
            nulls,
            &[
                ("keep", Nulls::Keep),
                ("omit", Nulls::Omit),
                ("unset", Nulls::Unset),
            ],
        )?,
        schema: form
            .and_then(TableOptions::user_schema)
            .map(|schema| Arc::clone(schema.arrow())),
        unflatten,
        on_conflict: choice(
            "on_conflict",
            on_conflict,
            &[("error", OnConflict::Error), ("null", OnConflict::Null)],
        )?,
        roundings: Roundings {
            dates: round_dates,
            decimals: round_decimals,
        },
        max_document_bytes: MAX_DOCUMENT_BYTES,
        statement_elements: Vec::new(),
        hash_keys: false,
    };
    let (schema, batches) = ffi::batches(stream)?;
    let encoded = py.detach(|| {
        let plan = Plan::new(&schema, options)?;
        let mut first_row = 0;
        let mut bytes = Vec::new();
        for batch in &batches {
            let encoded = plan.encode(batch, first_row)?;
            first_row += encoded.len() as u64;
            for row in encoded.iter() {
                bytes.extend_from_slice(row);
            }
        }
        Ok(bytes)
    });
    let bytes = encoded.map_err(|error| to_pyerr_of_table(py, error))?;
    Ok(PyBytes::new(py, &bytes))
}

fn key_paths(on: Vec<Vec<String>>) -> Vec<KeyPath> {
    let path = |path: Vec<String>| path.into_iter().map(Arc::from).collect();
    on.into_iter().map(path).collect()
}

/// Returns the value that `given` names.
fn choice<T: Clone>(argument: &str, given: &str, choices: &[(&str, T)]) -> PyResult<T> {
    match choices.iter().find(|(name, _)| *name == given) {
        Some((_, value)) => Ok(value.clone()),
        None => {
            let names: Vec<String> = choices
                .iter()
                .map(|(name, _)| format!("{name:?}"))
                .collect();
            let names = names.join(", ");
            Err(PyValueError::new_err(format!(
                "{argument} must be one of {names}, got {given:?}"
            )))
        }
    }
}
