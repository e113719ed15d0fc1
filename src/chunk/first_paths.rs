//! Something noted by path, for a bounded number of paths, the same however a result was cut.

use std::collections::BTreeMap;

/// Different paths that are told apart; a path costs some hundred bytes here.
const MAX_PATHS: usize = 1000;

/// Where something was noted first: the row, and how many notes of that row came before.
pub(crate) type Place = (u64, u64);

/// What was noted at the first 1,000 paths in the order of paths.
///
/// Not at those that appeared first: a path that is among the smallest of a whole is among the smallest of each part it
/// appears in, so nothing of it is missing when the parts are joined. And one that had to go can never come back, because
/// there are 1,000 smaller ones by then.
#[derive(Clone, Debug)]
pub(crate) struct FirstPaths<P, T> {
    kept: BTreeMap<P, (Place, T)>,
    next: Place,
}

impl<P, T> Default for FirstPaths<P, T> {
    fn default() -> Self {
        FirstPaths {
            kept: BTreeMap::new(),
            next: (0, 0),
        }
    }
}

impl<P: Clone + Ord, T> FirstPaths<P, T> {
    /// The place of the next note, which is in `row`.
    pub(crate) fn place(&mut self, row: u64) -> Place {
        let before = if self.next.0 == row { self.next.1 } else { 0 };
        self.next = (row, before + 1);
        (row, before)
    }

    /// What was noted at `path`, or else `new`; None when too many paths are smaller.
    pub(crate) fn at(&mut self, path: &P, place: Place, new: impl FnOnce() -> T) -> Option<&mut T> {
        if !self.kept.contains_key(path) {
            if self.is_full() {
                let last = self.kept.last_key_value();
                if last.is_some_and(|(last, _)| last < path) {
                    return None;
                }
                self.kept.pop_last();
            }
            self.kept.insert(path.clone(), (place, new()));
        }
        self.kept.get_mut(path).map(|(_, value)| value)
    }

    /// Whether there may have been more paths than are kept.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() >= MAX_PATHS
    }

    /// By path.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&P, Place, &T)> {
        let entries = self.kept.iter();
        entries.map(|(path, (place, value))| (path, *place, value))
    }

    /// In order of first appearance.
    pub(crate) fn in_order(&self) -> Vec<(&P, &T)> {
        let mut found: Vec<_> = self.iter().collect();
        found.sort_by_key(|(_, place, _)| *place);
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

    fn counted(numbers: &[u32]) -> FirstPaths<u32, u32> {
        let mut counts = FirstPaths::default();
        for number in numbers {
            if let Some(count) = counts.at(number, (0, 0), || 0) {
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
            let mut joined = FirstPaths::default();
            for part in numbers.chunks(size) {
                for (number, place, count) in counted(part).iter() {
                    if let Some(sum) = joined.at(number, place, || 0) {
                        *sum += count;
                    }
                }
            }
            let joined: Vec<_> = joined.iter().collect();
            assert_eq!(joined, whole, "parts of {size}");
        }
    }
}
