//! The scan itself: predict the next field, compare it with one masked 16-byte compare, note the position.

use super::cells::{Cells, ListIndex, Mode, Node};
use super::shapes::{Match, NO_STATE};
use crate::raw::{
    array, document_len, key_len, value_len, ElementType, Malformed, TextPolicy, MAX_DEPTH,
};

/// Bounds on what becomes columns; past them cells stay BSON.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Arrow levels (structs and lists) a path may nest; never more than documents may.
    pub max_levels: u32,
    /// Different keys of the documents at one nested path.
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

/// Why a scan stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The bytes are not BSON.
    Malformed(Malformed),
    /// A document holds a key twice: put the piece in normal form first.
    Duplicate,
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Self {
        Stop::Malformed(malformed)
    }
}

/// Children of a state that are compared before the key is looked up in the map.
const SIBLINGS_TRIED: usize = 4;

/// Indexes the documents that start at `offsets` in `bytes`.
///
/// Every header and length is checked; text is checked when it is gathered, keys when they are first seen.
///
/// # Errors
/// [`Stop`]: the caller then finds out exactly where, or puts the piece in normal form.
pub fn index_piece(
    bytes: &[u8],
    offsets: impl Iterator<Item = usize>,
    text: TextPolicy,
    limits: Limits,
) -> Result<Node, Stop> {
    let mut root = Node::default();
    let scan = Scan {
        bytes,
        text,
        limits,
    };
    for offset in offsets {
        // At the top any number of keys become columns, so this is never cut short.
        let _ = scan.document(&mut root, bytes, offset, 0)?;
    }
    Ok(root)
}

struct Scan<'a> {
    bytes: &'a [u8],
    text: TextPolicy,
    limits: Limits,
}

impl Scan<'_> {
    /// Indexes the document at `at`, which must end inside `within`; returns its end.
    ///
    /// `None`: documents under this path have more keys than may be columns. Found at the first key too many, because a key
    /// costs some hundred bytes here and five on the wire.
    fn document(
        &self,
        node: &mut Node,
        within: &[u8],
        at: usize,
        level: u32,
    ) -> Result<Option<usize>, Stop> {
        let end = at + document_len(within, at)? - 1;
        let body = &within[..end];
        let row = node.rows;
        let mut state = 0;
        let mut at = at + 4;
        while at < end {
            let Some((next, kind, value)) = self.field(node, state, body, at, level)? else {
                return Ok(None);
            };
            state = next;
            let field = node.shapes.state(state).field;
            at = self.cell(
                &mut node.fields[field as usize].cells,
                row,
                kind,
                body,
                value,
                level + 1,
            )?;
        }
        node.states.push(state);
        node.rows += 1;
        Ok(Some(end + 1))
    }

    /// The state after the element at `at`, the element's type, and where its value starts; `None` for a key too many.
    #[inline]
    fn field(
        &self,
        node: &mut Node,
        state: u32,
        body: &[u8],
        at: usize,
        level: u32,
    ) -> Result<Option<(u32, ElementType, usize)>, Stop> {
        let predicted = node.shapes.state(state).predicted;
        if let (Some(word), true) = (array::<16>(self.bytes, at), predicted != NO_STATE) {
            let word = u128::from_le_bytes(word);
            if let Some(found) = self.try_state(node, predicted, word, body, at)? {
                return Ok(Some(found));
            }
        }
        self.field_slow(node, state, body, at, level)
    }

    /// `candidate`, if the header at `at` is the one that leads there.
    #[inline]
    fn try_state(
        &self,
        node: &mut Node,
        candidate: u32,
        word: u128,
        body: &[u8],
        at: usize,
    ) -> Result<Option<(u32, ElementType, usize)>, Stop> {
        let known = node.shapes.state(candidate);
        let value = at + known.header_len as usize;
        let matched = known.compare(word, || {
            let name = node.fields[known.field as usize].name.as_bytes();
            body.get(at + 1..value)
                .is_some_and(|key| &key[..key.len() - 1] == name && key.ends_with(&[0]))
        });
        if matched == Match::Not || value > body.len() {
            return Ok(None);
        }
        let kind = element_type(word as u8, at)?;
        if matched == Match::OtherType {
            let known = node.shapes.state_mut(candidate);
            known.word = (known.word & !0xFF) | u128::from(kind.byte());
        }
        Ok(Some((candidate, kind, value)))
    }

    fn field_slow(
        &self,
        node: &mut Node,
        state: u32,
        body: &[u8],
        at: usize,
        level: u32,
    ) -> Result<Option<(u32, ElementType, usize)>, Stop> {
        // Near the end of the piece there are fewer than 16 bytes to compare.
        let mut padded = [0; 16];
        let there = self.bytes.len().min(at + 16) - at;
        padded[..there].copy_from_slice(&self.bytes[at..at + there]);
        let word = u128::from_le_bytes(padded);

        let predicted = node.shapes.state(state).predicted;
        let mut tried = [NO_STATE; SIBLINGS_TRIED];
        for (slot, child) in tried.iter_mut().zip(node.shapes.children(state)) {
            *slot = child;
        }
        for child in tried {
            // The prediction was compared before, unless too few bytes were left for it.
            if child != NO_STATE && (child != predicted || there < 16) {
                if let Some(found) = self.try_state(node, child, word, body, at)? {
                    node.shapes.state_mut(state).predicted = found.0;
                    return Ok(Some(found));
                }
            }
        }

        let kind = element_type(body[at], at)?;
        let key = &body[at + 1..at + 1 + key_len(body, at + 1)?];
        let (field, exact) = match node.find(key) {
            Some(field) => {
                let exact = node.fields[field as usize].name.as_bytes() == key;
                (field, exact)
            }
            None => {
                let name = self.text.decode(key).map_err(|invalid| {
                    Malformed::new(at + 1 + invalid.valid_up_to, "a key is not UTF-8")
                })?;
                let exact = name.as_bytes() == key;
                let field = node.add(key, &name, exact);
                if level > 0 && node.fields.len() > self.limits.max_keys {
                    return Ok(None);
                }
                (field, exact)
            }
        };
        let header_len = key.len() as u32 + 2;
        let next = node.shapes.follow(state, field).unwrap_or_else(|| {
            let header_len = if exact { header_len } else { 0 };
            node.shapes.grow(state, field, word, header_len)
        });
        node.shapes.state_mut(state).predicted = next;
        Ok(Some((next, kind, at + header_len as usize)))
    }

    /// Notes the cell whose value starts at `at`; returns its end.
    #[inline]
    fn cell(
        &self,
        cells: &mut Cells,
        row: u32,
        kind: ElementType,
        body: &[u8],
        at: usize,
        level: u32,
    ) -> Result<usize, Stop> {
        if cells.mode != Mode::Typed(kind) {
            if kind == ElementType::Null {
                cells.push_null(row)?;
                return Ok(at);
            }
            self.change_mode(cells, kind, level);
        }
        match cells.mode {
            Mode::Typed(ElementType::Document) => {
                cells.push(row, at as u32)?;
                let child = cells.documents.get_or_insert_default();
                if let Some(end) = self.document(child, body, at, level)? {
                    return Ok(end);
                }
                cells.make_tagged();
                Ok(at + document_len(body, at)?)
            }
            Mode::Typed(ElementType::List) => {
                cells.push(row, at as u32)?;
                let lists = cells.lists.get_or_insert_default();
                self.list(lists, body, at, level)
            }
            Mode::Typed(kind) => {
                let len = value_len(kind, body, at)?;
                cells.push(row, at as u32)?;
                Ok(at + len)
            }
            _ => {
                let len = value_len(kind, body, at)?;
                cells.push_tagged(row, kind, at as u32)?;
                Ok(at + len)
            }
        }
    }

    /// The column sees its first value, or another type than before.
    #[cold]
    fn change_mode(&self, cells: &mut Cells, kind: ElementType, level: u32) {
        let nests = matches!(kind, ElementType::Document | ElementType::List);
        // One level is left for the document itself: what is deeper than documents may nest is found when cells are copied.
        let max_levels = self.limits.max_levels.min(MAX_DEPTH as u32 - 1);
        if cells.mode == Mode::Null && !(nests && level >= max_levels) {
            cells.mode = Mode::Typed(kind);
        } else {
            cells.make_tagged();
        }
    }

    fn list(
        &self,
        lists: &mut ListIndex,
        within: &[u8],
        at: usize,
        level: u32,
    ) -> Result<usize, Stop> {
        let end = at + document_len(within, at)? - 1;
        let body = &within[..end];
        let mut at = at + 4;
        while at < end {
            let kind = element_type(body[at], at)?;
            // Keys of lists are not looked at: items count in byte order.
            let value = at + 1 + key_len(body, at + 1)? + 1;
            let row = lists.items.len() as u32;
            at = self.cell(&mut lists.items, row, kind, body, value, level + 1)?;
        }
        lists.ends.push(lists.items.len() as u32);
        Ok(end + 1)
    }
}

#[inline]
fn element_type(byte: u8, at: usize) -> Result<ElementType, Malformed> {
    ElementType::from_byte(byte).ok_or_else(|| Malformed::new(at, "an unknown element type"))
}
