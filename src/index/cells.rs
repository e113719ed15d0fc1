//! What the scan leaves behind: a tree of columns, each a list of positions.

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
    /// How many.
    pub rows: u32,
    /// Key sequences, as a trie.
    pub shapes: ShapeTrie,
    /// The final trie state of each document: its shape.
    pub states: Vec<u32>,
    /// One column a key, in order of first appearance.
    pub fields: Vec<NodeField>,
    by_key: HashMap<Box<[u8]>, u32>,
    /// Only filled once a key was not UTF-8: different bytes may then read as one text.
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
    /// The field of a key seen before.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// The field for the new key bytes `key`, read as `name`; `exact` when these are the same bytes.
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

/// How the cells of a column are to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only nulls so far.
    Null,
    /// One type, and nulls.
    Typed(ElementType),
    /// Several types, or a nesting too deep or too wide for columns: each cell stays BSON, with a tag.
    Tagged,
}

/// The cells of one column: only those that occur.
#[derive(Debug)]
pub struct Cells {
    /// Where each cell's value starts; [`NULL_POSITION`] for null.
    pub positions: Vec<u32>,
    /// The row of each cell; empty while cell number and row are the same.
    pub rows: Vec<u32>,
    /// How they are to be kept.
    pub mode: Mode,
    /// The type byte of [`Mode::Typed`]; 0, which is no type, in any other mode.
    pub(super) typed: u8,
    /// The type byte of each cell, in [`Mode::Tagged`] only.
    pub tags: Vec<u8>,
    /// How many cells are null.
    pub nulls: u32,
    /// Documents in these cells, while typed so.
    pub documents: Option<Box<Node>>,
    /// Lists in these cells, while typed so.
    pub lists: Option<Box<ListIndex>>,
}

/// The lists seen in one column.
#[derive(Debug, Default)]
pub struct ListIndex {
    /// The end of each list in `items`.
    pub ends: Vec<u32>,
    /// All items, one list after the other.
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

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Notes a cell at `row`, if that is not the column's second one there.
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

    /// Notes a cell at `row`, in a column whose mode takes it as it is.
    #[inline]
    pub(super) fn push(&mut self, row: u32, position: u32) -> Result<(), ScanStop> {
        if self.positions.len() != row as usize || !self.rows.is_empty() {
            self.push_row(row)?;
        }
        self.positions.push(position);
        Ok(())
    }

    /// The column has, or now gets, rows of its own; or this is a key's second value in one document.
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

    /// The first value says what the column holds.
    pub(super) fn make_typed(&mut self, kind: ElementType) {
        self.mode = Mode::Typed(kind);
        self.typed = kind.byte();
    }

    /// From here on every cell, earlier ones too, stays BSON.
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
