//! Reads in ranges: several queries, on several cursors at once, whose rows are one result.
//!
//! All cursors share one limit of prefetched bytes. In range order, a range that ends before its turn is kept whole, and its cursor's
//! place goes to the next range, if ranges have at most the bytes that [`range_bytes`] gives. Larger ranges are correct, too: they wait
//! for their turn.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::cursor::CursorSource;
use super::parameters::Read;
use super::pump::{prefetch_bytes, Request, RunQuery};
use super::query::{stages, Query};
use super::resume::Resume;
use crate::error::Result;
use crate::reader::{Arrival, ConnectionFacts, Source};
use crate::source::connection::caller_bson;
use crate::source::connection::client::Client;
use crate::source::connection::names;
use crate::source::connection::options::{self, Selection};
use crate::source::connection::session::Session;
use crate::source::runtime::io_threads;

/// The query of one range.
pub struct RangeQuery {
    /// The filter of a find, or the BSON document `{"pipeline": [...]}` of an aggregate.
    pub body: Vec<u8>,
    /// Options by the driver's names, as BSON.
    pub options: Vec<u8>,
}

/// The parameters of a read in ranges.
#[derive(Clone, Copy)]
pub struct RangeOptions {
    /// The queries are aggregates.
    pub pipelines: bool,
    /// Number of cursors at once; at least 1.
    pub parallel: usize,
    /// Rows come in the order of the ranges; else as they arrive.
    pub ordered: bool,
}

/// The bytes that a range may have to be kept whole before its turn.
pub fn range_bytes(parallel: usize) -> usize {
    prefetch_bytes() / window(parallel)
}

/// The number of ranges that are open at once: those that are read, and as many that wait for their turn.
fn window(parallel: usize) -> usize {
    match parallel {
        0 | 1 => 1,
        many => 2 * many,
    }
}

/// The replies of queries that are read on several cursors.
pub struct RangesSource {
    queries: VecDeque<RangeQuery>,
    open: VecDeque<CursorSource>,
    turns: Arc<Semaphore>,
    start: Start,
    options: RangeOptions,
    resumed: Arc<AtomicU64>,
}

/// The parameters of each query.
struct Start {
    client: Client,
    database: String,
    collection: String,
    selection: Vec<u8>,
    session: Option<Session>,
    timeout: Option<Duration>,
    limits_server: bool,
    eager: bool,
    resume: bool,
    request: u64,
    begun: Instant,
}

impl Client {
    /// Starts queries whose rows are one result. Each query has the parameters of `read`, and options of its own instead of those in
    /// `read`. If `eager`, the deadline limits the whole read.
    ///
    /// # Errors
    /// As [`Client::find`], for the first queries. An error in a later one is an error of the source.
    pub fn ranges(
        &self,
        database: &str,
        collection: &str,
        queries: Vec<RangeQuery>,
        read: &Read<'_>,
        eager: bool,
        options: RangeOptions,
    ) -> Result<RangesSource> {
        names::check(database, Some(collection))?;
        self.check(read.session)?;
        let mut source = RangesSource {
            queries: queries.into(),
            open: VecDeque::new(),
            turns: Arc::new(Semaphore::new(options.parallel.max(1))),
            start: Start {
                client: self.clone(),
                database: database.to_owned(),
                collection: collection.to_owned(),
                selection: read.selection.to_vec(),
                session: read.session.cloned(),
                timeout: read.timeout,
                limits_server: read.limits_server,
                eager,
                resume: read.resume,
                request: read.request,
                begun: Instant::now(),
            },
            options,
            resumed: Arc::default(),
        };
        source.open_more()?;
        Ok(source)
    }
}

impl RangesSource {
    /// Opens ranges up to the number that may be open.
    fn open_more(&mut self) -> Result<()> {
        while self.open.len() < window(self.options.parallel) {
            let Some(query) = self.queries.pop_front() else {
                return Ok(());
            };
            let source = self.start.start(
                &query,
                &self.options,
                Arc::clone(&self.resumed),
                &self.turns,
            )?;
            self.open.push_back(source);
        }
        Ok(())
    }

    /// The next arrival of the first range, or of any range without an order, and the position of its range; `None` after `wait`.
    fn arrival(&mut self, wait: Duration) -> Option<(usize, Result<Arrival>)> {
        let count = if self.options.ordered {
            1
        } else {
            self.open.len()
        };
        let open = &mut self.open;
        let any = poll_fn(|context| {
            for (position, source) in open.iter_mut().enumerate().take(count) {
                if let Poll::Ready(arrival) = source.poll_arrival(context) {
                    return Poll::Ready((position, arrival));
                }
            }
            Poll::Pending
        });
        io_threads::wait(any, wait)
    }

    fn end(&mut self) {
        self.queries.clear();
        self.open.clear();
    }
}

impl Source for RangesSource {
    fn poll(&mut self, wait: Duration) -> Result<Arrival> {
        let begun = Instant::now();
        loop {
            if let Err(error) = self.open_more() {
                self.end();
                return Err(error);
            }
            if self.open.is_empty() {
                return Ok(Arrival::End);
            }
            match self.arrival(wait.saturating_sub(begun.elapsed())) {
                None => return Ok(Arrival::Pending),
                Some((position, Ok(Arrival::End))) => {
                    self.open.remove(position);
                }
                Some((_, Ok(arrival))) => return Ok(arrival),
                Some((_, Err(error))) => {
                    self.end();
                    return Err(error);
                }
            }
        }
    }

    fn is_fetching(&self) -> bool {
        !self.queries.is_empty() || self.open.iter().any(CursorSource::is_fetching)
    }

    fn resume_count(&self) -> u64 {
        self.resumed.load(Ordering::Relaxed)
    }

    fn connection(&self) -> Option<ConnectionFacts> {
        self.start.client.connection_facts()
    }
}

impl Start {
    fn start(
        &self,
        query: &RangeQuery,
        ranges: &RangeOptions,
        resumed: Arc<AtomicU64>,
        turns: &Arc<Semaphore>,
    ) -> Result<CursorSource> {
        let selection = Selection::parse(&self.selection)?;
        let collection = self.collection.clone();
        let run = if ranges.pipelines {
            RunQuery::Once(Query::Aggregate {
                collection: Some(collection),
                pipeline: stages(&query.body)?,
                options: Box::new(options::aggregate(&query.options, &selection)?),
            })
        } else {
            let filter = caller_bson::document(&query.body, "filter")?;
            let options = options::find(&query.options, &selection)?;
            if self.resume {
                let resume = Resume::of_range(&collection, filter, options, Arc::clone(&resumed))?;
                RunQuery::Resuming(Box::new(resume))
            } else {
                RunQuery::Once(Query::Find {
                    collection,
                    filter,
                    options: Box::new(options),
                })
            }
        };
        let waited = if self.eager {
            self.begun.elapsed()
        } else {
            Duration::ZERO
        };
        let request = Request {
            client: self.client.clone(),
            database: self.database.clone(),
            query: run,
            session: self.session.clone(),
            snapshot: selection.snapshot,
            timeout: self.timeout,
            waited,
            eager: self.eager,
            limits_server: self.limits_server,
            prefetch_bytes: range_bytes(ranges.parallel).max(1),
            request: self.request,
        };
        CursorSource::start_in_turn(request, resumed, Some(turns))
    }
}
