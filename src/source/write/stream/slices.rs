//! Batches cut into slices that fill about one command.

use arrow_array::RecordBatch;

use crate::source::write::write_command::COMMAND_BYTES;

/// The encoded size of a slice that is aimed at.
const SLICE_BYTES: usize = COMMAND_BYTES;

/// The rows of the first slice: nothing is known of their size.
const FIRST_ROWS: usize = 4096;

/// Cuts batches into slices of a size that follows from the slices before them.
#[derive(Default)]
pub(super) struct Slices {
    batch: Option<RecordBatch>,
    next: usize,
    /// The rows of the next slice, at most.
    rows: usize,
}

impl Slices {
    /// Returns whether all rows of the batch were taken.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_none()
    }

    /// Sets the next batch.
    pub(super) fn set(&mut self, batch: RecordBatch) {
        self.next = 0;
        self.batch = (batch.num_rows() > 0).then_some(batch);
    }

    /// The next slice of the batch.
    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        let batch = self.batch.as_ref()?;
        let left = batch.num_rows() - self.next;
        let rows = self.rows.max(FIRST_ROWS.min(self.most(batch))).min(left);
        let slice = batch.slice(self.next, rows);
        self.next += rows;
        if rows == left {
            self.batch = None;
        }
        Some(slice)
    }

    /// Rows of about the size of a slice in Arrow, whose rows are rarely smaller than those of BSON by much.
    fn most(&self, batch: &RecordBatch) -> usize {
        let bytes = batch.get_array_memory_size() / batch.num_rows().max(1);
        (SLICE_BYTES / bytes.max(1)).max(1)
    }

    /// Records the size of an encoded slice. Slices grow slowly, because later rows may be much larger.
    pub(super) fn record(&mut self, rows: usize, bytes: usize) {
        if let Some(row) = bytes.checked_div(rows) {
            let fitting = SLICE_BYTES / row.max(1);
            self.rows = fitting.clamp(1, rows * 4);
        }
    }

    /// Drops the rows that are left.
    pub(super) fn clear(&mut self) {
        self.batch = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};

    fn numbers(rows: usize) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        RecordBatch::try_from_iter([("a", column)]).unwrap()
    }

    fn taken(slices: &mut Slices, bytes_per_row: usize) -> Vec<usize> {
        let mut rows = Vec::new();
        while let Some(slice) = slices.take() {
            rows.push(slice.num_rows());
            slices.record(slice.num_rows(), slice.num_rows() * bytes_per_row);
        }
        rows
    }

    #[test]
    fn grow_to_the_size_of_a_command() {
        let mut slices = Slices::default();
        assert!(slices.is_empty() && slices.take().is_none());
        slices.set(numbers(1_000_000));
        let rows = taken(&mut slices, 40);
        assert_eq!(rows.iter().sum::<usize>(), 1_000_000);
        assert_eq!(rows[..4], [4096, 16_384, 65_536, SLICE_BYTES / 40]);
        assert!(slices.is_empty());
        // The size is known in the next batch.
        slices.set(numbers(1_000_000));
        assert_eq!(taken(&mut slices, 40)[0], SLICE_BYTES / 40);
        slices.set(numbers(0));
        assert!(slices.is_empty());
        slices.set(numbers(5));
        slices.clear();
        assert!(slices.take().is_none());
    }

    #[test]
    fn of_large_rows_are_short() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(4 << 20); 8]));
        let mut slices = Slices::default();
        slices.set(RecordBatch::try_from_iter([("t", text)]).unwrap());
        let rows = taken(&mut slices, 4 << 20);
        assert!(rows.iter().all(|rows| *rows <= 4), "{rows:?}");
        assert_eq!(rows.iter().sum::<usize>(), 8);
    }
}
