//! Shapes: the keys of each document in their order.

use std::sync::OnceLock;

/// Shapes with at most this many fields are searched linearly.
const LINEAR_SEARCH_MAX: usize = 16;

/// The fields of a shape in ascending order, sorted on first use.
type Ascending = OnceLock<Box<[u32]>>;

/// A shape per row.
#[derive(Debug)]
pub struct Shapes {
    /// The distinct shapes: field indexes in key order, all in one list.
    fields: Vec<u32>,
    /// The end of each shape in `fields`.
    ends: Vec<u32>,
    /// The shape of each row; empty if all rows have the first shape.
    of_row: Vec<u32>,
    /// The sorted fields of each shape that is too long for linear search.
    ascending: OnceLock<Vec<Ascending>>,
}

impl Shapes {
    /// Returns one shape shared by every row.
    pub fn uniform(fields: Vec<u32>) -> Self {
        Shapes {
            ends: vec![fields.len() as u32],
            fields,
            of_row: Vec::new(),
            ascending: OnceLock::new(),
        }
    }

    /// Returns shapes, with the index of the shape of each row.
    ///
    /// # Panics
    /// When a row has an unknown shape, or there are no shapes.
    pub fn new(shapes: impl IntoIterator<Item = Vec<u32>>, of_row: Vec<u32>) -> Self {
        let mut all = Shapes {
            fields: Vec::new(),
            ends: Vec::new(),
            of_row,
            ascending: OnceLock::new(),
        };
        for shape in shapes {
            all.fields.extend_from_slice(&shape);
            all.ends.push(all.fields.len() as u32);
        }
        assert!(!all.ends.is_empty());
        assert!(all
            .of_row
            .iter()
            .all(|&shape| (shape as usize) < all.ends.len()));
        if all.ends.len() == 1 {
            all.of_row = Vec::new();
        }
        all
    }

    pub(super) fn covers(&self, rows: usize) -> bool {
        self.of_row.is_empty() || self.of_row.len() == rows
    }

    /// The number of distinct shapes.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The index of `row`'s shape.
    #[inline]
    pub fn id(&self, row: usize) -> usize {
        self.of_row.get(row).map_or(0, |&shape| shape as usize)
    }

    /// The shape numbered `id`.
    #[inline]
    pub fn get(&self, id: usize) -> &[u32] {
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.fields[start as usize..self.ends[id] as usize]
    }

    /// The shape of `row`.
    #[inline]
    pub fn of(&self, row: usize) -> &[u32] {
        self.get(self.id(row))
    }

    /// Returns whether the shape of `row` has `field`.
    pub(super) fn has(&self, row: usize, field: u32) -> bool {
        let id = self.id(row);
        let shape = self.get(id);
        if shape.len() <= LINEAR_SEARCH_MAX {
            return shape.contains(&field);
        }
        // Sorted once, so that reading all keys of a document of 100,000 keys does not take quadratic time.
        let ascending = self
            .ascending
            .get_or_init(|| (0..self.count()).map(|_| OnceLock::new()).collect());
        let ascending = ascending[id].get_or_init(|| {
            let mut fields = shape.to_vec();
            fields.sort_unstable();
            fields.into()
        });
        ascending.binary_search(&field).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_has_its_fields_and_no_others() {
        // Short and long, ascending and not; two rows share a shape.
        let long: Vec<u32> = (0..100).map(|field| field * 37 % 101).collect();
        let rising: Vec<u32> = (50..90).collect();
        let shapes = [vec![3, 1], long, rising, Vec::new()];
        let of_row = [1, 0, 1, 2, 3];
        let all = Shapes::new(shapes.clone(), of_row.to_vec());
        for (row, &id) in of_row.iter().enumerate() {
            for field in 0..110 {
                let expected = shapes[id as usize].contains(&field);
                assert_eq!(all.has(row, field), expected, "row {row}, field {field}");
            }
        }
        assert!(Shapes::uniform((0..20).collect()).has(7, 19));
    }
}
