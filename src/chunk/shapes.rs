//! Which keys each document has, in which order.

/// A shape per row.
#[derive(Debug)]
pub struct Shapes {
    /// The distinct shapes: field indexes in key order, all in one list.
    fields: Vec<u32>,
    /// The end of each shape in `fields`.
    ends: Vec<u32>,
    /// The shape of each row; empty when all rows have the first.
    of_row: Vec<u32>,
}

impl Shapes {
    /// The same shape for every row.
    pub fn uniform(fields: Vec<u32>) -> Self {
        Shapes {
            ends: vec![fields.len() as u32],
            fields,
            of_row: Vec::new(),
        }
    }

    /// Shapes, and for each row the index of its own.
    ///
    /// # Panics
    /// When a row names a shape that is not there, or there are no shapes.
    pub fn new(shapes: impl IntoIterator<Item = Vec<u32>>, of_row: Vec<u32>) -> Self {
        let mut all = Shapes {
            fields: Vec::new(),
            ends: Vec::new(),
            of_row,
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
}
