//! A run: the state of a read in progress, shared by the Python handle and the iterators over its documents.
//!
//! Only threads that are detached from the interpreter lock the reader: an attached thread that waits for the lock would
//! block a thread that holds the lock and waits for the interpreter.

use std::process;
use std::sync::atomic::{fence, AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, TryLockError};

use data_bridge::error::{Error, ErrorKind, Result};
use data_bridge::reader::{
    Arrival, BatchStream, Decoded, Progress, Reader, ReaderOptions, Report, Source,
};
use data_bridge::schema::{ObservedTypes, Representation};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::to_pyerr;
use crate::lock::lock;
use crate::operations::operation::SIGNAL_INTERVAL;
use crate::operations::operation_events::{deliver_queued, OperationRecord};
use crate::reads::iterable_source::BufferSender;

pub(crate) struct Run {
    /// The process that reads. In a forked child a lock may remain held forever, and replies do not arrive.
    pid: u32,
    reader: Mutex<ReaderState>,
    /// Buffers from Python, for a run that reads an iterable.
    buffers: Option<BufferSender>,
    closed: AtomicBool,
    /// Ended early, by Ctrl-C, by cancellation or by an error of the iterable.
    interrupted: AtomicBool,
    finished: AtomicBool,
    /// True after the last reply was read without an error.
    complete: AtomicBool,
    rows: AtomicU64,
    bytes: AtomicU64,
    report: Mutex<Report>,
    /// The types that the schema of a stream was inferred from, and their storage.
    observed: OnceLock<(ObservedTypes, Representation)>,
    record: Option<Arc<OperationRecord>>,
    /// The way in which the read was split, for its report.
    plan: OnceLock<Arc<str>>,
}

enum ReaderState {
    /// A boundary can still be set.
    NotStarted(Box<dyn Source>, ReaderOptions),
    Reading(Box<Reader>),
    Over,
}

/// The result of one poll of a run.
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
        record: Option<Arc<OperationRecord>>,
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
            observed: OnceLock::new(),
            record,
            plan: OnceLock::new(),
        }
    }

    /// Returns an error in a forked child.
    pub fn check(&self) -> Result<()> {
        if self.pid == process::id() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Connection(
            "this read was started before a fork, and only the parent process can continue it"
                .into(),
        )))
    }

    /// Raises RuntimeError for a run that was interrupted: its end would pass for the end of the result.
    pub fn check_whole(&self) -> PyResult<()> {
        if !self.interrupted.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(
            "the read was interrupted before its end and cannot continue: run the query again",
        ))
    }

    /// Sets a Chunk boundary after `rows` documents; before the first read.
    pub fn set_boundary(&self, rows: u64) {
        if let ReaderState::NotStarted(_, options) = &mut *lock(&self.reader) {
            options.boundary = Some(rows);
        }
    }

    /// Calls `step` with the reader. Waits while another thread reads, so the caller must be detached.
    pub fn with<T>(&self, step: impl FnOnce(&mut Reader) -> Result<Poll<T>>) -> Result<Poll<T>> {
        self.check()?;
        let outcome = self.step(step);
        // Another thread may have closed the run while this one had the lock; there may be no next poll.
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
            // An interruption must not pass for the end of the result in another thread or task that shares the run.
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
        // Dropping the reader kills the server's cursor.
        *slot = ReaderState::Over;
        if let Some(record) = &self.record {
            record.end(error.as_ref(), Some(self.progress()));
        }
        if !self.finished.swap(true, Ordering::AcqRel) {
            lock(&self.report).error = error;
        }
    }

    /// Receives all replies and drops them undecoded; returns their number of bytes. Only before the first read.
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

    /// Waits for the next Chunk for at most one `SIGNAL_INTERVAL`.
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
            deliver_queued(py)?;
            if !matches!(outcome, Ok(Poll::Found(_) | Poll::Pending)) {
                self.report_end(py)?;
            }
            match outcome {
                Ok(Poll::Found(found)) => return Ok(Some(found)),
                Ok(Poll::End) => return Ok(None),
                Ok(Poll::Pending) => {
                    if let Err(interrupt) = py.check_signals() {
                        self.cancelled();
                        self.close();
                        self.report_end(py)?;
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
                    // Before `close`, which would record success for an abandoned run.
                    self.cancelled();
                    self.close();
                    return Err(Error::new(ErrorKind::Cancelled));
                }
                Poll::Pending => {}
            }
        }
    }

    /// Pulls all buffers of the iterable: the threads that read next cannot call Python.
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

    /// Ends the run at once or, if another thread reads, after its poll. Never blocks.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.finished.store(true, Ordering::Release);
        if let Some(record) = &self.record {
            record.end(None, Some(self.progress()));
        }
        fence(Ordering::SeqCst);
        self.release_reader();
    }

    /// Records that the caller abandoned the run.
    fn cancelled(&self) {
        self.interrupted.store(true, Ordering::Release);
        if let Some(record) = &self.record {
            record.cancelled();
        }
    }

    /// Drops the reader, which kills the server's cursor. If another thread uses the reader, that thread drops it after its
    /// poll.
    fn release_reader(&self) {
        match self.reader.try_lock() {
            Ok(mut slot) => *slot = ReaderState::Over,
            Err(TryLockError::Poisoned(slot)) => *slot.into_inner() = ReaderState::Over,
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// Returns whether the run was closed before its last document or an error ended it.
    pub fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Reports the end of the run, once it is over.
    pub fn report_end(&self, py: Python<'_>) -> PyResult<()> {
        self.record
            .as_ref()
            .map_or(Ok(()), |record| record.report(py))
    }

    /// Queues the report of `tell`, for threads that must not run Python code.
    pub fn queue_end(&self) {
        if let Some(record) = &self.record {
            record.queue_end();
        }
    }

    /// The record of the run's events.
    pub fn record(&self) -> Option<Arc<OperationRecord>> {
        self.record.clone()
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
        let mut report = lock(&self.report).clone();
        report.plan = self.plan.get().cloned();
        report
    }

    /// Records the way in which the read was split, for its report; the first call counts.
    pub fn record_plan(&self, plan: &str) {
        self.plan.get_or_init(|| plan.into());
    }

    /// Records the types that the schema of `stream` was inferred from, once it is known.
    pub fn record_types(&self, stream: &BatchStream) {
        if stream.schema().is_some() {
            self.observed
                .get_or_init(|| (stream.observed().clone(), *stream.representation()));
        }
    }

    /// The types that [`record_types`](Self::record_types) recorded.
    pub fn observed(&self) -> Option<(&ObservedTypes, &Representation)> {
        self.observed
            .get()
            .map(|(observed, representation)| (observed, representation))
    }
}
