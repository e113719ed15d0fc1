//! The operations that answer once: commands, counts, names.

use std::time::Duration;

use mongodb::bson::{doc, Bson, Document, RawDocumentBuf};
use mongodb::options::SelectionCriteria;
use mongodb::{Collection, Database};

use super::query::readable;
use crate::error::{Error, ErrorKind, Result};
use crate::source::connection::caller_bson;
use crate::source::connection::client::{Client, Read};
use crate::source::connection::failure::{from_driver, is_final, is_retryable_read};
use crate::source::connection::names;
use crate::source::connection::options::{self, Selection};
use crate::source::connection::session::Session;
use crate::source::runtime::task::Task;
use crate::source::write::commands::{bytes, note_retry, Outcome};

/// Awaits a driver's action, in the session if there is one.
macro_rules! in_session {
    ($action:expr, $session:expr) => {
        match &$session {
            Some(session) => {
                let mut guard = session.lock().await?;
                $action.session(guard.session()?).await
            }
            None => $action.await,
        }
        .map_err(from_driver)
    };
}

impl Client {
    /// Runs a command; the reply as BSON. A read concern in the selection is added unless the command has one. The
    /// options of `read` are not used: a command holds its own. With `retry` it is sent a second time after an error for which
    /// the driver retries its own reads, but not in a transaction, nor if the connection string has `retryReads=false`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] or [`ErrorKind::InvalidArgument`] for what cannot be sent.
    pub fn run_command(
        &self,
        database: &str,
        command: &[u8],
        read: &Read<'_>,
    ) -> Result<Task<Vec<u8>>> {
        names::check(database, None)?;
        let selection = Selection::parse(read.selection)?;
        let mut document = caller_bson::document(command, "command")?;
        if document.is_empty() {
            return Err(Error::new(ErrorKind::InvalidQuery(
                "command: an empty document".into(),
            )));
        }
        let command = match &selection.level {
            Some(level) if !document.contains_key("readConcern") => {
                document.insert("readConcern", doc! {"level": level});
                document.to_vec()
            }
            _ => Ok(command.to_vec()),
        };
        let command = command
            .and_then(RawDocumentBuf::from_bytes)
            .map_err(|error| Error::new(ErrorKind::InvalidQuery(format!("command: {error}"))))?;
        let (this, session) = self.owned(read)?;
        let database = database.to_owned();
        let in_transaction = session.as_ref().is_some_and(Session::in_transaction);
        let retry = read.retry && !in_transaction && self.retries_reads();
        Ok(self.task(read.timeout, async move {
            let database = this.driver().await?.database(&database);
            let criteria = selection.criteria;
            let first = send(&database, command.clone(), criteria.clone(), &session).await?;
            let error = match first {
                Err(error) if retry && is_retryable_read(&error) => error,
                outcome => return outcome.map_err(from_driver),
            };
            note_retry(&database, &command);
            match send(&database, command, criteria, &session).await? {
                // No server was found for the second attempt: the first error names the cause.
                Err(second) if is_final(&second) => Err(from_driver(error)),
                outcome => outcome.map_err(from_driver),
            }
        }))
    }

    /// Counts the documents that match.
    ///
    /// # Errors
    /// As [`Client::run_command`].
    pub fn count_documents(
        &self,
        database: &str,
        collection: &str,
        filter: &[u8],
        read: &Read<'_>,
    ) -> Result<Task<u64>> {
        let selection = Selection::parse(read.selection)?;
        let options = options::count(read.options, &selection)?;
        let filter = caller_bson::document(filter, "filter")?;
        let (this, session) = self.owned(read)?;
        let place = Place::new(database, collection)?;
        Ok(self.task(read.timeout, async move {
            let collection = place.of(&this).await?;
            in_session!(
                collection.count_documents(filter).with_options(options),
                session
            )
        }))
    }

    /// Counts all documents by the collection's metadata. Takes no session, as the driver takes none.
    ///
    /// # Errors
    /// As [`Client::run_command`].
    pub fn estimated_document_count(
        &self,
        database: &str,
        collection: &str,
        read: &Read<'_>,
    ) -> Result<Task<u64>> {
        let selection = Selection::parse(read.selection)?;
        let options = options::estimated(read.options, &selection)?;
        let (this, _) = self.owned(read)?;
        let place = Place::new(database, collection)?;
        Ok(self.task(read.timeout, async move {
            let collection = place.of(&this).await?;
            let count = collection.estimated_document_count().with_options(options);
            count.await.map_err(from_driver)
        }))
    }

    /// The different values of a key, as the BSON document `{"values": [...]}`.
    ///
    /// # Errors
    /// As [`Client::run_command`].
    pub fn distinct(
        &self,
        database: &str,
        collection: &str,
        key: &str,
        filter: &[u8],
        read: &Read<'_>,
    ) -> Result<Task<Vec<u8>>> {
        let selection = Selection::parse(read.selection)?;
        let options = options::distinct(read.options, &selection)?;
        let filter = caller_bson::document(filter, "filter")?;
        let (this, session) = self.owned(read)?;
        let place = Place::new(database, collection)?;
        let key = key.to_owned();
        Ok(self.task(read.timeout, async move {
            let collection = place.of(&this).await?;
            let values = in_session!(
                collection.distinct(key, filter).with_options(options),
                session
            )?;
            encode(&doc! {"values": Bson::Array(values)})
        }))
    }

    /// The names of the databases that match.
    ///
    /// # Errors
    /// As [`Client::run_command`].
    pub fn list_database_names(
        &self,
        filter: &[u8],
        session: Option<&Session>,
        timeout: Option<Duration>,
    ) -> Result<Task<Vec<String>>> {
        let filter = caller_bson::document(filter, "filter")?;
        self.check(session)?;
        let (this, session) = (self.clone(), session.cloned());
        Ok(self.task(timeout, async move {
            let driver = this.driver().await?;
            in_session!(driver.list_database_names().filter(filter), session)
        }))
    }

    /// The names of a database's collections that match.
    ///
    /// # Errors
    /// As [`Client::run_command`].
    pub fn list_collection_names(
        &self,
        database: &str,
        filter: &[u8],
        session: Option<&Session>,
        timeout: Option<Duration>,
    ) -> Result<Task<Vec<String>>> {
        names::check(database, None)?;
        let filter = caller_bson::document(filter, "filter")?;
        self.check(session)?;
        let (this, session) = (self.clone(), session.cloned());
        let database = database.to_owned();
        Ok(self.task(timeout, async move {
            let database = this.driver().await?.database(&database);
            in_session!(database.list_collection_names().filter(filter), session)
        }))
    }

    fn owned(&self, read: &Read<'_>) -> Result<(Client, Option<Session>)> {
        self.check(read.session)?;
        Ok((self.clone(), read.session.cloned()))
    }
}

/// A collection by its checked names.
struct Place {
    database: String,
    collection: String,
}

impl Place {
    fn new(database: &str, collection: &str) -> Result<Self> {
        names::check(database, Some(collection))?;
        Ok(Place {
            database: database.to_owned(),
            collection: collection.to_owned(),
        })
    }

    async fn of(&self, client: &Client) -> Result<Collection<Document>> {
        let database = readable(client.driver().await?, &self.database);
        Ok(database.collection(&self.collection))
    }
}

/// Sends a command once. The outer error is one of the session.
async fn send(
    database: &Database,
    command: RawDocumentBuf,
    criteria: Option<SelectionCriteria>,
    session: &Option<Session>,
) -> Result<Outcome> {
    let mut action = database.run_raw_command(command);
    if let Some(criteria) = criteria {
        action = action.selection_criteria(criteria);
    }
    Ok(bytes(match session {
        Some(session) => {
            let mut guard = session.lock().await?;
            action.session(guard.session()?).await
        }
        None => action.await,
    }))
}

fn encode(document: &Document) -> Result<Vec<u8>> {
    document
        .to_vec()
        .map_err(|error| Error::new(ErrorKind::Internal(error.to_string())))
}
