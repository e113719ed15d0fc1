//! Sources without a server: bytes in memory and files.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::reply::{Arrival, Framing, Reply, Source};
use super::split::owned_reply;
use crate::error::{Error, ErrorKind, Result};

/// Replies that are already in memory.
pub struct ReplySource {
    replies: std::vec::IntoIter<Reply>,
}

impl ReplySource {
    /// Returns a source of `replies` in order.
    pub fn new(replies: Vec<Reply>) -> Self {
        ReplySource {
            replies: replies.into_iter(),
        }
    }
}

impl Source for ReplySource {
    fn poll(&mut self, _wait: Duration) -> Result<Arrival> {
        Ok(self.replies.next().map_or(Arrival::End, Arrival::Reply))
    }
}

/// Bytes of a file or buffer in one reply.
const BLOCK: usize = 8 << 20;

/// Concatenated documents in memory, returned in blocks.
pub struct BytesSource {
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    at: usize,
}

impl BytesSource {
    /// Returns a source of the documents in `bytes`.
    pub fn new(bytes: Arc<dyn AsRef<[u8]> + Send + Sync>) -> Self {
        BytesSource { bytes, at: 0 }
    }
}

impl Source for BytesSource {
    fn poll(&mut self, _wait: Duration) -> Result<Arrival> {
        let rest = &(*self.bytes).as_ref()[self.at..];
        if rest.is_empty() {
            return Ok(Arrival::End);
        }
        let mut len = whole_documents(&rest[..rest.len().min(BLOCK)]);
        if len == 0 {
            // A document larger than a block, or an incomplete one.
            let claimed = crate::raw::array(rest, 0).map_or(0, i32::from_le_bytes);
            len = rest.len().min(claimed.max(0) as usize);
            len = if len == 0 { rest.len() } else { len };
        }
        let range = self.at..self.at + len;
        self.at += len;
        let bytes = Arc::clone(&self.bytes);
        Ok(Arrival::Reply(Reply::new(
            bytes,
            range,
            Framing::Concatenated,
        )))
    }
}

/// Concatenated documents in a file, such as a file of mongodump; read in blocks.
pub struct FileSource {
    file: Option<File>,
    /// The start of a document whose end is not read yet.
    rest: Vec<u8>,
}

impl FileSource {
    /// Opens `path`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| io(path.display(), &error))?;
        Ok(FileSource {
            file: Some(file),
            rest: Vec::new(),
        })
    }

    /// Reads the next complete documents; at the end of the file, all remaining bytes.
    fn block(&mut self, file: &mut File) -> Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.rest);
        loop {
            let before = bytes.len();
            bytes.reserve(BLOCK);
            file.take(BLOCK as u64)
                .read_to_end(&mut bytes)
                .map_err(|error| io("the file", &error))?;
            let end = whole_documents(&bytes);
            if bytes.len() == before || end > 0 {
                if end > 0 {
                    self.rest = bytes.split_off(end);
                }
                return Ok(bytes);
            }
        }
    }
}

/// Returns the end of the last complete document. Impossible lengths are passed on to the decoder, which reports
/// them.
fn whole_documents(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(len) = crate::raw::array(bytes, at).map(i32::from_le_bytes) {
        if len < 5 {
            return bytes.len();
        }
        if len as usize > bytes.len() - at {
            break;
        }
        at += len as usize;
    }
    at
}

impl Source for FileSource {
    fn poll(&mut self, _wait: Duration) -> Result<Arrival> {
        let Some(mut file) = self.file.take() else {
            return Ok(Arrival::End);
        };
        let bytes = self.block(&mut file)?;
        if bytes.is_empty() {
            return Ok(Arrival::End);
        }
        self.file = Some(file);
        Ok(Arrival::Reply(owned_reply(bytes)))
    }
}

fn io(what: impl std::fmt::Display, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Io(format!("cannot read {what}: {error}")))
}
