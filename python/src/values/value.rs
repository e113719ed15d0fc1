//! One BSON value as a Python object: the same value and type as `bson.decode` gives.
//!
//! [`plain`] converts documents and lists to dicts and lists. It reads any cell and has no state;
//! `documents/py_chunk.rs` reads columns faster.

use data_bridge::chunk::{Cell, DocumentCell, ListCell, Marker};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDateTime, PyDict, PyFloat, PyList, PyString, PyTzInfo};

use crate::values::bson_types::BsonTypes;
use crate::values::codec::{CodecSettings, DatetimeConversion, UuidRepresentation};

/// PyMongo's advice, appended to Python's message about a year out of range.
const DATETIME_ADVICE: &str = " (Consider Using CodecOptions(datetime_conversion=DATETIME_AUTO) or MongoClient(datetime_conversion='DATETIME_AUTO')). See: https://www.mongodb.com/docs/languages/python/pymongo-driver/current/data-formats/dates-and-times/#handling-out-of-range-datetimes";

/// `cell` as a Python object, documents as dicts and lists as lists.
pub fn plain<'py>(
    py: Python<'py>,
    codec: &CodecSettings,
    cell: &Cell<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    match cell {
        Cell::Document(document) => embedded(py, codec, document),
        Cell::List(items) => list(py, codec, items),
        Cell::CodeWithScope { code, scope } => {
            let scope = dict(py, codec, &DocumentCell::Bson(scope))?;
            codec.types.code.bind(py).call1((*code, scope))
        }
        scalar => self::scalar(py, codec, scalar),
    }
}

/// A document as a dict. It is not converted to a DBRef: for documents at the top level and scopes.
fn dict<'py>(
    py: Python<'py>,
    codec: &CodecSettings,
    document: &DocumentCell<'_>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, cell) in document.entries() {
        dict.set_item(PyString::new(py, key), plain(py, codec, &cell)?)?;
    }
    Ok(dict)
}

/// An embedded document: a dict, or a DBRef.
fn embedded<'py>(
    py: Python<'py>,
    codec: &CodecSettings,
    document: &DocumentCell<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    dbref_hook(codec.types, dict(py, codec, document)?)
}

fn list<'py>(
    py: Python<'py>,
    codec: &CodecSettings,
    items: &ListCell<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    let list = PyList::empty(py);
    for cell in items.items() {
        list.append(plain(py, codec, &cell)?)?;
    }
    Ok(list.into_any())
}

/// The dict of an embedded document, or the DBRef that it represents. The rules are those of `_dbref_hook` in PyMongo's C
/// code.
pub fn dbref_hook<'py>(types: &BsonTypes, dict: Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
    let py = dict.py();
    let (ref_key, id_key, db_key) = (intern!(py, "$ref"), intern!(py, "$id"), intern!(py, "$db"));
    let (Some(collection), Some(id)) = (dict.get_item(ref_key)?, dict.get_item(id_key)?) else {
        return Ok(dict.into_any());
    };
    let database = dict.get_item(db_key)?;
    let database_fits = database
        .as_ref()
        .is_none_or(|database| database.is_none() || database.is_instance_of::<PyString>());
    if !collection.is_instance_of::<PyString>() || !database_fits {
        return Ok(dict.into_any());
    }
    dict.del_item(ref_key)?;
    dict.del_item(id_key)?;
    if database.is_some() {
        dict.del_item(db_key)?;
    }
    types.dbref.bind(py).call1((collection, id, database, dict))
}

/// Returns whether `document` has the keys of a DBRef; if so, [`dbref_hook`] decides.
pub fn may_be_dbref(document: &DocumentCell<'_>) -> bool {
    let mut found = (false, false);
    for (key, _) in document.entries() {
        found.0 |= key == "$ref";
        found.1 |= key == "$id";
    }
    found == (true, true)
}

/// A value of any type. Documents, lists and code with scope go through [`plain`].
#[inline]
pub fn scalar<'py>(
    py: Python<'py>,
    codec: &CodecSettings,
    cell: &Cell<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(match *cell {
        Cell::Null => py.None().into_bound(py),
        Cell::Double(value) => PyFloat::new(py, value).into_any(),
        Cell::String(text) | Cell::Symbol(text) => PyString::new(py, text).into_any(),
        Cell::Int32(value) => value.into_pyobject(py)?.into_any(),
        Cell::Boolean(value) => PyBool::new(py, value).to_owned().into_any(),
        Cell::ObjectId(id) => codec.types.object_id(py, &id)?,
        Cell::DateTime(millis) => return datetime(py, codec, millis),
        Cell::Int64(value) => return codec.types.int64.bind(py).call1((value,)),
        Cell::Binary { subtype: 0, bytes } => PyBytes::new(py, bytes).into_any(),
        _ => return uncommon(py, codec, cell),
    })
}

#[inline(never)]
fn uncommon<'py>(
    py: Python<'py>,
    codec: &CodecSettings,
    cell: &Cell<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    let types = codec.types;
    match cell {
        Cell::Binary { subtype, bytes } => {
            binary(py, codec, *subtype, bytes).map_err(|error| invalid_bson(py, types, error))
        }
        Cell::Regex { pattern, options } => {
            types.regex.bind(py).call1((*pattern, regex_flags(options)))
        }
        Cell::DbPointer { namespace, id } => {
            let id = types.object_id(py, id)?;
            types.dbref.bind(py).call1((*namespace, id))
        }
        Cell::Code(code) => types.code.bind(py).call1((*code,)),
        Cell::Timestamp { time, increment } => types.timestamp(py, *time, *increment),
        Cell::Decimal128(bytes) => types.decimal128(py, *bytes),
        Cell::Marker(Marker::Undefined) => Ok(py.None().into_bound(py)),
        Cell::Marker(Marker::MinKey) => Ok(types.min_key.bind(py).clone()),
        Cell::Marker(Marker::MaxKey) => Ok(types.max_key.bind(py).clone()),
        other => plain(py, codec, other),
    }
}

/// Option characters as flags of `re`; unknown ones are ignored, as in PyMongo.
fn regex_flags(options: &str) -> i32 {
    options.bytes().fold(0, |flags, option| {
        flags
            | match option {
                b'i' => 2,
                b'l' => 4,
                b'm' => 8,
                b's' => 16,
                b'u' => 32,
                b'x' => 64,
                _ => 0,
            }
    })
}

/// Binary of a subtype other than 0: a UUID if the codec's representation converts it.
fn binary<'py>(
    py: Python<'py>,
    codec: &CodecSettings,
    subtype: u8,
    bytes: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    let types = codec.types;
    let order = match subtype {
        4 if codec.uuids == UuidRepresentation::Standard => None,
        3 if codec.uuids.legacy().is_some() => codec.uuids.legacy(),
        _ => {
            let data = PyBytes::new(py, bytes);
            return types.binary.bind(py).call1((data, subtype));
        }
    };
    let Ok(uuid) = <[u8; 16]>::try_from(bytes) else {
        let len = bytes.len();
        return Err(PyValueError::new_err(format!(
            "cannot decode a uuid from a {len}-byte payload, expected 16"
        )));
    };
    let uuid = order.map_or(uuid, |order| order.reorder(uuid));
    types.uuid(py, uuid)
}

/// A date as the codec's options require, as `decode_datetime` in PyMongo's C code.
#[inline]
fn datetime<'py>(
    py: Python<'py>,
    codec: &CodecSettings,
    millis: i64,
) -> PyResult<Bound<'py, PyAny>> {
    let (first, last) = codec.date_bounds;
    let millis = match codec.dates {
        DatetimeConversion::Milliseconds => return datetime_ms(py, codec, millis),
        DatetimeConversion::Auto if millis < first || millis > last => {
            return datetime_ms(py, codec, millis)
        }
        DatetimeConversion::Clamp => millis.clamp(first, last),
        _ => millis,
    };
    let made = if codec.tz_aware {
        aware_datetime(py, codec, millis)
    } else {
        calendar(py, millis, None)
    };
    made.map_err(|error| invalid_bson(py, codec.types, error))
}

#[inline(never)]
fn datetime_ms<'py>(
    py: Python<'py>,
    codec: &CodecSettings,
    millis: i64,
) -> PyResult<Bound<'py, PyAny>> {
    codec.types.datetime_ms.bind(py).call1((millis,))
}

fn aware_datetime<'py>(
    py: Python<'py>,
    codec: &CodecSettings,
    millis: i64,
) -> PyResult<Bound<'py, PyAny>> {
    let aware = calendar(py, millis, Some(codec.types.utc.bind(py)))?;
    match &codec.tzinfo {
        None => Ok(aware),
        Some(tzinfo) => aware.call_method1(intern!(py, "astimezone"), (tzinfo,)),
    }
}

/// Year, month and day of a number of days since 1970: Howard Hinnant's `civil_from_days`,
/// <https://howardhinnant.github.io/date_algorithms.html>.
pub fn civil(days: i64) -> (i32, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097) as u32;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8;
    let month = (if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    }) as u8;
    let year = era * 400 + i64::from(year_of_era) + i64::from(month <= 2);
    // The year of any 64-bit number of milliseconds fits 32 bits.
    (year as i32, month, day)
}

/// The date and time in UTC.
fn calendar<'py>(
    py: Python<'py>,
    millis: i64,
    zone: Option<&Bound<'py, PyTzInfo>>,
) -> PyResult<Bound<'py, PyAny>> {
    const DAY: i64 = 86_400_000;
    let in_day = millis.rem_euclid(DAY) as u32;
    let (year, month, day) = civil(millis.div_euclid(DAY));
    let (hour, minute) = ((in_day / 3_600_000) as u8, (in_day / 60_000 % 60) as u8);
    let (second, micro) = ((in_day / 1000 % 60) as u8, in_day % 1000 * 1000);
    let made = PyDateTime::new(py, year, month, day, hour, minute, second, micro, zone);
    match made {
        Ok(made) => Ok(made.into_any()),
        Err(error) if error.is_instance_of::<PyValueError>(py) => Err(PyValueError::new_err(
            format!("{}{DATETIME_ADVICE}", error.value(py)),
        )),
        Err(error) => Err(error),
    }
}

/// The error as InvalidBSON, which PyMongo raises for any error of a value.
#[cold]
fn invalid_bson(py: Python<'_>, types: &BsonTypes, error: PyErr) -> PyErr {
    let class = types.invalid_bson.bind(py);
    if !error.is_instance_of::<PyException>(py) || error.is_instance(py, class) {
        return error;
    }
    PyErr::from_type(class.clone(), error.value(py).to_string())
}
