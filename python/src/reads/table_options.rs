//! The options of tables: schema, policy for conflicts, representation of types.

use arrow_schema::{DataType, SchemaRef};
use data_bridge::conform::{FlatSchema, OnConflict, Policy, UnknownKeys};
use data_bridge::error::Result;
use data_bridge::raw::LegacyUuid;
use data_bridge::reader::{BatchStream, ResultSet};
use data_bridge::schema::{
    DecimalForm, Kind, MixedForm, Representation, StorageForm, StringLayout, TableSchema,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyMapping;

use crate::error::to_pyerr;
use crate::reads::arrow::Schema;
use crate::reads::schema_mapping;
use crate::values::codec::Codec;

/// The caller's schema, the policy for values that do not fit it, and the representation of types.
#[pyclass(frozen, module = "data_bridge._core", name = "NativeTableOptions")]
#[derive(Clone, Default)]
pub(crate) struct TableOptions {
    user_schema: Option<TableSchema>,
    /// The schema was inferred from other documents of the result: keys that it does not name are conflicts.
    refuses_unknown_keys: bool,
    on_conflict: OnConflict,
    /// The storage of inferred types, and of Python types in a schema.
    representation: Representation,
    /// The storage by the switches alone: that of Arrow types in a schema, and of tables with shapes.
    switches: Representation,
    flatten: bool,
    /// Top-level keys of a result without documents, if the query determines them.
    empty_columns: Vec<String>,
}

/// The columns of a table: their types, the policy for values that do not fit, and their names if they are flattened.
pub(crate) struct TableColumns {
    pub schema: TableSchema,
    pub policy: Policy,
    pub flat: Option<FlatSchema>,
}

impl TableColumns {
    pub fn arrow(&self) -> &SchemaRef {
        match &self.flat {
            Some(flat) => flat.arrow(),
            None => self.schema.arrow(),
        }
    }
}

impl TableOptions {
    /// The columns of the table of a whole result. With `shapes` they have exact types, except by a switch.
    pub fn of_result(&self, set: &ResultSet, shapes: bool) -> Result<TableColumns> {
        let (schema, policy) = match &self.user_schema {
            Some(schema) => (
                schema.clone(),
                Policy {
                    unknown: match self.refuses_unknown_keys {
                        true => UnknownKeys::Conflict,
                        false => UnknownKeys::Skip,
                    },
                    on_conflict: self.on_conflict,
                },
            ),
            None => {
                let representation = match shapes {
                    true => &self.switches,
                    false => &self.representation,
                };
                let schema = match set.rows() {
                    0 => self.empty_schema(),
                    _ => set.schema(representation)?,
                };
                // Inferred types hold every value; a representation that narrows them may not.
                let on_conflict = match representation.narrows() {
                    true => self.on_conflict,
                    false => OnConflict::Error,
                };
                let schema = match on_conflict {
                    OnConflict::Rescue => schema.with_rescued(representation)?,
                    OnConflict::Error | OnConflict::Null => schema,
                };
                let unknown = UnknownKeys::Conflict;
                (
                    schema,
                    Policy {
                        unknown,
                        on_conflict,
                    },
                )
            }
        };
        let flat = (self.flatten && !shapes).then(|| FlatSchema::new(&schema));
        Ok(TableColumns {
            flat: flat.transpose()?,
            schema,
            policy,
        })
    }

    /// The Arrow schema of a table with the columns of `schema`.
    pub fn arrow(&self, schema: &TableSchema) -> Result<SchemaRef> {
        let flat = self.flatten.then(|| FlatSchema::new(schema)).transpose()?;
        Ok(flat
            .as_ref()
            .map_or(schema.arrow(), FlatSchema::arrow)
            .clone())
    }

    fn empty_schema(&self) -> TableSchema {
        let names = self.empty_columns.iter();
        TableSchema::new(
            names
                .map(|name| (name.as_str().into(), Kind::Null))
                .collect(),
        )
    }

    /// The storage of inferred tables if equal options make equal tables of one result; `None` with a schema, and with a
    /// policy that can apply.
    pub fn cache_key(&self) -> Option<(Representation, bool)> {
        let is_inferred = self.user_schema.is_none() && !self.representation.narrows();
        is_inferred.then_some((self.representation, self.flatten))
    }

    /// The storage of inferred types.
    pub fn representation(&self) -> &Representation {
        &self.representation
    }

    /// The caller's schema.
    pub fn user_schema(&self) -> Option<&TableSchema> {
        self.user_schema.as_ref()
    }

    pub fn has_schema(&self) -> bool {
        self.user_schema.is_some()
    }

    pub fn flattens(&self) -> bool {
        self.flatten
    }

    /// Batches of the caller's schema, or of the schema inferred from `infer_rows` documents.
    pub fn stream(&self, infer_rows: u64) -> BatchStream {
        match &self.user_schema {
            Some(schema) => {
                let stream = BatchStream::with_user_schema(schema.clone(), self.on_conflict);
                match self.refuses_unknown_keys {
                    true => stream.with_unknown_keys_refused(),
                    false => stream,
                }
            }
            None => {
                BatchStream::with_inferred_schema(infer_rows, self.on_conflict, self.representation)
                    .with_empty_schema(self.empty_schema())
            }
        }
    }
}

#[pymethods]
impl TableOptions {
    #[new]
    #[pyo3(signature = (*, on_conflict, types, objectid, uuid, decimal, mixed, strings, flatten, codec))]
    #[allow(clippy::too_many_arguments)] // keywords of one Python call
    fn new(
        on_conflict: &str,
        types: &str,
        objectid: Option<&str>,
        uuid: Option<&str>,
        decimal: Option<&str>,
        mixed: Option<&str>,
        strings: Option<&str>,
        flatten: bool,
        codec: &Codec,
    ) -> PyResult<Self> {
        let switches = Switches {
            objectid,
            uuid,
            decimal,
            mixed,
            strings,
            legacy_uuid: codec.legacy_uuid(),
        };
        let base = match types {
            "plain" => Representation::plain(),
            "exact" => Representation::exact(),
            other => return Err(refused("types", "\"plain\" or \"exact\"", other)),
        };
        let on_conflict = match on_conflict {
            "error" => OnConflict::Error,
            "rescue" => OnConflict::Rescue,
            "null" => OnConflict::Null,
            other => {
                let allowed = "\"error\", \"rescue\" or \"null\"";
                return Err(refused("on_conflict", allowed, other));
            }
        };
        Ok(TableOptions {
            user_schema: None,
            refuses_unknown_keys: false,
            on_conflict,
            representation: switches.over(base)?,
            switches: switches.over(Representation::exact())?,
            flatten,
            empty_columns: Vec::new(),
        })
    }

    /// The same options with a schema: one of Arrow's, or a mapping of names to types.
    fn with_schema(&self, py: Python<'_>, schema: &Bound<'_, PyAny>) -> PyResult<TableOptions> {
        let arrow = match schema.cast::<Schema>() {
            Ok(schema) => schema.get().0.clone(),
            Err(_) => match schema.cast::<PyMapping>() {
                Ok(mapping) => schema_mapping::from_mapping(mapping, &self.representation)?,
                Err(_) => return Err(PyTypeError::new_err("a schema or a mapping was expected")),
            },
        };
        let made = || {
            let schema = match self.flatten {
                true => TableSchema::from_flattened(&arrow)?,
                false => TableSchema::from_user(&arrow)?,
            };
            let schema = schema.represented(&self.switches);
            Ok(match self.on_conflict {
                OnConflict::Rescue => schema.with_rescued(&self.representation)?,
                OnConflict::Error | OnConflict::Null => schema,
            })
        };
        Ok(TableOptions {
            user_schema: Some(made().map_err(|error| to_pyerr(py, error))?),
            ..self.clone()
        })
    }

    /// The same options with a schema that was inferred from documents: keys that it does not name are conflicts.
    fn with_inferred_schema(
        &self,
        py: Python<'_>,
        schema: &Bound<'_, PyAny>,
    ) -> PyResult<TableOptions> {
        let mut form = self.with_schema(py, schema)?;
        form.refuses_unknown_keys = true;
        Ok(form)
    }

    /// The same options; an inferred table of a result without documents has these columns.
    fn with_empty_columns(&self, names: Vec<String>) -> TableOptions {
        TableOptions {
            empty_columns: names,
            ..self.clone()
        }
    }

    /// The schema of tables, if the caller set one.
    #[getter]
    fn schema(&self, py: Python<'_>) -> PyResult<Option<Schema>> {
        let Some(schema) = &self.user_schema else {
            return Ok(None);
        };
        let flat = self.flatten.then(|| FlatSchema::new(schema)).transpose();
        let flat = flat.map_err(|error| to_pyerr(py, error))?;
        let arrow = flat.as_ref().map_or(schema.arrow(), FlatSchema::arrow);
        Ok(Some(Schema(arrow.clone())))
    }

    /// The same options, with views as the layout of text in inferred tables, unless another layout is set. polars uses views,
    /// so it does not copy the text.
    fn with_views(&self) -> TableOptions {
        let mut form = self.clone();
        if form.user_schema.is_none() && form.representation.strings == StringLayout::Utf8 {
            form.representation.strings = StringLayout::View;
        }
        form
    }

    /// The same options with exact types, unless a switch chooses the storage of one type. Binaries of subtype 3 stay
    /// binaries.
    fn with_exact(&self) -> TableOptions {
        TableOptions {
            representation: Representation {
                legacy_uuid: None,
                ..self.switches
            },
            ..self.clone()
        }
    }

    /// The top-level keys that tables are made of. None if they may be any: without a schema, with an inferred one, and under
    /// "rescue", which keeps values that do not fit.
    #[getter]
    fn keys(&self) -> Option<Vec<&str>> {
        let schema = self.user_schema.as_ref()?;
        let all = self.on_conflict == OnConflict::Rescue || self.refuses_unknown_keys;
        (!all).then(|| schema.fields().iter().map(|(name, _)| &**name).collect())
    }
}

/// The options of a query that choose the storage of one type; `None` leaves the choice to `types`.
struct Switches<'a> {
    objectid: Option<&'a str>,
    uuid: Option<&'a str>,
    decimal: Option<&'a str>,
    mixed: Option<&'a str>,
    strings: Option<&'a str>,
    legacy_uuid: Option<LegacyUuid>,
}

impl Switches<'_> {
    /// The storage `base` with the types that a switch chooses.
    fn over(&self, base: Representation) -> PyResult<Representation> {
        Ok(Representation {
            object_id: match self.objectid {
                Some(value) => store("objectid", value, "hex")?,
                None => base.object_id,
            },
            uuid: match self.uuid {
                Some(value) => store("uuid", value, "string")?,
                None => base.uuid,
            },
            decimal: self.decimal.map_or(Ok(base.decimal), decimals)?,
            mixed: match self.mixed {
                None => base.mixed,
                Some("plain") => MixedForm::Text,
                Some("exact") => MixedForm::Exact,
                Some("json") => MixedForm::Json,
                Some(other) => {
                    return Err(refused("mixed", "\"plain\", \"exact\" or \"json\"", other))
                }
            },
            strings: match self.strings {
                None | Some("plain" | "exact" | "utf8") => StringLayout::Utf8,
                Some("large") => StringLayout::Large,
                Some("view") => StringLayout::View,
                Some(other) => {
                    return Err(refused("strings", "\"utf8\", \"large\" or \"view\"", other))
                }
            },
            legacy_uuid: self.legacy_uuid,
            ..base
        })
    }
}

fn store(option: &str, value: &str, text: &str) -> PyResult<StorageForm> {
    match value {
        "exact" => Ok(StorageForm::Exact),
        "binary" => Ok(StorageForm::Bytes),
        "plain" => Ok(StorageForm::Text),
        value if value == text => Ok(StorageForm::Text),
        other => {
            let allowed = format!("\"plain\", \"exact\", {text:?} or \"binary\"");
            Err(refused(option, &allowed, other))
        }
    }
}

fn decimals(value: &str) -> PyResult<DecimalForm> {
    let fixed = |kind: &DataType, rounded| match kind {
        DataType::Decimal128(precision, scale) => Some(DecimalForm::Fixed {
            precision: *precision,
            scale: *scale,
            rounded,
        }),
        _ => None,
    };
    let found = match value {
        "plain" => Some(DecimalForm::Number),
        "exact" => Some(DecimalForm::Exact),
        "binary" => Some(DecimalForm::Bytes),
        "string" => Some(DecimalForm::Text),
        name => match Kind::from_name(name) {
            Some(Kind::ArrowOnly(kind)) => fixed(&kind, false),
            Some(Kind::Rounded(kind)) => fixed(&kind, true),
            _ => None,
        },
    };
    found.ok_or_else(|| {
        let allowed = "\"plain\", \"exact\", \"string\", \"binary\", or a type such as \"decimal128(38, 10)\" or \
             \"decimal128(38, 10) rounded\"";
        refused("decimal", allowed, value)
    })
}

fn refused(option: &str, allowed: &str, value: &str) -> PyErr {
    PyValueError::new_err(format!("{option} must be {allowed}, got {value:?}"))
}
