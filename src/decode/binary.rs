//! Binary values, by subtype.

use arrow_array::{BinaryArray, UInt8Array};

use super::frame::Positions;
use super::{primitive, Gather};
use crate::chunk::Values;
use crate::index::NULL_POSITION;
use crate::raw::{i32_at, Malformed};

/// Bytes before the data: int32 length, subtype.
const HEADER: usize = 5;
const OLD: u8 = 2;
const UUID: u8 = 4;

impl Gather<'_> {
    pub(super) fn binary(&self, positions: &Positions<'_>) -> Result<Values, Malformed> {
        let mut generic = true;
        let mut uuid = true;
        for &at in positions.at.iter().filter(|&&at| at != NULL_POSITION) {
            let at = at as usize;
            let subtype = self.subtype(at);
            generic &= subtype == 0;
            uuid &= subtype == UUID && i32_at(self.bytes, at)? == 16;
        }
        if uuid {
            return Ok(Values::Uuid(primitive::fixed::<16>(
                self.bytes, positions, HEADER,
            )));
        }
        let (offsets, bytes) = self.variable(positions, |at| {
            let len = i32_at(self.bytes, at)? as usize;
            let start = at + HEADER;
            // Subtype 2 repeats its length inside the data.
            let inner = if self.subtype(at) == OLD { 4 } else { 0 };
            Ok(start + inner..start + len)
        })?;
        let bytes = BinaryArray::new(offsets, bytes, positions.nulls());
        if generic {
            return Ok(Values::Binary(bytes));
        }
        let subtypes: Vec<u8> = positions
            .at
            .iter()
            .map(|&at| self.subtype(at as usize))
            .collect();
        Ok(Values::Subtyped {
            subtypes: UInt8Array::new(subtypes.into(), positions.nulls()),
            bytes,
        })
    }

    fn subtype(&self, at: usize) -> u8 {
        self.bytes.get(at + 4).copied().unwrap_or_default()
    }
}
