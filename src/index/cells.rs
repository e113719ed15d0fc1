//! The output of the scan: a tree of columns, each a list of positions.

use std::sync::Arc;

use hashbrown::HashMap;

use super::shapes::ShapeTrie;
use super::ScanStop;
use crate::raw::ElementType;

/// The position of a cell that holds null.
pub const NULL_POSITION: u32 = u32::MAX;

/// The documents seen at one path.
#[derive(Debug, Default)]
pub struct Node {
    /// The number of documents.
    pub rows: u32,
    /// Key sequences, as a trie.
    pub shapes: ShapeTrie,
    /// The final trie state of each document: its shape.
    pub states: Vec<u32>,
    /// One column per key, in order of first appearance.
    pub fields: Vec<NodeField>,
    by_key: HashMap<Box<[u8]>, u32>,
    /// Filled only after the first key that is not UTF-8, because different bytes may then decode to equal text.
    by_name: HashMap<Arc<str>, u32>,
}

/// A key and its column.
#[derive(Debug)]
pub struct NodeField {
    /// The key as text.
    pub name: Arc<str>,
    /// Its cells.
    pub cells: Cells,
}

impl Node {
    /// Returns the field of a known key.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// Adds a field for the new key bytes `key`, decoded as `name`; `exact` if both have the same bytes.
    pub(super) fn add(&mut self, key: &[u8], name: &str, exact: bool) -> u32 {
        if !exact && self.by_name.is_empty() {
            self.by_name = self
                .fields
                .iter()
                .zip(0..)
                .map(|(field, number)| (Arc::clone(&field.name), number))
                .collect();
        }
        let known = self.by_name.get(name).copied();
        let number = known.unwrap_or_else(|| {
            let name: Arc<str> = Arc::from(name);
            let number = self.fields.len() as u32;
            if !exact || !self.by_name.is_empty() {
                self.by_name.insert(Arc::clone(&name), number);
            }
            self.fields.push(NodeField {
                name,
                cells: Cells::default(),
            });
            number
        });
        self.by_key.insert(Box::from(key), number);
        number
    }
}

/// Storage of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only nulls so far.
    Null,
    /// One type, and nulls.
    Typed(ElementType),
    /// Cells kept as BSON, each with its type: the column has several types, or nests too deep or too wide for
    /// columns.
    Tagged,
}

/// The cells of one column, without missing ones.
#[derive(Debug)]
pub struct Cells {
    /// The offset of each cell's value; [`NULL_POSITION`] for null.
    pub positions: Vec<u32>,
    /// The row of each cell; empty while cell number and row are equal.
    pub rows: Vec<u32>,
    /// Storage of the cells.
    pub mode: Mode,
    /// The type byte of [`Mode::Typed`]; 0, which is no type, in the other modes.
    pub(super) typed: u8,
    /// The type byte of each cell, in [`Mode::Tagged`] only.
    pub tags: Vec<u8>,
    /// The number of null cells.
    pub nulls: u32,
    /// Documents in these cells, in a column of documents.
    pub documents: Option<Box<Node>>,
    /// Lists in these cells, in a column of lists.
    pub lists: Option<Box<ListIndex>>,
}

/// The lists seen in one column.
#[derive(Debug, Default)]
pub struct ListIndex {
    /// The end of each list in `items`.
    pub ends: Vec<u32>,
    /// All items, list by list.
    pub items: Cells,
}

impl Default for Cells {
    fn default() -> Self {
        Cells {
            positions: Vec::new(),
            rows: Vec::new(),
            mode: Mode::Null,
            typed: 0,
            tags: Vec::new(),
            nulls: 0,
            documents: None,
            lists: None,
        }
    }
}

impl Cells {
    /// The number of cells.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Returns whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Records a cell at `row`; returns false, without recording it, if the column already has a cell in that row.
    #[inline(always)]
    pub(super) fn push_new(&mut self, row: u32, position: u32) -> bool {
        if self.rows.is_empty() {
            if self.positions.len() != row as usize {
                return false;
            }
        } else if self.rows.last() == Some(&row) {
            return false;
        } else {
            self.rows.push(row);
        }
        self.positions.push(position);
        true
    }

    /// Records a cell at `row` in a column whose mode accepts the cell.
    #[inline]
    pub(super) fn push(&mut self, row: u32, position: u32) -> Result<(), ScanStop> {
        if self.positions.len() != row as usize || !self.rows.is_empty() {
            self.push_row(row)?;
        }
        self.positions.push(position);
        Ok(())
    }

    /// Records the row of a cell in a column with a row list, or starts the row list. Fails at a key's second value
    /// in one document.
    fn push_row(&mut self, row: u32) -> Result<(), ScanStop> {
        if self.positions.len() > row as usize || self.rows.last() == Some(&row) {
            return Err(ScanStop::Duplicate);
        }
        if self.rows.is_empty() {
            self.rows.extend(0..self.positions.len() as u32);
        }
        self.rows.push(row);
        Ok(())
    }

    #[inline]
    pub(super) fn push_null(&mut self, row: u32) -> Result<(), ScanStop> {
        self.push(row, NULL_POSITION)?;
        self.nulls += 1;
        if self.mode == Mode::Tagged {
            self.tags.push(ElementType::Null.byte());
        }
        Ok(())
    }

    #[inline]
    pub(super) fn push_tagged(
        &mut self,
        row: u32,
        kind: ElementType,
        position: u32,
    ) -> Result<(), ScanStop> {
        self.push(row, position)?;
        self.tags.push(kind.byte());
        Ok(())
    }

    /// Sets the column's type from its first value.
    pub(super) fn make_typed(&mut self, kind: ElementType) {
        self.mode = Mode::Typed(kind);
        self.typed = kind.byte();
    }

    /// Keeps every cell of the column as BSON, including earlier cells.
    #[cold]
    pub(super) fn make_tagged(&mut self) {
        if self.mode == Mode::Tagged {
            return;
        }
        let kind = match self.mode {
            Mode::Typed(kind) => kind.byte(),
            _ => ElementType::Null.byte(),
        };
        self.tags = self
            .positions
            .iter()
            .map(|&position| match position {
                NULL_POSITION => ElementType::Null.byte(),
                _ => kind,
            })
            .collect();
        self.mode = Mode::Tagged;
        self.typed = 0;
        self.documents = None;
        self.lists = None;
    }
}
