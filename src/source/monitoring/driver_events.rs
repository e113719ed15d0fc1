//! The driver's events of connections and servers, recorded as events of this crate.

use mongodb::event::cmap::{CmapEvent, ConnectionClosedReason};
use mongodb::event::sdam::{SdamEvent, ServerDescription};
use mongodb::ServerType;

use super::events::{verbose, Event, Level, Topic};

/// Records an event of a connection or of a pool.
pub(crate) fn connection(event: &CmapEvent) {
    match event {
        CmapEvent::ConnectionReady(event) if verbose(Topic::Connection) => {
            connection_event(Level::Debug, "connected")
                .with("server", event.address.to_string())
                .with("connection", u64::from(event.connection_id))
                .with("seconds", event.duration)
                .record();
        }
        CmapEvent::ConnectionClosed(event) => {
            let (level, message) = match event.reason {
                ConnectionClosedReason::Error => (Level::Info, "connection lost"),
                _ if verbose(Topic::Connection) => (Level::Debug, "connection closed"),
                _ => return,
            };
            connection_event(level, message)
                .with("server", event.address.to_string())
                .with("connection", u64::from(event.connection_id))
                .record();
        }
        CmapEvent::PoolCleared(event) => connection_event(Level::Info, "connections given up")
            .with("server", event.address.to_string())
            .record(),
        _ => {}
    }
}

/// Records a server's change of type.
pub(crate) fn server(event: SdamEvent) {
    let SdamEvent::ServerDescriptionChanged(event) = event else {
        return;
    };
    let (before, after) = (
        event.previous_description.server_type(),
        event.new_description.server_type(),
    );
    if before == after {
        return;
    }
    // Finding a server is normal operation, losing one is a fault.
    let (level, message) = match (before, after) {
        (ServerType::Unknown, _) => (Level::Debug, "server found"),
        (_, ServerType::Unknown) => (Level::Warning, "server lost"),
        _ => (Level::Info, "server changed"),
    };
    if level == Level::Debug && !verbose(Topic::Connection) {
        return;
    }
    connection_event(level, message)
        .with("server", event.address.to_string())
        .with("before", type_name(&event.previous_description))
        .with("after", type_name(&event.new_description))
        .record();
}

fn connection_event(level: Level, message: &'static str) -> Event {
    Event::new(Topic::Connection, level, message)
}

fn type_name(server: &ServerDescription) -> &'static str {
    match server.server_type() {
        ServerType::Standalone => "standalone",
        ServerType::Mongos => "mongos",
        ServerType::RsPrimary => "primary",
        ServerType::RsSecondary => "secondary",
        ServerType::RsArbiter => "arbiter",
        ServerType::RsOther => "other member",
        ServerType::RsGhost => "ghost",
        ServerType::LoadBalancer => "load balancer",
        _ => "unknown",
    }
}
