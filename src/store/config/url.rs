//! Pure: parses the URL of a database, more strictly than the driver. No part of the URL appears in an error.
//!
//! A `/`, `?` or `#` that a password contains ends the host too early, and the rest of the password would be taken for the
//! database and shown. Such a URL has an `@` after that character, and is rejected for it. An `@` in a password does no
//! harm: a host contains none, so the last one ends the password.

use std::net::{IpAddr, Ipv6Addr};

use super::parameters::{Parameters, Rejected, TlsMode, decode, rejected};

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
const DEFAULT_PORT: u16 = 5432;

/// Where and how to connect. No `Debug`, because it contains the password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct DatabaseUrl {
    pub host: Host,
    pub port: u16,
    pub user: String,
    /// Empty if the URL has none.
    pub password: String,
    pub database: String,
    pub tls: TlsMode,
    /// Command-line options for the server, or settings for a pooler.
    pub options: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Host {
    /// A name or an address.
    Tcp(String),
    /// The folder of a Unix socket.
    Socket(String),
}

impl Host {
    /// For messages, before a colon and the port.
    pub fn display_name(&self) -> String {
        match self {
            Self::Tcp(host) if host.contains(':') => format!("[{host}]"),
            Self::Tcp(host) | Self::Socket(host) => host.clone(),
        }
    }
}

/// Parses a URL. As in libpq, a parameter overrides what stands before the `?`.
pub(super) fn parse(text: &str) -> Result<DatabaseUrl, Rejected> {
    let parts = split(text)?;
    let parameters = Parameters::parse(parts.query)?;
    let (user, password) = parts.login.split_once(':').unwrap_or((parts.login, ""));
    let (user, password, database) = (decode(user)?, decode(password)?, decode(parts.path)?);
    let (host, port) = address(parts.address)?;
    let given = |name: &str, otherwise: String| parameters.get(name).map_or(otherwise, str::to_owned);
    let url = DatabaseUrl {
        host: match (parameters.get("hostaddr"), parameters.get("host")) {
            (Some(address), _) => Host::Tcp(ip_address(address)?.to_string()),
            (None, Some(host)) => parse_host(host)?,
            (None, None) => host.ok_or_else(|| rejected("names no host"))?,
        },
        port: parameters.get("port").map_or(Ok(port), parse_port)?,
        user: given("user", user),
        password: given("password", password),
        database: given("dbname", database),
        tls: parameters.tls_mode()?,
        options: parameters.get("options").map(str::to_owned),
    };
    match (url.user.as_str(), url.database.as_str()) {
        ("", _) => Err(rejected("names no user")),
        (_, "") => Err(rejected("names no database")),
        _ => Ok(url),
    }
}

/// The parts of a URL, still encoded.
struct Parts<'a> {
    /// `user:password`
    login: &'a str,
    /// `host:port`
    address: &'a str,
    /// The database.
    path: &'a str,
    /// The parameters.
    query: &'a str,
}

fn split(text: &str) -> Result<Parts<'_>, Rejected> {
    let Some(rest) = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
        return Err(rejected("does not begin with postgres:// or postgresql://"));
    };
    if rest.contains(char::is_control) {
        return Err(rejected("contains a line break or another control character"));
    }
    if rest.contains('#') {
        return Err(rejected("contains a # that is not percent-encoded"));
    }
    let (front, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = front.split_once('/').unwrap_or((front, ""));
    if path.contains('@') || query.contains('@') {
        return Err(rejected(
            "contains an @ after a / or ?, as if one of these were a part of user or password",
        ));
    }
    if path.contains('/') {
        return Err(rejected("has more than one / after the host"));
    }
    let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    Ok(Parts {
        login,
        address,
        path,
        query,
    })
}

/// Parses `host:port`, `[address]:port`, or a part of it.
fn address(text: &str) -> Result<(Option<Host>, u16), Rejected> {
    let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
        let address = bracketed.split_once(']');
        let address = address.and_then(|(ip, after)| Some((ip.parse::<Ipv6Addr>().ok()?, after)));
        let (ip, after) = address.ok_or_else(|| rejected("has an invalid address in brackets"))?;
        let port = match after.strip_prefix(':') {
            Some(port) => port,
            None if after.is_empty() => "",
            None => return Err(rejected("has an invalid host")),
        };
        (Some(Host::Tcp(ip.to_string())), port)
    } else {
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        let host = decode(host)?;
        let host = (!host.is_empty()).then(|| parse_host(&host)).transpose()?;
        (host, port)
    };
    let port = if port.is_empty() {
        DEFAULT_PORT
    } else {
        parse_port(port)?
    };
    Ok((host, port))
}

fn parse_host(text: &str) -> Result<Host, Rejected> {
    if text.starts_with('/') {
        return Ok(Host::Socket(text.to_owned()));
    }
    let is_name_character = |c: char| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c);
    if !text.is_empty() && text.chars().all(is_name_character) {
        return Ok(Host::Tcp(text.to_owned()));
    }
    if text.contains(',') {
        return Err(rejected("names several hosts"));
    }
    Ok(Host::Tcp(ip_address(text)?.to_string()))
}

fn ip_address(text: &str) -> Result<IpAddr, Rejected> {
    text.parse().map_err(|_| rejected("has an invalid host"))
}

fn parse_port(text: &str) -> Result<u16, Rejected> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(rejected("has an invalid port")),
    }
}
