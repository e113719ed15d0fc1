//! Operations with one reply: commands, counts, distinct values, names.

use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::bson::{doc, rawdoc, Bson, Document, RawDocumentBuf};
use mongodb::error::Result as DriverResult;
use mongodb::options::SelectionCriteria;
use mongodb::{Collection, Database};

use super::parameters::Read;
use super::query::database_for_reads;
use super::retried::{may_retry, RetriedRead};
use crate::error::{Error, ErrorKind, Result};
use crate::source::cleanup::implicit_session::implicit;
use crate::source::connection::caller_bson;
use crate::source::connection::client::Client;
use crate::source::connection::deadline::{takes_max_time, Deadline, MAX_TIME};
use crate::source::connection::failure::{from_driver, invalid_reply_error};
use crate::source::connection::names;
use crate::source::connection::options::{self, Selection};
use crate::source::connection::raw_command::{add_causal_time, reply_bytes, RawReply};
use crate::source::connection::session::Session;
use crate::source::runtime::task::Task;

/// Awaits an action of the driver, in the session if there is one, and returns the driver's result.
macro_rules! in_session {
    ($action:expr, $database:expr, $session:expr) => {
        match &$session {
            Some(session) => {
                let mut guard = session.lock_for_operation($database).await?;
                let outcome = $action.session(guard.session()?).await;
                guard.operation_ended();
                outcome
            }
            None => $action.await,
        }
    };
}

impl Client {
    /// Runs a command, and returns the reply as BSON.
    ///
    /// The selection's read concern is added unless the command has one. The options of `read` are not used: a command has its own.
    /// With `retry` the command is sent a second time after an error for which the driver retries its own reads, but not in a
    /// transaction, nor if the connection string has `retryReads=false`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] or [`ErrorKind::InvalidArgument`] for a command or a name that cannot be sent.
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
        // A list of indexes with one reply is sent with `retry`; the caller's own may be followed by getMores.
        let list = read.retry && document.contains_key("listIndexes");
        let limit = read
            .timeout
            .filter(|_| list || takes_max_time(&command, read.limits_server));
        let limited = document.contains_key(MAX_TIME);
        let deadline = Deadline::start(limit);
        let retry = read.retry && may_retry(self, &session);
        Ok(
            self.labelled_task(read.timeout, transient(&session), async move {
                let read = RetriedRead {
                    client: &this,
                    database: this.driver().await?.database(&database),
                    command,
                    limited,
                    retry,
                };
                let criteria = selection.criteria;
                let attempt = |command| send(&read.database, command, criteria.clone(), &session);
                read.run(&deadline, attempt).await
            }),
        )
    }

    /// Counts the documents that match the filter.
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
        let mut options = options::count(read.options, &selection)?;
        let filter = caller_bson::document(filter, "filter")?;
        let (this, session) = self.owned(read)?;
        let namespace = Namespace::new(database, collection)?;
        let deadline = read.server_deadline();
        Ok(
            self.labelled_task(read.timeout, transient(&session), async move {
                let collection = namespace.collection(&this).await?;
                let time = deadline.server_time(options.max_time, this.round_trip()?);
                options.max_time = time.max;
                let count = collection.count_documents(filter).with_options(options);
                in_session!(count, &namespace.database, session)
                    .map_err(|error| time.failure(error))
            }),
        )
    }

    /// Counts all documents from the collection's metadata, without a session: the driver takes none.
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
        let mut options = options::estimated(read.options, &selection)?;
        let (this, _) = self.owned(read)?;
        let namespace = Namespace::new(database, collection)?;
        let deadline = read.server_deadline();
        Ok(self.task(read.timeout, async move {
            let collection = namespace.collection(&this).await?;
            let time = deadline.server_time(options.max_time, this.round_trip()?);
            options.max_time = time.max;
            let count = collection.estimated_document_count().with_options(options);
            count.await.map_err(|error| time.failure(error))
        }))
    }

    /// The distinct values of a key, as the BSON document `{"values": [...]}`.
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
        let mut options = options::distinct(read.options, &selection)?;
        let filter = caller_bson::document(filter, "filter")?;
        let (this, session) = self.owned(read)?;
        let namespace = Namespace::new(database, collection)?;
        let key = key.to_owned();
        let deadline = read.server_deadline();
        Ok(
            self.labelled_task(read.timeout, transient(&session), async move {
                let collection = namespace.collection(&this).await?;
                let time = deadline.server_time(options.max_time, this.round_trip()?);
                options.max_time = time.max;
                let distinct = collection.distinct(key, filter).with_options(options);
                let values = in_session!(distinct, &namespace.database, session)
                    .map_err(|error| time.failure(error))?;
                encode(&doc! {"values": Bson::Array(values)})
            }),
        )
    }

    /// The names of the databases that match the filter.
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
        let command = rawdoc! {"listDatabases": 1, "nameOnly": true, "filter": raw(&filter)?};
        let (this, session) = (self.clone(), session.cloned());
        let retry = may_retry(self, &session);
        let deadline = Deadline::start(timeout);
        Ok(
            self.labelled_task(timeout, transient(&session), async move {
                let read = RetriedRead {
                    client: &this,
                    database: this.driver().await?.database("admin"),
                    command,
                    limited: false,
                    retry,
                };
                let attempt = |command| list_databases(&read.database, command, &session);
                let found = read.run(&deadline, attempt).await?;
                let found = found.get_array("databases").into_iter().flatten();
                names_of(found.filter_map(Bson::as_document))
            }),
        )
    }

    /// The names of a database's collections that match the filter.
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
        // A filter of names needs the names only, and then the server locks no collections.
        let name_only = filter.keys().all(|key| key == "name");
        let command = rawdoc! {
            "listCollections": 1, "nameOnly": name_only, "filter": raw(&filter)?, "cursor": {},
        };
        let (this, session) = (self.clone(), session.cloned());
        let retry = may_retry(self, &session);
        let database = database.to_owned();
        let deadline = Deadline::start(timeout);
        Ok(
            self.labelled_task(timeout, transient(&session), async move {
                let read = RetriedRead {
                    client: &this,
                    database: this.driver().await?.database(&database),
                    command,
                    limited: false,
                    retry,
                };
                let attempt = |command| list_collections(&read.database, command, &session);
                let found = read.run(&deadline, attempt).await?;
                names_of(found.iter())
            }),
        )
    }

    /// The client and the session for a task, after a check of both.
    fn owned(&self, read: &Read<'_>) -> Result<(Client, Option<Session>)> {
        self.check(read.session)?;
        Ok((self.clone(), read.session.cloned()))
    }
}

/// The checked names of a collection.
struct Namespace {
    database: String,
    collection: String,
}

impl Namespace {
    fn new(database: &str, collection: &str) -> Result<Self> {
        names::check(database, Some(collection))?;
        Ok(Namespace {
            database: database.to_owned(),
            collection: collection.to_owned(),
        })
    }

    /// The collection of the driver, without a write concern.
    async fn collection(&self, client: &Client) -> Result<Collection<Document>> {
        let database = database_for_reads(client.driver().await?, &self.database);
        Ok(database.collection(&self.collection))
    }
}

/// Sends a command once. The outer error is one of the session, the inner one is the driver's.
async fn send(
    database: &Database,
    command: RawDocumentBuf,
    criteria: Option<SelectionCriteria>,
    session: &Option<Session>,
) -> Result<RawReply> {
    let run = |command| {
        let run = database.run_raw_command(command);
        match criteria {
            Some(criteria) => run.selection_criteria(criteria),
            None => run,
        }
    };
    Ok(reply_bytes(match session {
        Some(session) => {
            let mut guard = session.lock_for_operation(database.name()).await?;
            let command = add_causal_time(command, &mut guard).map_err(from_driver)?;
            let reply = run(command).session(guard.session()?).await;
            guard.operation_ended();
            reply
        }
        None => run(command).await,
    }))
}

/// Sends a listDatabases. The driver has such a command, too, but takes no `maxTimeMS` for it.
async fn list_databases(
    database: &Database,
    command: RawDocumentBuf,
    session: &Option<Session>,
) -> Result<DriverResult<Document>> {
    Ok(in_session!(
        database.run_raw_command(command),
        database.name(),
        session
    ))
}

/// Sends a listCollections, and reads its cursor to the end. As for [`list_databases`], the driver takes no `maxTimeMS`.
async fn list_collections(
    database: &Database,
    command: RawDocumentBuf,
    session: &Option<Session>,
) -> Result<DriverResult<Vec<Document>>> {
    let mut own = None;
    let mut guard = match session {
        Some(session) => Some(session.lock_for_operation(database.name()).await?),
        None => None,
    };
    let session = match &mut guard {
        Some(guard) => guard.session()?,
        None => own.insert(implicit(database.client()).await.map_err(from_driver)?),
    };
    let listing = database.run_raw_cursor_command(command);
    let listed = match listing.session(&mut *session).await {
        Ok(mut found) => found.stream(session).try_collect().await,
        Err(error) => Err(error),
    };
    if let Some(guard) = &mut guard {
        guard.operation_ended();
    }
    Ok(listed)
}

/// The names in documents of a listing.
fn names_of<'a>(found: impl Iterator<Item = &'a Document>) -> Result<Vec<String>> {
    let names = found.map(|found| {
        let name = found
            .get_str("name")
            .map_err(|_| invalid_reply_error("a name is missing"))?;
        Ok(name.to_owned())
    });
    names.collect()
}

fn raw(document: &Document) -> Result<RawDocumentBuf> {
    RawDocumentBuf::try_from(document)
        .map_err(|error| Error::new(ErrorKind::InvalidQuery(error.to_string())))
}

/// The label of a deadline's error for an operation of this session.
fn transient(session: &Option<Session>) -> Option<&'static str> {
    session.as_ref().and_then(Session::transient_label)
}

fn encode(document: &Document) -> Result<Vec<u8>> {
    document
        .to_vec()
        .map_err(|error| Error::new(ErrorKind::Internal(error.to_string())))
}
