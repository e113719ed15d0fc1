//! A second, slow look at a piece in which some document holds a key twice: which keys these are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::chunk::DuplicateKeys;
use crate::error::{Path, Step};
use crate::raw::{
    document_len, find_id, i32_at, Element, ElementType, Elements, Malformed, TextPolicy,
};

/// The duplicate keys of the documents that start at `offsets`; they were decoded, and so are sound.
#[cold]
pub(super) fn find(bytes: &[u8], offsets: &[u32], text: TextPolicy) -> DuplicateKeys {
    let mut look = Look {
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
        look.row = row;
        look.document = &bytes[start..start + len];
        // What is malformed was found before, and would have been an error.
        let _ = look.document(look.document);
    }
    look.found
}

struct Look<'a> {
    text: TextPolicy,
    path: Path,
    row: u64,
    document: &'a [u8],
    found: DuplicateKeys,
}

impl<'a> Look<'a> {
    fn document(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        let mut elements: Vec<(Cow<'a, str>, Element<'a>)> = Vec::new();
        for element in Elements::new(bytes)? {
            let element = element?;
            elements.push((self.text.decode(element.key).unwrap_or_default(), element));
        }
        let places = elements.iter().zip(0..);
        let last: HashMap<Cow<'a, str>, usize> = places
            .map(|((key, _), place)| (key.clone(), place))
            .collect();
        for (place, (key, element)) in elements.iter().enumerate() {
            let dropped = last.get(key).is_some_and(|&last| last != place);
            if !dropped && !nests(element.kind) {
                continue;
            }
            self.path.push(Step::Key(Arc::from(&**key)));
            if dropped {
                let document = self.document;
                self.found.note(&self.path, self.row, || find_id(document));
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
