//! The statistics of a run, as a dict that the package converts to a Report.

use std::sync::Arc;

use data_bridge::chunk::DuplicateKey;
use data_bridge::conform::{AbsentKey, Action, NestedKey, SchemaKeys};
use data_bridge::error::{RawValue, Step};
use data_bridge::raw::ElementType;
use data_bridge::reader::Report;
use data_bridge::schema::{
    ColumnFact, ColumnNote, Limits, MixedReason, ObservedTypes, Representation, SchemaStep,
    TypeCount, WidenedPath,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyEllipsis, PyList, PyTuple};

use crate::error::{to_pyerr, value_of};

const DUPLICATE_KEY: &str = "duplicate key";

fn name(action: Action) -> &'static str {
    match action {
        Action::Rescued => "rescued",
        Action::Nulled => "nulled",
        Action::Rounded => "rounded",
    }
}

pub(crate) fn to_dict<'py>(
    py: Python<'py>,
    report: &Report,
    observed: Option<(&ObservedTypes, &Representation)>,
    finished: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let values = PyDict::new(py);
    values.set_item("rows", report.rows)?;
    values.set_item("bytes", report.bytes)?;
    values.set_item("batches", report.replies.max(report.chunks.min(1)))?;
    values.set_item("resumed", report.resumed)?;
    let seconds = PyDict::new(py);
    seconds.set_item("waiting", report.seconds_waiting)?;
    seconds.set_item("decoding", report.seconds_decoding)?;
    seconds.set_item("conforming", report.seconds_conforming)?;
    values.set_item("seconds", seconds)?;
    let slow = report.slow_connection();
    let round_trip = slow.map(|connection| connection.round_trip.as_secs_f64());
    values.set_item("slow_connection", round_trip)?;
    values.set_item("plan", report.plan.as_deref().unwrap_or_default())?;
    values.set_item("duplicates", report.duplicates)?;
    let paths = PyList::empty(py);
    if let Some((observed, representation)) = observed {
        let limits = Limits::default();
        for widened_path in observed.widened_paths(&limits, representation) {
            paths.append(entry(py, &widened_path)?)?;
        }
        for column_note in observed.column_notes(&limits, representation) {
            paths.append(note(py, &column_note)?)?;
        }
    }
    let absent = report.schema_keys.as_ref().map(SchemaKeys::absent);
    for key in absent.unwrap_or_default() {
        paths.append(absent_key(py, &key)?)?;
    }
    let unlisted = PyDict::new(py);
    for listed in [
        report.conflict_counts.conflicts(),
        report.conflict_counts.rounded(),
    ] {
        for (path, conflict) in listed.found() {
            let (types, first) = (&conflict.types, conflict.types.first());
            paths.append(row(py, path, types, name(conflict.action), types, first)?)?;
        }
        if let Some((action, count)) = listed.unlisted() {
            unlisted.set_item(name(action), count)?;
        }
    }
    for (path, key) in report.duplicate_keys.found() {
        paths.append(duplicate(py, path, key)?)?;
    }
    match report.duplicate_keys.unlisted() {
        0 => {}
        count => unlisted.set_item(DUPLICATE_KEY, count)?,
    }
    values.set_item("unlisted", unlisted)?;
    values.set_item("paths", paths)?;
    values.set_item("finished", finished)?;
    let error = report.error.clone();
    values.set_item("error", error.map(|error| to_pyerr(py, error)))?;
    Ok(values)
}

/// A path that was widened or is mixed; its count is of values of other types than the first.
fn entry<'py>(py: Python<'py>, widened_path: &WidenedPath) -> PyResult<Bound<'py, PyDict>> {
    let action = if widened_path.mixed {
        "mixed"
    } else {
        "widened"
    };
    let others = widened_path.types.get(1..).unwrap_or_default();
    // The first value of another type than the first document has.
    let first = widened_path.types.get(1).or(widened_path.types.first());
    let values = row(
        py,
        &widened_path.path,
        &widened_path.types,
        action,
        others,
        first,
    )?;
    if let Some(reason) = widened_path.reason {
        values.set_item("reason", reason_text(reason))?;
    }
    Ok(values)
}

/// A fact about a column that its type does not show.
fn note<'py>(py: Python<'py>, note: &ColumnNote) -> PyResult<Bound<'py, PyDict>> {
    let (action, kind) = match note.fact {
        ColumnFact::Rescaled => ("rescaled", ElementType::Decimal128),
        ColumnFact::FarDates => ("dates beyond years 1 to 9999", ElementType::DateTime),
    };
    let types = [TypeCount {
        kind,
        count: note.count,
        first: Some(note.first.clone()),
    }];
    row(py, &note.path, &types, action, &types, types.first())
}

/// A key of the schema that no document has.
fn absent_key<'py>(py: Python<'py>, key: &AbsentKey) -> PyResult<Bound<'py, PyDict>> {
    let values = row(py, &key.path, &[], "absent", &[], None)?;
    let hint = match key.nested {
        None => return Ok(values),
        Some(NestedKey::InDocuments) => {
            "the documents have it as a nested key: name it by a mapping in the schema, or pass flatten=True"
        }
        Some(NestedKey::InLists) => {
            "documents in lists have it as a key: name it by a list of a mapping in the schema, as in {\"a\": [{\"b\": int}]}"
        }
    };
    values.set_item("reason", hint)?;
    Ok(values)
}

fn reason_text(reason: MixedReason) -> String {
    match reason {
        MixedReason::Inexact => "an integer that no double holds".into(),
        MixedReason::TooManyKeys(limit) => {
            format!("more than {} different keys", thousands(limit))
        }
        MixedReason::TooDeep(limit) => {
            format!("on level {limit} of nesting, the last of a table")
        }
        MixedReason::Empty => "always empty".into(),
        MixedReason::IdsAndText => "ids and text: object_ids() makes ids of either".into(),
        MixedReason::MixedInTable => "mixed in the table it came from".into(),
    }
}

/// Formats `number` with separators of thousands.
fn thousands(number: usize) -> String {
    match number / 1000 {
        0 => number.to_string(),
        thousand => format!("{},{:03}", thousands(thousand), number % 1000),
    }
}

/// One path with its types, the action, the count and the first `_id`.
fn row<'py>(
    py: Python<'py>,
    path: &[SchemaStep],
    types: &[TypeCount],
    action: &str,
    counted: &[TypeCount],
    first: Option<&TypeCount>,
) -> PyResult<Bound<'py, PyDict>> {
    let steps = path.iter().map(|part| match part {
        SchemaStep::Key(key) => Some(key),
        SchemaStep::Items => None,
    });
    let values = PyDict::new(py);
    values.set_item("path", path_of(py, steps)?)?;
    let types: Vec<_> = types.iter().map(|seen| seen.kind.name()).collect();
    values.set_item("types", PyTuple::new(py, types)?)?;
    values.set_item("action", action)?;
    let count = counted.iter().map(|seen| seen.count).sum::<u64>();
    values.set_item("count", count)?;
    let id = first.and_then(|seen| seen.first.as_ref()?.id.as_deref());
    values.set_item("first_id", decoded_id(py, id))?;
    Ok(values)
}

/// A key that documents have twice.
fn duplicate<'py>(
    py: Python<'py>,
    path: &[Step],
    key: &DuplicateKey,
) -> PyResult<Bound<'py, PyDict>> {
    let steps = path.iter().map(|step| match step {
        Step::Key(key) => Some(key),
        Step::Index(_) => None,
    });
    let values = PyDict::new(py);
    values.set_item("path", path_of(py, steps)?)?;
    values.set_item("types", PyTuple::empty(py))?;
    values.set_item("action", DUPLICATE_KEY)?;
    values.set_item("count", key.count)?;
    values.set_item("first_id", decoded_id(py, key.id.as_ref()))?;
    Ok(values)
}

/// An `_id` in a report. One that PyMongo does not decode is left out: a UUID of five bytes, say, before 4.20.
fn decoded_id<'py>(py: Python<'py>, id: Option<&RawValue>) -> Option<Bound<'py, PyAny>> {
    value_of(py, id?).ok()
}

/// A path in a report; a step of None is any item of a list.
fn path_of<'a, 'py>(
    py: Python<'py>,
    steps: impl Iterator<Item = Option<&'a Arc<str>>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let steps = steps.map(|step| match step {
        Some(key) => Ok(key.as_ref().into_pyobject(py)?.into_any()),
        // Distinct from positions and from every key.
        None => Ok(PyEllipsis::get(py).to_owned().into_any()),
    });
    PyTuple::new(py, steps.collect::<PyResult<Vec<_>>>()?)
}
