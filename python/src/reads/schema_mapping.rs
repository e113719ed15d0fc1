//! Schemas from mappings of names to types, without pyarrow.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use data_bridge::chunk::Marker;
use data_bridge::schema::{Kind, Representation};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyMapping, PyString, PyType};
use pyo3_arrow::PyField;

/// The schema of `mapping`, whose values are Python types, names of types, objects with `__arrow_c_schema__`, `[T]` for
/// lists of T, or mappings for documents.
///
/// Python types have the storage of `representation`; names and Arrow types are taken literally.
pub(crate) fn from_mapping(
    mapping: &Bound<'_, PyMapping>,
    representation: &Representation,
) -> PyResult<SchemaRef> {
    let mut parser = MappingParser {
        representation,
        path: Vec::new(),
    };
    Ok(Arc::new(ArrowSchema::new(parser.fields(mapping)?)))
}

/// Walks a mapping; `path` is the current path.
struct MappingParser<'a> {
    representation: &'a Representation,
    path: Vec<String>,
}

impl MappingParser<'_> {
    fn fields(&mut self, mapping: &Bound<'_, PyMapping>) -> PyResult<Vec<Field>> {
        let mut fields = Vec::new();
        for item in mapping.items()? {
            let (name, kind): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            let Ok(name) = name.cast::<PyString>() else {
                return Err(PyTypeError::new_err(format!(
                    "names in a schema are str, got {}",
                    name.get_type().name()?
                )));
            };
            let name = name.to_str()?;
            fields.push(self.below(format!("[{name:?}]"), name, &kind)?);
        }
        Ok(fields)
    }

    /// The field of a nested type; `step` is its step of the path.
    fn below(&mut self, step: String, name: &str, spec: &Bound<'_, PyAny>) -> PyResult<Field> {
        self.path.push(step);
        let field = self.field(name, spec)?;
        self.path.pop();
        Ok(field)
    }

    fn field(&mut self, name: &str, spec: &Bound<'_, PyAny>) -> PyResult<Field> {
        if self.path.len() > 100 {
            return Err(PyValueError::new_err("a schema is nested too deep"));
        }
        if let Some(field) = self.annotation(name, spec)? {
            return Ok(field);
        }
        if let Ok(class) = spec.cast::<PyType>() {
            return match of_class(class)? {
                Some(kind) => Ok(self.representation.kind(&kind).field(name)),
                None => Err(self.unknown(spec)),
            };
        }
        if let Ok(text) = spec.cast::<PyString>() {
            return match Kind::from_name(text.to_str()?) {
                Some(kind) => Ok(kind.field(name)),
                None => Err(PyValueError::new_err(format!(
                    "no type is called {:?} (schema path {})",
                    text.to_str()?,
                    self.path.concat()
                ))),
            };
        }
        if spec.hasattr("__arrow_c_schema__")? {
            let field = spec.extract::<PyField>()?.into_inner();
            return Ok(field.as_ref().clone().with_name(name));
        }
        if let Ok(list) = spec.cast::<PyList>() {
            if list.len() != 1 {
                return Err(PyValueError::new_err(format!(
                    "a list in a schema has one element, the type of its items; got {} (schema path {})",
                    list.len(),
                    self.path.concat()
                )));
            }
            return self.list(name, &list.get_item(0)?);
        }
        if let Ok(mapping) = spec.cast::<PyMapping>() {
            return Ok(Field::new_struct(name, self.fields(mapping)?, true));
        }
        Err(self.unknown(spec))
    }

    /// The field of an annotation with arguments: `T | None`, `list[T]` or `dict[str, T]`; `None` for other types.
    fn annotation(&mut self, name: &str, spec: &Bound<'_, PyAny>) -> PyResult<Option<Field>> {
        let py = spec.py();
        let typing = py.import("typing")?;
        let origin = typing.call_method1("get_origin", (spec,))?;
        if origin.is_none() {
            return Ok(None);
        }
        let arguments = typing.call_method1("get_args", (spec,))?;
        let arguments: Vec<Bound<'_, PyAny>> = arguments.extract()?;
        let is_builtin = |name: &str| -> PyResult<bool> {
            Ok(origin.is(&py.import("builtins")?.getattr(name)?))
        };
        let is_union = origin.is(&typing.getattr("Union")?)
            || origin.is(&py.import("types")?.getattr("UnionType")?);
        Ok(Some(match arguments.as_slice() {
            [item] if is_builtin("list")? => self.list(name, item)?,
            [key, value] if is_builtin("dict")? && key.is(py.get_type::<PyString>()) => {
                let value = self.below("[...]".into(), "value", value)?;
                let key = Field::new("key", DataType::Utf8, false);
                Field::new_map(name, "entries", key, value, false, true)
            }
            union if is_union => {
                let none = py.None().bind(py).get_type();
                let mut types = union.iter().filter(|argument| !argument.is(&none));
                match (types.next(), types.next()) {
                    (Some(only), None) => self.field(name, only)?,
                    _ => return Err(self.unknown(spec)),
                }
            }
            _ => return Err(self.unknown(spec)),
        }))
    }

    fn list(&mut self, name: &str, item: &Bound<'_, PyAny>) -> PyResult<Field> {
        let item = self.below("[...]".into(), "item", item)?;
        Ok(Field::new_list(name, item, true))
    }

    fn unknown(&self, spec: &Bound<'_, PyAny>) -> PyErr {
        let text = spec.repr().map(|text| text.to_string());
        PyTypeError::new_err(format!(
            "a type in a schema is a Python type such as int, a name such as \"int64\", an object with __arrow_c_schema__, \
             T | None, list[T] or [T], dict[str, T], or a mapping; got {} (schema path {})",
            text.unwrap_or_default(),
            self.path.concat()
        ))
    }
}

/// The kind that a Python class represents. Called once per schema, so nothing is cached.
fn of_class(class: &Bound<'_, PyType>) -> PyResult<Option<Kind>> {
    let known = [
        ("builtins", "int", Kind::Int64),
        ("builtins", "float", Kind::Double),
        ("builtins", "str", Kind::String),
        ("builtins", "bool", Kind::Boolean),
        ("builtins", "bytes", Kind::Binary),
        ("builtins", "list", Kind::List(Box::new(Kind::Mixed))),
        ("builtins", "dict", Kind::Map(Box::new(Kind::Mixed))),
        ("datetime", "datetime", Kind::DateTime),
        ("decimal", "Decimal", Kind::Decimal128),
        ("uuid", "UUID", Kind::Uuid),
        ("bson", "ObjectId", Kind::ObjectId),
        ("bson", "Decimal128", Kind::Decimal128),
        ("bson", "Int64", Kind::Int64),
        ("bson", "Binary", Kind::Subtyped),
        ("bson", "Code", Kind::Code),
        ("bson", "Regex", Kind::Regex),
        ("bson", "Timestamp", Kind::Timestamp),
        ("bson", "MinKey", Kind::Marker(Marker::MinKey)),
        ("bson", "MaxKey", Kind::Marker(Marker::MaxKey)),
    ];
    for (module, name, kind) in known {
        if class.is(&class.py().import(module)?.getattr(name)?) {
            return Ok(Some(kind));
        }
    }
    if class.is(&class.py().import("datetime")?.getattr("date")?) {
        return Ok(Kind::from_name("date32"));
    }
    Ok(None)
}
