//! The slow search for the paths of duplicate keys, in a piece in which a document holds a key twice.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::chunk::DuplicateKeys;
use crate::error::{Path, Step};
use crate::raw::{
    document_len, find_id, i32_at, Element, ElementType, Elements, Malformed, TextPolicy,
};

/// Finds the duplicate keys of the documents that start at `offsets`. The documents were decoded, so they are valid.
#[cold]
pub(super) fn find(bytes: &[u8], offsets: &[u32], text: TextPolicy) -> DuplicateKeys {
    let mut search = DuplicateSearch {
        text,
        path: Vec::new(),
        row: 0,
        document: &[],
        found: DuplicateKeys::default(),
    };
    for (row, &offset) in (0..).zip(offsets) {
        let start = offset as usize;
        let Ok(len) = document_len(bytes, start) else {
            break;
        };
        search.row = row;
        search.document = &bytes[start..start + len];
        // Malformed documents were reported as an error before.
        let _ = search.document(search.document);
    }
    search.found
}

struct DuplicateSearch<'a> {
    text: TextPolicy,
    path: Path,
    row: u64,
    document: &'a [u8],
    found: DuplicateKeys,
}

impl<'a> DuplicateSearch<'a> {
    /// Searches a document. Only key offsets are stored: with names, a document of a million keys takes 20 times its
    /// size.
    fn document(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        let elements = Elements::new(bytes)?;
        let text = self.text;
        let name = |at: u32| {
            text.decode(elements.key_at(at as usize))
                .unwrap_or_default()
        };
        let hasher = DefaultHashBuilder::default();
        let hash = |key: &str| hasher.hash_one(key);
        let place = |element: &Element<'_>| (element.offset - element.key.len() - 2) as u32;
        let mut last: HashTable<u32> = HashTable::new();
        for element in elements.clone() {
            let element = element?;
            let key = text.decode(element.key).unwrap_or_default();
            match last.find_mut(hash(&key), |&at| name(at) == key) {
                Some(at) => *at = place(&element),
                None => {
                    last.insert_unique(hash(&key), place(&element), |&at| hash(&name(at)));
                }
            }
        }
        for element in elements.clone() {
            let element = element?;
            let key = text.decode(element.key).unwrap_or_default();
            let kept = last.find(hash(&key), |&at| name(at) == key);
            let dropped = kept.is_some_and(|&at| at != place(&element));
            if !dropped && !nests(element.kind) {
                continue;
            }
            self.path.push(Step::Key(Arc::from(&*key)));
            if dropped {
                let document = self.document;
                self.found
                    .record(&self.path, self.row, || find_id(document));
            } else {
                self.value(element.kind, element.value)?;
            }
            self.path.pop();
        }
        Ok(())
    }

    fn value(&mut self, kind: ElementType, value: &'a [u8]) -> Result<(), Malformed> {
        match kind {
            ElementType::Document => self.document(value),
            ElementType::List => {
                self.path.push(Step::Index(0));
                for element in Elements::new(value)? {
                    let element = element?;
                    self.value(element.kind, element.value)?;
                }
                self.path.pop();
                Ok(())
            }
            ElementType::CodeWithScope => {
                let code = i32_at(value, 4)? as usize;
                self.document(&value[8 + code..])
            }
            _ => Ok(()),
        }
    }
}

fn nests(kind: ElementType) -> bool {
    matches!(
        kind,
        ElementType::Document | ElementType::List | ElementType::CodeWithScope
    )
}
