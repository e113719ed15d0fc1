//! Dates and timestamps as BSON dates: milliseconds since 1970 in UTC.

use arrow_array::types::{
    Date32Type, Date64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{
    cast::AsArray, Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, TimestampMillisecondArray,
};
use arrow_schema::{DataType, TimeUnit};

use super::ArrowReader;
use crate::error::Result;

const UTC: &str = "UTC";
const DAY: i64 = 86_400_000;

impl ArrowReader {
    /// Reads timestamps with a time zone as instants, and timestamps without one and dates as UTC.
    pub(super) fn dates(&self, array: &ArrayRef) -> Result<TimestampMillisecondArray> {
        let dates = match array.data_type() {
            DataType::Date32 => array
                .as_primitive::<Date32Type>()
                .unary(|days| i64::from(days) * DAY),
            DataType::Date64 => array.as_primitive::<Date64Type>().unary(|value| value),
            DataType::Timestamp(TimeUnit::Second, _) => {
                self.try_map(array.as_primitive::<TimestampSecondType>(), |value| {
                    let scaled = value.checked_mul(1000);
                    scaled.ok_or_else(|| format!("{value} seconds are out of a date's range"))
                })?
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                let array = array.as_primitive::<TimestampMillisecondType>();
                array.clone()
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => self.milliseconds(
                array.as_primitive::<TimestampMicrosecondType>(),
                1000,
                "microseconds",
            )?,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => self.milliseconds(
                array.as_primitive::<TimestampNanosecondType>(),
                1_000_000,
                "nanoseconds",
            )?,
            other => return Err(self.unsupported(other)),
        };
        Ok(dates.with_timezone(UTC))
    }

    /// Reads dates in a unit of which a millisecond has `unit`.
    fn milliseconds<T: ArrowPrimitiveType<Native = i64>>(
        &self,
        array: &PrimitiveArray<T>,
        unit: i64,
        name: &str,
    ) -> Result<TimestampMillisecondArray> {
        if !self.lossy.rounds_dates {
            return self.try_map(array, |value| exact_milliseconds(value, unit, name));
        }
        let is_rounded =
            |&slot: &usize| array.is_valid(slot) && array.value(slot).rem_euclid(unit) != 0;
        self.record_rounded((0..array.len()).filter(is_rounded));
        Ok(array.unary(|value| value.div_euclid(unit)))
    }
}

/// Converts `value` to milliseconds, if that is exact.
fn exact_milliseconds(value: i64, unit: i64, name: &str) -> std::result::Result<i64, String> {
    match value % unit {
        0 => Ok(value / unit),
        _ => Err(format!(
            "a BSON date holds whole milliseconds, not {value} {name}; cast the column first"
        )),
    }
}
