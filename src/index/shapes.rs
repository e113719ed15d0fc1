//! Shapes: the key sequences of documents, as a trie that also predicts the next field.

use hashbrown::HashMap;

/// The absence of a state.
pub const NO_STATE: u32 = u32::MAX;

/// A prefix of a key sequence. State 0 is the empty prefix.
#[derive(Clone, Debug)]
pub struct State {
    /// The last key of the prefix, in the form of an element header's first 16 bytes: zero for the type, then the
    /// key, then NUL.
    key: u128,
    /// The bits of those 16 bytes that belong to the key.
    mask: u128,
    /// Header bytes, including type and NUL; 0 if the key's bytes cannot be compared (not UTF-8).
    pub(super) header_len: u32,
    /// The field of the last key.
    pub field: u32,
    /// The state that followed most recently.
    pub(super) predicted: u32,
    /// The state of the prefix without its last key.
    pub parent: u32,
    /// The most recently added child; each child links to the one added before it.
    pub(super) first_child: u32,
    pub(super) next_sibling: u32,
    /// The number of children.
    children: u32,
}

/// A `key` that matches no header: it has bits outside the mask.
const NO_KEY: u128 = 0xFF;

/// States with at most this many children find them by linear search. Most states have fewer. A hash map for every
/// state would cost more than the rest of a new state.
pub(super) const LINEAR_CHILDREN_MAX: u32 = 4;

/// All key sequences of the documents at one path.
#[derive(Debug)]
pub struct ShapeTrie {
    states: Vec<State>,
    /// (state, field) -> state, for states with more than [`LINEAR_CHILDREN_MAX`] children.
    transitions: HashMap<(u32, u32), u32>,
}

impl Default for ShapeTrie {
    fn default() -> Self {
        ShapeTrie {
            states: vec![State {
                key: NO_KEY,
                mask: 0,
                header_len: 0,
                field: u32::MAX,
                predicted: NO_STATE,
                parent: NO_STATE,
                first_child: NO_STATE,
                next_sibling: NO_STATE,
                children: 0,
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

impl State {
    /// Returns whether a header whose first 16 bytes are `word` matches this key in those bytes.
    #[inline(always)]
    pub(super) fn starts(&self, word: u128) -> bool {
        word & self.mask == self.key
    }
}

impl ShapeTrie {
    /// The number of states.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Always false: the trie always holds the empty prefix.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The state numbered `state`.
    #[inline]
    pub fn state(&self, state: u32) -> &State {
        &self.states[state as usize]
    }

    /// The state numbered `state`; `None` for [`NO_STATE`].
    #[inline(always)]
    pub(super) fn get(&self, state: u32) -> Option<&State> {
        self.states.get(state as usize)
    }

    #[inline]
    pub(super) fn state_mut(&mut self, state: u32) -> &mut State {
        &mut self.states[state as usize]
    }

    /// The children of `state`, most recent first.
    fn children(&self, state: u32) -> impl Iterator<Item = u32> + '_ {
        let first = Some(self.states[state as usize].first_child);
        std::iter::successors(first, |&child| Some(self.get(child)?.next_sibling))
            .take_while(|&child| child != NO_STATE)
    }

    /// The child of `state` for `field`.
    pub(super) fn follow(&self, state: u32, field: u32) -> Option<u32> {
        if self.states[state as usize].children > LINEAR_CHILDREN_MAX {
            return self.transitions.get(&(state, field)).copied();
        }
        let mut children = self.children(state);
        children.find(|&child| self.states[child as usize].field == field)
    }

    /// Adds a child of `from` whose header has `header_len` bytes and starts with `word`; a `header_len` of 0 means
    /// that the header is never compared.
    pub(super) fn grow(&mut self, from: u32, field: u32, word: u128, header_len: u32) -> u32 {
        let new = self.states.len() as u32;
        let parent = &mut self.states[from as usize];
        let next_sibling = std::mem::replace(&mut parent.first_child, new);
        parent.children += 1;
        let many = parent.children > LINEAR_CHILDREN_MAX;
        let mask = MASKS[(header_len as usize).min(16)] & !0xFF;
        let key = if header_len == 0 { NO_KEY } else { word & mask };
        self.states.push(State {
            key,
            mask,
            header_len,
            field,
            predicted: NO_STATE,
            parent: from,
            first_child: NO_STATE,
            next_sibling,
            children: 0,
        });
        if many {
            self.index_children(from, field, new);
        }
        new
    }

    /// Adds `new` to the hash map; at the first child beyond the linear limit, adds the earlier children too.
    fn index_children(&mut self, from: u32, field: u32, new: u32) {
        if self.states[from as usize].children == LINEAR_CHILDREN_MAX + 1 {
            let mut child = self.state(new).next_sibling;
            while let Some(state) = self.states.get(child as usize) {
                self.transitions.insert((from, state.field), child);
                child = state.next_sibling;
            }
        }
        self.transitions.insert((from, field), new);
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
    fn children_are_found_at_any_count() {
        let mut trie = ShapeTrie::default();
        for many in 0..3 * LINEAR_CHILDREN_MAX {
            let made: Vec<u32> = (0..many)
                .filter_map(|field| trie.follow(0, field))
                .collect();
            assert_eq!(made.len(), many as usize);
            assert_eq!(trie.follow(0, many), None);
            trie.grow(0, many, 0, 3);
        }
    }

    #[test]
    fn headers_match_by_key_for_any_type() {
        let word = |bytes: &[u8]| {
            let mut whole = [0xAA; 16];
            whole[..bytes.len()].copy_from_slice(bytes);
            u128::from_le_bytes(whole)
        };
        let mut trie = ShapeTrie::default();
        let state = trie.grow(0, 0, word(b"\x10ab\0"), 4);
        let not_compared = trie.grow(0, 1, word(b"\x10\xFF\0"), 0);
        let state = trie.state(state);
        assert!(state.starts(word(b"\x10ab\0zz")));
        assert!(state.starts(word(b"\x12ab\0")));
        assert!(!state.starts(word(b"\x10ac\0")));
        assert!(!state.starts(word(b"\x10abc\0")));
        assert!(!trie.state(not_compared).starts(word(b"\x10\xFF\0")));
        assert!(!trie.state(0).starts(word(b"\x10ab\0")));
    }
}
