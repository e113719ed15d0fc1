//! Fixed-width values.

use arrow_array::{types::ArrowPrimitiveType, BooleanArray, FixedSizeBinaryArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, Buffer};

use super::frame::Positions;
use crate::index::NULL_POSITION;
use crate::raw::array;

/// Gathers values of `N` bytes, each decoded by `read`. A null position is past the end of `bytes` and gives the
/// default.
pub(super) fn gather<T: ArrowPrimitiveType, const N: usize>(
    bytes: &[u8],
    positions: &Positions<'_>,
    read: impl Fn([u8; N]) -> T::Native,
) -> PrimitiveArray<T> {
    let values: Vec<T::Native> = positions
        .at
        .iter()
        .map(|&at| match array::<N>(bytes, at as usize) {
            Some(value) => read(value),
            None => {
                debug_assert_eq!(at, NULL_POSITION);
                T::Native::default()
            }
        })
        .collect();
    PrimitiveArray::new(values.into(), positions.nulls())
}

/// Gathers values of `N` bytes, `shift` bytes after their position, as bytes.
pub(super) fn fixed<const N: usize>(
    bytes: &[u8],
    positions: &Positions<'_>,
    shift: usize,
) -> FixedSizeBinaryArray {
    let values: Vec<[u8; N]> = positions
        .at
        .iter()
        .map(|&at| array::<N>(bytes, at as usize + shift).unwrap_or([0; N]))
        .collect();
    let values = Buffer::from_vec(values.into_flattened());
    FixedSizeBinaryArray::new(N as i32, values, positions.nulls())
}

pub(super) fn booleans(bytes: &[u8], positions: &Positions<'_>) -> BooleanArray {
    let value = |slot: usize| bytes.get(positions.at[slot] as usize) == Some(&1);
    BooleanArray::new(
        BooleanBuffer::collect_bool(positions.at.len(), value),
        positions.nulls(),
    )
}

/// Returns true for each slot with a value.
pub(super) fn present(positions: &Positions<'_>) -> BooleanArray {
    BooleanArray::new(
        BooleanBuffer::new_set(positions.at.len()),
        positions.nulls(),
    )
}
