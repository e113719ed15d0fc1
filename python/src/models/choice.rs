//! Choices: Literal, and the values of an Enum.

use std::collections::HashMap;

use data_bridge::chunk::Cell;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

use crate::models::stored::{BOOLEAN, DOUBLE, INT32, INT64, NULL, OTHER, STRING};

/// The member of each stored value. 1, 1.0 and True are three values.
#[derive(Default)]
pub struct Choice {
    texts: HashMap<Box<str>, Py<PyAny>>,
    integers: HashMap<i64, Py<PyAny>>,
    doubles: Vec<(f64, Py<PyAny>)>,
    booleans: [Option<Py<PyAny>>; 2],
    null: Option<Py<PyAny>>,
}

impl Choice {
    /// The choice of pairs of a stored value and a member; `None` if a stored value is of a type with another comparison.
    pub fn of(pairs: Vec<(Bound<'_, PyAny>, Py<PyAny>)>) -> PyResult<Option<Choice>> {
        let mut choice = Choice::default();
        for (known, member) in pairs {
            // The first of equal values counts.
            if let Ok(text) = known.cast_exact::<PyString>() {
                choice.texts.entry(text.to_str()?.into()).or_insert(member);
            } else if let Ok(known) = known.cast_exact::<PyBool>() {
                choice.booleans[usize::from(known.is_true())].get_or_insert(member);
            } else if let Ok(number) = known.cast_exact::<PyInt>() {
                let Ok(number) = number.extract::<i64>() else {
                    return Ok(None);
                };
                choice.integers.entry(number).or_insert(member);
            } else if let Ok(number) = known.cast_exact::<PyFloat>() {
                choice.doubles.push((number.value(), member));
            } else if known.is_none() {
                choice.null.get_or_insert(member);
            } else {
                return Ok(None);
            }
        }
        Ok(Some(choice))
    }

    /// The types that a value may have.
    pub fn types(&self) -> u32 {
        let mut types = OTHER;
        for (is_there, bits) in [
            (!self.texts.is_empty(), STRING),
            (!self.integers.is_empty(), INT32 | INT64),
            (!self.doubles.is_empty(), DOUBLE),
            (self.booleans.iter().any(Option::is_some), BOOLEAN),
            (self.null.is_some(), NULL),
        ] {
            types |= if is_there { bits } else { 0 };
        }
        types
    }

    /// The member of a stored value; `None` for a value that is no choice, or of another type.
    pub fn member(&self, cell: &Cell<'_>) -> Option<&Py<PyAny>> {
        match *cell {
            Cell::String(text) => self.texts.get(text),
            Cell::Int32(number) => self.integers.get(&number.into()),
            Cell::Int64(number) => self.integers.get(&number),
            Cell::Double(number) => {
                let found = self.doubles.iter().find(|(known, _)| *known == number);
                found.map(|(_, member)| member)
            }
            Cell::Boolean(value) => self.booleans[usize::from(value)].as_ref(),
            Cell::Null => self.null.as_ref(),
            _ => None,
        }
    }

    /// Passes the members to the garbage collector.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let doubles = self.doubles.iter().map(|(_, member)| member);
        let optional = self.booleans.iter().chain([&self.null]).flatten();
        let mut all = self.texts.values().chain(self.integers.values());
        all.try_for_each(|member| visit.call(member))?;
        doubles
            .chain(optional)
            .try_for_each(|member| visit.call(member))
    }
}
