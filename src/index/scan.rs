//! The scan: predict the next field, check it with one masked 16-byte compare, record the position.
//!
//! The common element has the predicted key, the type of its column, and a fixed width or text. The scan handles it
//! in a few dozen instructions, without passing a `Result` through memory. All other elements fall through to
//! [`Scan::field`] and [`Scan::cell`], which handle every case and every error.

use std::cell::Cell;

use super::cells::{Cells, ListIndex, Mode, Node};
use super::shapes::{LINEAR_CHILDREN_MAX, NO_STATE};
use crate::raw::{
    array, document_len, key_len, value_len, ElementType, Malformed, TextPolicy, MAX_DEPTH,
};

/// Limits of the columns; cells beyond them are kept as BSON.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Arrow levels (structs and lists) of a path, at most the nesting limit of documents.
    pub max_levels: u32,
    /// Distinct keys of the documents at one nested path.
    pub max_keys: usize,
}

impl Default for Limits {
    /// 48 levels (pyarrow imports 62), 1,000 keys.
    fn default() -> Self {
        Limits {
            max_levels: 48,
            max_keys: 1000,
        }
    }
}

/// The reason that a scan stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanStop {
    /// The bytes are not BSON.
    Malformed(Malformed),
    /// A document holds a key twice: the piece must be brought into normal form first.
    Duplicate,
}

impl From<Malformed> for ScanStop {
    fn from(malformed: Malformed) -> Self {
        ScanStop::Malformed(malformed)
    }
}

/// Indexes the documents that start at `offsets` in `bytes`.
///
/// Every header and length is checked. Text is checked when it is gathered, and keys when they first occur.
///
/// # Errors
/// [`ScanStop`]: the caller then locates the error, or brings the piece into normal form.
pub fn index_piece(
    bytes: &[u8],
    offsets: impl Iterator<Item = usize>,
    text: TextPolicy,
    limits: Limits,
) -> Result<Node, ScanStop> {
    let mut root = Node::default();
    let scan = Scan {
        bytes,
        text,
        limits,
        halted: Cell::new(None),
    };
    for offset in offsets {
        if scan.document(&mut root, bytes.len(), offset, 0).is_none() {
            return Err(match scan.halted.take() {
                Some(Halt::ScanStop(stop)) => stop,
                // The number of top-level columns is unlimited, so the top level never has too many keys.
                Some(Halt::TooManyKeys) | None => Malformed::new(offset, "not indexed").into(),
            });
        }
    }
    Ok(root)
}

/// The reason that a document was not read to its end.
#[derive(Clone, Copy)]
enum Halt {
    ScanStop(ScanStop),
    /// Documents at this path have more keys than the column limit. Detected at the first key beyond the limit,
    /// because a key takes some hundred bytes here and five on the wire.
    TooManyKeys,
}

impl<E: Into<ScanStop>> From<E> for Halt {
    fn from(stop: E) -> Self {
        Halt::ScanStop(stop.into())
    }
}

/// The scan of one piece. Its methods return `None` when halted; `halted` then holds the reason. (An `Option<usize>`
/// is returned in registers.)
struct Scan<'a> {
    bytes: &'a [u8],
    text: TextPolicy,
    limits: Limits,
    halted: Cell<Option<Halt>>,
}

/// The next field of a document.
struct NextField {
    /// The trie state after this field.
    state: u32,
    /// The state predicted after that one.
    expected: u32,
    /// Its number among the fields.
    field: u32,
    /// Its type byte.
    tag: u8,
    /// The offset of its value.
    value: usize,
}

impl Scan<'_> {
    #[cold]
    fn halt<T>(&self, halt: impl Into<Halt>) -> Option<T> {
        self.halted.set(Some(halt.into()));
        None
    }

    #[inline]
    fn checked<T, E: Into<Halt>>(&self, outcome: Result<T, E>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(halt) => self.halt(halt),
        }
    }

    /// Indexes the document at `at`, which must end by `within`; returns its end.
    fn document(&self, node: &mut Node, within: usize, at: usize, level: u32) -> Option<usize> {
        let end = at + self.checked(document_len(&self.bytes[..within], at))? - 1;
        let row = node.rows;
        let mut state = 0;
        let mut expected = node.shapes.state(0).predicted;
        let mut at = at + 4;
        while at < end {
            let found = match self.expected(node, expected, at, end) {
                Some(found) => found,
                None => self.field(node, state, at, end, level)?,
            };
            (state, expected) = (found.state, found.expected);
            let cells = &mut node.fields[found.field as usize].cells;
            at = match self.leaf(cells, row, found.tag, found.value, end) {
                Some(next) => next,
                None => self.cell(cells, row, found.tag, found.value, end, level + 1)?,
            };
        }
        node.states.push(state);
        node.rows += 1;
        Some(end + 1)
    }

    fn list(&self, lists: &mut ListIndex, within: usize, at: usize, level: u32) -> Option<usize> {
        let end = at + self.checked(document_len(&self.bytes[..within], at))? - 1;
        let body = &self.bytes[..end];
        let mut at = at + 4;
        while at < end {
            let tag = body[at];
            // Keys of lists are ignored: items count in byte order.
            let value = at + 1 + self.checked(key_len(body, at + 1))? + 1;
            let row = lists.items.len() as u32;
            at = match self.leaf(&mut lists.items, row, tag, value, end) {
                Some(next) => next,
                None => self.cell(&mut lists.items, row, tag, value, end, level + 1)?,
            };
        }
        lists.ends.push(lists.items.len() as u32);
        Some(end + 1)
    }

    /// Returns the element at `at`, if its key leads to `candidate`.
    #[inline(always)]
    fn expected(&self, node: &Node, candidate: u32, at: usize, end: usize) -> Option<NextField> {
        let word = u128::from_le_bytes(array(self.bytes, at)?);
        self.try_state(node, candidate, word, at, end)
    }

    /// Returns `candidate` if the header at `at`, whose first bytes are `word`, leads to it.
    #[inline(always)]
    fn try_state(
        &self,
        node: &Node,
        candidate: u32,
        word: u128,
        at: usize,
        end: usize,
    ) -> Option<NextField> {
        let known = node.shapes.get(candidate)?;
        let value = at + known.header_len as usize;
        let same = known.starts(word)
            && value <= end
            && (known.header_len <= 16 || self.same_key(node, known.field, at, value));
        same.then_some(NextField {
            state: candidate,
            expected: known.predicted,
            field: known.field,
            tag: word as u8,
            value,
        })
    }

    /// Returns whether the key between the type at `at` and `value` is that of `field`; for keys longer than the
    /// masked compare.
    #[inline(never)]
    fn same_key(&self, node: &Node, field: u32, at: usize, value: usize) -> bool {
        let name = node.fields[field as usize].name.as_bytes();
        let key = self.bytes.get(at + 1..value);
        key.is_some_and(|key| &key[..key.len() - 1] == name && key.ends_with(&[0]))
    }

    /// Records the cell at `value` and returns its end, if the column has its type and the value is a valid leaf.
    #[inline(always)]
    fn leaf(
        &self,
        cells: &mut Cells,
        row: u32,
        tag: u8,
        value: usize,
        end: usize,
    ) -> Option<usize> {
        if cells.typed != tag {
            return None;
        }
        let next = match LEAF_LAYOUTS[tag as usize] {
            LeafLayout::Width(width) => value + width as usize,
            LeafLayout::Text => {
                let len = i32::from_le_bytes(array(self.bytes, value)?);
                let nul = value + 3 + usize::try_from(len).ok().filter(|&len| len > 0)?;
                (nul < end && self.bytes[nul] == 0).then_some(nul + 1)?
            }
            LeafLayout::Boolean if self.bytes.get(value).is_some_and(|&byte| byte <= 1) => {
                value + 1
            }
            LeafLayout::Boolean | LeafLayout::Not => return None,
        };
        (next <= end && cells.push_new(row, value as u32)).then_some(next)
    }

    /// Returns the field of the element at `at` for any key: known after this state, known elsewhere, or new.
    #[inline(never)]
    fn field(
        &self,
        node: &mut Node,
        state: u32,
        at: usize,
        end: usize,
        level: u32,
    ) -> Option<NextField> {
        // Fewer than 16 bytes remain near the end of the piece.
        let mut padded = [0; 16];
        let there = self.bytes.len().min(at + 16) - at;
        padded[..there].copy_from_slice(&self.bytes[at..at + there]);
        let word = u128::from_le_bytes(padded);

        let mut child = node.shapes.state(state).first_child;
        for _ in 0..LINEAR_CHILDREN_MAX {
            if child == NO_STATE {
                break;
            }
            if let Some(found) = self.try_state(node, child, word, at, end) {
                node.shapes.state_mut(state).predicted = child;
                return Some(found);
            }
            child = node.shapes.state(child).next_sibling;
        }

        let body = &self.bytes[..end];
        let key = &body[at + 1..at + 1 + self.checked(key_len(body, at + 1))?];
        let (field, exact) = match node.find(key) {
            Some(field) => {
                let exact = node.fields[field as usize].name.as_bytes() == key;
                (field, exact)
            }
            None => {
                let name = self.checked(self.text.decode(key).map_err(|invalid| {
                    Malformed::new(at + 1 + invalid.valid_up_to, "a key is not UTF-8")
                }))?;
                let exact = name.as_bytes() == key;
                let field = node.add(key, &name, exact);
                if level > 0 && node.fields.len() > self.limits.max_keys {
                    return self.halt(Halt::TooManyKeys);
                }
                (field, exact)
            }
        };
        let header_len = key.len() + 2;
        let next = node.shapes.follow(state, field).unwrap_or_else(|| {
            let compared = if exact { header_len as u32 } else { 0 };
            node.shapes.grow(state, field, word, compared)
        });
        node.shapes.state_mut(state).predicted = next;
        Some(NextField {
            state: next,
            expected: node.shapes.state(next).predicted,
            field,
            tag: body[at],
            value: at + header_len,
        })
    }

    /// Records the cell whose value starts at `at`, for any type of value and column; returns its end.
    #[inline(never)]
    fn cell(
        &self,
        cells: &mut Cells,
        row: u32,
        tag: u8,
        at: usize,
        end: usize,
        level: u32,
    ) -> Option<usize> {
        let body = &self.bytes[..end];
        let Some(kind) = ElementType::from_byte(tag) else {
            return self.halt(Malformed::new(at, "an unknown element type"));
        };
        if cells.mode != Mode::Typed(kind) {
            if kind == ElementType::Null {
                self.checked(cells.push_null(row))?;
                return Some(at);
            }
            self.change_mode(cells, kind, level);
        }
        match cells.mode {
            Mode::Typed(ElementType::Document) => {
                self.checked(cells.push(row, at as u32))?;
                let child = cells.documents.get_or_insert_default();
                match self.document(child, end, at, level) {
                    Some(end) => Some(end),
                    None => match self.halted.take() {
                        Some(Halt::TooManyKeys) => {
                            cells.make_tagged();
                            Some(at + self.checked(document_len(body, at))?)
                        }
                        halt => {
                            self.halted.set(halt);
                            None
                        }
                    },
                }
            }
            Mode::Typed(ElementType::List) => {
                self.checked(cells.push(row, at as u32))?;
                let lists = cells.lists.get_or_insert_default();
                self.list(lists, end, at, level)
            }
            Mode::Typed(kind) => {
                let len = self.checked(value_len(kind, body, at))?;
                self.checked(cells.push(row, at as u32))?;
                Some(at + len)
            }
            _ => {
                let len = self.checked(value_len(kind, body, at))?;
                self.checked(cells.push_tagged(row, kind, at as u32))?;
                Some(at + len)
            }
        }
    }

    /// Changes the column's mode at its first value, or at a value of another type.
    #[cold]
    fn change_mode(&self, cells: &mut Cells, kind: ElementType, level: u32) {
        let nests = matches!(kind, ElementType::Document | ElementType::List);
        // One level is reserved for the document itself. Nesting beyond the limit of documents is detected when cells
        // are copied.
        let max_levels = self.limits.max_levels.min(MAX_DEPTH as u32 - 1);
        if cells.mode == Mode::Null && !(nests && level >= max_levels) {
            cells.make_typed(kind);
        } else {
            cells.make_tagged();
        }
    }
}

/// Value layouts that [`Scan::leaf`] measures directly.
#[derive(Clone, Copy)]
enum LeafLayout {
    /// A value of this many bytes; all byte patterns are valid.
    Width(u8),
    /// One byte, 0 or 1.
    Boolean,
    /// An int32 length, text, NUL.
    Text,
    /// Any other layout.
    Not,
}

/// [`LeafLayout`] by type byte.
const LEAF_LAYOUTS: [LeafLayout; 256] = {
    let mut layouts = [LeafLayout::Not; 256];
    let mut n = 0;
    while n < ElementType::ALL.len() {
        let kind = ElementType::ALL[n];
        layouts[kind as usize] = match kind {
            ElementType::Double
            | ElementType::DateTime
            | ElementType::Timestamp
            | ElementType::Int64 => LeafLayout::Width(8),
            ElementType::Int32 => LeafLayout::Width(4),
            ElementType::ObjectId => LeafLayout::Width(12),
            ElementType::Decimal128 => LeafLayout::Width(16),
            ElementType::Boolean => LeafLayout::Boolean,
            ElementType::String | ElementType::Code | ElementType::Symbol => LeafLayout::Text,
            _ => LeafLayout::Not,
        };
        n += 1;
    }
    layouts
};
