//! Cursors that were left before their end, once they are killed.
//!
//! Dropping one makes the driver send a kill of its own: to the primary, without a deadline, in a task that nobody can end.
//! Where its answer gets lost, the driver's client never closes its connections. So a cursor that was killed here is asked for
//! one more reply: the answer that there is no such cursor finishes it for the driver as well.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::StreamExt;
use mongodb::options::SessionOptions;
use mongodb::raw_batch_cursor::SessionRawBatchCursor;
use tokio::time::timeout;

use super::client::Client;
use super::failure::from_driver;
use crate::error::ErrorKind;

/// How long that answer may take.
const ANSWER: Duration = Duration::from_secs(1);

/// Finishes cursors. Those of servers that do not answer are kept until the client is closed.
pub(crate) async fn finish(client: &Client, cursors: Vec<SessionRawBatchCursor>) {
    let Ok(driver) = client.driver().await else {
        return;
    };
    join_all(cursors.into_iter().map(|mut cursor| async move {
        if !answered(driver, &mut cursor).await {
            client.keep(cursor);
        }
    }))
    .await;
}

/// Whether the cursor's server answers, whatever it says: then it will answer the driver, too, should that ask again.
async fn answered(driver: &mongodb::Client, cursor: &mut SessionRawBatchCursor) -> bool {
    let ask = async {
        // Not the session that it was opened in: in a transaction, this error would abort it.
        let options = SessionOptions::builder().causal_consistency(false).build();
        let mut session = driver.start_session().with_options(options).await?;
        let reply = cursor.stream(&mut session).next().await;
        reply.transpose()
    };
    match timeout(ANSWER, ask).await {
        Ok(Err(error)) => !matches!(from_driver(error).kind(), ErrorKind::Connection(_)),
        Ok(Ok(_)) => true,
        Err(_) => false,
    }
}
