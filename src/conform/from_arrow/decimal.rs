//! Arrow decimals (one scale per column) as BSON decimal128 (one exponent per value).

use arrow_array::types::{Decimal128Type, Decimal256Type, Decimal32Type, Decimal64Type};
use arrow_array::{cast::AsArray, Array, ArrayRef, Decimal128Array, FixedSizeBinaryArray};
use arrow_buffer::Buffer;
use arrow_schema::DataType;
use std::sync::Arc;

use super::ArrowReader;
use crate::chunk::Values;
use crate::error::Result;

/// One more than the largest coefficient: 34 digits.
const LIMIT: u128 = 10u128.pow(34);
/// The exponent's bias, and the exponent's first bit in the encoding of coefficients below 2^113.
const BIAS: u128 = 6176;
const EXPONENT_AT: u32 = 113;

impl ArrowReader {
    /// Converts unscaled values of any width to 128 bits.
    pub(super) fn widen(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let wide: Decimal128Array = match array.data_type() {
            DataType::Decimal32(_, _) => array.as_primitive::<Decimal32Type>().unary(i128::from),
            DataType::Decimal64(_, _) => array.as_primitive::<Decimal64Type>().unary(i128::from),
            DataType::Decimal256(_, _) => self
                .try_map(array.as_primitive::<Decimal256Type>(), |value| {
                    value.to_i128().ok_or_else(too_long)
                })?,
            other => return Err(self.unsupported(other)),
        };
        Ok(Arc::new(wide))
    }

    pub(super) fn decimals(&self, array: &ArrayRef, scale: i8) -> Result<Values> {
        let array = array.as_primitive::<Decimal128Type>();
        // 34 digits and an exponent of -127 to 128 lie well within the range of decimal128.
        let exponent = (6176 - i32::from(scale)) as u128;
        debug_assert!(exponent.abs_diff(BIAS) <= 128);
        let mut values: Vec<[u8; 16]> = Vec::with_capacity(array.len());
        for slot in 0..array.len() {
            if array.is_null(slot) {
                values.push([0; 16]);
                continue;
            }
            let value = array.value(slot);
            let coefficient = value.unsigned_abs();
            if coefficient >= LIMIT {
                return Err(self.value_error(slot, too_long()));
            }
            let sign = u128::from(value < 0) << 127;
            values.push((sign | exponent << EXPONENT_AT | coefficient).to_le_bytes());
        }
        let values = Buffer::from_vec(values.into_flattened());
        let nulls = array.nulls().cloned();
        Ok(Values::Decimal128(FixedSizeBinaryArray::new(
            16, values, nulls,
        )))
    }
}

fn too_long() -> String {
    "a decimal has more than the 34 digits that BSON's decimal128 holds".into()
}
