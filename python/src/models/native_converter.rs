//! `NativeConverter`: the conversion of stored values of one annotation, without Python code for values of the expected types.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyList, PySet, PyString, PyTuple, PyType};

use crate::models::choice::Choice;
use crate::models::containers::{self, ListKind};
use crate::models::location::Place;
use crate::models::model_class::ModelClass;
use crate::models::scalars;
use crate::models::stored::{
    type_of, Stored, BINARY, DATE, DECIMAL, DOCUMENT, DOUBLE, INT32, INT64, LIST, NULL, OTHER,
    STRING, SUBTYPED_BINARY,
};
use crate::values::value;

/// The conversion of stored values of one annotation.
///
/// It converts values of the expected types. For any other value it gives none: the converter in Python, from which it is
/// made, then converts the whole value of the field or raises the error. Both give equal values.
#[pyclass(frozen, module = "data_bridge._core")]
pub struct NativeConverter(Kind);

enum Kind {
    /// Types that need no conversion, and numbers that convert without loss.
    Scalar(u32),
    /// The value that PyMongo gives, of these types.
    AsPyMongo(u32),
    /// The value that PyMongo gives, of any type.
    Any,
    Uuid,
    Decimal,
    Date,
    Choice(Choice),
    Embedded {
        class: Py<ModelClass>,
        /// The key that names the class, and the `ModelClass` of each name.
        tree: Option<(Py<PyString>, Py<PyDict>)>,
    },
    List {
        kind: ListKind,
        item: Py<NativeConverter>,
        /// True if an item may refer to the list.
        cyclic: bool,
    },
    Tuple(Vec<Py<NativeConverter>>),
    Dict(Py<NativeConverter>),
    Optional(Py<NativeConverter>),
    Union(Vec<Py<NativeConverter>>),
    /// `load(stored, place)`, which raises ValueError for a value that does not fit; without `deep`, `place` is None.
    Python {
        load: Py<PyAny>,
        deep: bool,
    },
}

impl NativeConverter {
    /// The converted value; `None` if the converter in Python has to decide.
    pub fn load<'py>(
        &self,
        stored: &Stored<'_, 'py>,
        place: &Place<'_>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = stored.py;
        match &self.0 {
            Kind::Scalar(types) => {
                let cell = stored.cell();
                match scalars::unchanged(stored, &cell, *types)? {
                    Some(value) => Ok(Some(value)),
                    None => scalars::exact_number(stored, &cell, *types),
                }
            }
            Kind::AsPyMongo(types) => {
                let cell = stored.cell();
                if type_of(&cell) & types == 0 {
                    return Ok(None);
                }
                value::scalar(py, stored.codec, &cell).map(Some)
            }
            Kind::Any => stored.column.plain(py, stored.codec, stored.row).map(Some),
            Kind::Uuid => scalars::uuid(stored, &stored.cell()),
            Kind::Decimal => scalars::decimal(stored, &stored.cell()),
            Kind::Date => scalars::date(stored, &stored.cell()),
            Kind::Choice(choice) => {
                let member = choice.member(&stored.cell());
                Ok(member.map(|member| member.bind(py).clone()))
            }
            Kind::Embedded { class, tree } => {
                containers::embedded(stored, class.get(), tree.as_ref(), place)
            }
            Kind::List { kind, item, cyclic } => {
                containers::list(stored, *kind, item.get(), *cyclic, place)
            }
            Kind::Tuple(items) => containers::tuple(stored, items, place),
            Kind::Dict(item) => containers::dict(stored, item.get(), place),
            Kind::Optional(inner) => match type_of(&stored.cell()) {
                NULL => Ok(Some(py.None().into_bound(py))),
                _ => inner.get().load(stored, place),
            },
            Kind::Union(members) => union(stored, members, place),
            Kind::Python { load, deep } => {
                let place = match deep {
                    true => Some(place.location(py)?.object(py)?),
                    false => None,
                };
                match load.bind(py).call1((stored.lazy()?, place)) {
                    Ok(value) => Ok(Some(value)),
                    // Raised again for the value of the field, with its place.
                    Err(error) if error.is_instance_of::<PyValueError>(py) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// The types that may be converted; values of all others do not fit.
    fn types(&self) -> u32 {
        match &self.0 {
            Kind::Scalar(types) => {
                let mut all = *types;
                for (known, other) in [
                    (NULL, OTHER),   // undefined
                    (STRING, OTHER), // symbols and code
                    (INT64, DOUBLE), // exact numbers
                    (DOUBLE, INT32 | INT64),
                    (BINARY, SUBTYPED_BINARY), // Binary is a subclass of bytes
                ] {
                    all |= if types & known != 0 { other } else { 0 };
                }
                all
            }
            Kind::AsPyMongo(types) => *types,
            Kind::Uuid => SUBTYPED_BINARY,
            Kind::Decimal => DECIMAL | INT32 | INT64,
            Kind::Date => DATE,
            Kind::Choice(choice) => choice.types(),
            Kind::Embedded { .. } | Kind::Dict(_) => DOCUMENT,
            Kind::List { .. } | Kind::Tuple(_) => LIST,
            Kind::Optional(inner) => inner.get().types() | NULL,
            Kind::Union(members) => members
                .iter()
                .fold(0, |types, member| types | member.get().types()),
            Kind::Any | Kind::Python { .. } => u32::MAX,
        }
    }

    /// The types of which a union tries this member before others, as `Converter.exact` in Python.
    fn exact_types(&self) -> u32 {
        match &self.0 {
            Kind::Scalar(types) | Kind::AsPyMongo(types) => *types,
            Kind::Uuid => SUBTYPED_BINARY,
            Kind::List { .. } | Kind::Tuple(_) => LIST,
            Kind::Dict(_) => DOCUMENT,
            _ => 0,
        }
    }
}

/// The value of the first member that fits exactly, else of the first that fits.
fn union<'py>(
    stored: &Stored<'_, 'py>,
    members: &[Py<NativeConverter>],
    place: &Place<'_>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let found = type_of(&stored.cell());
    let fitting = |member: &&Py<NativeConverter>| member.get().types() & found != 0;
    // Python has several types for these values.
    if found == OTHER || found == SUBTYPED_BINARY && members.iter().filter(fitting).count() > 1 {
        return Ok(None);
    }
    for member in members.iter().filter(fitting) {
        let member = member.get();
        if let Kind::Choice(choice) = &member.0 {
            if let Some(member) = choice.member(&stored.cell()) {
                return Ok(Some(member.bind(stored.py).clone()));
            }
        } else if member.exact_types() & found != 0 {
            return member.load(stored, place);
        }
    }
    let mut others = members
        .iter()
        .filter(fitting)
        .map(|member| member.get())
        .filter(|member| !matches!(member.0, Kind::Choice(_)));
    match others.next() {
        Some(member) => member.load(stored, place),
        None => Ok(None),
    }
}

#[pymethods]
impl NativeConverter {
    /// Values of these types as they are, and numbers that are exactly one of them.
    #[staticmethod]
    fn scalar(types: u32) -> Self {
        NativeConverter(Kind::Scalar(types))
    }

    /// Values of these types as PyMongo gives them.
    #[staticmethod]
    fn as_pymongo(types: u32) -> Self {
        NativeConverter(Kind::AsPyMongo(types))
    }

    /// Values of any type as PyMongo gives them.
    #[staticmethod]
    fn plain() -> Self {
        NativeConverter(Kind::Any)
    }

    #[staticmethod]
    fn uuid() -> Self {
        NativeConverter(Kind::Uuid)
    }

    #[staticmethod]
    fn decimal() -> Self {
        NativeConverter(Kind::Decimal)
    }

    #[staticmethod]
    fn date() -> Self {
        NativeConverter(Kind::Date)
    }

    /// A choice of (stored value, member) pairs; None if a stored value is of a type that only Python compares.
    #[staticmethod]
    fn choice(pairs: Vec<(Bound<'_, PyAny>, Py<PyAny>)>) -> PyResult<Option<Self>> {
        Ok(Choice::of(pairs)?.map(|choice| NativeConverter(Kind::Choice(choice))))
    }

    /// An embedded model. `tree`: the key that names a class, and the ModelClass of each name.
    #[staticmethod]
    #[pyo3(signature = (class, tree=None))]
    fn embedded(
        class: Py<ModelClass>,
        tree: Option<(Bound<'_, PyString>, Py<PyDict>)>,
    ) -> PyResult<Self> {
        let tree = match tree {
            Some((key, classes)) => {
                let key = PyString::intern(key.py(), key.to_str()?);
                Some((key.unbind(), classes))
            }
            None => None,
        };
        Ok(NativeConverter(Kind::Embedded { class, tree }))
    }

    /// A list, set, frozenset or tuple of items of one type; `cyclic`: an item may refer to the list, as far as its annotation
    /// says.
    #[staticmethod]
    fn list_of(
        kind: &Bound<'_, PyType>,
        item: Py<NativeConverter>,
        cyclic: bool,
    ) -> PyResult<Self> {
        let py = kind.py();
        let kind = if kind.is(py.get_type::<PyList>()) {
            ListKind::List
        } else if kind.is(py.get_type::<PySet>()) {
            ListKind::Set
        } else if kind.is(py.get_type::<PyFrozenSet>()) {
            ListKind::FrozenSet
        } else if kind.is(py.get_type::<PyTuple>()) {
            ListKind::Tuple
        } else {
            return Err(PyTypeError::new_err("not a class of lists"));
        };
        Ok(NativeConverter(Kind::List { kind, item, cyclic }))
    }

    /// A tuple whose items have a type each.
    #[staticmethod]
    fn tuple_of(items: Vec<Py<NativeConverter>>) -> Self {
        NativeConverter(Kind::Tuple(items))
    }

    /// A dict of values of one type.
    #[staticmethod]
    fn dict_of(item: Py<NativeConverter>) -> Self {
        NativeConverter(Kind::Dict(item))
    }

    /// A value or null.
    #[staticmethod]
    fn optional(inner: Py<NativeConverter>) -> Self {
        NativeConverter(Kind::Optional(inner))
    }

    /// The first member that fits exactly, else the first that fits.
    #[staticmethod]
    fn union(members: Vec<Py<NativeConverter>>) -> Self {
        NativeConverter(Kind::Union(members))
    }

    /// A conversion by Python code, within one of another kind. `load(stored, place)` raises ValueError for a value that does
    /// not fit; without `deep`, `place` is None.
    #[staticmethod]
    fn python(load: Py<PyAny>, deep: bool) -> Self {
        NativeConverter(Kind::Python { load, deep })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.0 {
            Kind::Choice(choice) => choice.traverse(&visit),
            Kind::Embedded { class, tree } => {
                visit.call(class)?;
                match tree {
                    Some((_, classes)) => visit.call(classes),
                    None => Ok(()),
                }
            }
            Kind::List { item, .. } | Kind::Dict(item) | Kind::Optional(item) => visit.call(item),
            Kind::Tuple(items) | Kind::Union(items) => {
                items.iter().try_for_each(|item| visit.call(item))
            }
            Kind::Python { load, .. } => visit.call(load),
            _ => Ok(()),
        }
    }
}
