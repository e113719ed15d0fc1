//! Key columns: the filter of each statement.

use super::document::DocumentWriter;
use super::key_hash::hash_values;
use super::options::KeyPath;
use super::output::{Header, Output};
use crate::error::{Error, ErrorKind, Location, Result, Step};
use crate::raw::{Decimal, ElementType};

/// The key columns of a write.
pub(super) struct KeyWriter<'a> {
    documents: &'a DocumentWriter<'a>,
    keys: Vec<Key<'a>>,
}

/// One key column.
struct Key<'a> {
    path: &'a KeyPath,
    /// The positions of the fields from the top level down.
    fields: Vec<usize>,
    header: Header,
}

impl<'a> KeyWriter<'a> {
    /// Finds the columns of `on`.
    ///
    /// # Errors
    /// `InvalidArgument` for a key that no document has.
    pub(super) fn new(documents: &'a DocumentWriter<'a>, on: &'a [KeyPath]) -> Result<Self> {
        let keys = on.iter().map(|path| {
            let (fields, kind) = positions(documents, path)?;
            // The header's type is that of the column; the value of a mixed cell replaces it.
            let mut header = Header::new(ElementType::Null, &path.join("."));
            header.set_kind(kind);
            Ok(Key {
                path,
                fields,
                header,
            })
        });
        Ok(KeyWriter {
            documents,
            keys: keys.collect::<Result<_>>()?,
        })
    }

    /// Writes the element `name` with the document of the keys of `row`. In a filter, documents are compared by `$eq`,
    /// because a filter may take their keys for operators.
    ///
    /// # Errors
    /// `InvalidArgument` with the path for a key that is missing, null, NaN, or of a type that filters do not compare by
    /// equality.
    pub(super) fn write(
        &self,
        name: &Header,
        row: usize,
        is_filter: bool,
        out: &mut Output,
    ) -> Result<()> {
        let start = out.begin_element(name);
        for key in &self.keys {
            key.write(self.documents, row, is_filter, out)?;
        }
        out.end(start);
        Ok(())
    }

    /// The hash of the keys of `row`: equal for keys that are equal on the server.
    ///
    /// # Errors
    /// The errors of [`write`](Self::write).
    pub(super) fn hash(&self, row: usize, out: &mut Output) -> Result<u128> {
        let start = out.begin();
        for key in &self.keys {
            key.write(self.documents, row, false, out)?;
        }
        out.end(start);
        let mut normal = std::mem::take(&mut out.scratch);
        normal.clear();
        let hash = hash_values(&out.written()[start..], &mut normal);
        out.scratch = normal;
        out.truncate(start);
        Ok(hash)
    }
}

impl Key<'_> {
    fn write(
        &self,
        mut documents: &DocumentWriter<'_>,
        row: usize,
        is_filter: bool,
        out: &mut Output,
    ) -> Result<()> {
        let missing = || self.refused("is null or missing");
        let (&last, above) = self.fields.split_last().ok_or_else(missing)?;
        let mut row = row;
        for &field in above {
            let column = &documents.field(field).column;
            let has = documents.documents().has(row, field);
            row = has
                .then(|| column.slot(row))
                .flatten()
                .ok_or_else(missing)?;
            documents = column.documents().ok_or_else(missing)?;
        }
        let field = documents.field(last);
        let has = documents.documents().has(row, last);
        let slot = has.then(|| field.column.slot(row)).flatten();
        let slot = slot.ok_or_else(missing)?;
        let start = out.len();
        field.column.write(&self.header, slot, out);
        let value = start + self.header.len();
        self.check(out.written()[start], &out.written()[value..])?;
        if is_filter && out.written()[start] == ElementType::Document.byte() {
            let document = out.written()[value..].to_vec();
            out.truncate(start);
            let outer = out.begin_element(&self.header);
            // The header of a mixed column has no type of BSON.
            out.set_byte(start, ElementType::Document.byte());
            out.header(&Header::new(ElementType::Document, "$eq"));
            out.bytes(&document);
            out.end(outer);
        }
        Ok(())
    }

    fn check(&self, tag: u8, value: &[u8]) -> Result<()> {
        use ElementType::{Double, Null, Regex, Undefined};
        let is_nan = match ElementType::from_byte(tag) {
            Some(Double) => value
                .try_into()
                .is_ok_and(|value| f64::from_le_bytes(value).is_nan()),
            Some(ElementType::Decimal128) => value.try_into().is_ok_and(|value| {
                matches!(
                    Decimal::from_bytes(value),
                    Decimal::NaN | Decimal::SignallingNaN
                )
            }),
            Some(Null | Undefined) => return Err(self.refused("is null or missing")),
            Some(ElementType::List) => return Err(self.refused("is a list")),
            Some(Regex) => return Err(self.refused("is a regular expression")),
            _ => false,
        };
        match is_nan {
            true => Err(self.refused("is NaN")),
            false => Ok(()),
        }
    }

    fn refused(&self, fault: &str) -> Error {
        let text = format!(
            "the key {fault}, so a filter by it would not find one document: drop the row, or give it a key"
        );
        invalid(self.path, &text)
    }
}

/// Returns the positions of the fields of `path`, and the type of the last one's column.
fn positions(documents: &DocumentWriter<'_>, path: &KeyPath) -> Result<(Vec<usize>, u8)> {
    let mut found = Vec::with_capacity(path.len());
    let mut kind = ElementType::Null.byte();
    let mut documents = Some(documents);
    for name in path {
        let field = documents.and_then(|documents| {
            let field = documents.documents().position(name)?;
            Some((field, documents.field(field)))
        });
        let Some((position, field)) = field else {
            return Err(invalid(
                path,
                "on= names a column that the data does not have",
            ));
        };
        found.push(position);
        kind = field.header.kind_byte();
        documents = field.column.documents();
    }
    Ok((found, kind))
}

/// Returns an `InvalidArgument` error at the path of a column.
pub(super) fn invalid(path: &KeyPath, text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument(text.into())).at(Location {
        path: path.iter().map(|key| Step::Key(key.clone())).collect(),
        ..Location::default()
    })
}
