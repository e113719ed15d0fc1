//! Find and aggregate: they start a run, and return the source of its replies.

use std::sync::atomic::AtomicU64;
use std::sync::Arc;
use std::time::Duration;

use super::cursor::CursorSource;
use super::parameters::Read;
use super::pump::{prefetch_bytes, Request, RunQuery};
use super::query::{stages, Query};
use super::resume::Resume;
use crate::error::{Error, ErrorKind, Result};
use crate::source::connection::caller_bson;
use crate::source::connection::client::Client;
use crate::source::connection::names;
use crate::source::connection::options::{self, Selection, SnapshotTime};

impl Client {
    /// Starts a find. The first poll of the source returns the errors of the server.
    ///
    /// If `eager`, the deadline limits the total time that the run waits for the server; else it limits each wait.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] or [`ErrorKind::InvalidArgument`] for a query or a name that cannot be sent.
    pub fn find(
        &self,
        database: &str,
        collection: &str,
        filter: &[u8],
        read: &Read<'_>,
        eager: bool,
    ) -> Result<CursorSource> {
        names::check(database, Some(collection))?;
        let selection = Selection::parse(read.selection)?;
        let filter = caller_bson::document(filter, "filter")?;
        let options = options::find(read.options, &selection)?;
        let resumed = Arc::default();
        let query = if read.resume {
            let resume = Resume::new(collection, filter, options, Arc::clone(&resumed))?;
            RunQuery::Resuming(Box::new(resume))
        } else {
            RunQuery::Once(Query::Find {
                collection: collection.to_owned(),
                filter,
                options: Box::new(options),
            })
        };
        self.start_run(database, query, read, eager, resumed, selection.snapshot)
    }

    /// Starts an aggregate on a collection, or on the database. `pipeline` is the BSON document `{"pipeline": [...]}`.
    ///
    /// # Errors
    /// As [`Client::find`].
    pub fn aggregate(
        &self,
        database: &str,
        collection: Option<&str>,
        pipeline: &[u8],
        read: &Read<'_>,
        eager: bool,
    ) -> Result<CursorSource> {
        names::check(database, collection)?;
        if read.resume {
            return Err(Error::new(ErrorKind::InvalidQuery(
                "this read cannot resume: an aggregate has no order that is known".into(),
            )));
        }
        let selection = Selection::parse(read.selection)?;
        let query = Query::Aggregate {
            collection: collection.map(str::to_owned),
            pipeline: stages(pipeline)?,
            options: Box::new(options::aggregate(read.options, &selection)?),
        };
        let query = RunQuery::Once(query);
        self.start_run(
            database,
            query,
            read,
            eager,
            Arc::default(),
            selection.snapshot,
        )
    }

    fn start_run(
        &self,
        database: &str,
        query: RunQuery,
        read: &Read<'_>,
        eager: bool,
        resumed: Arc<AtomicU64>,
        snapshot: Option<SnapshotTime>,
    ) -> Result<CursorSource> {
        self.check(read.session)?;
        let request = Request {
            client: self.clone(),
            database: database.to_owned(),
            query,
            session: read.session.cloned(),
            snapshot,
            timeout: read.timeout,
            waited: Duration::ZERO,
            eager,
            limits_server: read.limits_server,
            prefetch_bytes: prefetch_bytes(),
            request: read.request,
        };
        CursorSource::start(request, resumed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_client_refuses() {
        let client = Client::new("mongodb://localhost:1/shop").unwrap();
        assert_eq!(client.default_database(), Some("shop"));
        assert_eq!(client.summary(), "localhost:1");
        client
            .close()
            .wait_timeout(Duration::from_secs(1))
            .unwrap()
            .unwrap();
        let error = client
            .find("a", "b", &[], &Read::default(), true)
            .err()
            .unwrap();
        assert_eq!(error.to_string(), "the client is closed");
    }
}
