//! Driver sessions for operations of this crate: without causal consistency, as the driver's implicit sessions.

use mongodb::bson::Timestamp;
use mongodb::error::Result as DriverResult;
use mongodb::options::SessionOptions;
use mongodb::ClientSession;

/// Takes a session from the driver's pool. Nothing is sent to a server.
pub(crate) async fn implicit(driver: &mongodb::Client) -> DriverResult<ClientSession> {
    let options = SessionOptions::builder().causal_consistency(false).build();
    driver.start_session().with_options(options).await
}

/// Takes a session whose reads see the data of one point in time.
pub(crate) async fn at_time(
    driver: &mongodb::Client,
    time: Timestamp,
) -> DriverResult<ClientSession> {
    let options = SessionOptions::builder()
        .snapshot(true)
        .snapshot_time(time)
        .build();
    driver.start_session().with_options(options).await
}
