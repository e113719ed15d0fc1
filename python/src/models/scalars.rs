//! Conversions of values that are neither documents nor lists. Each returns `None` for a value of another type.

use data_bridge::chunk::Cell;
use data_bridge::raw::Decimal;
use pyo3::prelude::*;
use pyo3::types::{PyDate, PyDateTime, PyFloat};

use crate::models::stored::{type_of, Stored, DOUBLE, INT64};
use crate::values::codec::DatetimeConversion;
use crate::values::value;

/// A value of one of `types`, which needs no conversion.
#[inline]
pub fn unchanged<'py>(
    stored: &Stored<'_, 'py>,
    cell: &Cell<'_>,
    types: u32,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if type_of(cell) & types == 0 {
        return Ok(None);
    }
    if let Cell::Int64(number) = cell {
        return Ok(Some(number.into_pyobject(stored.py)?.into_any()));
    }
    let value = value::scalar(stored.py, stored.codec, cell)?;
    // A date out of the range of datetime has another type.
    let fits = !matches!(cell, Cell::DateTime(_)) || value.is_instance_of::<PyDateTime>();
    Ok(fits.then_some(value))
}

/// A number of another type than the annotated one, if no digit is lost. Shells write numbers as doubles, and other programs
/// write 3 for 3.0.
pub fn exact_number<'py>(
    stored: &Stored<'_, 'py>,
    cell: &Cell<'_>,
    types: u32,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    let py = stored.py;
    let (integers, doubles) = (types & INT64 != 0, types & DOUBLE != 0);
    Ok(match *cell {
        Cell::Double(number) if integers && number.fract() == 0.0 && number.abs() <= LIMIT => {
            Some((number as i64).into_pyobject(py)?.into_any())
        }
        Cell::Int32(number) if doubles => Some(PyFloat::new(py, number.into()).into_any()),
        Cell::Int64(number) if doubles && number.unsigned_abs() <= LIMIT as u64 => {
            Some(PyFloat::new(py, number as f64).into_any())
        }
        _ => None,
    })
}

/// A UUID, of subtype 4 or as the codec reads it.
pub fn uuid<'py>(stored: &Stored<'_, 'py>, cell: &Cell<'_>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Cell::Binary { subtype, bytes } = *cell else {
        return Ok(None);
    };
    let Ok(bytes) = <[u8; 16]>::try_from(bytes) else {
        return Ok(None);
    };
    let bytes = match (subtype, stored.codec.legacy_uuid()) {
        (4, _) => bytes,
        (3, Some(order)) => order.reorder(bytes),
        _ => return Ok(None),
    };
    stored.codec.types.uuid(stored.py, bytes).map(Some)
}

/// A Decimal: a finite decimal128, or an integer.
pub fn decimal<'py>(
    stored: &Stored<'_, 'py>,
    cell: &Cell<'_>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let class = stored.codec.types.decimal.bind(stored.py);
    match *cell {
        Cell::Decimal128(bytes) => {
            let Decimal::Finite(digits) = Decimal::from_bytes(bytes) else {
                return Ok(None);
            };
            let sign = if digits.negative { "-" } else { "" };
            // Also of a negative zero, and with the zeros at the end: the exponent is that of the stored number.
            let text = format!("{sign}{}E{}", digits.coefficient, digits.exponent);
            class.call1((text,)).map(Some)
        }
        Cell::Int32(number) => class.call1((number,)).map(Some),
        Cell::Int64(number) => class.call1((number,)).map(Some),
        _ => Ok(None),
    }
}

/// A date: midnight in UTC.
pub fn date<'py>(stored: &Stored<'_, 'py>, cell: &Cell<'_>) -> PyResult<Option<Bound<'py, PyAny>>> {
    const DAY: i64 = 86_400_000;
    let Cell::DateTime(millis) = *cell else {
        return Ok(None);
    };
    let (first, last) = stored.codec.date_bounds;
    // Not at the ends of the calendar, where a datetime in the codec's time zone may not exist.
    let inside = millis > first + DAY && millis < last - DAY;
    if stored.codec.dates == DatetimeConversion::Milliseconds || !inside || millis % DAY != 0 {
        return Ok(None);
    }
    let (year, month, day) = value::civil(millis.div_euclid(DAY));
    Ok(Some(PyDate::new(stored.py, year, month, day)?.into_any()))
}
