//! What is asked of a server: a find or an aggregate, opened as the driver's raw batch cursor.

use futures_util::StreamExt;
use mongodb::action::RunCommand;
use mongodb::bson::{Bson, Document};
use mongodb::options::{AggregateOptions, FindOptions, SelectionCriteria};
use mongodb::raw_batch_cursor::{RawBatch, SessionRawBatchCursor};
use mongodb::Database;

use super::failure::from_driver;
use super::filter;
use super::session::Session;
use crate::error::{Error, ErrorKind, Result};

/// What to ask.
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
    /// Which servers may answer, where the query says so.
    pub(crate) fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        match self {
            Query::Find { options, .. } => options.selection_criteria.as_ref(),
            Query::Aggregate { options, .. } => options.selection_criteria.as_ref(),
        }
    }
}

/// The stages of `{"pipeline": [...]}`.
pub(crate) fn stages(pipeline: &[u8]) -> Result<Vec<Document>> {
    let mut document = filter::document(pipeline, "pipeline")?;
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

/// Sends a command to a server that a find with these criteria may be sent to.
pub(crate) fn ask<'a>(
    database: &'a Database,
    command: Document,
    criteria: Option<&SelectionCriteria>,
) -> RunCommand<'a> {
    let ask = database.run_command(command);
    match criteria.or(database.selection_criteria()) {
        Some(criteria) => ask.selection_criteria(criteria.clone()),
        None => ask,
    }
}

/// An answered query.
pub(crate) struct Opened {
    pub(crate) cursor: SessionRawBatchCursor,
    pub(crate) first: RawBatch,
}

/// Sends the query, and gives its cursor with the first reply.
pub(crate) async fn open(
    driver: &mongodb::Client,
    database: &str,
    query: Query,
    session: &Session,
) -> Result<Opened> {
    let mut guard = session.lock(database).await?;
    let session = guard.session()?;
    let database = driver.database(database);
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
    guard.answered();
    let mut cursor = opened.map_err(from_driver)?;
    // It is here already: the cursor's id is in it, and must be known before anybody else has the session.
    let first = cursor.stream(guard.session()?).next().await;
    match first.transpose().map_err(from_driver)? {
        Some(first) => Ok(Opened { cursor, first }),
        None => Err(Error::new(ErrorKind::Internal(
            "a query was answered without a reply".into(),
        ))),
    }
}

/// The next reply. The session is held for this exchange only.
pub(crate) async fn next(
    cursor: &mut SessionRawBatchCursor,
    session: &Session,
) -> Result<Option<RawBatch>> {
    let mut guard = session.hold().await?;
    let batch = cursor.stream(guard.session()?).next().await;
    batch.transpose().map_err(from_driver)
}
