//! Cursors of the driver after their kill, which the driver must not kill again.
//!
//! If a cursor is dropped before its end, the driver sends a kill of its own: to the primary, without a deadline, in a task that
//! cannot be ended. If the reply to it gets lost, the driver's client never closes its connections. So a cursor that was killed
//! here gets one more getMore: the server's reply that there is no such cursor finishes it for the driver as well. The getMore is
//! sent after the kill, when the reader has its error, in another session: a cursor that is still open does not advance, because
//! the server refuses a getMore in another session than the cursor's (50738).

use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::StreamExt;
use mongodb::error::ErrorKind;
use mongodb::raw_batch_cursor::SessionRawBatchCursor;
use tokio::time::timeout;

use super::implicit_session::implicit;

/// Time limit of that getMore.
const REPLY_LIMIT: Duration = Duration::from_secs(1);

/// The server's codes for a cursor that does not exist: CursorNotFound, CursorKilled.
const NOT_FOUND: [i32; 2] = [43, 237];

/// Number of cursors without a reply that are tried again with those of a later run.
const RETRIED: usize = 8;

/// Cursors of servers that did not reply, kept until they do, or until the client is closed.
#[derive(Default)]
pub(crate) struct KilledCursors(Mutex<Vec<SessionRawBatchCursor>>);

impl KilledCursors {
    fn lock(&self) -> MutexGuard<'_, Vec<SessionRawBatchCursor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finishes killed cursors, and some of those kept from earlier runs.
    pub(crate) async fn finish(
        &self,
        driver: &mongodb::Client,
        mut cursors: Vec<SessionRawBatchCursor>,
    ) {
        {
            let mut kept = self.lock();
            let from = kept.len().saturating_sub(RETRIED);
            cursors.extend(kept.drain(from..));
        }
        let finishing = join_all(cursors.into_iter().map(|mut cursor| async move {
            let finished = is_finished(driver, &mut cursor).await;
            (!finished).then_some(cursor)
        }));
        let unfinished = finishing.await;
        self.lock().extend(unfinished.into_iter().flatten());
    }

    /// Drops all cursors. Call it when the driver has no connections: then it sends no kills.
    pub(crate) fn clear(&self) {
        let all = take(&mut *self.lock());
        drop(all);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

/// Sends a getMore, and returns whether the server replied that there is no such cursor.
async fn is_finished(driver: &mongodb::Client, cursor: &mut SessionRawBatchCursor) -> bool {
    let get_more = async {
        // Another session than the cursor's: this error would abort a transaction of it.
        let mut session = implicit(driver).await?;
        let reply = cursor.stream(&mut session).next().await;
        reply.transpose()
    };
    match timeout(REPLY_LIMIT, get_more).await {
        Ok(Ok(reply)) => reply.is_none(),
        Ok(Err(error)) => {
            matches!(&*error.kind, ErrorKind::Command(failure) if NOT_FOUND.contains(&failure.code))
        }
        Err(_) => false,
    }
}
