//! The replies of a cursor: their size, and their delivery to the reader.

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use mongodb::bson::doc;
use mongodb::raw_batch_cursor::{RawBatch, SessionRawBatchCursor};
use tokio::time::{sleep, Instant};

use super::wait::stopped;
use super::{Message, Pump};
use crate::error::{Error, ErrorKind, Result};
use crate::reader::Reply;
use crate::source::cleanup::kill;
use crate::source::connection::failure::{from_driver, is_final};
use crate::source::connection::session::Session;
use crate::source::read::batch::split;
use crate::source::read::batch_size::{self, SizedFind};
use crate::source::read::query::{command_for_selection, next_reply, Query};
use crate::source::runtime::io_threads;

/// Interval between refreshes of a session while its reader is slow, in milliseconds; sessions expire after 30 minutes.
static REFRESH: AtomicU64 = AtomicU64::new(300_000);

/// Time limit of a refresh.
const REFRESH_LIMIT: Duration = Duration::from_secs(2);

/// Bytes that are added to the size of each reply, so that a million tiny replies are limited, too.
const OVERHEAD: usize = 512;

static PREFETCH: AtomicUsize = AtomicUsize::new(32 << 20);

/// Limit of prefetched bytes of a query. One reply is always prefetched.
pub fn prefetch_bytes() -> usize {
    PREFETCH.load(Ordering::Relaxed)
}

/// Sets [`prefetch_bytes`] for later queries.
pub fn set_prefetch_bytes(bytes: usize) {
    PREFETCH.store(bytes.clamp(1, u32::MAX as usize), Ordering::Relaxed);
}

/// Sets the interval between refreshes of a session while its reader is slow: for tests.
#[doc(hidden)]
pub fn set_refresh_interval(interval: Duration) {
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    REFRESH.store(millis, Ordering::Relaxed);
}

impl Pump {
    /// Sets the `batchSize` of a query. Asks the server for an unknown size of documents if that is worth an exchange.
    pub(super) async fn set_batch_size(
        &mut self,
        database: &mongodb::Database,
        sized: &mut SizedFind,
        query: &mut Query,
    ) -> Result<()> {
        let client = self.client.clone();
        let sizes = client.document_sizes()?;
        if sizes.known(&sized.kind).is_none() && sized.may_ask && !sizes.is_far() {
            // Two attempts, because the first exchange of a client includes the connection.
            for _ in 0..2 {
                let command = command_for_selection(
                    database,
                    sized.size_command(),
                    query.selection_criteria(),
                );
                let begun = Instant::now();
                self.events.set_command(Some("dataSize"));
                let reply = self.wait_for_server(command.into_future()).await;
                self.events.set_command(None);
                match reply.map_err(|_| Error::new(ErrorKind::Cancelled))? {
                    Ok(reply) => {
                        sizes.record_exchange(begun.elapsed());
                        sizes.record(&sized.kind, batch_size::average_size(&reply));
                    }
                    // The query would wait as long, and end with the same error.
                    Err(error) if is_final(&error) => return Err(from_driver(error)),
                    Err(_) => sizes.record(&sized.kind, 0),
                }
                if sizes.is_near() {
                    break;
                }
            }
            if !sizes.is_near() {
                sizes.set_far();
            }
        }
        if let (Some(bytes), true) = (sizes.known(&sized.kind), sizes.is_near()) {
            sized.set_batch_size(query, bytes);
        }
        Ok(())
    }

    /// Delivers a cursor's replies, to its end or its first error.
    pub(super) async fn deliver_replies(
        &mut self,
        cursor: &mut SessionRawBatchCursor,
        first: RawBatch,
        session: &Session,
        mut sized: Option<SizedFind>,
    ) -> Result<()> {
        let mut batch = Some(first);
        while let Some(received) = batch {
            let parts = split(received)?;
            self.record_reply(&parts);
            if let Some(resume) = &mut self.resume {
                resume.set_open();
            }
            if let (Some(sized), Some(reply), true) = (sized.take(), &parts.reply, parts.id != 0) {
                sized.record_first_reply(self.client.document_sizes()?, reply.bytes().len());
            }
            let reply = match &mut self.resume {
                Some(resume) => parts.reply.and_then(|reply| resume.new_rows(reply)),
                None => parts.reply,
            };
            if let Some(reply) = reply {
                self.deliver(reply, session).await?;
            }
            if self.cursor.is_none() {
                return Ok(());
            }
            batch = match self.wait_for_server(next_reply(cursor, session)).await {
                Ok(batch) => batch?,
                Err(_) => return Err(Error::new(ErrorKind::Cancelled)),
            };
        }
        Ok(())
    }

    /// Sends a reply to the reader once fewer bytes are prefetched than allowed. This wait does not count as one for the server.
    pub(super) async fn deliver(&mut self, reply: Reply, session: &Session) -> Result<()> {
        let cost = (reply.bytes().len() + OVERHEAD).min(self.prefetch_bytes);
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let mut free = pin!(self.free_bytes.clone().acquire_many_owned(cost));
        let permit = loop {
            tokio::select! {
                biased;
                permit = &mut free => break permit,
                () = stopped(&mut self.stop) => return Err(self.client.interruption()),
                () = sleep(Duration::from_millis(REFRESH.load(Ordering::Relaxed))) => {}
            }
            self.refresh(session).await;
        };
        let permit = permit.map_err(|_| Error::new(ErrorKind::Cancelled))?;
        self.wait_budget.reply_delivered();
        let last = self.cursor.is_none() && self.resume.is_none();
        if !last && self.background_work.is_none() {
            self.background_work = io_threads::background_work();
        }
        let message = Message::Reply {
            reply,
            last,
            _permit: permit,
        };
        match &self.output.sender {
            Some(sender) if sender.send(message).is_ok() => Ok(()),
            _ => Err(Error::new(ErrorKind::Cancelled)),
        }
    }

    /// Refreshes the session. A failure is not reported: the next getMore would fail, too.
    pub(super) async fn refresh(&self, session: &Session) {
        let open = self.cursor.is_some();
        if let (true, Ok(id), Some(address)) = (open, session.id(), self.address()) {
            let command = doc! {"refreshSessions": [id]};
            if let Ok(driver) = self.client.driver().await {
                kill::run_on_server(driver, &address, "admin", command, REFRESH_LIMIT).await;
            }
        }
    }
}
