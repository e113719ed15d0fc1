//! The operations that answer once: commands, counts, names.

use std::time::Duration;

use mongodb::bson::{doc, Bson, Document, RawDocumentBuf};
use mongodb::Collection;

use super::client::{Client, Read};
use super::failure::from_driver;
use super::options::{self, Selection};
use super::session::Session;
use super::task::Task;
use super::write::causal;
use super::{filter, names};
use crate::error::{Error, ErrorKind, Result};

/// Awaits a driver's action, in the session if there is one.
macro_rules! in_session {
    ($action:expr, $database:expr, $session:expr) => {
        match &$session {
            Some(session) => {
                let mut guard = session.lock($database).await?;
                let outcome = $action.session(guard.session()?).await;
                guard.answered();
                outcome
            }
            None => $action.await,
        }
        .map_err(from_driver)
    };
}

impl Client {
    /// Runs a command; the reply as BSON. A read concern in the selection is added unless the command has one. The
    /// options of `read` are not used: a command holds its own.
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
        let mut document = filter::document(command, "command")?;
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
        Ok(
            self.labelled(read.timeout, transient(&session), async move {
                let database = this.driver().await?.database(&database);
                let criteria = selection.criteria;
                let run = |command| {
                    let run = database.run_raw_command(command);
                    match criteria {
                        Some(criteria) => run.selection_criteria(criteria),
                        None => run,
                    }
                };
                let reply = match &session {
                    Some(session) => {
                        let mut guard = session.lock(database.name()).await?;
                        let command = causal(command, &mut guard).map_err(from_driver)?;
                        let reply = run(command).session(guard.session()?).await;
                        guard.answered();
                        reply
                    }
                    None => run(command).await,
                };
                encode(&reply.map_err(from_driver)?)
            }),
        )
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
        let filter = filter::document(filter, "filter")?;
        let (this, session) = self.owned(read)?;
        let place = Place::new(database, collection)?;
        Ok(
            self.labelled(read.timeout, transient(&session), async move {
                let collection = place.of(&this).await?;
                in_session!(
                    collection.count_documents(filter).with_options(options),
                    &place.database,
                    session
                )
            }),
        )
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
        let filter = filter::document(filter, "filter")?;
        let (this, session) = self.owned(read)?;
        let place = Place::new(database, collection)?;
        let key = key.to_owned();
        Ok(
            self.labelled(read.timeout, transient(&session), async move {
                let collection = place.of(&this).await?;
                let values = in_session!(
                    collection.distinct(key, filter).with_options(options),
                    &place.database,
                    session
                )?;
                encode(&doc! {"values": Bson::Array(values)})
            }),
        )
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
        let filter = filter::document(filter, "filter")?;
        self.check(session)?;
        let (this, session) = (self.clone(), session.cloned());
        Ok(self.labelled(timeout, transient(&session), async move {
            let driver = this.driver().await?;
            in_session!(
                driver.list_database_names().filter(filter),
                "admin",
                session
            )
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
        let filter = filter::document(filter, "filter")?;
        self.check(session)?;
        let (this, session) = (self.clone(), session.cloned());
        let database = database.to_owned();
        Ok(self.labelled(timeout, transient(&session), async move {
            let database = this.driver().await?.database(&database);
            in_session!(
                database.list_collection_names().filter(filter),
                database.name(),
                session
            )
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
        let database = client.driver().await?.database(&self.database);
        Ok(database.collection(&self.collection))
    }
}

/// The label of a deadline that passes for an operation of this session.
fn transient(session: &Option<Session>) -> Option<&'static str> {
    session.as_ref().and_then(Session::transient_label)
}

fn encode(document: &Document) -> Result<Vec<u8>> {
    document
        .to_vec()
        .map_err(|error| Error::new(ErrorKind::Internal(error.to_string())))
}
