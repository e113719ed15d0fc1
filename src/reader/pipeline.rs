//! The reader: replies are cut, pieces decode in parallel, Chunks come out in the order of the result.

use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cut::{CutOptions, Cutter, Piece};
use super::pool::pool;
use super::reply::{Arrival, Source};
use super::Report;
use crate::chunk::Chunk;
use crate::decode::{decode, DecodeOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Observed;

/// A first reply that comes sooner is a small one.
const SOON: Duration = Duration::from_millis(1);

/// What a reader hands out: the documents of one piece.
#[derive(Debug)]
pub struct Decoded {
    /// Their columns.
    pub chunk: Arc<Chunk>,
    /// The types in them, if these were asked for.
    pub observed: Option<Observed>,
    /// The number of the first of them in the result.
    pub first_row: u64,
}

/// What [`Reader::poll`] found.
pub enum Progress {
    /// The next Chunk.
    Chunk(Decoded),
    /// Nothing within the time given; ask again.
    Pending,
    /// There is no more.
    End,
}

/// Settings of a [`Reader`].
#[derive(Clone, Copy, Debug)]
pub struct ReaderOptions {
    /// How bytes are read.
    pub decode: DecodeOptions,
    /// The size of a piece, in bytes of BSON.
    pub piece_bytes: usize,
    /// Pieces smaller than this are decoded on the caller's thread when nothing else is under way.
    pub inline_bytes: usize,
    /// BSON that may be decoded ahead of the consumer, in bytes; one reply always may.
    pub ahead_bytes: usize,
    /// Everything will be read: gather small replies, and note the types of each Chunk.
    pub eager: bool,
    /// A Chunk ends after this many documents, whatever its size.
    pub boundary: Option<u64>,
    /// More bytes than these are an error, before they are decoded.
    pub max_bytes: Option<u64>,
}

impl Default for ReaderOptions {
    /// Pieces of 1 MB (the best size for the cache), inline under 64 kB, 16 MB ahead, live.
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
    cutter: Cutter,
    queue: VecDeque<Job>,
    ahead: usize,
    /// The pool's threads were started.
    warm: bool,
    exhausted: bool,
    received: u64,
    report: Report,
}

/// A piece under way.
enum Job {
    Running(usize, Receiver<Outcome>),
    Done(usize, Outcome),
}

struct Outcome {
    decoded: Result<Decoded>,
    /// The error of the document behind those decoded.
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
    /// A reader of `source`.
    pub fn new(source: Box<dyn Source>, options: ReaderOptions) -> Self {
        Reader {
            source,
            options,
            cutter: Cutter::new(CutOptions {
                piece_bytes: options.piece_bytes,
                coalesce: options.eager,
                boundary: options.boundary,
            }),
            queue: VecDeque::new(),
            ahead: 0,
            warm: false,
            exhausted: false,
            received: 0,
            report: Report::default(),
        }
    }

    /// What was read so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What was read so far, to be added to by who consumes the Chunks.
    pub fn report_mut(&mut self) -> &mut Report {
        &mut self.report
    }

    /// The next Chunk in result order, waiting for it no longer than `wait` (plus the decoding of a small reply).
    ///
    /// # Errors
    /// The first error in result order; after it there is only [`Progress::End`].
    pub fn poll(&mut self, wait: Duration) -> Result<Progress> {
        let started = Instant::now();
        loop {
            let left = wait.saturating_sub(started.elapsed());
            self.top_up(left)?;
            match self.queue.pop_front() {
                Some(job) => match self.finish(job, left) {
                    Ok(outcome) => return self.hand_out(outcome),
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

    /// Starts as many pieces as may be under way; waits for a reply only when there are none.
    fn top_up(&mut self, wait: Duration) -> Result<()> {
        while !self.exhausted && (self.queue.is_empty() || self.ahead < self.options.ahead_bytes) {
            let wait = if self.queue.is_empty() {
                wait
            } else {
                Duration::ZERO
            };
            let asked = Instant::now();
            let arrival = self.wait_for_reply(wait);
            self.report.seconds_waiting += asked.elapsed().as_secs_f64();
            self.report.resumed = self.source.resumed();
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
                    let more = self.source.more();
                    let cut = self.cutter.cut(&reply, more, |piece| pieces.push(piece));
                    self.start(pieces)?;
                    if let Err(error) = cut {
                        self.fail(error);
                    }
                }
                Ok(Arrival::Pending) => return Ok(()),
                Ok(Arrival::End) => {
                    self.exhausted = true;
                    let mut pieces = Vec::new();
                    self.cutter.flush(|piece| pieces.push(piece));
                    self.start(pieces)?;
                }
                Err(error) => {
                    // What came before the error is handed out before it.
                    let mut pieces = Vec::new();
                    self.cutter.flush(|piece| pieces.push(piece));
                    self.start(pieces)?;
                    self.fail(error);
                }
            }
        }
        Ok(())
    }

    /// Waits for the next reply. Where it takes a while there will be work for the pool: its threads start meanwhile.
    fn wait_for_reply(&mut self, wait: Duration) -> Result<Arrival> {
        if self.warm || !self.source.more() {
            return self.source.poll(wait);
        }
        let mut left = wait;
        if self.report.replies == 0 {
            let first = self.source.poll(wait.min(SOON))?;
            if wait <= SOON || !matches!(first, Arrival::Pending) {
                return Ok(first);
            }
            left = wait - SOON;
        }
        self.warm = true;
        // An error shows when they are needed.
        let _ = pool();
        self.source.poll(left)
    }

    fn fail(&mut self, error: Error) {
        self.exhausted = true;
        let job = Job::Done(0, Outcome::failed(error));
        self.queue.push_back(job);
    }

    fn start(&mut self, pieces: Vec<Piece>) -> Result<()> {
        let alone = pieces.len() == 1 && self.queue.is_empty();
        for piece in pieces {
            let size = piece.bytes().len();
            self.ahead += size;
            let work = Work {
                piece,
                options: self.options.decode,
                observe: self.options.eager || self.options.boundary.is_some(),
                eager: self.options.eager,
            };
            if alone && size < self.options.inline_bytes {
                self.queue.push_back(Job::Done(size, work.run()));
                continue;
            }
            let (sender, receiver) = sync_channel(1);
            pool()?.spawn(move || {
                // The reader may be gone: then nobody wants the outcome.
                let _ = sender.send(work.run());
            });
            self.queue.push_back(Job::Running(size, receiver));
        }
        Ok(())
    }

    fn finish(&mut self, job: Job, wait: Duration) -> Result<Outcome, Job> {
        let (size, outcome) = match job {
            Job::Done(size, outcome) => (size, outcome),
            Job::Running(size, receiver) => match receiver.recv_timeout(wait) {
                Ok(outcome) => (size, outcome),
                Err(RecvTimeoutError::Timeout) => return Err(Job::Running(size, receiver)),
                Err(RecvTimeoutError::Disconnected) => (size, lost()),
            },
        };
        self.ahead -= size;
        Ok(outcome)
    }

    fn hand_out(&mut self, outcome: Outcome) -> Result<Progress> {
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

struct Work {
    piece: Piece,
    options: DecodeOptions,
    observe: bool,
    eager: bool,
}

impl Work {
    fn run(self) -> Outcome {
        let started = Instant::now();
        // A panic would otherwise end the process: on a rayon thread it has nowhere to go.
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

    /// Decodes the documents of the piece; of a piece with a malformed document those before it, unless all are needed.
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
            Err(error) => self.piece.explained(error),
        };
        let malformed = error.location().document;
        if let Some(document) = &mut error.location_mut().document {
            *document += first_row;
        }
        match malformed
            .filter(|_| !self.eager)
            .and_then(|number| self.before(number as usize))
        {
            Some(decoded) => Outcome {
                decoded: Ok(decoded),
                error: Some(error),
                seconds: 0.0,
            },
            None => Outcome::failed(error),
        }
    }

    /// The documents before the one of that number, where there are any.
    fn before(&self, number: usize) -> Option<Decoded> {
        let offsets = self.piece.offsets.get(..number)?;
        let end = *self.piece.offsets.get(number)? as usize;
        let bytes = self.piece.bytes().get(..end)?;
        let decoded = self.decode_documents(bytes, offsets).ok()?;
        (!offsets.is_empty()).then_some(decoded)
    }

    fn decode_documents(&self, bytes: &[u8], offsets: &[u32]) -> Result<Decoded> {
        let first_row = self.piece.first_row;
        let chunk = decode(bytes, offsets, &self.options)?;
        let observed = self.observe.then(|| Observed::of(&chunk, first_row));
        Ok(Decoded {
            chunk: Arc::new(chunk),
            observed,
            first_row,
        })
    }
}

fn lost() -> Outcome {
    Outcome::failed(Error::new(ErrorKind::Internal(
        "a decode job ended without an outcome".into(),
    )))
}
