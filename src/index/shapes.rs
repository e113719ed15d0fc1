//! Shapes: the key sequences of documents, as a trie that also predicts the next field.

use hashbrown::HashMap;

/// "No such state".
pub const NO_STATE: u32 = u32::MAX;

/// A prefix of a key sequence. State 0 is the empty one.
#[derive(Clone, Debug)]
pub struct State {
    /// The first 16 bytes of the element header that leads here: type, key, NUL. The type is the latest one seen.
    pub(super) word: u128,
    /// Header bytes, NUL included; 0 where the key's bytes cannot be compared (not UTF-8).
    pub(super) header_len: u32,
    /// The field whose key leads here.
    pub field: u32,
    /// The state before.
    pub parent: u32,
    /// The state that followed most recently.
    pub(super) predicted: u32,
    first_child: u32,
    next_sibling: u32,
}

/// All key sequences of the documents at one path.
#[derive(Debug)]
pub struct ShapeTrie {
    states: Vec<State>,
    /// (state, field) -> state: where a state has too many children to walk.
    transitions: HashMap<(u32, u32), u32>,
}

impl Default for ShapeTrie {
    fn default() -> Self {
        ShapeTrie {
            states: vec![State {
                word: 0,
                header_len: 0,
                field: u32::MAX,
                parent: NO_STATE,
                predicted: NO_STATE,
                first_child: NO_STATE,
                next_sibling: NO_STATE,
            }],
            transitions: HashMap::new(),
        }
    }
}

/// Masks of the first `n` bytes of a little-endian `u128`.
const MASKS: [u128; 17] = {
    let mut masks = [0; 17];
    let mut n = 1;
    while n <= 16 {
        masks[n] = u128::MAX >> (128 - 8 * n);
        n += 1;
    }
    masks
};

/// How a header compares with a state's.
#[derive(PartialEq, Eq)]
pub(super) enum Match {
    /// Same type and key.
    Same,
    /// Same key, another type.
    OtherType,
    /// Another key.
    Not,
}

impl State {
    /// Compares with the header at the start of `word`; `rest` gives the bytes after the first 16, for long keys.
    #[inline]
    pub(super) fn compare(&self, word: u128, rest: impl FnOnce() -> bool) -> Match {
        let len = self.header_len as usize;
        let difference = (self.word ^ word) & MASKS[if len < 16 { len } else { 16 }];
        if len == 0 || difference > 0xFF || (len > 16 && !rest()) {
            Match::Not
        } else if difference == 0 {
            Match::Same
        } else {
            Match::OtherType
        }
    }
}

impl ShapeTrie {
    /// How many states there are.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Never: the empty sequence is always there.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The state numbered `state`.
    #[inline]
    pub fn state(&self, state: u32) -> &State {
        &self.states[state as usize]
    }

    #[inline]
    pub(super) fn state_mut(&mut self, state: u32) -> &mut State {
        &mut self.states[state as usize]
    }

    /// States that followed `state`, latest made first.
    pub(super) fn children(&self, state: u32) -> impl Iterator<Item = u32> + '_ {
        let mut child = self.states[state as usize].first_child;
        std::iter::from_fn(move || {
            let this = child;
            (this != NO_STATE).then(|| {
                child = self.states[this as usize].next_sibling;
                this
            })
        })
    }

    /// The state that `field` leads to from `state`.
    pub(super) fn follow(&self, state: u32, field: u32) -> Option<u32> {
        self.transitions.get(&(state, field)).copied()
    }

    /// A new state after `from`.
    pub(super) fn grow(&mut self, from: u32, field: u32, word: u128, header_len: u32) -> u32 {
        let new = self.states.len() as u32;
        self.transitions.insert((from, field), new);
        let next_sibling = std::mem::replace(&mut self.states[from as usize].first_child, new);
        self.states.push(State {
            word,
            header_len,
            field,
            parent: from,
            predicted: NO_STATE,
            first_child: NO_STATE,
            next_sibling,
        });
        new
    }

    /// The fields of a shape in key order, from its final state.
    pub fn fields(&self, state: u32) -> Vec<u32> {
        let mut fields = Vec::new();
        let mut at = state;
        while at != 0 {
            let step = &self.states[at as usize];
            fields.push(step.field);
            at = step.parent;
        }
        fields.reverse();
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_its_fields_in_key_order() {
        let mut trie = ShapeTrie::default();
        let a = trie.grow(0, 0, 0, 3);
        let ab = trie.grow(a, 1, 0, 3);
        let ac = trie.grow(a, 2, 0, 3);
        assert_eq!(trie.fields(0), Vec::<u32>::new());
        assert_eq!(trie.fields(ab), [0, 1]);
        assert_eq!(trie.fields(ac), [0, 2]);
        assert_eq!(trie.children(a).collect::<Vec<_>>(), [ac, ab]);
    }

    #[test]
    fn headers_compare_by_key_and_by_type() {
        let word = |bytes: &[u8]| {
            let mut whole = [0xAA; 16];
            whole[..bytes.len()].copy_from_slice(bytes);
            u128::from_le_bytes(whole)
        };
        let mut trie = ShapeTrie::default();
        let state = trie.grow(0, 0, word(b"\x10ab\0"), 4);
        let state = trie.state(state);
        assert!(state.compare(word(b"\x10ab\0zz"), || true) == Match::Same);
        assert!(state.compare(word(b"\x12ab\0"), || true) == Match::OtherType);
        assert!(state.compare(word(b"\x10ac\0"), || true) == Match::Not);
        assert!(state.compare(word(b"\x10abc\0"), || true) == Match::Not);
    }
}
