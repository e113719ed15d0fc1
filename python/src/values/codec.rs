//! `Codec`: the options of the conversion from BSON to Python, the supported part of PyMongo's `CodecOptions`.

use std::ops::Deref;
use std::sync::Arc;

use data_bridge::decode::DecodeOptions;
use data_bridge::raw::{LegacyUuid, TextPolicy};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDelta, PyDeltaAccess, PyDict, PyTuple, PyTzInfo};

use crate::values::bson_types::BsonTypes;

/// Options of the conversion from BSON to Python. Clones share them.
#[pyclass(frozen, from_py_object, module = "data_bridge._core")]
#[derive(Clone)]
pub struct Codec(Arc<CodecSettings>);

/// The options of a [`Codec`].
pub struct CodecSettings {
    pub tz_aware: bool,
    pub tzinfo: Option<Py<PyTzInfo>>,
    pub uuids: UuidRepresentation,
    pub dates: DatetimeConversion,
    /// First and last millisecond that a datetime in `tzinfo` represents.
    pub date_bounds: (i64, i64),
    pub text: TextPolicy,
    pub types: &'static BsonTypes,
}

/// `bson.binary.UuidRepresentation`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UuidRepresentation {
    Unspecified = 0,
    PythonLegacy = 3,
    Standard = 4,
    JavaLegacy = 5,
    CsharpLegacy = 6,
}

impl UuidRepresentation {
    /// The byte order of UUIDs in binaries of subtype 3; `None` if those are no UUIDs.
    pub fn legacy(self) -> Option<LegacyUuid> {
        match self {
            UuidRepresentation::Unspecified | UuidRepresentation::Standard => None,
            UuidRepresentation::PythonLegacy => Some(LegacyUuid::Python),
            UuidRepresentation::JavaLegacy => Some(LegacyUuid::Java),
            UuidRepresentation::CsharpLegacy => Some(LegacyUuid::CSharp),
        }
    }
}

/// `bson.codec_options.DatetimeConversion`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatetimeConversion {
    Datetime = 1,
    Clamp = 2,
    Milliseconds = 3,
    Auto = 4,
}

/// `datetime.min` and `datetime.max` in milliseconds: `bson.datetime_ms._MIN_UTC_MS`, `_MAX_UTC_MS`.
const DATE_BOUNDS: (i64, i64) = (-62_135_596_800_000, 253_402_300_799_999);

impl Deref for Codec {
    type Target = CodecSettings;

    #[inline]
    fn deref(&self) -> &CodecSettings {
        &self.0
    }
}

#[pymethods]
impl Codec {
    #[new]
    #[pyo3(signature = (*, tz_aware, tzinfo, uuid_representation, datetime_conversion, unicode_decode_error_handler))]
    fn new(
        py: Python<'_>,
        tz_aware: bool,
        tzinfo: Option<Bound<'_, PyTzInfo>>,
        uuid_representation: i32,
        datetime_conversion: i32,
        unicode_decode_error_handler: &str,
    ) -> PyResult<Self> {
        if tzinfo.is_some() && !tz_aware {
            return Err(PyValueError::new_err(
                "cannot specify tzinfo without also setting tz_aware=True",
            ));
        }
        let uuids = match uuid_representation {
            0 => UuidRepresentation::Unspecified,
            3 => UuidRepresentation::PythonLegacy,
            4 => UuidRepresentation::Standard,
            5 => UuidRepresentation::JavaLegacy,
            6 => UuidRepresentation::CsharpLegacy,
            _ => {
                return Err(PyValueError::new_err(
                    "uuid_representation must be a value from bson.binary.UuidRepresentation",
                ))
            }
        };
        let dates = match datetime_conversion {
            1 => DatetimeConversion::Datetime,
            2 => DatetimeConversion::Clamp,
            3 => DatetimeConversion::Milliseconds,
            4 => DatetimeConversion::Auto,
            _ => return Err(PyValueError::new_err(
                "datetime_conversion must be a value from bson.codec_options.DatetimeConversion",
            )),
        };
        let text = match unicode_decode_error_handler {
            "strict" => TextPolicy::Strict,
            "replace" => TextPolicy::Replace,
            "ignore" => TextPolicy::Ignore,
            other => {
                return Err(PyValueError::new_err(format!(
                    "unicode_decode_error_handler {other:?} is not supported: use 'strict', 'replace' or 'ignore'"
                )))
            }
        };
        let date_bounds = match (&tzinfo, dates) {
            (Some(tzinfo), DatetimeConversion::Clamp | DatetimeConversion::Auto) => bounds(tzinfo)?,
            _ => DATE_BOUNDS,
        };
        Ok(Codec(Arc::new(CodecSettings {
            tz_aware,
            tzinfo: tzinfo.map(Bound::unbind),
            uuids,
            dates,
            date_bounds,
            text,
            types: BsonTypes::get(py)?,
        })))
    }

    #[getter]
    fn uuid_representation(&self) -> i32 {
        self.uuids as i32
    }

    /// The keyword arguments with which pickle calls the constructor.
    fn __getnewargs_ex__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let named = PyDict::new(py);
        named.set_item("tz_aware", self.tz_aware)?;
        named.set_item("tzinfo", &self.tzinfo)?;
        named.set_item("uuid_representation", self.uuids as i32)?;
        named.set_item("datetime_conversion", self.dates as i32)?;
        let text = match self.text {
            TextPolicy::Strict => "strict",
            TextPolicy::Replace => "replace",
            TextPolicy::Ignore => "ignore",
        };
        named.set_item("unicode_decode_error_handler", text)?;
        Ok((PyTuple::empty(py), named))
    }
}

impl Codec {
    /// The codec that represents every value exactly: naive UTC datetimes or `DatetimeMS`, UUIDs as `Binary`.
    pub fn exact(py: Python<'_>) -> PyResult<Self> {
        let unspecified = UuidRepresentation::Unspecified as i32;
        let auto = DatetimeConversion::Auto as i32;
        Codec::new(py, false, None, unspecified, auto, "strict")
    }

    /// The byte order of UUIDs in binaries of subtype 3, if this codec reads those as UUIDs.
    pub fn legacy_uuid(&self) -> Option<LegacyUuid> {
        self.uuids.legacy()
    }

    /// Options of the decoder for this codec.
    pub fn decode_options(&self) -> DecodeOptions {
        DecodeOptions {
            text: self.text,
            ..DecodeOptions::default()
        }
    }
}

/// The first and last millisecond that fit a datetime in `tzinfo`. An offset only narrows the range, as in
/// `decode_datetime` of PyMongo's C code.
fn bounds(tzinfo: &Bound<'_, PyTzInfo>) -> PyResult<(i64, i64)> {
    let module = tzinfo.py().import("bson.datetime_ms")?;
    let offset = |name: &str| -> PyResult<i64> {
        let delta = tzinfo.call_method1("utcoffset", (module.getattr(name)?,))?;
        if delta.is_none() {
            return Ok(0);
        }
        let delta = delta.cast::<PyDelta>().map_err(|_| {
            PyValueError::new_err("tzinfo.utcoffset() did not return a datetime.timedelta")
        })?;
        let seconds = i64::from(delta.get_days()) * 86_400 + i64::from(delta.get_seconds());
        Ok(seconds * 1000 + i64::from(delta.get_microseconds()) / 1000)
    };
    let (first, last) = DATE_BOUNDS;
    Ok((
        first - offset("_MIN_UTC")?.min(0),
        last - offset("_MAX_UTC")?.max(0),
    ))
}
