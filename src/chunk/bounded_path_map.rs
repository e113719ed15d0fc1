//! Something noted by path, for a bounded number of paths, the same however a result was cut.

use std::collections::BTreeMap;

/// Different paths that are told apart; a path costs some hundred bytes here.
const MAX_PATHS: usize = 1000;

/// Where something was noted first: the row, and how many notes of that row came before.
pub(crate) type Occurrence = (u64, u64);

/// What was noted at the first 1,000 paths in the order of paths.
///
/// Not at those that appeared first: a path that is among the smallest of a whole is among the smallest of each part it
/// appears in, so nothing of it is missing when the parts are joined. And one that had to go can never come back, because
/// there are 1,000 smaller ones by then.
#[derive(Clone, Debug)]
pub(crate) struct BoundedPathMap<P, T> {
    entries: BTreeMap<P, (Occurrence, T)>,
    next: Occurrence,
}

impl<P, T> Default for BoundedPathMap<P, T> {
    fn default() -> Self {
        BoundedPathMap {
            entries: BTreeMap::new(),
            next: (0, 0),
        }
    }
}

impl<P: Clone + Ord, T> BoundedPathMap<P, T> {
    /// The place of the next note, which is in `row`.
    pub(crate) fn next_occurrence(&mut self, row: u64) -> Occurrence {
        let before = if self.next.0 == row { self.next.1 } else { 0 };
        self.next = (row, before + 1);
        (row, before)
    }

    /// What was noted at `path`, or else `new`; None when too many paths are smaller.
    pub(crate) fn get_or_insert(
        &mut self,
        path: &P,
        occurrence: Occurrence,
        new: impl FnOnce() -> T,
    ) -> Option<&mut T> {
        if !self.entries.contains_key(path) {
            if self.is_full() {
                let last = self.entries.last_key_value();
                if last.is_some_and(|(last, _)| last < path) {
                    return None;
                }
                self.entries.pop_last();
            }
            self.entries.insert(path.clone(), (occurrence, new()));
        }
        self.entries.get_mut(path).map(|(_, value)| value)
    }

    /// Whether there may have been more paths than are kept.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= MAX_PATHS
    }

    /// By path.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&P, Occurrence, &T)> {
        let entries = self.entries.iter();
        entries.map(|(path, (occurrence, value))| (path, *occurrence, value))
    }

    /// In order of first appearance.
    pub(crate) fn in_order(&self) -> Vec<(&P, &T)> {
        let mut found: Vec<_> = self.iter().collect();
        found.sort_by_key(|(_, occurrence, _)| *occurrence);
        let found = found.into_iter();
        found.map(|(path, _, value)| (path, value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in no order, each a few times.
    fn numbers() -> Vec<u32> {
        (0..20_000u32)
            .map(|i| i.wrapping_mul(2_654_435_761) % 5_003)
            .collect()
    }

    fn counted(numbers: &[u32]) -> BoundedPathMap<u32, u32> {
        let mut counts = BoundedPathMap::default();
        for number in numbers {
            if let Some(count) = counts.get_or_insert(number, (0, 0), || 0) {
                *count += 1;
            }
        }
        counts
    }

    #[test]
    fn joined_parts_are_the_whole() {
        let numbers = numbers();
        let whole = counted(&numbers);
        let whole: Vec<_> = whole.iter().collect();
        assert_eq!(whole.len(), MAX_PATHS);
        for (number, _, count) in &whole {
            let all = numbers.iter().filter(|n| n == number).count();
            assert_eq!(**count as usize, all, "{number}");
        }
        for size in [1, 7, 900, 1_100, 5_000, 19_999] {
            let mut joined = BoundedPathMap::default();
            for part in numbers.chunks(size) {
                for (number, occurrence, count) in counted(part).iter() {
                    if let Some(sum) = joined.get_or_insert(number, occurrence, || 0) {
                        *sum += count;
                    }
                }
            }
            let joined: Vec<_> = joined.iter().collect();
            assert_eq!(joined, whole, "parts of {size}");
        }
    }
}
