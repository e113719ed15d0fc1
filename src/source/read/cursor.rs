//! The replies of a query, for the reader to poll.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver};
use tokio::sync::{watch, Semaphore};

use super::pump::{self, Message, Output, Request};
use crate::error::{Error, ErrorKind, Result};
use crate::reader::fork::ForkGuard;
use crate::reader::{Arrival, ConnectionFacts, Source};
use crate::source::cleanup::registry;
use crate::source::connection::client::Client;
use crate::source::runtime::io_threads;

/// The replies of one query, prefetched up to a number of bytes. Dropping it ends the query and kills its cursor.
pub struct CursorSource {
    link: Option<ForkGuard<Link>>,
    /// The reader has the last reply.
    last: bool,
    resumed: Arc<AtomicU64>,
    client: Client,
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
        Self::start_in_turn(request, resumed, None)
    }

    /// Starts a run that sends its query when it has a permit of `turns`. Permits are given in the order of the starts.
    pub(crate) fn start_in_turn(
        request: Request,
        resumed: Arc<AtomicU64>,
        turns: Option<&Arc<Semaphore>>,
    ) -> Result<Self> {
        let runtime = io_threads::handle()?;
        let (sender, messages) = unbounded_channel();
        let (stop, mut stopped) = watch::channel(false);
        let client = request.client.clone();
        let registration = registry::register(request.client.id(), stop.clone())?;
        let mut turn = turns.map(|turns| Box::pin(Arc::clone(turns).acquire_owned()));
        // The first poll takes the place in the queue: tasks may start in another order.
        let mut permit = turn.as_mut().and_then(|turn| turn.now_or_never());
        let mut output = Output::new(sender);
        runtime.spawn(async move {
            if let (Some(turn), None) = (turn, &permit) {
                tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stop| *stop) => {
                        output.finish(Err(request.client.interruption()));
                        return;
                    }
                    taken = turn => permit = Some(taken),
                }
            }
            // On the heap: the runtime moves a task several times before it runs.
            Box::pin(pump::run(request, output, stopped)).await;
            drop(permit);
            drop(registration);
        });
        Ok(CursorSource {
            link: Some(ForkGuard::new(Link { messages, stop })),
            last: false,
            resumed,
            client,
        })
    }
}

impl CursorSource {
    /// Returns what arrived; `Arrival::Pending` never.
    fn arrived(&mut self, message: Option<Message>) -> Result<Arrival> {
        let error = match message {
            // The permit is dropped here: these bytes no longer count as prefetched.
            Some(Message::Reply { reply, last, .. }) => {
                self.last = last;
                return Ok(Arrival::Reply(reply));
            }
            Some(Message::End) => {
                self.link = None;
                return Ok(Arrival::End);
            }
            Some(Message::Failed(error)) => error,
            None => Error::new(ErrorKind::Internal(
                "a query ended without an outcome".into(),
            )),
        };
        self.link = None;
        Err(error)
    }

    /// Polls for the next arrival, as a future does.
    pub(crate) fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<Result<Arrival>> {
        if self.last {
            self.link = None;
        }
        let Some(native) = &mut self.link else {
            return Poll::Ready(Ok(Arrival::End));
        };
        let Some(link) = native.get_mut() else {
            return Poll::Ready(Err(self.forked()));
        };
        let received = pin!(link.messages.recv()).poll_unpin(context);
        received.map(|message| self.arrived(message))
    }

    fn forked(&mut self) -> Error {
        self.link = None;
        Error::new(ErrorKind::Connection(
            "the query was started before a fork, and only the parent process can read it".into(),
        ))
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
        let Some(link) = native.get_mut() else {
            return Err(self.forked());
        };
        match io_threads::wait(link.messages.recv(), wait) {
            Some(message) => self.arrived(message),
            None => Ok(Arrival::Pending),
        }
    }

    fn is_fetching(&self) -> bool {
        self.link.is_some() && !self.last
    }

    fn resume_count(&self) -> u64 {
        self.resumed.load(Ordering::Relaxed)
    }

    fn connection(&self) -> Option<ConnectionFacts> {
        self.client.connection_facts()
    }
}
