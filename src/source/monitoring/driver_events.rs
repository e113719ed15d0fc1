//! What the driver tells of connections and servers, as events of ours.

use mongodb::event::cmap::{CmapEvent, ConnectionClosedReason};
use mongodb::event::sdam::{SdamEvent, ServerDescription};
use mongodb::ServerType;

use super::events::{verbose, Event, Level, Topic};

/// Notes what happened to a connection.
pub(crate) fn connection(event: &CmapEvent) {
    match event {
        CmapEvent::ConnectionReady(event) if verbose(Topic::Connection) => {
            note(Level::Debug, "connected")
                .with("server", event.address.to_string())
                .with("connection", u64::from(event.connection_id))
                .with("seconds", event.duration)
                .note();
        }
        CmapEvent::ConnectionClosed(event) => {
            let (level, what) = match event.reason {
                ConnectionClosedReason::Error => (Level::Info, "connection lost"),
                _ if verbose(Topic::Connection) => (Level::Debug, "connection closed"),
                _ => return,
            };
            note(level, what)
                .with("server", event.address.to_string())
                .with("connection", u64::from(event.connection_id))
                .note();
        }
        CmapEvent::PoolCleared(event) => note(Level::Info, "connections given up")
            .with("server", event.address.to_string())
            .note(),
        _ => {}
    }
}

/// Notes that a server is not what it was.
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
    // That a server is found is the normal course of things; that it is lost is not.
    let (level, what) = match (before, after) {
        (ServerType::Unknown, _) => (Level::Debug, "server found"),
        (_, ServerType::Unknown) => (Level::Warning, "server lost"),
        _ => (Level::Info, "server changed"),
    };
    if level == Level::Debug && !verbose(Topic::Connection) {
        return;
    }
    note(level, what)
        .with("server", event.address.to_string())
        .with("before", name(&event.previous_description))
        .with("after", name(&event.new_description))
        .note();
}

fn note(level: Level, what: &'static str) -> Event {
    Event::new(Topic::Connection, level, what)
}

fn name(server: &ServerDescription) -> &'static str {
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
