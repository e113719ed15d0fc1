//! Flat columns without an extension type.

use arrow_array::types::{ArrowPrimitiveType, Int64Type, UInt64Type};
use arrow_array::{cast::AsArray, Array, ArrayRef, PrimitiveArray, StringArray};
use arrow_schema::DataType;

use super::ArrowReader;
use crate::chunk::Values;
use crate::error::Result;
use crate::raw::TextPolicy;

impl ArrowReader {
    pub(super) fn leaf(&self, array: &ArrayRef) -> Result<Values> {
        use DataType::*;
        Ok(match array.data_type() {
            Null => Values::Null(array.len()),
            Boolean => Values::Boolean(array.as_boolean().clone()),
            Int8 | Int16 | Int32 | UInt8 | UInt16 => {
                Values::Int32(self.cast(array, &Int32)?.as_primitive().clone())
            }
            Int64 | UInt32 => Values::Int64(self.cast(array, &Int64)?.as_primitive().clone()),
            UInt64 => Values::Int64(self.to_int64(array.as_primitive())?),
            Float16 | Float32 | Float64 => {
                Values::Double(self.cast(array, &Float64)?.as_primitive().clone())
            }
            Utf8 | LargeUtf8 | Utf8View => Values::String(self.text(array)?),
            Binary | LargeBinary | BinaryView => {
                Values::Binary(self.cast(array, &Binary)?.as_binary().clone())
            }
            FixedSizeBinary(12) => Values::ObjectId(array.as_fixed_size_binary().clone()),
            FixedSizeBinary(_) => Values::Binary(self.cast(array, &Binary)?.as_binary().clone()),
            Date32 | Date64 | Timestamp(_, _) => Values::DateTime(self.dates(array)?),
            Decimal32(_, scale)
            | Decimal64(_, scale)
            | Decimal128(_, scale)
            | Decimal256(_, scale) => self.decimals(array, *scale)?,
            _ if self.lossy.nulls_conflicts => {
                self.record_all_nulled(array);
                Values::Null(array.len())
            }
            other => return Err(self.unsupported(other)),
        })
    }

    /// Reads text of any layout. Invalid UTF-8 is an error: readers of Parquet files, for example, do not check it.
    pub(super) fn text(&self, array: &ArrayRef) -> Result<StringArray> {
        let array = self.cast(&self.unpack(array)?, &DataType::Utf8)?;
        let array: &StringArray = array.as_string();
        let (bytes, offsets) = (array.value_data(), array.value_offsets());
        let at = |slot: usize| offsets[slot] as usize;
        // One check of all bytes first, because a check per value takes longer.
        let all = bytes.get(at(0)..at(array.len()));
        let all = all.and_then(|all| TextPolicy::Strict.decode(all).ok());
        let starts = |text: &str| {
            let boundary = |slot: usize| text.is_char_boundary(at(slot).wrapping_sub(at(0)));
            (0..array.len()).all(|slot| at(slot) <= at(slot + 1) && boundary(slot))
        };
        if all.is_some_and(|text| starts(&text)) {
            return Ok(array.clone());
        }
        let is_text = |slot: usize| {
            let value = bytes.get(at(slot)..at(slot + 1));
            value.is_some_and(|value| TextPolicy::Strict.decode(value).is_ok())
        };
        match (0..array.len()).find(|&slot| array.is_valid(slot) && !is_text(slot)) {
            Some(slot) => Err(self.value_error(slot, "text that is not UTF-8")),
            None => Ok(array.clone()),
        }
    }

    fn to_int64(&self, array: &PrimitiveArray<UInt64Type>) -> Result<PrimitiveArray<Int64Type>> {
        self.try_map(array, |value| {
            i64::try_from(value).map_err(|_| format!("{value} exceeds the largest int64"))
        })
    }

    /// Converts each value by `read`. A value that fails is an error, which names the first of them, or null.
    pub(super) fn try_map<T: ArrowPrimitiveType, U: ArrowPrimitiveType>(
        &self,
        array: &PrimitiveArray<T>,
        read: impl Fn(T::Native) -> std::result::Result<U::Native, String>,
    ) -> Result<PrimitiveArray<U>> {
        let failed = |_| {
            let values = (0..array.len()).filter(|&slot| array.is_valid(slot));
            let mut errors = values.filter_map(|slot| Some((slot, read(array.value(slot)).err()?)));
            match errors.next() {
                Some((slot, text)) => self.value_error(slot, text),
                None => crate::conform::internal_error(
                    "reading a value failed only in the first of two passes",
                ),
            }
        };
        match array.try_unary::<_, U, String>(&read) {
            Err(_) if self.lossy.nulls_conflicts => {
                let read = array.unary_opt::<_, U>(|value| read(value).ok());
                let nulled = |&slot: &usize| array.is_valid(slot) && read.is_null(slot);
                self.record_nulled((0..array.len()).filter(nulled));
                Ok(read)
            }
            read => read.map_err(failed),
        }
    }
}
