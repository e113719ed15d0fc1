//! Locations of embedded values in their documents, for messages: kept natively, and made Python objects on demand.

use std::cell::OnceCell;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::documents::document::Document;
use crate::documents::py_chunk::PyChunk;
use crate::models::instance_state::StoredRow;
use crate::models::model_view::ModelView;

/// The location of an instance or a value. All items of a list share the location of the list.
///
/// The garbage collector does not see the objects in it, as several instances share them. They are strings, documents and
/// roots of variants of a model, none of which refers to an instance.
#[derive(Clone)]
pub enum Location {
    /// A document.
    Document(Arc<PyChunk>, u32),
    /// A value in another value.
    Below(Arc<Step>),
    /// An item of the list at a location.
    Item(Arc<Step>, u32),
    /// A location from Python code: a document, or the pair of a location and a key.
    Object(Arc<Py<PyAny>>),
}

/// A key or a position below a location.
pub struct Step {
    above: Location,
    key: Key,
}

enum Key {
    Name(Py<PyString>),
    Position(u32),
}

impl Location {
    /// The location as converters in Python take it: a document, or the pair of the container's location and a key.
    pub fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (above, key) = match self {
            Location::Document(py_chunk, row) => {
                return Ok(Document::view(py, py_chunk, *row)?
                    .into_bound(py)
                    .into_any())
            }
            Location::Object(object) => return Ok(object.bind(py).clone()),
            Location::Below(step) => {
                let key = match &step.key {
                    Key::Name(name) => name.bind(py).clone().into_any(),
                    Key::Position(position) => position.into_pyobject(py)?.into_any(),
                };
                (step.above.object(py)?, key)
            }
            Location::Item(list, position) => {
                let list = Location::Below(Arc::clone(list)).object(py)?;
                (list, position.into_pyobject(py)?.into_any())
            }
        };
        Ok(PyTuple::new(py, [above, key])?.into_any())
    }
}

/// The place of a value during its conversion. It becomes a [`Location`] only if a value needs one.
pub struct Place<'a> {
    above: Above<'a>,
    key: KeyRef<'a>,
    step: OnceCell<Arc<Step>>,
}

#[derive(Clone, Copy)]
enum Above<'a> {
    Instance {
        view: &'a ModelView,
        source: &'a StoredRow,
        /// `root(document)`: the root of locations in a variant of a model.
        root: Option<&'a Py<PyAny>>,
    },
    Value(&'a Place<'a>),
}

#[derive(Clone, Copy)]
enum KeyRef<'a> {
    Name(&'a Py<PyString>),
    Position(u32),
}

impl<'a> Place<'a> {
    /// The place of a field of an instance.
    pub fn field(
        view: &'a ModelView,
        source: &'a StoredRow,
        root: Option<&'a Py<PyAny>>,
        key: &'a Py<PyString>,
    ) -> Self {
        Self::new(Above::Instance { view, source, root }, KeyRef::Name(key))
    }

    /// The place of an item of the list at this place.
    pub fn item(&'a self, position: usize) -> Place<'a> {
        // A list of a column has less than 2^31 items.
        Self::new(Above::Value(self), KeyRef::Position(position as u32))
    }

    /// The place of a value of the document at this place.
    pub fn value(&'a self, key: &'a Py<PyString>) -> Place<'a> {
        Self::new(Above::Value(self), KeyRef::Name(key))
    }

    fn new(above: Above<'a>, key: KeyRef<'a>) -> Self {
        Place {
            above,
            key,
            step: OnceCell::new(),
        }
    }

    /// The location of this place.
    pub fn location(&self, py: Python<'_>) -> PyResult<Location> {
        match (self.above, self.key) {
            (Above::Value(list), KeyRef::Position(position)) => {
                Ok(Location::Item(list.step(py)?, position))
            }
            _ => Ok(Location::Below(self.step(py)?)),
        }
    }

    fn step(&self, py: Python<'_>) -> PyResult<Arc<Step>> {
        if let Some(step) = self.step.get() {
            return Ok(Arc::clone(step));
        }
        let above = match self.above {
            Above::Value(place) => place.location(py)?,
            Above::Instance { view, source, root } => {
                let location = view.location(source);
                match root {
                    None => location,
                    Some(root) => {
                        let root = root.bind(py).call1((location.object(py)?,))?;
                        Location::Object(Arc::new(root.unbind()))
                    }
                }
            }
        };
        let key = match self.key {
            KeyRef::Name(name) => Key::Name(name.clone_ref(py)),
            KeyRef::Position(position) => Key::Position(position),
        };
        let step = Arc::new(Step { above, key });
        Ok(Arc::clone(self.step.get_or_init(|| step)))
    }
}
