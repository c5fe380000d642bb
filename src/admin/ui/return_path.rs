//! Addresses of pages, and the page to which a user returns after the sign-in. Only pages of this host: an address from a link is not trusted.

use std::fmt;

use super::address::{address, encode};
use crate::admin::defaults::Defaults;
use crate::admin::state::AdminState;
use crate::admin::station_query::ConnectionQuery;
use crate::admin::stations::connection_key;

/// Where a user starts.
pub const START: &str = "/admin/coverage/base-stations";
/// Live updates of that page.
pub const LIVE: &str = "/admin/coverage/live";
/// Starts a sync, and shows the confirmation of one that deletes stations.
pub const SYNC: &str = "/admin/coverage/sync";
/// The history of the runs.
pub const RUNS: &str = "/admin/coverage/runs";
/// Longer addresses are not kept.
const MAX_BYTES: usize = 2000;

/// The path, with its query, of a page of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnPath(String);

impl ReturnPath {
    /// The requested path if it is that of a page, or else that of the first page.
    pub fn new(requested: &str) -> Self {
        let is_page = requested.starts_with("/admin/coverage/")
            && requested.len() <= MAX_BYTES
            && requested.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        Self(if is_page { requested } else { START }.to_owned())
    }
}

impl fmt::Display for ReturnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The page of a connection. That of the default connection has no query.
pub fn of_connection(state: &AdminState, query: &ConnectionQuery) -> String {
    with_connection(START, state, query)
}

/// Live updates of the page of a connection.
pub fn live(state: &AdminState, query: &ConnectionQuery) -> String {
    with_connection(LIVE, state, query)
}

/// The confirmation of a sync of a connection that deletes stations.
pub fn confirmation(state: &AdminState, query: &ConnectionQuery) -> String {
    with_connection(SYNC, state, query)
}

fn with_connection(path: &str, state: &AdminState, query: &ConnectionQuery) -> String {
    let (namespace, connection) = connection_key(state, query);
    let Defaults {
        namespace: default_namespace,
        connection: default_connection,
    } = &state.defaults;
    if (namespace, connection) == (default_namespace, default_connection) {
        return path.to_owned();
    }
    let pairs = [
        ("namespace", namespace.to_owned()),
        ("connection", connection.to_owned()),
    ];
    address(path, &pairs)
}

/// The address of the sign-in page that leads to this page.
pub fn sign_in(path: &ReturnPath) -> String {
    if path.0 == START {
        return "/admin/sign-in".to_owned();
    }
    format!("/admin/sign-in?to={}", encode(&path.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_host_are_returned_to() {
        let page = "/admin/coverage/base-stations?market=East%20%26%20West";
        assert_eq!(ReturnPath::new(page).to_string(), page);
        for other in [
            "",
            "/",
            "//evil.example/admin/coverage/",
            "https://evil.example/admin/coverage/",
            "/\\evil.example",
            "/admin/coverage/\\evil",
            "/admin/coverage/\r\nSet-Cookie: a=b",
            "/admin/sign-out",
            "admin/coverage/",
            &format!("/admin/coverage/{}", "a".repeat(MAX_BYTES)),
        ] {
            assert_eq!(ReturnPath::new(other).to_string(), START, "{other:?}");
        }
    }

    #[test]
    fn the_sign_in_page_keeps_the_requested_page() {
        assert_eq!(sign_in(&ReturnPath::new("")), "/admin/sign-in");
        assert_eq!(
            sign_in(&ReturnPath::new("/admin/coverage/base-stations?a=b&c")),
            "/admin/sign-in?to=%2Fadmin%2Fcoverage%2Fbase%2Dstations%3Fa%3Db%26c"
        );
    }
}
