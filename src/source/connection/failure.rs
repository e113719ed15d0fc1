//! Errors of the driver, converted to errors of this crate.
//!
//! The driver's texts contain debug output, and its `{:?}` once contained credentials. So every text is built here, from the parts that
//! a user needs.

use std::io;
use std::time::Duration;

use mongodb::bson::Bson;
use mongodb::error::{Error as DriverError, ErrorKind as DriverKind, WriteFailure};

use crate::error::{ConnectionCause, Error, ErrorKind};

/// The server's code for an operation that ran into its `maxTimeMS`.
pub(crate) const MAX_TIME_MS_EXPIRED: i32 = 50;

/// Limit of a text from the driver, in characters: a topology of many hosts repeats itself.
const LONGEST: usize = 600;

/// The server's codes after which a read is sent again. The driver's list of them is private.
const RETRYABLE_READ: [i32; 13] = [
    6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436,
];

/// Returns whether the driver would retry a read after this error.
pub(crate) fn is_retryable_read(error: &DriverError) -> bool {
    match &*error.kind {
        DriverKind::Io(_) | DriverKind::ConnectionPoolCleared { .. } => true,
        DriverKind::Command(command) => RETRYABLE_READ.contains(&command.code),
        _ => false,
    }
}

/// Returns whether another exchange would end with the same error: no server was found in time, or the server refused access.
pub(crate) fn is_final(error: &DriverError) -> bool {
    matches!(
        &*error.kind,
        DriverKind::ServerSelection { .. } | DriverKind::Authentication { .. }
    ) || is_without_balancer(&error.kind)
}

/// Returns whether `loadBalanced=true` was used with a server that has no load balancer.
fn is_without_balancer(kind: &DriverKind) -> bool {
    matches!(kind, DriverKind::IncompatibleServer { message, .. } if message.contains("load balancing mode"))
}

/// Returns whether a reply could not be decompressed.
fn is_decompression(message: &str) -> bool {
    message.starts_with("Could not decompress")
}

/// Converts the error of an operation.
pub(crate) fn from_driver(error: DriverError) -> Error {
    let kind = match &*error.kind {
        DriverKind::Command(command) if command.code == MAX_TIME_MS_EXPIRED => operation(
            command.code,
            &command.code_name,
            &format!("{} (maxTimeMS)", command.message),
        ),
        DriverKind::Command(command) => {
            operation(command.code, &command.code_name, &command.message)
        }
        DriverKind::Write(WriteFailure::WriteConcernError(failure)) => {
            let info = failure.details.as_ref().and_then(|info| info.get("wtimeout"));
            ErrorKind::WriteConcern {
                code: failure.code,
                code_name: failure.code_name.clone(),
                message: failure.message.clone(),
                timed_out: failure.code == MAX_TIME_MS_EXPIRED
                    || info.and_then(Bson::as_bool) == Some(true),
            }
        }
        DriverKind::Write(WriteFailure::WriteError(failure)) => operation(
            failure.code,
            failure.code_name.as_deref().unwrap_or_default(),
            &failure.message,
        ),
        DriverKind::Authentication { .. }
        | DriverKind::ServerSelection { .. }
        | DriverKind::Io(_)
        | DriverKind::ConnectionPoolCleared { .. }
        | DriverKind::DnsResolve { .. }
        | DriverKind::InvalidResponse { .. }
        // The request was valid BSON, so the reply is not.
        | DriverKind::Bson(_) => ErrorKind::Connection(text(&error)),
        DriverKind::InvalidArgument { message, .. } if is_arithmetic(message) => {
            ErrorKind::Connection(text(&error))
        }
        DriverKind::Internal { message, .. } if is_decompression(message) => {
            ErrorKind::Connection(text(&error))
        }
        kind if is_without_balancer(kind) => ErrorKind::Connection(text(&error)),
        DriverKind::InvalidArgument { .. }
        | DriverKind::IncompatibleServer { .. }
        | DriverKind::SessionsNotSupported => ErrorKind::InvalidQuery(text(&error)),
        DriverKind::InvalidTlsConfig { .. } | DriverKind::Transaction { .. } => {
            ErrorKind::InvalidArgument(text(&error))
        }
        DriverKind::Shutdown => ErrorKind::Cancelled,
        _ => ErrorKind::Internal(text(&error)),
    };
    let cause = match &*error.kind {
        DriverKind::Authentication { .. } => Some(ConnectionCause::Authentication),
        DriverKind::ServerSelection { .. } => Some(ConnectionCause::NoServer),
        DriverKind::Io(_) | DriverKind::ConnectionPoolCleared { .. } => Some(ConnectionCause::Lost),
        _ => None,
    };
    let mut labels: Vec<_> = error.labels().iter().cloned().collect();
    labels.sort();
    let reply = error.server_response().map(|reply| reply.as_bytes());
    Error::new(kind)
        .with_cause(cause)
        .with_labels(labels)
        .with_reply(reply.unwrap_or_default().to_vec())
}

/// The text of a driver's error, short and without credentials.
pub(crate) fn text(error: &DriverError) -> String {
    let text = match &*error.kind {
        DriverKind::Command(command) => command.message.clone(),
        DriverKind::Authentication { message, .. } => {
            // The reason the server gave is the source of the driver's error.
            match std::error::Error::source(error).and_then(|e| e.downcast_ref::<DriverError>()) {
                Some(cause) => format!("authentication failed: {}", text(cause)),
                None => format!("authentication failed: {message}"),
            }
        }
        DriverKind::ServerSelection { message, .. } => no_server(message),
        DriverKind::Io(error) => io_text(error),
        DriverKind::ConnectionPoolCleared { message, .. } => message.replace("Kind: ", ""),
        DriverKind::DnsResolve { message, .. } => {
            format!("the host name was not resolved: {}", no_record(message))
        }
        DriverKind::InvalidResponse { message, .. } => invalid_reply(&not_bson(message)),
        DriverKind::Bson(error) => invalid_reply(&not_bson(&error.to_string())),
        DriverKind::InvalidArgument { message, .. } if is_arithmetic(message) => {
            invalid_reply("a length is impossible")
        }
        DriverKind::Internal { message, .. } if is_decompression(message) => invalid_reply(message),
        kind if is_without_balancer(kind) => {
            "the server is not behind a load balancer: leave loadBalanced=true out of the connection string".into()
        }
        DriverKind::InvalidArgument { message, .. }
        | DriverKind::InvalidTlsConfig { message, .. }
        | DriverKind::IncompatibleServer { message, .. }
        | DriverKind::Transaction { message, .. }
        | DriverKind::Internal { message, .. } => message.clone(),
        DriverKind::SessionsNotSupported => "the server does not support sessions".into(),
        _ => "the driver failed with an unknown error".into(),
    };
    shorten(scrub(before_labels(&with_option_names(text))))
}

/// Replaces the names of the driver's fields and compile-time features, which a user cannot set, by options of the connection string.
fn with_option_names(text: String) -> String {
    let unsupported = [
        ("aws-auth", "authMechanism MONGODB-AWS"),
        ("gssapi-auth", "authMechanism GSSAPI"),
        (
            "azure-oidc",
            "authMechanism MONGODB-OIDC with ENVIRONMENT:azure",
        ),
        (
            "gcp-oidc",
            "authMechanism MONGODB-OIDC with ENVIRONMENT:gcp",
        ),
        ("cert-key-password", "tlsCertificateKeyFilePassword"),
        (
            "socks5-proxy",
            "a proxy (proxyHost, proxyPort, proxyUsername, proxyPassword)",
        ),
        ("dns-resolver", "mongodb+srv://"),
    ];
    if text.contains("feature") {
        let mut unsupported = unsupported.iter();
        if let Some((_, option)) = unsupported.find(|(feature, _)| text.contains(feature)) {
            return format!("{option} is not supported in this build");
        }
    }
    let names = [
        ("invalid max_staleness value:", "maxStalenessSeconds"),
        ("'heartbeat_freq'", "heartbeatFrequencyMS"),
        ("write concern `w_timeout` field", "wTimeoutMS"),
    ];
    names
        .iter()
        .fold(text, |text, (field, option)| text.replace(field, option))
}

/// The error of a reply that this crate cannot read.
pub(crate) fn invalid_reply_error(reason: &str) -> Error {
    Error::new(ErrorKind::Connection(invalid_reply(reason)))
}

fn invalid_reply(reason: &str) -> String {
    format!("the server sent an invalid reply: {reason}")
}

/// The fault of a reply that the driver decodes itself, without the codec options of find and aggregate.
fn not_bson(text: &str) -> String {
    let cause = text.trim_start_matches("BSON error. Kind: ");
    match cause.contains("UTF-8") {
        true => "text that is not UTF-8 (find() and aggregate() read such text with unicode_decode_error_handler=\"replace\")".into(),
        false => cause.to_owned(),
    }
}

/// The fault of a DNS look-up, without the query that the resolver prints:
/// `DNS error: no records found for Query { name: Name("a.b."), query_type: SRV, query_class: IN }`.
fn no_record(message: &str) -> String {
    let query = message.split_once("Query { name: Name(\"");
    let parts = query.and_then(|(_, query)| query.split_once("\"), query_type: "));
    match parts {
        Some((name, kind)) => {
            let kind = kind.split([',', ' ', '}']).next().unwrap_or_default();
            format!(
                "there is no {kind} record of {}",
                name.trim_end_matches('.')
            )
        }
        None => message.trim_start_matches("DNS error: ").to_owned(),
    }
}

/// Returns whether the driver's "invalid argument" is an impossible number in the header of a reply.
fn is_arithmetic(message: &str) -> bool {
    message.contains("arithmetic failure") || message.contains("integral type conversion")
}

/// The error of a deadline of this crate that passed; `failures` are those of the servers' heartbeats.
pub(crate) fn no_answer(timeout: Duration, failures: &[String]) -> Error {
    let mut message = format!(
        "no answer from the server within {} s (timeout)",
        seconds(timeout)
    );
    if !failures.is_empty() {
        message.push_str("; ");
        message.push_str(&shorten(failures.join("; ")));
    }
    Error::new(ErrorKind::Timeout(message))
}

/// Seconds, rounded to milliseconds: the rest of a deadline for one of several commands has many digits.
fn seconds(time: Duration) -> f64 {
    let millis = time.as_secs_f64() * 1e3;
    (if millis < 1.0 { millis } else { millis.round() }) / 1e3
}

/// Converts the server's error of an exceeded `maxTimeMS` to that of the deadline that the `maxTimeMS` follows from.
pub(crate) fn out_of_time(error: Error, timeout: Duration) -> Error {
    let ErrorKind::Operation { code, .. } = error.kind() else {
        return error;
    };
    if *code != MAX_TIME_MS_EXPIRED {
        return error;
    }
    let message = format!(
        "no answer from the server within {} s (timeout); the server has ended the operation",
        seconds(timeout)
    );
    Error::new(ErrorKind::Timeout(message))
        .with_labels(error.labels().to_vec())
        .with_reply(error.reply().to_vec())
}

fn operation(code: i32, code_name: &str, message: &str) -> ErrorKind {
    ErrorKind::Operation {
        code,
        code_name: code_name.to_owned(),
        message: message.to_owned(),
    }
}

fn io_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "the connection timed out".into(),
        io::ErrorKind::UnexpectedEof => "the server closed the connection".into(),
        _ => {
            let text = error.to_string();
            format!("connection failed: {}", meaning(&text).unwrap_or(&text))
        }
    }
}

/// The meaning of a library's error whose own text does not help a user.
fn meaning(text: &str) -> Option<&'static str> {
    let meanings = [
        (
            "UnknownIssuer",
            "the server's certificate has an unknown issuer (tlsCAFile names the authority to trust)",
        ),
        (
            "invalid peer certificate: Expired",
            "the server's certificate has expired",
        ),
        (
            "invalid peer certificate: certificate expired",
            "the server's certificate has expired",
        ),
        (
            "tls handshake eof",
            "the server closed the connection in the TLS handshake (does it speak TLS?)",
        ),
        (
            "InvalidContentType",
            "the server's reply is not TLS (does it speak TLS?)",
        ),
        (
            "without sending TLS close_notify",
            "the server closed the TLS connection (does it accept the client's certificate?)",
        ),
        (
            "unexpected end of file",
            "the server closed the connection (does it want TLS?)",
        ),
    ];
    let found = meanings.into_iter().find(|(said, _)| text.contains(said));
    found.map(|(_, meaning)| meaning)
}

/// The root cause for each host, from the driver's text of the whole topology:
/// `... { Address: h:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {}, ... }`.
fn no_server(message: &str) -> String {
    let mut causes = Vec::new();
    for server in message.split("{ Address: ").skip(1) {
        let host = server.split(',').next().unwrap_or_default();
        match server.split_once("Error: Kind: ") {
            Some((_, cause)) => {
                let cause = before_labels(cause);
                causes.push(format!("{host}: {}", meaning(cause).unwrap_or(cause)));
            }
            None => {
                let role = server
                    .split_once("Type: ")
                    .and_then(|(_, role)| role.split([',', ' ', '}']).next())
                    .unwrap_or("Unknown");
                causes.push(format!("{host}: {role}"));
            }
        }
    }
    let fault = if message.contains("suitable for criteria") {
        "no server suits the read preference"
    } else if message.contains("timeout") {
        "no server can be reached within serverSelectionTimeoutMS"
    } else {
        "no server can be reached"
    };
    // The driver drops hosts of another replica set from the topology.
    let set = message
        .split_once("Set Name: ")
        .and_then(|(_, set)| set.split([',', ' ', '}']).next());
    match (causes.is_empty(), set) {
        (false, _) => format!("{fault}: {}", causes.join("; ")),
        (true, Some(set)) => format!("{fault}: no host belongs to the replica set {set:?}"),
        (true, None) => fault.into(),
    }
}

/// Drops the driver's trailing dump of labels, source and server response.
fn before_labels(text: &str) -> &str {
    text.split(", labels: ").next().unwrap_or(text)
}

/// Replaces the text between `://` and `@`.
fn scrub(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        clean.push_str(before);
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(at) => {
                clean.push_str("***");
                &after[at..]
            }
            None => after,
        };
    }
    clean.push_str(rest);
    clean
}

fn shorten(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push_str(" ...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_hosts_cause() {
        let message = "Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [ \
            { Address: a:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {}, \
            source: None, server response: None }, { Address: b:2, Type: RsSecondary } ] }";
        assert_eq!(
            no_server(message),
            "no server can be reached within serverSelectionTimeoutMS: a:1: I/O error: Connection refused (os error 111); b:2: RsSecondary"
        );
        assert_eq!(
            no_server("... Topology: { Type: ReplicaSetNoPrimary, Set Name: s, Servers: [ ] }"),
            "no server can be reached: no host belongs to the replica set \"s\""
        );
        assert_eq!(no_server("changed text"), "no server can be reached");
    }

    #[test]
    fn tls_errors_have_a_meaning() {
        for (cause, meaning) in [
            (
                "I/O error: invalid peer certificate: UnknownIssuer",
                "unknown issuer",
            ),
            ("I/O error: invalid peer certificate: Expired", "expired"),
            ("I/O error: tls handshake eof", "does it speak TLS?"),
            ("I/O error: unexpected end of file", "does it want TLS?"),
        ] {
            let message =
                format!("{{ Address: a:1, Type: Unknown, Error: Kind: {cause}, labels: {{}} }}");
            let text = no_server(&message);
            assert!(
                text.starts_with("no server can be reached: a:1: the server"),
                "{text}"
            );
            assert!(text.contains(meaning), "{text}");
        }
    }

    #[test]
    fn the_missing_record_is_named() {
        let query =
            "Query { name: Name(\"_mongodb._tcp.a.b.\"), query_type: SRV, query_class: IN }";
        assert_eq!(
            no_record(&format!("DNS error: no records found for {query}")),
            "there is no SRV record of _mongodb._tcp.a.b"
        );
        assert_eq!(
            no_record("DNS error: request timed out"),
            "request timed out"
        );
    }

    #[test]
    fn scrubs_userinfo() {
        assert_eq!(
            scrub("at mongodb://joe:p@ss@host/x and mongodb://other/ end"),
            "at mongodb://***@host/x and mongodb://other/ end"
        );
    }
}
