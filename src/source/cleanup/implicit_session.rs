//! Driver sessions for operations of this crate: without causal consistency, as the driver's implicit sessions.

use mongodb::error::Result as DriverResult;
use mongodb::options::SessionOptions;
use mongodb::ClientSession;

/// Takes a session from the driver's pool. Nothing is sent to a server.
pub(crate) async fn implicit(driver: &mongodb::Client) -> DriverResult<ClientSession> {
    let options = SessionOptions::builder().causal_consistency(false).build();
    driver.start_session().with_options(options).await
}
