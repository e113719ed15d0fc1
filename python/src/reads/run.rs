//! A run under way, shared by the handle Python holds and what walks its documents.
//!
//! The reader is only ever locked by a thread that is detached from the interpreter: a thread that holds the interpreter
//! while it waits for the lock would stop the one that holds the lock and needs the interpreter.

use std::process;
use std::sync::atomic::{fence, AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use data_bridge::error::{Error, ErrorKind, Result};
use data_bridge::reader::{Arrival, Decoded, Progress, Reader, ReaderOptions, Report, Source};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::to_pyerr;
use crate::lock::lock;
use crate::operations::operation_events::{tell_noted, Watch};
use crate::reads::iterable_source::BufferSender;

/// How long a wait is deaf to Ctrl-C, cancellation and closing.
pub(crate) const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

pub(crate) struct Run {
    /// The process that reads. In a forked child a lock may stay held for ever, and nothing that was awaited comes.
    pid: u32,
    reader: Mutex<ReaderState>,
    /// Buffers that Python hands in, for a run that reads an iterable.
    buffers: Option<BufferSender>,
    closed: AtomicBool,
    /// Broken off before its end, by Ctrl-C or cancellation.
    interrupted: AtomicBool,
    finished: AtomicBool,
    /// The last reply was read, without an error.
    complete: AtomicBool,
    rows: AtomicU64,
    bytes: AtomicU64,
    report: Mutex<Report>,
    watch: Option<Arc<Watch>>,
}

enum ReaderState {
    /// Not started: a boundary may still be set.
    NotStarted(Box<dyn Source>, ReaderOptions),
    Reading(Box<Reader>),
    Over,
}

/// What one look at a run found.
pub(crate) enum Poll<T> {
    Found(T),
    Pending,
    End,
}

impl Run {
    pub fn new(
        source: Box<dyn Source>,
        options: ReaderOptions,
        buffers: Option<BufferSender>,
        watch: Option<Arc<Watch>>,
    ) -> Self {
        Run {
            pid: process::id(),
            reader: Mutex::new(ReaderState::NotStarted(source, options)),
            buffers,
            closed: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            complete: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            report: Mutex::new(Report::default()),
            watch,
        }
    }

    /// Refuses to go on in a forked child.
    pub fn check(&self) -> Result<()> {
        if self.pid == process::id() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Connection(
            "this read was started before a fork, and only the parent process can go on with it"
                .into(),
        )))
    }

    /// Refuses to go on with a run that was broken off: its end would pass for that of the result.
    pub fn check_whole(&self) -> PyResult<()> {
        if !self.interrupted.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(
            "the read was interrupted before its end and cannot go on: run the query again",
        ))
    }

    /// Puts a Chunk boundary behind the document numbered `rows`; before anything was read.
    pub fn set_boundary(&self, rows: u64) {
        if let ReaderState::NotStarted(_, options) = &mut *lock(&self.reader) {
            options.boundary = Some(rows);
        }
    }

    /// Lets `step` ask the reader for something. Waits for whoever is reading: call it detached.
    pub fn with<T>(&self, step: impl FnOnce(&mut Reader) -> Result<Poll<T>>) -> Result<Poll<T>> {
        self.check()?;
        let outcome = self.step(step);
        // Closed meanwhile, by a thread that found the reader in use: there may be no next look.
        fence(Ordering::SeqCst);
        if self.closed.load(Ordering::Acquire) {
            self.release_reader();
        }
        outcome
    }

    fn step<T>(&self, step: impl FnOnce(&mut Reader) -> Result<Poll<T>>) -> Result<Poll<T>> {
        let mut slot = lock(&self.reader);
        if self.closed.load(Ordering::Acquire) {
            *slot = ReaderState::Over;
        }
        if let ReaderState::NotStarted(..) = &*slot {
            if let ReaderState::NotStarted(source, options) =
                std::mem::replace(&mut *slot, ReaderState::Over)
            {
                *slot = ReaderState::Reading(Box::new(Reader::new(source, options)));
            }
        }
        let ReaderState::Reading(reader) = &mut *slot else {
            // Another thread or task that shares the run must not take this for the end of the result.
            return match self.interrupted.load(Ordering::Acquire) {
                true => Err(Error::new(ErrorKind::Cancelled)),
                false => Ok(Poll::End),
            };
        };
        let outcome = step(reader);
        let report = reader.report();
        self.rows.store(report.rows, Ordering::Relaxed);
        self.bytes.store(report.bytes, Ordering::Relaxed);
        lock(&self.report).clone_from(report);
        match &outcome {
            Ok(Poll::End) => {
                self.complete.store(true, Ordering::Release);
                self.end(&mut slot, None);
            }
            Err(error) => self.end(&mut slot, Some(error.clone())),
            Ok(_) => {}
        }
        outcome
    }

    fn end(&self, slot: &mut ReaderState, error: Option<Error>) {
        // Dropping the reader ends the server's cursor.
        *slot = ReaderState::Over;
        if let Some(watch) = &self.watch {
            watch.end(error.as_ref(), Some(self.progress()));
        }
        if !self.finished.swap(true, Ordering::AcqRel) {
            lock(&self.report).error = error;
        }
    }

    /// Receives all replies, and drops them undecoded; their bytes. Only before anything was read.
    pub fn drain(&self) -> Result<u64> {
        self.check()?;
        let ReaderState::NotStarted(mut source, _) =
            std::mem::replace(&mut *lock(&self.reader), ReaderState::Over)
        else {
            return Ok(0);
        };
        let mut received = 0;
        loop {
            match source.poll(SIGNAL_INTERVAL)? {
                Arrival::Reply(reply) => received += reply.bytes().len() as u64,
                Arrival::Pending => {}
                Arrival::End => return Ok(received),
            }
        }
    }

    /// The next Chunk, waiting for it one slice.
    pub fn poll(&self) -> Result<Poll<Decoded>> {
        self.with(|reader| {
            Ok(match reader.poll(SIGNAL_INTERVAL)? {
                Progress::Chunk(decoded) => Poll::Found(decoded),
                Progress::Pending => Poll::Pending,
                Progress::End => Poll::End,
            })
        })
    }

    /// Waits, detached, until `look` finds something or the run is over; Ctrl-C ends the run.
    pub fn wait<T: Send>(
        &self,
        py: Python<'_>,
        poll: impl Fn() -> Result<Poll<T>> + Sync,
    ) -> PyResult<Option<T>> {
        self.check_whole()?;
        loop {
            if let Some(buffers) = &self.buffers {
                if let Err(error) = buffers.fill(py) {
                    self.interrupted.store(true, Ordering::Release);
                    self.close();
                    return Err(error);
                }
            }
            let outcome = py.detach(&poll);
            tell_noted(py)?;
            if !matches!(outcome, Ok(Poll::Found(_) | Poll::Pending)) {
                self.tell(py)?;
            }
            match outcome {
                Ok(Poll::Found(found)) => return Ok(Some(found)),
                Ok(Poll::End) => return Ok(None),
                Ok(Poll::Pending) => {
                    if let Err(interrupt) = py.check_signals() {
                        self.cancelled();
                        self.close();
                        self.tell(py)?;
                        return Err(interrupt);
                    }
                }
                Err(error) => return Err(to_pyerr(py, error)),
            }
        }
    }

    /// Waits on a thread that Python does not know, until `look` finds something, the run is over or `stopped`.
    pub fn wait_unattached<T>(
        &self,
        poll: impl Fn() -> Result<Poll<T>>,
        stopped: impl Fn() -> bool,
    ) -> Result<Option<T>> {
        loop {
            match poll()? {
                Poll::Found(found) => return Ok(Some(found)),
                Poll::End => return Ok(None),
                Poll::Pending if stopped() => {
                    // Before `close`, for which a run that somebody left has ended well.
                    self.cancelled();
                    self.close();
                    return Err(Error::new(ErrorKind::Cancelled));
                }
                Poll::Pending => {}
            }
        }
    }

    /// Takes in all that an iterable has: what follows runs where Python cannot be asked for more.
    pub fn drain_iterable(&self, py: Python<'_>) -> PyResult<()> {
        self.check_whole()?;
        let drained = self
            .buffers
            .as_ref()
            .map_or(Ok(()), |buffers| buffers.drain(py));
        if drained.is_err() {
            self.interrupted.store(true, Ordering::Release);
            self.close();
        }
        drained
    }

    /// Ends the run, at once or, when another thread is reading, when its look is over. Never blocks.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.finished.store(true, Ordering::Release);
        if let Some(watch) = &self.watch {
            watch.end(None, Some(self.progress()));
        }
        fence(Ordering::SeqCst);
        self.release_reader();
    }

    /// Notes that the caller does not want the rows any more.
    fn cancelled(&self) {
        self.interrupted.store(true, Ordering::Release);
        if let Some(watch) = &self.watch {
            watch.cancelled();
        }
    }

    /// Drops the reader, which ends the server's cursor, unless it is in use: who uses it looks again afterwards.
    fn release_reader(&self) {
        match self.reader.try_lock() {
            Ok(mut slot) => *slot = ReaderState::Over,
            Err(TryLockError::Poisoned(slot)) => *slot.into_inner() = ReaderState::Over,
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// Whether somebody ended the run, rather than its last document or an error.
    pub fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Tells the end of the run, once it is over.
    pub fn tell(&self, py: Python<'_>) -> PyResult<()> {
        self.watch.as_ref().map_or(Ok(()), |watch| watch.tell(py))
    }

    /// As `tell`, for threads that must not run Python code.
    pub fn leave(&self) {
        if let Some(watch) = &self.watch {
            watch.leave();
        }
    }

    /// What is told of the run's end.
    pub fn watch(&self) -> Option<Arc<Watch>> {
        self.watch.clone()
    }

    pub fn finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Returns whether the run read its last reply, without an error.
    pub fn complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// Documents and bytes so far.
    pub fn progress(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.rows), load(&self.bytes))
    }

    pub fn report(&self) -> Report {
        lock(&self.report).clone()
    }
}
