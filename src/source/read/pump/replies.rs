//! A cursor's replies: how large they are to be, and handing them on.

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
use crate::source::read::query::{ask, next, Query};
use crate::source::runtime::io_threads;

/// How often a session is refreshed while its reader is slow, in milliseconds; servers let sessions die after 30 minutes.
static REFRESH: AtomicU64 = AtomicU64::new(300_000);

/// How long a server has to confirm that it refreshed a session.
const REFRESHED: Duration = Duration::from_secs(2);

/// What a reply costs beside its bytes, so that a million tiny replies are bounded too.
const OVERHEAD: usize = 512;

static PREFETCH: AtomicUsize = AtomicUsize::new(32 << 20);

/// How many bytes of replies a query may hold ready for its reader. One reply is always let through.
pub fn prefetch_bytes() -> usize {
    PREFETCH.load(Ordering::Relaxed)
}

/// Sets [`prefetch_bytes`] for the queries that start from now on.
pub fn set_prefetch_bytes(bytes: usize) {
    PREFETCH.store(bytes.clamp(1, u32::MAX as usize), Ordering::Relaxed);
}

/// Sets how often the session of a query is refreshed while its reader is slow: for tests.
#[doc(hidden)]
pub fn set_refresh_interval(interval: Duration) {
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    REFRESH.store(millis, Ordering::Relaxed);
}

impl Pump {
    /// Sets how many documents a reply is to hold, asking how large they are if that is worth it.
    pub(super) async fn size(
        &mut self,
        database: &mongodb::Database,
        sized: &mut SizedFind,
        query: &mut Query,
    ) -> Result<()> {
        let client = self.client.clone();
        let sizes = client.sizes()?;
        if sizes.known(&sized.kind).is_none() && sized.may_ask && !sizes.is_far() {
            // Twice at most: the first exchange of a client includes connecting.
            for _ in 0..2 {
                let ask = ask(database, sized.size_command(), query.selection_criteria());
                let begun = Instant::now();
                self.trace.set_command(Some("dataSize"));
                let answered = self.wait_for_server(ask.into_future()).await;
                self.trace.set_command(None);
                match answered.map_err(|_| Error::new(ErrorKind::Cancelled))? {
                    Ok(reply) => {
                        sizes.record_exchange(begun.elapsed());
                        sizes.record(&sized.kind, batch_size::average_size(&reply));
                    }
                    // The query would wait as long, and say the same.
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
    pub(super) async fn replies(
        &mut self,
        cursor: &mut SessionRawBatchCursor,
        first: RawBatch,
        session: &Session,
        mut sized: Option<SizedFind>,
    ) -> Result<()> {
        let mut batch = Some(first);
        while let Some(received) = batch {
            let parts = split(received)?;
            self.note(&parts);
            if let Some(resume) = &mut self.resume {
                resume.set_open();
            }
            if let (Some(sized), Some(reply), true) = (sized.take(), &parts.reply, parts.id != 0) {
                sized.record_first_reply(self.client.sizes()?, reply.bytes().len());
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
            batch = match self.wait_for_server(next(cursor, session)).await {
                Ok(batch) => batch?,
                Err(_) => return Err(Error::new(ErrorKind::Cancelled)),
            };
        }
        Ok(())
    }

    /// Sends a reply on as soon as the reader has room for it. Nothing the reader does counts as waiting for the server.
    pub(super) async fn deliver(&mut self, reply: Reply, session: &Session) -> Result<()> {
        let cost = (reply.bytes().len() + OVERHEAD).min(self.budget);
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let mut room = pin!(self.room.clone().acquire_many_owned(cost));
        let permit = loop {
            tokio::select! {
                biased;
                permit = &mut room => break permit,
                () = stopped(&mut self.stop) => return Err(self.client.interrupted()),
                () = sleep(Duration::from_millis(REFRESH.load(Ordering::Relaxed))) => {}
            }
            self.refresh(session).await;
        };
        let permit = permit.map_err(|_| Error::new(ErrorKind::Cancelled))?;
        self.wait_budget.answered();
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

    /// Keeps the session alive. When it fails, the next getMore will say so.
    pub(super) async fn refresh(&self, session: &Session) {
        let open = self.cursor.is_some();
        if let (true, Ok(id), Some(address)) = (open, session.id(), self.address()) {
            let command = doc! {"refreshSessions": [id]};
            if let Ok(driver) = self.client.driver().await {
                kill::run_on_server(driver, &address, "admin", command, REFRESHED).await;
            }
        }
    }
}
