//! Connection strings, and what may be said of them: never a user name, a password or a token.

use std::future::IntoFuture;

use futures_util::FutureExt;
use mongodb::options::{ClientOptions, ConnectionString, HostInfo};

use super::failure;
use crate::error::{Error, ErrorKind, Result};

/// A connection string that was accepted.
pub(crate) struct Address {
    /// What to make a driver client from.
    pub(crate) connection: ConnectionString,
    /// Hosts and replica set.
    pub(crate) summary: String,
}

/// Reads a connection string without looking a name up, so that it cannot block: `mongodb+srv` is resolved on first use.
pub(crate) fn parse(uri: &str) -> Result<Address> {
    check_authority(uri)?;
    let connection = ConnectionString::parse(uri).map_err(|_| reason(uri))?;
    agree(&connection).map_err(|_| reason(uri))?;
    let mut summary = match &connection.host_info {
        HostInfo::HostIdentifiers(hosts) => {
            let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
            hosts.join(",")
        }
        HostInfo::DnsRecord(name) => name.clone(),
        _ => String::new(),
    };
    if let Some(set) = &connection.replica_set {
        summary.push_str("/?replicaSet=");
        summary.push_str(set);
    }
    Ok(Address {
        connection,
        summary,
    })
}

/// Whether the options agree with each other. Without a DNS record to resolve, this is complete when first polled.
fn agree(connection: &ConnectionString) -> mongodb::error::Result<()> {
    if let HostInfo::DnsRecord(_) = connection.host_info {
        return Ok(());
    }
    let parsing = ClientOptions::parse(connection.clone()).into_future();
    parsing
        .now_or_never()
        .map_or(Ok(()), |parsed| parsed.map(drop))
}

/// Refuses a password that was not percent-encoded and so would be taken for hosts, options or a database: its parts
/// would be looked up as host names and quoted in messages.
fn check_authority(uri: &str) -> Result<()> {
    let Some((_, rest)) = uri.split_once("://") else {
        return Ok(());
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if tail.contains('@') && !authority.contains('@') {
        return Err(invalid(
            "an \"@\" after the hosts: user name and password must be percent-encoded (urllib.parse.quote_plus), \
             and an \"@\" in an option is written %40",
        ));
    }
    if authority.matches('@').count() > 1 {
        return Err(invalid(
            "more than one \"@\": user name and password must be percent-encoded (urllib.parse.quote_plus)",
        ));
    }
    Ok(())
}

/// Why the driver refuses `uri`, from a copy of it that holds no secret: the driver quotes what it refuses.
fn reason(uri: &str) -> Error {
    let clean = without_secrets(uri);
    let refused = ConnectionString::parse(&clean).and_then(|connection| agree(&connection));
    match refused {
        Err(error) => invalid(&failure::text(&error)),
        Ok(()) => invalid(
            "user name, password or a secret option is not valid; they must be percent-encoded (urllib.parse.quote_plus)",
        ),
    }
}

fn without_secrets(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return String::new();
    };
    let rest = match rest.rsplit_once('@') {
        Some((_, hosts)) => format!("user:password@{hosts}"),
        None => rest.to_owned(),
    };
    let Some((place, options)) = rest.split_once('?') else {
        return format!("{scheme}://{rest}");
    };
    let options: Vec<_> = options
        .split('&')
        .filter(|option| {
            let name = option.split('=').next().unwrap_or("").to_ascii_lowercase();
            !["password", "token", "properties", "username"]
                .iter()
                .any(|secret| name.contains(secret))
        })
        .collect();
    format!("{scheme}://{place}?{}", options.join("&"))
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument(format!(
        "invalid connection string: {text}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(uri: &str) -> String {
        match parse(uri) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{uri} was accepted"),
        }
    }

    #[test]
    fn says_where_it_leads_and_nothing_else() {
        let address =
            parse("mongodb://joe:hunter2@a:1,b/shop?replicaSet=r&authSource=admin").unwrap();
        assert_eq!(address.summary, "a:1,b:27017/?replicaSet=r");
        assert_eq!(address.connection.default_database.as_deref(), Some("shop"));
        let srv = parse("mongodb+srv://joe:hunter2@cluster.example.com/").unwrap();
        assert_eq!(srv.summary, "cluster.example.com");
    }

    #[test]
    fn refusals_never_quote_secrets() {
        for uri in [
            "mongodb://joe:hunt@er2@host/",
            "mongodb://joe:hunt/er2@host/",
            "mongodb://joe:hunt?er2@host/",
            "mongodb://joe:hunt:er2@host/",
            "mongodb://joe:hunter2%@host/",
            "mongodb://joe:hunter2@host:nope/",
            "mongodb://joe:hunter2@host/?maxPoolSize=many",
            "mongodb://joe:hunter2@host/?socketTimeoutMS=1",
            "mongodb://joe:hunter2@host/?noSuchOption=1",
            "mongodb://host/?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:hunter2,x",
            "mongodb://joe:hunter2@host/?directConnection=true&replicaSet=r&loadBalanced=true",
            "joe:hunter2@host",
            "http://joe:hunter2@host",
            "mongodb://joe:hunter2@",
            "mongodb+srv://joe:hunter2@host:27017/",
        ] {
            let text = refused(uri);
            for secret in ["hunt", "er2", "joe"] {
                assert!(!text.contains(secret), "{uri}: {text}");
            }
        }
    }

    #[test]
    fn refusals_say_why() {
        for (uri, reason) in [
            ("mongodb://h/?maxPoolSize=many", "maxpoolsize"),
            ("mongodb://h/?noSuchOption=1", "nosuchoption"),
            ("mongodb://joe:a@b@h/", "percent-encoded"),
        ] {
            let text = refused(uri);
            assert!(text.contains(reason), "{text}");
        }
    }
}
