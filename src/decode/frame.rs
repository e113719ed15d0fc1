//! The mapping from the k-th document at a path to a slot of a column.

use std::borrow::Cow;

use arrow_buffer::{BooleanBuffer, NullBuffer};

use crate::index::{Cells, NULL_POSITION};

/// Columns with fewer than one cell in this many rows store only the occupied rows.
const SPARSE_BELOW_ONE_IN: usize = 16;
/// Columns shorter than this are always dense.
const SPARSE_FROM_ROWS: usize = 64;

/// The rows that a set of columns shares.
pub(super) struct Frame {
    /// Slots of each column.
    pub len: usize,
    /// The slot of the k-th document; `None` while both are equal.
    pub slots: Option<Vec<u32>>,
}

impl Frame {
    /// Returns a frame with a document in each of `len` slots.
    pub fn whole(len: usize) -> Self {
        Frame { len, slots: None }
    }

    /// Returns the frame of the documents at the non-null `positions`.
    pub fn inside(positions: &Positions<'_>) -> Self {
        let slots = positions.has_nulls.then(|| {
            (0..)
                .zip(positions.at.iter())
                .filter(|(_, &position)| position != NULL_POSITION)
                .map(|(slot, _)| slot)
                .collect()
        });
        Frame {
            len: positions.at.len(),
            slots,
        }
    }

    /// The slot of the `cell`-th cell of a column.
    fn slot(&self, cells: &Cells, cell: usize) -> u32 {
        let document = cells.rows.get(cell).copied().unwrap_or(cell as u32);
        match &self.slots {
            Some(slots) => slots[document as usize],
            None => document,
        }
    }
}

/// The layout of a column.
pub(super) enum Layout<'a> {
    /// One slot per row.
    Dense(Positions<'a>),
    /// One slot per cell, at these rows.
    Sparse(Vec<u32>, Positions<'a>),
}

/// The value position of each slot.
pub(super) struct Positions<'a> {
    /// Positions; [`NULL_POSITION`] for slots without a value.
    pub at: Cow<'a, [u32]>,
    /// Type bytes of tagged columns; 0 for slots without a cell.
    pub tags: Cow<'a, [u8]>,
    /// True if a slot has no value.
    pub has_nulls: bool,
}

impl Positions<'_> {
    /// The validity bitmap, if a slot has no value.
    pub fn nulls(&self) -> Option<NullBuffer> {
        self.has_nulls.then(|| {
            let valid = |slot: usize| self.at[slot] != NULL_POSITION;
            NullBuffer::new(BooleanBuffer::collect_bool(self.at.len(), valid))
        })
    }
}

impl<'a> Layout<'a> {
    pub fn of(cells: &'a Cells, frame: &Frame) -> Self {
        let count = cells.len();
        if count == frame.len {
            // With as many cells as slots, each slot has one cell, in order.
            return Layout::Dense(Positions {
                at: Cow::Borrowed(&cells.positions),
                tags: Cow::Borrowed(&cells.tags),
                has_nulls: cells.nulls > 0,
            });
        }
        if frame.len >= SPARSE_FROM_ROWS && count * SPARSE_BELOW_ONE_IN < frame.len {
            let rows = (0..count).map(|cell| frame.slot(cells, cell)).collect();
            let positions = Positions {
                at: Cow::Borrowed(&cells.positions[..]),
                tags: Cow::Borrowed(&cells.tags[..]),
                has_nulls: cells.nulls > 0,
            };
            return Layout::Sparse(rows, positions);
        }
        let mut at = vec![NULL_POSITION; frame.len];
        for (cell, &position) in cells.positions.iter().enumerate() {
            at[frame.slot(cells, cell) as usize] = position;
        }
        let mut tags = Vec::new();
        if !cells.tags.is_empty() {
            tags = vec![0; frame.len];
            for (cell, &tag) in cells.tags.iter().enumerate() {
                tags[frame.slot(cells, cell) as usize] = tag;
            }
        }
        Layout::Dense(Positions {
            at: Cow::Owned(at),
            tags: Cow::Owned(tags),
            has_nulls: true,
        })
    }
}
