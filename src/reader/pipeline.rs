//! The pipeline of a reader: replies are split, pieces decode in parallel, Chunks leave in result order.

use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pool::pool;
use super::reply::{Arrival, Source};
use super::split::{Piece, SplitOptions, Splitter};
use super::Report;
use crate::chunk::Chunk;
use crate::decode::{decode, DecodeOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::ObservedTypes;

/// A first reply that arrives within this time is a small one.
const FAST_REPLY: Duration = Duration::from_millis(1);

/// The decoded documents of one piece.
#[derive(Debug)]
pub struct Decoded {
    /// The columns of the documents.
    pub chunk: Arc<Chunk>,
    /// The types of the documents, if the options request them.
    pub observed: Option<ObservedTypes>,
    /// The position of the first document in the result.
    pub first_row: u64,
}

/// The result of [`Reader::poll`].
pub enum Progress {
    /// The next Chunk.
    Chunk(Decoded),
    /// No Chunk within the wait; poll again.
    Pending,
    /// The end of the result.
    End,
}

/// Options of a [`Reader`].
#[derive(Clone, Copy, Debug)]
pub struct ReaderOptions {
    /// Options of decoding.
    pub decode: DecodeOptions,
    /// Size of a piece, in bytes of BSON.
    pub piece_bytes: usize,
    /// Pieces smaller than this are decoded on the caller's thread if no other piece is in flight.
    pub inline_bytes: usize,
    /// Limit of BSON decoded ahead of the consumer, in bytes; one reply is always allowed.
    pub ahead_bytes: usize,
    /// True if the whole result is read: coalesce small replies, and observe the types of each Chunk.
    pub eager: bool,
    /// Number of documents after which a Chunk ends, whatever its size.
    pub boundary: Option<u64>,
    /// Limit of received bytes; exceeding it is an error before decoding.
    pub max_bytes: Option<u64>,
}

impl Default for ReaderOptions {
    /// Pieces of 1 MB (the best size for the cache), inline below 64 kB, 16 MB ahead, not eager.
    fn default() -> Self {
        ReaderOptions {
            decode: DecodeOptions::default(),
            piece_bytes: 1 << 20,
            inline_bytes: 64 << 10,
            ahead_bytes: 16 << 20,
            eager: false,
            boundary: None,
            max_bytes: None,
        }
    }
}

/// Reads a [`Source`] to its end, one Chunk at a time.
pub struct Reader {
    source: Box<dyn Source>,
    options: ReaderOptions,
    splitter: Splitter,
    queue: VecDeque<Job>,
    ahead: usize,
    /// True after the pool's threads were started.
    pool_started: bool,
    exhausted: bool,
    received: u64,
    report: Report,
}

/// A piece in flight.
enum Job {
    Running(usize, Receiver<Outcome>),
    Done(usize, Outcome),
}

struct Outcome {
    decoded: Result<Decoded>,
    /// The error of the malformed document after the decoded ones.
    error: Option<Error>,
    seconds: f64,
}

impl Outcome {
    fn failed(error: Error) -> Self {
        Outcome {
            decoded: Err(error),
            error: None,
            seconds: 0.0,
        }
    }
}

impl Reader {
    /// Returns a reader of `source`.
    pub fn new(source: Box<dyn Source>, options: ReaderOptions) -> Self {
        Reader {
            source,
            options,
            splitter: Splitter::new(SplitOptions {
                piece_bytes: options.piece_bytes,
                coalesce: options.eager,
                boundary: options.boundary,
            }),
            queue: VecDeque::new(),
            ahead: 0,
            pool_started: false,
            exhausted: false,
            received: 0,
            report: Report::default(),
        }
    }

    /// Counts and times so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Counts and times so far, for the consumer of the Chunks to extend.
    pub fn report_mut(&mut self) -> &mut Report {
        &mut self.report
    }

    /// Returns the next Chunk in result order, after waiting at most `wait` for it (plus the decoding of a small
    /// reply).
    ///
    /// # Errors
    /// The first error in result order; later calls return [`Progress::End`].
    pub fn poll(&mut self, wait: Duration) -> Result<Progress> {
        let started = Instant::now();
        loop {
            let left = wait.saturating_sub(started.elapsed());
            self.fill_queue(left)?;
            match self.queue.pop_front() {
                Some(job) => match self.wait_for_job(job, left) {
                    Ok(outcome) => return self.emit(outcome),
                    Err(job) => {
                        self.queue.push_front(job);
                        return Ok(Progress::Pending);
                    }
                },
                None if self.exhausted => return Ok(Progress::End),
                None if started.elapsed() >= wait => return Ok(Progress::Pending),
                None => {}
            }
        }
    }

    /// Starts decoding up to the limit ahead of the consumer; waits for a reply only when no piece is in flight.
    fn fill_queue(&mut self, wait: Duration) -> Result<()> {
        while !self.exhausted && (self.queue.is_empty() || self.ahead < self.options.ahead_bytes) {
            let wait = if self.queue.is_empty() {
                wait
            } else {
                Duration::ZERO
            };
            let asked = Instant::now();
            let arrival = self.wait_for_reply(wait);
            self.report.seconds_waiting += asked.elapsed().as_secs_f64();
            self.report.resumed = self.source.resume_count();
            self.report.connection = self.source.connection();
            match arrival {
                Ok(Arrival::Reply(reply)) => {
                    self.report.replies += 1;
                    self.received += reply.bytes().len() as u64;
                    if let Some(limit) = self.options.max_bytes.filter(|max| self.received > *max) {
                        let bytes = self.received;
                        self.fail(Error::new(ErrorKind::TooLarge { bytes, limit }));
                        return Ok(());
                    }
                    let mut pieces = Vec::new();
                    let more = self.source.is_fetching();
                    let split = self
                        .splitter
                        .split(&reply, more, |piece| pieces.push(piece));
                    self.start_jobs(pieces)?;
                    if let Err(error) = split {
                        self.fail(error);
                    }
                }
                Ok(Arrival::Pending) => return Ok(()),
                Ok(Arrival::End) => {
                    self.exhausted = true;
                    let mut pieces = Vec::new();
                    self.splitter.flush(|piece| pieces.push(piece));
                    self.start_jobs(pieces)?;
                }
                Err(error) => {
                    // Chunks received before the error are returned before it.
                    let mut pieces = Vec::new();
                    self.splitter.flush(|piece| pieces.push(piece));
                    self.start_jobs(pieces)?;
                    self.fail(error);
                }
            }
        }
        Ok(())
    }

    /// Waits for the next reply. During a long wait, the pool's threads start, because large replies follow.
    fn wait_for_reply(&mut self, wait: Duration) -> Result<Arrival> {
        if self.pool_started || !self.source.is_fetching() {
            return self.source.poll(wait);
        }
        let mut left = wait;
        if self.report.replies == 0 {
            let first = self.source.poll(wait.min(FAST_REPLY))?;
            if wait <= FAST_REPLY || !matches!(first, Arrival::Pending) {
                return Ok(first);
            }
            left = wait - FAST_REPLY;
        }
        self.pool_started = true;
        // An error of the pool is reported on first use.
        let _ = pool();
        self.source.poll(left)
    }

    fn fail(&mut self, error: Error) {
        self.exhausted = true;
        let job = Job::Done(0, Outcome::failed(error));
        self.queue.push_back(job);
    }

    fn start_jobs(&mut self, pieces: Vec<Piece>) -> Result<()> {
        let alone = pieces.len() == 1 && self.queue.is_empty();
        for piece in pieces {
            let size = piece.bytes().len();
            self.ahead += size;
            let job = DecodeJob {
                piece,
                options: self.options.decode,
                observe: self.options.eager || self.options.boundary.is_some(),
                eager: self.options.eager,
            };
            if alone && size < self.options.inline_bytes {
                self.queue.push_back(Job::Done(size, job.run()));
                continue;
            }
            let (sender, receiver) = sync_channel(1);
            pool()?.spawn(move || {
                // Sending fails if the reader was dropped; the outcome is then not needed.
                let _ = sender.send(job.run());
            });
            self.queue.push_back(Job::Running(size, receiver));
        }
        Ok(())
    }

    fn wait_for_job(&mut self, job: Job, wait: Duration) -> Result<Outcome, Job> {
        let (size, outcome) = match job {
            Job::Done(size, outcome) => (size, outcome),
            Job::Running(size, receiver) => match receiver.recv_timeout(wait) {
                Ok(outcome) => (size, outcome),
                Err(RecvTimeoutError::Timeout) => return Err(Job::Running(size, receiver)),
                Err(RecvTimeoutError::Disconnected) => (size, lost_job()),
            },
        };
        self.ahead -= size;
        Ok(outcome)
    }

    fn emit(&mut self, outcome: Outcome) -> Result<Progress> {
        self.report.seconds_decoding += outcome.seconds;
        match outcome.decoded {
            Ok(decoded) => {
                if let Some(error) = outcome.error {
                    self.exhausted = true;
                    self.queue.clear();
                    self.ahead = 0;
                    self.fail(error);
                }
                self.report.rows += decoded.chunk.rows() as u64;
                self.report.bytes += decoded.chunk.bytes as u64;
                self.report.chunks += 1;
                self.report.duplicates += decoded.chunk.duplicates;
                let keys = &decoded.chunk.duplicate_keys;
                self.report.duplicate_keys.join(keys, decoded.first_row);
                Ok(Progress::Chunk(decoded))
            }
            Err(error) => {
                self.exhausted = true;
                self.queue.clear();
                self.ahead = 0;
                Err(error)
            }
        }
    }
}

struct DecodeJob {
    piece: Piece,
    options: DecodeOptions,
    observe: bool,
    eager: bool,
}

impl DecodeJob {
    fn run(self) -> Outcome {
        let started = Instant::now();
        // A panic on a rayon thread would otherwise abort the process.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.decode())).unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic while decoding");
            Outcome::failed(Error::new(ErrorKind::Internal(text.into())))
        });
        Outcome {
            seconds: started.elapsed().as_secs_f64(),
            ..outcome
        }
    }

    /// Decodes the documents of the piece. If one is malformed, decodes those before it, unless the whole result is
    /// read.
    fn decode(&self) -> Outcome {
        let first_row = self.piece.first_row;
        let mut error = match self.decode_documents(self.piece.bytes(), &self.piece.offsets) {
            Ok(decoded) => {
                return Outcome {
                    decoded: Ok(decoded),
                    error: None,
                    seconds: 0.0,
                }
            }
            Err(error) => self.piece.detect_other_format(error),
        };
        let malformed = error.location().document;
        if let Some(document) = &mut error.location_mut().document {
            *document += first_row;
        }
        match malformed
            .filter(|_| !self.eager)
            .and_then(|position| self.decode_before(position as usize))
        {
            Some(decoded) => Outcome {
                decoded: Ok(decoded),
                error: Some(error),
                seconds: 0.0,
            },
            None => Outcome::failed(error),
        }
    }

    /// Decodes the documents before the one at `position` of the piece; `None` if there are none.
    fn decode_before(&self, position: usize) -> Option<Decoded> {
        let offsets = self.piece.offsets.get(..position)?;
        let end = *self.piece.offsets.get(position)? as usize;
        let bytes = self.piece.bytes().get(..end)?;
        let decoded = self.decode_documents(bytes, offsets).ok()?;
        (!offsets.is_empty()).then_some(decoded)
    }

    fn decode_documents(&self, bytes: &[u8], offsets: &[u32]) -> Result<Decoded> {
        let first_row = self.piece.first_row;
        let chunk = decode(bytes, offsets, &self.options)?;
        let observed = self.observe.then(|| ObservedTypes::of(&chunk, first_row));
        Ok(Decoded {
            chunk: Arc::new(chunk),
            observed,
            first_row,
        })
    }
}

fn lost_job() -> Outcome {
    Outcome::failed(Error::new(ErrorKind::Internal(
        "a decode job ended without an outcome".into(),
    )))
}
