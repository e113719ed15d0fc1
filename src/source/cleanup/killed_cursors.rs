//! Cursors that were left before their end, once they are killed.
//!
//! Dropping one makes the driver send a kill of its own: to the primary, without a deadline, in a task that cannot be ended.
//! If its answer gets lost, the driver's client never closes its connections. So a cursor that was killed here gets one more
//! getMore, unless the server said that there is no such cursor: that answer finishes it for the driver as well. It is sent
//! behind the kill, when the reader has its error, in another session: a cursor that is open after all does not move, because
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

/// How long that answer may take.
const ANSWER: Duration = Duration::from_secs(1);

/// The server's codes for a cursor that is not there any more.
const GONE: [i32; 2] = [43, 237];

/// So many of those that were not answered are asked again at a time.
const AGAIN: usize = 8;

/// Cursors of servers that did not answer: kept until they do, or the client is closed.
#[derive(Default)]
pub(crate) struct KilledCursors(Mutex<Vec<SessionRawBatchCursor>>);

impl KilledCursors {
    fn lock(&self) -> MutexGuard<'_, Vec<SessionRawBatchCursor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finishes cursors that were killed, and some of those that were kept.
    pub(crate) async fn finish(
        &self,
        driver: &mongodb::Client,
        mut cursors: Vec<SessionRawBatchCursor>,
    ) {
        {
            let mut kept = self.lock();
            let from = kept.len().saturating_sub(AGAIN);
            cursors.extend(kept.drain(from..));
        }
        let asked = join_all(cursors.into_iter().map(|mut cursor| async move {
            let gone = is_gone(driver, &mut cursor).await;
            (!gone).then_some(cursor)
        }));
        let left = asked.await;
        self.lock().extend(left.into_iter().flatten());
    }

    /// Drops all, of a driver without connections: then it kills nothing.
    pub(crate) fn clear(&self) {
        let all = take(&mut *self.lock());
        drop(all);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

/// Whether the server says that there is no such cursor.
async fn is_gone(driver: &mongodb::Client, cursor: &mut SessionRawBatchCursor) -> bool {
    let ask = async {
        // Not the session that it was opened in: in a transaction, this error would abort it.
        let mut session = implicit(driver).await?;
        let reply = cursor.stream(&mut session).next().await;
        reply.transpose()
    };
    match timeout(ANSWER, ask).await {
        Ok(Ok(reply)) => reply.is_none(),
        Ok(Err(error)) => {
            matches!(&*error.kind, ErrorKind::Command(failure) if GONE.contains(&failure.code))
        }
        Err(_) => false,
    }
}
