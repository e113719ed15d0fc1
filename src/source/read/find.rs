//! Find and aggregate: a request that the pump runs.

use std::sync::atomic::AtomicU64;
use std::sync::Arc;

use super::cursor::CursorSource;
use super::pump::{prefetch_bytes, Ask, Request};
use super::query::{stages, Query};
use super::resume::Resume;
use crate::error::{Error, ErrorKind, Result};
use crate::source::connection::caller_bson;
use crate::source::connection::client::{Client, Read};
use crate::source::connection::names;
use crate::source::connection::options::{self, Selection};

impl Client {
    /// Starts a find. Its errors, those of the server too, come with the source's first poll.
    ///
    /// `eager` says what the deadline bounds: all the time the run waits for the server, or else each single wait.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] or [`ErrorKind::InvalidArgument`] for what cannot be sent.
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
        let ask = if read.resume {
            let resume = Resume::new(collection, filter, options, Arc::clone(&resumed))?;
            Ask::Resuming(Box::new(resume))
        } else {
            Ask::Once(Query::Find {
                collection: collection.to_owned(),
                filter,
                options: Box::new(options),
            })
        };
        self.start(database, ask, read, eager, resumed)
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
        self.start(database, Ask::Once(query), read, eager, Arc::default())
    }

    fn start(
        &self,
        database: &str,
        ask: Ask,
        read: &Read<'_>,
        eager: bool,
        resumed: Arc<AtomicU64>,
    ) -> Result<CursorSource> {
        self.check(read.session)?;
        let request = Request {
            client: self.clone(),
            database: database.to_owned(),
            ask,
            session: read.session.cloned(),
            timeout: read.timeout,
            eager,
            limits_server: read.limits_server,
            budget: prefetch_bytes(),
            request: read.request,
        };
        CursorSource::start(request, resumed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
