//! What a run tells of itself: its cursor, its slow exchanges, its end.

use std::time::Duration;

use mongodb::options::ServerAddress;

use crate::error::Result;
use crate::source::monitoring::events::{slow, verbose, Event, Level, Topic};

/// A run, by the names it is told by. One call for each reply, and nothing for each document.
pub(crate) struct RunEvents {
    request: u64,
    operation: &'static str,
    database: String,
    collection: Option<String>,
    cursor: i64,
    replies: u64,
    bytes: u64,
    waited: Duration,
    /// The exchange under way, where it is none of the operation's own.
    asks: Option<&'static str>,
}

impl RunEvents {
    pub(crate) fn new(
        request: u64,
        operation: &'static str,
        database: &str,
        collection: Option<&str>,
    ) -> Self {
        RunEvents {
            request,
            operation,
            database: database.to_owned(),
            collection: collection.map(str::to_owned),
            cursor: 0,
            replies: 0,
            bytes: 0,
            waited: Duration::ZERO,
            asks: None,
        }
    }

    /// The exchange that is waited for next is another one than the operation's.
    pub(crate) fn asks(&mut self, exchange: Option<&'static str>) {
        self.asks = exchange;
    }

    /// A wait for the server is over.
    pub(crate) fn answered(
        &mut self,
        took: Duration,
        server: impl FnOnce() -> Option<ServerAddress>,
    ) {
        self.waited += took;
        if slow().is_some_and(|limit| took >= limit) {
            let exchange = match (self.asks, self.replies) {
                (Some(asked), _) => asked,
                (None, 0) => self.operation,
                (None, _) => "getMore",
            };
            self.event(Topic::Command, Level::Warning, "slow")
                .with("operation", exchange)
                .with("seconds", took)
                .with_some("server", server().map(|server| server.to_string()))
                .note();
        }
    }

    /// A reply was read: the cursor's id (0: it is finished), and how many bytes of documents came.
    pub(crate) fn reply(
        &mut self,
        cursor: i64,
        bytes: usize,
        server: impl FnOnce() -> Option<ServerAddress>,
    ) {
        self.replies += 1;
        self.bytes += bytes as u64;
        if self.replies == 1 && cursor != 0 {
            self.cursor = cursor;
            if verbose(Topic::Cursor) {
                self.event(Topic::Cursor, Level::Debug, "cursor opened")
                    .with("operation", self.operation)
                    .with("cursor", cursor)
                    .with("seconds", self.waited)
                    .with_some("server", server().map(|server| server.to_string()))
                    .note();
            }
        }
    }

    /// The run is over.
    pub(crate) fn finished(&self, outcome: &Result<()>) {
        if verbose(Topic::Cursor) {
            let what = match outcome {
                Ok(()) => "replies finished",
                Err(_) => "replies ended early",
            };
            self.event(Topic::Cursor, Level::Debug, what)
                .with_some("cursor", (self.cursor != 0).then_some(self.cursor))
                .with("replies", self.replies)
                .with("bytes", self.bytes)
                .with("seconds", self.waited)
                .note();
        }
    }

    fn event(&self, topic: Topic, level: Level, what: &'static str) -> Event {
        Event::new(topic, level, what)
            .with("request_id", self.request)
            .with("database", self.database.as_str())
            .with_some("collection", self.collection.as_deref())
    }
}
