//! Documents and lists: columns of columns.

use std::sync::Arc;

use arrow_buffer::{OffsetBuffer, ScalarBuffer};

use super::frame::{Frame, Positions};
use super::Gather;
use crate::chunk::{Documents, Field, Shapes, Values};
use crate::index::{ListIndex, Node, ShapeTrie, NULL_POSITION};
use crate::raw::Malformed;

impl Gather<'_> {
    /// Gathers the documents of `node` into the slots of `frame`.
    pub(super) fn documents(
        &self,
        node: &Node,
        frame: &Frame,
        level: usize,
    ) -> Result<Documents, Malformed> {
        let mut fields = Vec::with_capacity(node.fields.len());
        for field in &node.fields {
            fields.push(Field {
                name: Arc::clone(&field.name),
                column: self.column(&field.cells, frame, level)?,
            });
        }
        let shapes = shapes(&node.shapes, &node.states, frame);
        Ok(Documents::new(frame.len, shapes, fields))
    }

    pub(super) fn document_values(
        &self,
        node: &Node,
        positions: &Positions<'_>,
        level: usize,
    ) -> Result<Values, Malformed> {
        let frame = Frame::inside(positions);
        Ok(Values::Document {
            nulls: positions.nulls(),
            documents: Arc::new(self.documents(node, &frame, level + 1)?),
        })
    }

    pub(super) fn list_values(
        &self,
        lists: &ListIndex,
        positions: &Positions<'_>,
        level: usize,
    ) -> Result<Values, Malformed> {
        let mut offsets: Vec<i32> = Vec::with_capacity(positions.at.len() + 1);
        offsets.push(0);
        if positions.has_nulls {
            let mut ends = lists.ends.iter();
            let mut last = 0;
            for &at in positions.at.iter() {
                if at != NULL_POSITION {
                    last = ends.next().map_or(last, |&end| end as i32);
                }
                offsets.push(last);
            }
        } else {
            offsets.extend(lists.ends.iter().map(|&end| end as i32));
        }
        let frame = Frame::whole(lists.items.len());
        Ok(Values::List {
            nulls: positions.nulls(),
            offsets: OffsetBuffer::new(ScalarBuffer::from(offsets)),
            items: self.column(&lists.items, &frame, level + 1)?,
        })
    }
}

/// Numbers the final states in order of first appearance, and assigns them to the frame's slots.
fn shapes(trie: &ShapeTrie, states: &[u32], frame: &Frame) -> Shapes {
    const UNSEEN: u32 = u32::MAX;
    let mut number_of = vec![UNSEEN; trie.len()];
    let mut finals = Vec::new();
    let numbers: Vec<u32> = states
        .iter()
        .map(|&state| {
            let number = &mut number_of[state as usize];
            if *number == UNSEEN {
                *number = finals.len() as u32;
                finals.push(state);
            }
            *number
        })
        .collect();
    if finals.len() <= 1 {
        let only = finals.first().map(|&state| trie.fields(state));
        return Shapes::uniform(only.unwrap_or_default());
    }
    let of_row = match &frame.slots {
        None => numbers,
        Some(slots) => {
            let mut of_row = vec![0; frame.len];
            for (&slot, number) in slots.iter().zip(numbers) {
                of_row[slot as usize] = number;
            }
            of_row
        }
    };
    Shapes::new(finals.into_iter().map(|state| trie.fields(state)), of_row)
}
