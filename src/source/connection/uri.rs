//! Connection strings, and messages about them without user name, password or token.

use std::future::IntoFuture;

use futures_util::FutureExt;
#[cfg(unix)]
use mongodb::options::ServerAddress;
use mongodb::options::{ClientOptions, ConnectionString, HostInfo};
#[cfg(unix)]
use tokio::net::UnixStream;

use super::failure;
use crate::error::{Error, ErrorKind, Result};

/// A connection string that was accepted.
pub(crate) struct Address {
    /// The driver's form of the connection string.
    pub(crate) connection: ConnectionString,
    /// The connection string as it was given, with credentials.
    pub(crate) uri: String,
    /// Hosts and replica set.
    pub(crate) summary: String,
}

impl Address {
    /// Returns whether a host is a Unix socket that accepts no connection now.
    pub(crate) async fn is_local_and_down(&self) -> bool {
        #[cfg(unix)]
        if let HostInfo::HostIdentifiers(hosts) = &self.connection.host_info {
            for host in hosts {
                if let ServerAddress::Unix { path } = host {
                    if UnixStream::connect(path).await.is_err() {
                        return true;
                    }
                }
            }
        }
        false
    }
}

/// Reads a connection string. It does not block, as it looks up no names: `mongodb+srv` is resolved on first use.
pub(crate) fn parse(uri: &str) -> Result<Address> {
    check_authority(uri)?;
    let mut connection = ConnectionString::parse(uri).map_err(|_| refusal(uri))?;
    allow_unlimited_pool(&mut connection);
    check_options(&connection).map_err(|_| refusal(uri))?;
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
        uri: uri.to_owned(),
        summary,
    })
}

/// Replaces a `maxPoolSize` of 0, which means "no limit" in the specification of connection pools: the driver refuses it.
fn allow_unlimited_pool(connection: &mut ConnectionString) {
    if connection.max_pool_size == Some(0) {
        connection.max_pool_size = Some(u32::MAX);
    }
}

/// Returns an error if the options contradict each other. Without a DNS record to resolve, parsing is complete when first polled.
fn check_options(connection: &ConnectionString) -> mongodb::error::Result<()> {
    if let HostInfo::DnsRecord(_) = connection.host_info {
        return Ok(());
    }
    let parsing = ClientOptions::parse(connection.clone()).into_future();
    parsing
        .now_or_never()
        .map_or(Ok(()), |parsed| parsed.map(drop))
}

/// Refuses a password that is not percent-encoded and would be read as hosts, options or a database: its parts would be looked
/// up as host names and quoted in messages.
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

/// The error for a refused `uri`, made from a copy of it without secrets: the driver quotes the refused text.
fn refusal(uri: &str) -> Error {
    let clean = without_secrets(uri);
    let refused = ConnectionString::parse(&clean).and_then(|mut connection| {
        allow_unlimited_pool(&mut connection);
        check_options(&connection)
    });
    match refused {
        Err(error) => invalid(&failure::text(&error)),
        Ok(()) => invalid(
            "user name, password or a secret option is not valid; they must be percent-encoded (urllib.parse.quote_plus)",
        ),
    }
}

/// The same connection string with placeholders for user name, password and secret values, each only if it is present.
fn without_secrets(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return String::new();
    };
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let place = match place.rsplit_once('@') {
        Some((userinfo, hosts)) => {
            let (user, password) = match userinfo.split_once(':') {
                Some((user, _)) => (user, ":password"),
                None => (userinfo, ""),
            };
            let user = if user.is_empty() { "" } else { "user" };
            format!("{user}{password}@{hosts}")
        }
        None => place.to_owned(),
    };
    let options: Vec<_> = options.split('&').filter_map(without_secret).collect();
    match options.is_empty() {
        true => format!("{scheme}://{place}"),
        false => format!("{scheme}://{place}?{}", options.join("&")),
    }
}

/// The option with a placeholder for a secret value; `None` if its unknown name may be part of a secret.
fn without_secret(option: &str) -> Option<String> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let lower = name.to_ascii_lowercase();
    if lower == "authmechanismproperties" {
        let properties: Vec<_> = value.split(',').map(without_property).collect();
        return Some(format!("{name}={}", properties.join(",")));
    }
    match lower.as_str() {
        "tlscertificatekeyfilepassword" | "proxyusername" | "proxypassword" => {
            Some(format!("{name}=x"))
        }
        // A name that the driver does not know may be part of a secret.
        _ if ["password", "token", "username"]
            .iter()
            .any(|secret| lower.contains(secret)) =>
        {
            None
        }
        _ => Some(option.to_owned()),
    }
}

/// A property of an authentication mechanism with a placeholder for its value, unless the value is known to be no secret.
fn without_property(property: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "ENVIRONMENT:azure",
        "ENVIRONMENT:gcp",
        "ENVIRONMENT:k8s",
        "ENVIRONMENT:x",
        "TOKEN_RESOURCE:x",
        "SERVICE_NAME:x",
        "SERVICE_HOST:x",
        "AWS_SESSION_TOKEN:x",
        "CANONICALIZE_HOST_NAME:x",
    ];
    let Some((name, _)) = property.split_once(':') else {
        return "x";
    };
    let same = |known: &&&str| **known == property;
    let named = |known: &&&str| known.strip_suffix(":x") == Some(name);
    let mut known = KNOWN.iter();
    let found = known.find(same).or_else(|| KNOWN.iter().find(named));
    found.copied().unwrap_or("x:x")
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
    fn the_summary_has_hosts_and_set_only() {
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
    fn refusals_give_the_reason() {
        for (uri, reason) in [
            ("mongodb://h/?maxPoolSize=many", "maxpoolsize"),
            ("mongodb://h/?noSuchOption=1", "nosuchoption"),
            ("mongodb://joe:a@b@h/", "percent-encoded"),
            (
                "mongodb://joe@h/?authMechanism=PLAIN",
                "No password provided",
            ),
            (
                "mongodb://h/?authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:test",
                "unsupported environment",
            ),
            (
                "mongodb://h/?authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:gcp",
                "TOKEN_RESOURCE",
            ),
            (
                "mongodb://h/?authMechanismProperties=ENVIRONMENT:k8s,b",
                "colon-separated",
            ),
            (
                "mongodb://h/?readPreference=nearest&maxStalenessSeconds=3",
                "maxStalenessSeconds must be at least 90",
            ),
        ] {
            let text = refused(uri);
            assert!(text.contains(reason), "{text}");
        }
    }

    #[test]
    fn refusals_name_no_cargo_feature() {
        for (uri, reason) in [
            (
                "authMechanism=MONGODB-AWS",
                "MONGODB-AWS is not supported in this build",
            ),
            (
                "authMechanism=GSSAPI",
                "GSSAPI is not supported in this build",
            ),
            (
                "tlsCertificateKeyFilePassword=x",
                "tlsCertificateKeyFilePassword is not supported in this build",
            ),
            ("proxyHost=h", "proxyHost"),
            ("proxyPassword=h", "proxyPassword"),
        ] {
            let text = refused(&format!("mongodb://joe:a@h/?{uri}"));
            assert!(text.contains(reason) && !text.contains("feature"), "{text}");
        }
    }

    #[test]
    fn max_pool_size_zero_is_no_limit() {
        let address = parse("mongodb://h/?maxPoolSize=0").unwrap();
        assert_eq!(address.connection.max_pool_size, Some(u32::MAX));
    }
}
