//! The replies of a query, for the reader to poll.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver};
use tokio::sync::watch;

use super::pump::{self, Message, Output, Request};
use crate::error::{Error, ErrorKind, Result};
use crate::reader::fork::ForkGuard;
use crate::reader::{Arrival, Source};
use crate::source::cleanup::registry;
use crate::source::runtime::io_threads;

/// The replies of one query, prefetched up to a number of bytes. Dropping it ends the query and kills its cursor.
pub struct CursorSource {
    link: Option<ForkGuard<Link>>,
    /// The reader has the last reply.
    last: bool,
    resumed: Arc<AtomicU64>,
}

struct Link {
    messages: UnboundedReceiver<Message>,
    stop: watch::Sender<bool>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl CursorSource {
    /// Starts a run. `resumed` counts the times that it continues with another cursor.
    pub(crate) fn start(request: Request, resumed: Arc<AtomicU64>) -> Result<Self> {
        let runtime = io_threads::handle()?;
        let (sender, messages) = unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let registration = registry::register(request.client.id(), stop.clone())?;
        runtime.spawn(async move {
            pump::run(request, Output::new(sender), stopped).await;
            drop(registration);
        });
        Ok(CursorSource {
            link: Some(ForkGuard::new(Link { messages, stop })),
            last: false,
            resumed,
        })
    }
}

impl Source for CursorSource {
    fn poll(&mut self, wait: Duration) -> Result<Arrival> {
        if self.last {
            self.link = None;
        }
        let Some(native) = &mut self.link else {
            return Ok(Arrival::End);
        };
        let received = native
            .get_mut()
            .map(|link| io_threads::wait(link.messages.recv(), wait));
        let error = match received {
            // The permit is dropped here: these bytes no longer count as prefetched.
            Some(Some(Some(Message::Reply { reply, last, .. }))) => {
                self.last = last;
                return Ok(Arrival::Reply(reply));
            }
            Some(None) => return Ok(Arrival::Pending),
            Some(Some(Some(Message::End))) => {
                self.link = None;
                return Ok(Arrival::End);
            }
            Some(Some(Some(Message::Failed(error)))) => error,
            Some(Some(None)) => Error::new(ErrorKind::Internal(
                "a query ended without an outcome".into(),
            )),
            None => Error::new(ErrorKind::Connection(
                "the query was started before a fork, and only the parent process can read it"
                    .into(),
            )),
        };
        self.link = None;
        Err(error)
    }

    fn is_fetching(&self) -> bool {
        self.link.is_some() && !self.last
    }

    fn resume_count(&self) -> u64 {
        self.resumed.load(Ordering::Relaxed)
    }
}
