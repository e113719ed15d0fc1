//! Values that BSON cannot hold: errors by default, nulls or rounded values on request, counted by path.

use std::cell::RefCell;

use arrow_array::Array;

use super::ArrowReader;
use crate::error::Path;

/// The changes to values that the caller permits. The default permits none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lossy {
    /// A value that BSON cannot hold becomes null.
    pub nulls_conflicts: bool,
    /// Dates are truncated to their millisecond.
    pub rounds_dates: bool,
    /// Decimals are rounded to 34 digits, ties to even.
    pub rounds_decimals: bool,
}

/// Values at one path that were changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Their path; items of lists have the position 0.
    pub path: Path,
    /// The number of values that are null instead.
    pub nulled: u64,
    /// The number of values that were rounded.
    pub rounded: u64,
    /// The row of the first of them.
    pub first_row: u64,
}

/// The changes of one reading.
#[derive(Default)]
pub(super) struct Losses(RefCell<Vec<Loss>>);

impl Losses {
    pub(super) fn into_vec(self) -> Vec<Loss> {
        self.0.into_inner()
    }
}

impl ArrowReader {
    /// Records that the values in `slots` are null.
    pub(super) fn record_nulled(&self, slots: impl Iterator<Item = usize>) {
        self.record(slots, |loss| &mut loss.nulled);
    }

    /// Records that the values in `slots` were rounded.
    pub(super) fn record_rounded(&self, slots: impl Iterator<Item = usize>) {
        self.record(slots, |loss| &mut loss.rounded);
    }

    /// Records that all values of `array` are null.
    pub(super) fn record_all_nulled(&self, array: &dyn Array) {
        let nulls = array.logical_nulls();
        let is_valid = |slot: &usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*slot));
        self.record_nulled((0..array.len()).filter(is_valid));
    }

    fn record(
        &self,
        mut slots: impl Iterator<Item = usize>,
        count: impl Fn(&mut Loss) -> &mut u64,
    ) {
        let Some(first) = slots.next() else { return };
        let all = 1 + slots.count() as u64;
        let mut losses = self.losses.0.borrow_mut();
        match losses.iter_mut().find(|loss| loss.path == self.path) {
            Some(loss) => *count(loss) += all,
            None => {
                let mut loss = Loss {
                    path: self.path.clone(),
                    nulled: 0,
                    rounded: 0,
                    first_row: self.row(first),
                };
                *count(&mut loss) += all;
                losses.push(loss);
            }
        }
    }

    /// The row of the batch that holds `slot`.
    fn row(&self, slot: usize) -> u64 {
        let (mut slot, mut rows) = (slot, &self.rows);
        while let super::Rows::Items(offsets, outer) = rows {
            slot = super::list_of(offsets, slot);
            rows = outer;
        }
        slot as u64
    }
}
