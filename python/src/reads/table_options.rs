//! The options of tables: schema, policy for conflicts, representation of types.

use arrow_schema::DataType;
use data_bridge::conform::{OnConflict, Policy, UnknownKeys};
use data_bridge::error::Result;
use data_bridge::reader::{BatchStream, ResultSet};
use data_bridge::schema::{
    DecimalForm, Kind, MixedForm, Representation, StorageForm, StringLayout, TableSchema,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::to_pyerr;
use crate::reads::arrow::Schema;

/// The caller's schema, the policy for values that do not fit it, and the representation of types.
#[pyclass(frozen, module = "data_bridge._core", name = "NativeTableOptions")]
#[derive(Clone, Default)]
pub(crate) struct TableOptions {
    user_schema: Option<TableSchema>,
    on_conflict: OnConflict,
    representation: Representation,
}

impl TableOptions {
    /// The schema and the policy for the table of a whole result.
    pub fn of_result(&self, set: &ResultSet) -> Result<(TableSchema, Policy)> {
        Ok(match &self.user_schema {
            Some(schema) => (
                schema.clone(),
                Policy {
                    unknown: UnknownKeys::Skip,
                    on_conflict: self.on_conflict,
                },
            ),
            None => {
                let schema = set.schema()?.represented(&self.representation);
                // Inferred types hold every value; a representation that narrows them may not.
                let on_conflict = match self.representation.narrows() {
                    true => self.on_conflict,
                    false => OnConflict::Error,
                };
                let schema = match on_conflict {
                    OnConflict::Rescue => schema.with_rescued()?,
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
        })
    }

    /// Returns whether tables have the default schema and representation.
    pub fn is_default(&self) -> bool {
        self.user_schema.is_none() && self.representation == Representation::default()
    }

    /// The caller's schema.
    pub fn user_schema(&self) -> Option<&TableSchema> {
        self.user_schema.as_ref()
    }

    pub fn has_schema(&self) -> bool {
        self.user_schema.is_some()
    }

    /// Batches of the caller's schema, or of the schema inferred from `infer_rows` documents.
    pub fn stream(&self, infer_rows: u64) -> BatchStream {
        match &self.user_schema {
            Some(schema) => BatchStream::with_user_schema(schema.clone(), self.on_conflict),
            None => {
                BatchStream::with_inferred_schema(infer_rows, self.on_conflict, self.representation)
            }
        }
    }
}

#[pymethods]
impl TableOptions {
    #[new]
    #[pyo3(signature = (schema, on_conflict, *, objectid, uuid, decimal, mixed, strings))]
    #[allow(clippy::too_many_arguments)] // keywords of one Python call
    fn new(
        py: Python<'_>,
        schema: Option<&Schema>,
        on_conflict: &str,
        objectid: &str,
        uuid: &str,
        decimal: &str,
        mixed: &str,
        strings: &str,
    ) -> PyResult<Self> {
        let representation = Representation {
            object_id: store("objectid", objectid, "hex")?,
            uuid: store("uuid", uuid, "string")?,
            decimal: decimals(decimal)?,
            mixed: match mixed {
                "extension" => MixedForm::Extension,
                "json" => MixedForm::Json,
                other => {
                    return Err(PyValueError::new_err(format!(
                        "mixed must be \"extension\" or \"json\", got {other:?}"
                    )))
                }
            },
            strings: match strings {
                "utf8" => StringLayout::Utf8,
                "large" => StringLayout::Large,
                "view" => StringLayout::View,
                other => {
                    return Err(PyValueError::new_err(format!(
                        "strings must be \"utf8\", \"large\" or \"view\", got {other:?}"
                    )))
                }
            },
        };
        let on_conflict = match on_conflict {
            "error" => OnConflict::Error,
            "rescue" => OnConflict::Rescue,
            "null" => OnConflict::Null,
            other => {
                return Err(PyValueError::new_err(format!(
                    "on_conflict must be \"error\", \"rescue\" or \"null\", got {other:?}"
                )))
            }
        };
        let user_schema = schema.map(|schema| {
            let schema = TableSchema::from_user(&schema.0)?.represented(&representation);
            match on_conflict {
                OnConflict::Rescue => schema.with_rescued(),
                OnConflict::Error | OnConflict::Null => Ok(schema),
            }
        });
        let user_schema = user_schema
            .transpose()
            .map_err(|error| to_pyerr(py, error))?;
        Ok(TableOptions {
            user_schema,
            on_conflict,
            representation,
        })
    }

    /// The schema of tables, if the caller set one.
    #[getter]
    fn schema(&self) -> Option<Schema> {
        let schema = self.user_schema.as_ref()?;
        Some(Schema(schema.arrow().clone()))
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

    /// The top-level keys that tables are made of. None if they may be any: without a schema, and under "rescue", which keeps
    /// values that do not fit.
    #[getter]
    fn keys(&self) -> Option<Vec<&str>> {
        let schema = self.user_schema.as_ref()?;
        let all = self.on_conflict == OnConflict::Rescue;
        (!all).then(|| schema.fields().iter().map(|(name, _)| &**name).collect())
    }
}

fn store(option: &str, value: &str, text: &str) -> PyResult<StorageForm> {
    match value {
        "extension" => Ok(StorageForm::Extension),
        "binary" => Ok(StorageForm::Bytes),
        value if value == text => Ok(StorageForm::Text),
        other => Err(PyValueError::new_err(format!(
            "{option} must be \"extension\", \"binary\" or {text:?}, got {other:?}"
        ))),
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
        "extension" => Some(DecimalForm::Extension),
        "binary" => Some(DecimalForm::Bytes),
        "string" => Some(DecimalForm::Text),
        name => match Kind::from_name(name) {
            Some(Kind::ArrowOnly(kind)) => fixed(&kind, false),
            Some(Kind::Rounded(kind)) => fixed(&kind, true),
            _ => None,
        },
    };
    found.ok_or_else(|| {
        PyValueError::new_err(format!(
            "decimal must be \"extension\", \"binary\", \"string\", or a type such as \"decimal128(38, 10)\" or \
             \"decimal128(38, 10) rounded\", got {value:?}"
        ))
    })
}
