//! The modifications of an update: `$set` and `$unset`, or a pipeline where a name cannot be part of a path.
//!
//! `$set` takes names as paths: points separate keys, and a leading dollar is refused. A table with such a name is therefore
//! written by a pipeline, which merges documents under `$literal`:
//!
//! ```text
//! [{$replaceWith: {$mergeObjects: ["$$ROOT", {$literal: {values}}, {a: {$mergeObjects: ["$a", ..]}}]}}]
//! ```
//!
//! `$mergeObjects` fails where the stored value is no document, as `$set` does. `$unset` takes paths only, so such a table cannot
//! remove keys.

use super::document::DocumentWriter;
use super::key::invalid;
use super::options::{KeyPath, Nested, Nulls};
use super::output::{Header, Output};
use crate::error::Result;
use crate::raw::ElementType;

/// Writes the modifications of each row.
pub(super) struct UpdateWriter<'a> {
    root: Node<'a>,
    /// True if the modifications are a pipeline.
    pipeline: bool,
    /// The position of `_id`, if an inserted document gets it and the filter has none.
    inserted_id: Option<usize>,
    headers: Headers,
}

/// The columns of a document that are set one by one.
struct Node<'a> {
    documents: &'a DocumentWriter<'a>,
    /// By the position of the field.
    fields: Vec<Action<'a>>,
    /// The path of the document, as `"$a.b"`.
    reference: String,
}

/// The modification by one column.
enum Action<'a> {
    /// None: it is a key.
    Skip,
    /// The value is set.
    Set {
        /// The path.
        path: Header,
        /// The key, in a pipeline.
        name: Header,
    },
    /// The fields of the document are set.
    Merge {
        path: Header,
        name: Header,
        below: Node<'a>,
    },
}

struct Headers {
    u: Header,
    pipeline: Header,
    set: Header,
    unset: Header,
    set_on_insert: Header,
    replace_with: Header,
    merge_objects: Header,
    literal: Header,
}

impl<'a> UpdateWriter<'a> {
    /// Plans the modifications by all columns but the keys `on`.
    ///
    /// # Errors
    /// `InvalidArgument` with the path of a name that the modification cannot express.
    pub(super) fn new(
        documents: &'a DocumentWriter<'a>,
        on: &[KeyPath],
        nested: Nested,
        nulls: Nulls,
        upsert: bool,
    ) -> Result<Self> {
        let keys: Vec<&[_]> = on.iter().map(|path| &path[..]).collect();
        let id = documents.documents().position("_id");
        let mut root = Node::new(documents, &keys, nested, &mut Vec::new());
        if let Some(id) = id {
            root.fields[id] = Action::Skip;
        }
        let id_is_key = on
            .iter()
            .any(|path| path.first().is_some_and(|key| **key == *"_id"));
        let pipeline = root.needs_pipeline(true);
        if pipeline {
            root.check_pipeline(nulls, &mut Vec::new())?;
        }
        let header = |key| Header::new(ElementType::Document, key);
        Ok(UpdateWriter {
            root,
            pipeline,
            inserted_id: id.filter(|_| upsert && !id_is_key),
            headers: Headers {
                u: header("u"),
                pipeline: Header::new(ElementType::List, "u"),
                set: header("$set"),
                unset: header("$unset"),
                set_on_insert: header("$setOnInsert"),
                replace_with: header("$replaceWith"),
                merge_objects: Header::new(ElementType::List, "$mergeObjects"),
                literal: header("$literal"),
            },
        })
    }

    /// Writes the element `u` of `row`. `write_keys` writes an element with a document of the keys.
    pub(super) fn write(
        &self,
        row: usize,
        nulls: Nulls,
        write_keys: impl FnOnce(&Header, &mut Output) -> Result<()>,
        out: &mut Output,
    ) -> Result<()> {
        if self.pipeline {
            self.write_pipeline(row, out);
            return Ok(());
        }
        let u = out.begin_element(&self.headers.u);
        let empty = out.len();
        let set = out.begin_element(&self.headers.set);
        let none = out.len();
        self.root.write_set(row, out);
        match out.len() == none {
            true => out.truncate(empty),
            false => out.end(set),
        }
        if nulls == Nulls::Unset {
            let start = out.len();
            let unset = out.begin_element(&self.headers.unset);
            let none = out.len();
            self.root.write_unset(row, out);
            match out.len() == none {
                true => out.truncate(start),
                false => out.end(unset),
            }
        }
        if let Some(field) = self.inserted_id.filter(|&id| self.root.has_value(row, id)) {
            let insert = out.begin_element(&self.headers.set_on_insert);
            self.root.documents.field(field).write(row, false, out);
            out.end(insert);
        }
        if out.len() == empty {
            // An empty document would replace the stored one, and servers before 5.0 refuse an empty `$set`.
            write_keys(&self.headers.set_on_insert, out)?;
        }
        out.end(u);
        Ok(())
    }

    fn write_pipeline(&self, row: usize, out: &mut Output) {
        let stage = Header::first_item(ElementType::Document);
        let pipeline = out.begin_element(&self.headers.pipeline);
        let replace = out.begin_element(&stage);
        let with = out.begin_element(&self.headers.replace_with);
        let merge = out.begin_element(&self.headers.merge_objects);
        let mut item = Header::first_item(ElementType::Document);
        if let Some(field) = self.inserted_id.filter(|&id| self.root.has_value(row, id)) {
            let literal = out.begin_element(&item);
            let id = out.begin_element(&self.headers.literal);
            self.root.documents.field(field).write(row, false, out);
            out.end(id);
            out.end(literal);
            item.next_item();
        }
        self.root.write_merged(row, item, &self.headers, out);
        out.end(merge);
        out.end(with);
        out.end(replace);
        out.end(pipeline);
    }
}

impl<'a> Node<'a> {
    fn new(
        documents: &'a DocumentWriter<'a>,
        keys: &[&[std::sync::Arc<str>]],
        nested: Nested,
        path: &mut KeyPath,
    ) -> Self {
        let reference = format!("${}", path.join("."));
        let mut fields = Vec::new();
        for (position, field) in documents.documents().fields().iter().enumerate() {
            let below: Vec<&[_]> = keys
                .iter()
                .filter_map(|key| key.split_first().filter(|(name, _)| **name == field.name))
                .map(|(_, rest)| rest)
                .collect();
            if below.iter().any(|rest| rest.is_empty()) {
                fields.push(Action::Skip);
                continue;
            }
            let written = documents.field(position);
            let header = |key: &str| {
                let mut header = Header::new(ElementType::Null, key);
                header.set_kind(written.header.kind_byte());
                header
            };
            path.push(field.name.clone());
            let (joined, name) = (header(&path.join(".")), header(&field.name));
            fields.push(match written.column.documents() {
                Some(documents) if nested == Nested::Merge => Action::Merge {
                    path: joined,
                    name,
                    below: Node::new(documents, &below, nested, path),
                },
                _ => Action::Set { path: joined, name },
            });
            path.pop();
        }
        Node {
            documents,
            fields,
            reference,
        }
    }

    fn has_value(&self, row: usize, field: usize) -> bool {
        self.documents.documents().has(row, field)
            && self.documents.field(field).column.slot(row).is_some()
    }

    /// Returns whether a name below cannot be part of a path.
    fn needs_pipeline(&self, is_top: bool) -> bool {
        let names = self.documents.documents().fields();
        names
            .iter()
            .zip(&self.fields)
            .any(|(field, action)| match action {
                Action::Skip => false,
                Action::Set { .. } => !is_plain(&field.name, is_top),
                Action::Merge { below, .. } => {
                    !is_plain(&field.name, is_top) || below.needs_pipeline(false)
                }
            })
    }

    /// Checks that a pipeline can express the modifications.
    fn check_pipeline(&self, nulls: Nulls, path: &mut KeyPath) -> Result<()> {
        for (field, action) in self.documents.documents().fields().iter().zip(&self.fields) {
            path.push(field.name.clone());
            let is_plain = is_plain(&field.name, path.len() == 1);
            match action {
                Action::Set { .. } if !is_plain && nulls == Nulls::Unset => {
                    let text = "a name that is empty, a number, starts with a dollar or holds a point cannot be removed by its \
                                path: use another value for nulls, or replace whole documents";
                    return Err(invalid(path, text));
                }
                Action::Merge { .. } if !is_plain => {
                    let text = "a struct whose name is empty, a number, starts with a dollar or holds a point cannot be merged \
                                into the stored document: use nested=\"replace\", or replace whole documents";
                    return Err(invalid(path, text));
                }
                Action::Merge { below, .. } => below.check_pipeline(nulls, path)?,
                _ => {}
            }
            path.pop();
        }
        Ok(())
    }

    /// Writes the elements of `$set`.
    fn write_set(&self, row: usize, out: &mut Output) {
        for &position in self.documents.documents().shape(row) {
            let field = self.documents.field(position as usize);
            let slot = field.column.slot(row);
            match (&self.fields[position as usize], slot) {
                (Action::Skip, _) => {}
                (Action::Set { path, .. }, Some(slot)) => field.column.write(path, slot, out),
                (Action::Merge { below, .. }, Some(slot)) => below.write_set(slot, out),
                (Action::Set { path, .. } | Action::Merge { path, .. }, None) => {
                    if self.documents.keeps_null() {
                        out.header_of(ElementType::Null, path);
                    }
                }
            }
        }
    }

    /// Writes the elements of `$unset`.
    fn write_unset(&self, row: usize, out: &mut Output) {
        if self.documents.keeps_null() {
            // Every null is a value, and every missing key is known.
            return;
        }
        for &position in self.documents.documents().shape(row) {
            let slot = self.documents.field(position as usize).column.slot(row);
            match (&self.fields[position as usize], slot) {
                (Action::Merge { below, .. }, Some(slot)) => below.write_unset(slot, out),
                (Action::Set { path, .. } | Action::Merge { path, .. }, None) => {
                    let at = out.len();
                    out.element(path, [1]);
                    out.set_byte(at, ElementType::Boolean.byte());
                }
                _ => {}
            }
        }
    }

    /// Writes the items of `$mergeObjects`, from that of `item` on.
    fn write_merged(&self, row: usize, mut item: Header, headers: &Headers, out: &mut Output) {
        let reference = match &self.reference[..] {
            "$" => "$$ROOT",
            reference => reference,
        };
        item.set_kind(ElementType::String.byte());
        out.text(&item, reference.as_bytes(), 0, reference.len());
        item.next_item();
        item.set_kind(ElementType::Document.byte());
        let outer = out.begin_element(&item);
        let literal = out.begin_element(&headers.literal);
        let shape = self.documents.documents().shape(row);
        for &position in shape {
            let field = self.documents.field(position as usize);
            match (&self.fields[position as usize], field.column.slot(row)) {
                (Action::Set { name, .. }, Some(slot)) => field.column.write(name, slot, out),
                (Action::Set { name, .. } | Action::Merge { name, .. }, None)
                    if self.documents.keeps_null() =>
                {
                    out.header_of(ElementType::Null, name);
                }
                _ => {}
            }
        }
        out.end(literal);
        out.end(outer);
        for &position in shape {
            let field = self.documents.field(position as usize);
            let action = (&self.fields[position as usize], field.column.slot(row));
            let (Action::Merge { name, below, .. }, Some(slot)) = action else {
                continue;
            };
            item.next_item();
            let document = out.begin_element(&item);
            let value = out.begin_element(name);
            let merge = out.begin_element(&headers.merge_objects);
            let first = Header::first_item(ElementType::Document);
            below.write_merged(slot, first, headers, out);
            out.end(merge);
            out.end(value);
            out.end(document);
        }
    }
}

/// Returns whether a name can be part of a path. In an embedded document a number could be the position in a list.
fn is_plain(name: &str, is_top: bool) -> bool {
    let is_number = || name.bytes().all(|byte| byte.is_ascii_digit());
    !name.is_empty() && !name.contains('.') && !name.starts_with('$') && (is_top || !is_number())
}
