//! Events of a run: its cursor, its slow exchanges, its end.

use std::time::Duration;

use mongodb::options::ServerAddress;

use crate::error::Result;
use crate::source::monitoring::events::{slow, verbose, Event, Level, Topic};

/// A run with the names that its events have. There is one call for each reply, and none for each document.
pub(crate) struct RunEvents {
    request: u64,
    operation: &'static str,
    database: String,
    collection: Option<String>,
    cursor: i64,
    replies: u64,
    bytes: u64,
    waited: Duration,
    /// The command in progress, if it is not the operation or its getMore.
    other_command: Option<&'static str>,
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
            other_command: None,
        }
    }

    /// Sets the command of the next exchange; `None` for the operation and its getMores.
    pub(crate) fn set_command(&mut self, command: Option<&'static str>) {
        self.other_command = command;
    }

    /// Records a wait for the server, as an event if it was slow.
    pub(crate) fn waited(
        &mut self,
        took: Duration,
        server: impl FnOnce() -> Option<ServerAddress>,
    ) {
        self.waited += took;
        if slow().is_some_and(|limit| took >= limit) {
            let exchange = match (self.other_command, self.replies) {
                (Some(command), _) => command,
                (None, 0) => self.operation,
                (None, _) => "getMore",
            };
            self.event(Topic::Command, Level::Warning, "slow")
                .with("operation", exchange)
                .with("seconds", took)
                .with_some("server", server().map(|server| server.to_string()))
                .record();
        }
    }

    /// Records a reply: the cursor's id (0: it is finished), and the number of bytes of documents.
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
                    .record();
            }
        }
    }

    /// Records the end of the run.
    pub(crate) fn finished(&self, outcome: &Result<()>) {
        if verbose(Topic::Cursor) {
            let message = match outcome {
                Ok(()) => "replies finished",
                Err(_) => "replies ended early",
            };
            self.event(Topic::Cursor, Level::Debug, message)
                .with_some("cursor", (self.cursor != 0).then_some(self.cursor))
                .with("replies", self.replies)
                .with("bytes", self.bytes)
                .with("seconds", self.waited)
                .record();
        }
    }

    fn event(&self, topic: Topic, level: Level, message: &'static str) -> Event {
        Event::new(topic, level, message)
            .with("request_id", self.request)
            .with("database", self.database.as_str())
            .with_some("collection", self.collection.as_deref())
    }
}
