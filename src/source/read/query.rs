//! A find or an aggregate, opened as the driver's raw batch cursor.

use std::time::Duration;

use futures_util::StreamExt;
use mongodb::action::RunCommand;
use mongodb::bson::{doc, Bson, Document};
use mongodb::error::{Error as DriverError, ErrorKind as DriverKind, WriteFailure};
use mongodb::options::{
    AggregateOptions, DatabaseOptions, FindOptions, SelectionCriteria, WriteConcern,
};
use mongodb::raw_batch_cursor::{RawBatch, SessionRawBatchCursor};
use mongodb::Database;

use crate::error::{Error, ErrorKind, Result};
use crate::source::connection::caller_bson;
use crate::source::connection::deadline::stores_result;
use crate::source::connection::failure::from_driver;
use crate::source::connection::session::Session;

/// A query that opens a cursor.
pub(crate) enum Query {
    Find {
        collection: String,
        filter: Document,
        options: Box<FindOptions>,
    },
    Aggregate {
        collection: Option<String>,
        pipeline: Vec<Document>,
        options: Box<AggregateOptions>,
    },
}

impl Query {
    /// The query's `maxTimeMS`.
    pub(crate) fn max_time(&mut self) -> &mut Option<Duration> {
        match self {
            Query::Find { options, .. } => &mut options.max_time,
            Query::Aggregate { options, .. } => &mut options.max_time,
        }
    }

    /// Returns whether no getMore follows. A query that only reads counts if `reads` is set.
    pub(crate) fn has_one_reply(&self, reads: bool) -> bool {
        match self {
            // To a server, a negative limit is one reply.
            Query::Find { options, .. } => reads && options.limit.is_some_and(|limit| limit < 0),
            Query::Aggregate { pipeline, .. } => {
                let last = pipeline.last().and_then(|stage| stage.keys().next());
                last.is_some_and(|stage| stores_result(stage))
            }
        }
    }

    /// The selection of servers, if the query has one.
    pub(crate) fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        match self {
            Query::Find { options, .. } => options.selection_criteria.as_ref(),
            Query::Aggregate { options, .. } => options.selection_criteria.as_ref(),
        }
    }
}

/// The stages of `{"pipeline": [...]}`.
pub(crate) fn stages(pipeline: &[u8]) -> Result<Vec<Document>> {
    let mut document = caller_bson::document(pipeline, "pipeline")?;
    let invalid = |text: &str| Error::new(ErrorKind::InvalidQuery(text.into()));
    let Some(Bson::Array(stages)) = document.remove("pipeline") else {
        return Err(invalid("pipeline: not a list of stages"));
    };
    let stages = stages.into_iter().map(|stage| match stage {
        Bson::Document(stage) => Ok(stage),
        _ => Err(invalid("pipeline: a stage is not a document")),
    });
    stages.collect()
}

/// A command for a server that a find with these criteria may be sent to.
pub(crate) fn command_for_selection<'a>(
    database: &'a Database,
    command: Document,
    criteria: Option<&SelectionCriteria>,
) -> RunCommand<'a> {
    let run = database.run_command(command);
    match criteria.or(database.selection_criteria()) {
        Some(criteria) => run.selection_criteria(criteria.clone()),
        None => run,
    }
}

/// A database for reads, without the write concern of the connection string. The driver sends none with aggregates and
/// counts, but refuses them if the connection string has `w=0`.
pub(crate) fn database_for_reads(driver: &mongodb::Client, database: &str) -> Database {
    let options = DatabaseOptions::builder().write_concern(WriteConcern::default());
    driver.database_with_options(database, options.build())
}

/// An open cursor with its first reply.
pub(crate) struct Opened {
    pub(crate) cursor: SessionRawBatchCursor,
    pub(crate) first: RawBatch,
}

/// Sends the query, and returns its cursor with the first reply.
pub(crate) async fn open(
    driver: &mongodb::Client,
    database: &str,
    query: Query,
    session: &Session,
) -> Result<Opened> {
    let mut guard = session.lock_for_operation(database).await?;
    let session = guard.session()?;
    let database = database_for_reads(driver, database);
    let opened = match query {
        Query::Find {
            collection,
            filter,
            options,
        } => {
            let collection = database.collection::<Document>(&collection);
            let find = collection.find(filter).with_options(*options);
            find.session(&mut *session).batch().await
        }
        Query::Aggregate {
            collection: Some(collection),
            pipeline,
            options,
        } => {
            let collection = database.collection::<Document>(&collection);
            let aggregate = collection.aggregate(pipeline).with_options(*options);
            aggregate.session(&mut *session).batch().await
        }
        Query::Aggregate {
            collection: None,
            pipeline,
            options,
        } => {
            let aggregate = database.aggregate(pipeline).with_options(*options);
            aggregate.session(&mut *session).batch().await
        }
    };
    guard.operation_ended();
    let mut cursor = opened.map_err(opening_error)?;
    // The driver has this reply already. It has the cursor's id, which must be known before another operation gets the session.
    let first = cursor.stream(guard.session()?).next().await;
    match first.transpose().map_err(from_driver)? {
        Some(first) => Ok(Opened { cursor, first }),
        None => Err(Error::new(ErrorKind::Internal(
            "a query was answered without a reply".into(),
        ))),
    }
}

/// The error of a query that opened no cursor. If a write concern was not met, the driver drops the reply of an aggregate: it is
/// rebuilt from the parts that the driver keeps.
fn opening_error(error: DriverError) -> Error {
    let reply = match (&*error.kind, error.server_response()) {
        (DriverKind::Write(WriteFailure::WriteConcernError(failure)), None) => {
            let (code, name, text) = (failure.code, &failure.code_name, &failure.message);
            let mut concern = doc! {"code": code, "codeName": name, "errmsg": text};
            if let Some(info) = &failure.details {
                concern.insert("errInfo", info.clone());
            }
            doc! {"writeConcernError": concern}.to_vec().ok()
        }
        _ => None,
    };
    let error = from_driver(error);
    match reply {
        Some(reply) => error.with_reply(reply),
        None => error,
    }
}

/// The next reply. The session is locked for this exchange only.
pub(crate) async fn next_reply(
    cursor: &mut SessionRawBatchCursor,
    session: &Session,
) -> Result<Option<RawBatch>> {
    let mut guard = session.lock().await?;
    let batch = cursor.stream(guard.session()?).next().await;
    batch.transpose().map_err(from_driver)
}
