//! The documents of a server's reply, without a copy.

use std::ops::Range;
use std::sync::Arc;

use mongodb::raw_batch_cursor::RawBatch;

use crate::error::Result;
use crate::reader::{Framing, Reply};
use crate::source::connection::failure::invalid_reply_error;

/// The parts of a server's reply.
pub(crate) struct Parts {
    /// The cursor's id; 0 if it is finished.
    pub(crate) id: i64,
    pub(crate) database: String,
    pub(crate) collection: String,
    /// `None` if it has no documents.
    pub(crate) reply: Option<Reply>,
}

/// The driver's buffer, shared by a [`Reply`].
struct Shared(RawBatch);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_raw_document().as_bytes()
    }
}

/// Splits a reply of find, aggregate or getMore. Its documents stay in the driver's buffer.
pub(crate) fn split(batch: RawBatch) -> Result<Parts> {
    let cursor = batch.as_raw_document().get_document("cursor");
    let cursor = cursor.map_err(|_| invalid_reply_error("no cursor"))?;
    let id = cursor
        .get_i64("id")
        .map_err(|_| invalid_reply_error("no cursor id"))?;
    let name = cursor.get_str("ns").unwrap_or_default();
    let (database, collection) = name.split_once('.').unwrap_or((name, ""));
    let (database, collection) = (database.to_owned(), collection.to_owned());
    let range = elements(&batch).ok_or_else(|| invalid_reply_error("no documents"))?;
    let reply =
        (!range.is_empty()).then(|| Reply::new(Arc::new(Shared(batch)), range, Framing::List));
    Ok(Parts {
        id,
        database,
        collection,
        reply,
    })
}

/// Position of the list's elements in the reply: without its length of 4 bytes and its final NUL.
fn elements(batch: &RawBatch) -> Option<Range<usize>> {
    let whole = batch.as_raw_document().as_bytes();
    let list = batch.doc_slices().ok()?.as_bytes();
    let start = (list.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(list.len())?;
    (list.len() >= 5 && end <= whole.len()).then(|| start + 4..end - 1)
}
