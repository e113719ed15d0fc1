//! A map from path to value with a bounded number of paths; its content does not depend on the split of the result.

use std::collections::BTreeMap;

/// Maximum number of distinct paths; a path takes some hundred bytes here.
const MAX_PATHS: usize = 1000;

/// The first occurrence at a path: its row, and the number of earlier occurrences in that row.
pub(crate) type Occurrence = (u64, u64);

/// The values of the first 1,000 paths in path order.
///
/// The map keeps the smallest paths, not the earliest. A path among the smallest of the whole result is among the
/// smallest of each part that it appears in, so joining the parts loses none of its values. A dropped path cannot
/// return, because 1,000 smaller paths exist by then.
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
    /// Returns the position of the next occurrence in `row`.
    pub(crate) fn next_occurrence(&mut self, row: u64) -> Occurrence {
        let before = if self.next.0 == row { self.next.1 } else { 0 };
        self.next = (row, before + 1);
        (row, before)
    }

    /// Returns the value at `path`, inserted from `new` if absent; `None` when too many smaller paths exist.
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

    /// Returns whether paths may have been dropped.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= MAX_PATHS
    }

    /// The entries in path order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&P, Occurrence, &T)> {
        let entries = self.entries.iter();
        entries.map(|(path, (occurrence, value))| (path, *occurrence, value))
    }

    /// The entries in order of first appearance.
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

    /// Numbers in pseudo-random order, each several times.
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
