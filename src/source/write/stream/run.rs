//! The loop of a write: takes batches, encodes slices, sends commands, adds up replies.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::task::{spawn_blocking, JoinHandle};

use super::commands::{EncodedSlice, Lanes, ReadyCommand, SentRows};
use super::counts::Reply;
use super::slices::Slices;
use super::{RepeatedKeys, State, StreamOptions, ATTEMPTS};
use crate::encode::Plan;
use crate::error::{ConnectionCause, Error, ErrorKind, Location, Result};
use crate::source::connection::caller_bson::{self, SPARE_BYTES};
use crate::source::connection::client::Client;
use crate::source::connection::deadline::Deadline;
use crate::source::runtime::io_threads;
use crate::source::write::commands::Exchange;

/// A command after its reply, or its failure.
struct Done {
    rows: SentRows,
    bytes: usize,
    lane: usize,
    reply: Result<Vec<u8>>,
}

type InFlight = FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>;

/// A write and what it has taken.
pub(super) struct Run {
    client: Client,
    exchange: Exchange,
    plan: Arc<Plan>,
    options: StreamOptions,
    state: Arc<State>,
    end: Option<(Duration, Instant)>,
    lanes: Lanes,
    /// Commands in flight, by lane.
    busy: Vec<usize>,
    slices: Slices,
    /// Rows that were encoded or are being encoded.
    taken: u64,
    keys: HashSet<u128>,
    failure: Option<Error>,
    /// No more commands are sent.
    stopping: bool,
    /// There are no more batches.
    ended: bool,
}

impl Run {
    pub(super) fn new(
        client: Client,
        plan: Plan,
        options: StreamOptions,
        state: Arc<State>,
    ) -> Result<Self> {
        let attempts = if options.retry { ATTEMPTS } else { 1 };
        let exchange = client.exchange(&options.database, options.session.as_ref(), attempts)?;
        let lanes = match options.repeated_keys {
            RepeatedKeys::InOrder => options.parallel,
            _ => 1,
        };
        Ok(Run {
            lanes: Lanes::new(
                options.kind,
                options.head.clone(),
                options.max_statements,
                lanes,
            )?,
            busy: vec![0; lanes],
            client,
            exchange,
            plan: Arc::new(plan),
            end: options
                .timeout
                .and_then(|limit| Some((limit, Instant::now().checked_add(limit)?))),
            options,
            state,
            slices: Slices::default(),
            taken: 0,
            keys: HashSet::new(),
            failure: None,
            stopping: false,
            ended: false,
        })
    }

    /// Writes the batches, until there are no more, one fails, or a stop is requested.
    pub(super) async fn run(
        mut self,
        mut batches: mpsc::Receiver<RecordBatch>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<()> {
        // The caller's thread makes the next batch meanwhile.
        let _background = io_threads::background_work();
        let mut in_flight: InFlight = FuturesUnordered::new();
        let mut encoding: Option<JoinHandle<Result<EncodedSlice>>> = None;
        loop {
            if self.ended && self.slices.is_empty() && encoding.is_none() {
                self.lanes.close_all();
            }
            self.start_commands(&in_flight);
            if encoding.is_none() && !self.stopping && self.lanes.ready() < self.options.parallel {
                encoding = self.start_encoding();
            }
            let wants_batch = self.slices.is_empty() && !self.ended && !self.stopping;
            if in_flight.is_empty() && encoding.is_none() && !wants_batch {
                break;
            }
            tokio::select! {
                Some(done) = in_flight.next(), if !in_flight.is_empty() => self.account(done),
                slice = joined(&mut encoding), if encoding.is_some() => {
                    encoding = None;
                    self.add_slice(slice);
                }
                batch = batches.recv(), if wants_batch => match batch {
                    Some(batch) => self.slices.set(batch),
                    None => self.ended = true,
                },
                _ = stopped.wait_for(|stopped| *stopped), if !self.stopping => self.stop(),
            }
        }
        match self.failure {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Run {
    /// Sends commands that are ready, until as many are in flight as may be.
    fn start_commands(&mut self, in_flight: &InFlight) {
        let lanes = self.busy.len();
        let most = if lanes == 1 { self.options.parallel } else { 1 };
        for lane in 0..lanes {
            while self.busy[lane] < most {
                let Some(ready) = self.lanes.next(lane, self.busy[lane] == 0) else {
                    break;
                };
                match self.time_left() {
                    Ok(limit) => in_flight.push(self.send(ready, limit)),
                    Err(error) => return self.fail(error),
                }
            }
        }
    }

    /// The time that is left for a command that is sent now.
    fn time_left(&self) -> Result<Option<Duration>> {
        let Some((limit, end)) = self.end else {
            return Ok(None);
        };
        match end.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(self.client.no_answer(limit)),
        }
    }

    fn send(
        &mut self,
        ready: ReadyCommand,
        limit: Option<Duration>,
    ) -> Pin<Box<dyn Future<Output = Done> + Send>> {
        let ReadyCommand {
            command,
            rows,
            lane,
        } = ready;
        self.busy[lane] += 1;
        self.state.counts().in_flight += rows.len() as u64;
        let (client, exchange) = (self.client.clone(), self.exchange.clone());
        Box::pin(async move {
            let bytes = command.size();
            let (command, limited) = command.finish(SPARE_BYTES);
            let reply = match caller_bson::owned(command, "write") {
                Ok(command) => {
                    let label = exchange.label;
                    let sent = exchange.send(command, limited, Deadline::start(limit));
                    client.limited(limit, label, sent).await
                }
                Err(error) => Err(error),
            };
            Done {
                rows,
                bytes,
                lane,
                reply,
            }
        })
    }

    fn account(&mut self, done: Done) {
        self.busy[done.lane] -= 1;
        let rows = done.rows.len() as u64;
        let mut counts = self.state.counts();
        counts.in_flight = counts.in_flight.saturating_sub(rows);
        let added = done.reply.and_then(|reply| {
            counts.bytes += done.bytes as u64;
            let ignored = self.options.ignore_duplicates;
            counts.add(self.options.kind, &done.rows, &reply, ignored)
        });
        if added.as_ref().is_err_and(may_have_run) {
            counts.unknown += rows;
        }
        drop(counts);
        match added {
            Ok(Reply::Complete) => {}
            Ok(Reply::Failed) if self.options.ordered => self.stop(),
            Ok(Reply::Failed) => {}
            Err(error) => self.fail(error),
        }
    }

    /// Encodes the next slice on the CPU threads.
    fn start_encoding(&mut self) -> Option<JoinHandle<Result<EncodedSlice>>> {
        let slice = self.slices.take()?;
        let first_row = self.taken;
        self.taken += slice.num_rows() as u64;
        let plan = Arc::clone(&self.plan);
        // A server on this machine, which executes a command meanwhile, is the slower side of the pipeline: it keeps a core.
        let spared = usize::from(self.busy.iter().any(|busy| *busy > 0));
        Some(spawn_blocking(move || {
            let encoded = plan.encode_sparing(&slice, first_row, spared)?;
            Ok(EncodedSlice { encoded, first_row })
        }))
    }

    fn add_slice(&mut self, slice: Result<EncodedSlice>) {
        if self.stopping {
            return;
        }
        let added = slice.and_then(|slice| {
            let encoded = &slice.encoded;
            self.slices.record(encoded.len(), encoded.byte_len());
            self.check_keys(&slice)?;
            self.state.counts().add_skipped(encoded.skipped());
            self.lanes.add(slice)
        });
        if let Err(error) = added {
            self.fail(error);
        }
    }

    /// Refuses a key that an earlier row had.
    fn check_keys(&mut self, slice: &EncodedSlice) -> Result<()> {
        if self.options.repeated_keys != RepeatedKeys::Refuse {
            return Ok(());
        }
        for row in 0..slice.encoded.len() {
            let hash = slice.encoded.key_hash(row);
            if hash.is_some_and(|hash| !self.keys.insert(hash)) {
                let text = "this row has the key of an earlier row: on_duplicate=\"last\" writes both, in their order";
                let mut error = Error::new(ErrorKind::InvalidArgument(text.into()));
                *error.location_mut() = Location {
                    document: Some(slice.first_row + row as u64),
                    ..Location::default()
                };
                return Err(error);
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
        self.stop();
    }

    /// Drops what was not sent. The replies to commands in flight are still added.
    fn stop(&mut self) {
        self.stopping = true;
        self.lanes.clear();
        self.slices.clear();
    }
}

/// The outcome of the encoding in progress; pending without one.
async fn joined(encoding: &mut Option<JoinHandle<Result<EncodedSlice>>>) -> Result<EncodedSlice> {
    match encoding {
        Some(encoding) => match encoding.await {
            Ok(slice) => slice,
            Err(failed) => Err(Error::new(ErrorKind::Internal(failed.to_string()))),
        },
        None => std::future::pending().await,
    }
}

/// The server's codes for a command that it refused before it executed a statement.
const REFUSED: [i32; 15] = [
    2,     // BadValue
    9,     // FailedToParse
    13,    // Unauthorized
    14,    // TypeMismatch
    18,    // AuthenticationFailed
    20,    // IllegalOperation
    59,    // CommandNotFound
    72,    // InvalidOptions
    73,    // InvalidNamespace
    76,    // NoReplicationEnabled
    166,   // CommandNotSupportedOnView
    10107, // NotWritablePrimary
    13435, // NotPrimaryNoSecondaryOk
    40414, // a field is missing
    40415, // a field is unknown
];

/// Returns whether the server may have executed statements of a command that failed with this error.
fn may_have_run(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Operation { code, .. } => !REFUSED.contains(code),
        ErrorKind::Connection(_) => !matches!(
            error.cause(),
            Some(ConnectionCause::NoServer | ConnectionCause::Authentication)
        ),
        ErrorKind::InvalidArgument(_) | ErrorKind::InvalidQuery(_) => false,
        _ => true,
    }
}
