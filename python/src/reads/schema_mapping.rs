//! Schemas from mappings of names to types, without pyarrow.

use arrow_schema::{Field, Schema as ArrowSchema};
use data_bridge::chunk::Marker;
use data_bridge::schema::{Kind, TableSchema};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyMapping, PyString, PyType};
use pyo3_arrow::PyField;

use crate::error::to_pyerr;
use crate::reads::arrow::Schema;

/// The schema of `mapping`, whose values are Python types, names of types, objects with `__arrow_c_schema__`, `[T]` for
/// lists of T, or mappings for documents.
pub(crate) fn from_mapping(mapping: &Bound<'_, PyMapping>) -> PyResult<Schema> {
    let mut path = Vec::new();
    let fields = fields(mapping, &mut path)?;
    // Checked here, so that the traceback includes the caller's line.
    let schema = TableSchema::from_user(&ArrowSchema::new(fields));
    let schema = schema.map_err(|error| to_pyerr(mapping.py(), error))?;
    Ok(Schema(schema.arrow().clone()))
}

fn fields(mapping: &Bound<'_, PyMapping>, path: &mut Vec<String>) -> PyResult<Vec<Field>> {
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
        path.push(format!("[{name:?}]"));
        fields.push(field(name, &kind, path)?);
        path.pop();
    }
    Ok(fields)
}

fn field(name: &str, spec: &Bound<'_, PyAny>, path: &mut Vec<String>) -> PyResult<Field> {
    if path.len() > 100 {
        return Err(PyValueError::new_err("a schema is nested too deep"));
    }
    if let Ok(class) = spec.cast::<PyType>() {
        return match of_class(class)? {
            Some(kind) => Ok(kind.field(name)),
            None => Err(unknown(spec, path)),
        };
    }
    if let Ok(text) = spec.cast::<PyString>() {
        return match Kind::from_name(text.to_str()?) {
            Some(kind) => Ok(kind.field(name)),
            None => Err(PyValueError::new_err(format!(
                "no type is called {:?} (schema path {})",
                text.to_str()?,
                path.concat()
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
                path.concat()
            )));
        }
        path.push("[...]".into());
        let item = field("item", &list.get_item(0)?, path)?;
        path.pop();
        return Ok(Field::new_list(name, item, true));
    }
    if let Ok(mapping) = spec.cast::<PyMapping>() {
        return Ok(Field::new_struct(name, fields(mapping, path)?, true));
    }
    Err(unknown(spec, path))
}

fn unknown(spec: &Bound<'_, PyAny>, path: &[String]) -> PyErr {
    let text = spec.repr().map(|text| text.to_string());
    PyTypeError::new_err(format!(
        "a type in a schema is a Python type such as int, a name such as \"int64\", an object with __arrow_c_schema__, \
         [T], or a mapping; got {} (schema path {})",
        text.unwrap_or_default(),
        path.concat()
    ))
}

/// The kind that a Python class represents. Called once per schema, so nothing is cached.
fn of_class(class: &Bound<'_, PyType>) -> PyResult<Option<Kind>> {
    let known = [
        ("builtins", "int", Kind::Int64),
        ("builtins", "float", Kind::Double),
        ("builtins", "str", Kind::String),
        ("builtins", "bool", Kind::Boolean),
        ("builtins", "bytes", Kind::Binary),
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
