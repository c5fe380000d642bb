//! Pure: paths of pages, and the page to which a user returns after the sign-in. Only pages of this host: an address from a link is not trusted.

use std::fmt;

use super::address::encode;

/// Where a user starts.
pub const START: &str = "/admin/coverage/base-stations";
/// Live updates of that page.
pub const LIVE: &str = "/admin/coverage/live";
/// Starts a sync, and shows the confirmation of one that deletes stations.
pub const SYNC: &str = "/admin/coverage/sync";
/// The map of the stations.
pub const MAP: &str = "/admin/coverage/map";
/// The file of the tiles behind the map.
pub const MAP_TILES: &str = "/admin/coverage/map/tiles.pmtiles";
/// The history of the runs.
pub const RUNS: &str = "/admin/coverage/runs";
/// The schedules of a connection.
pub const SCHEDULES: &str = "/admin/coverage/schedules";
/// Requests a run of a schedule now.
pub const RUN_SCHEDULE: &str = "/admin/coverage/schedules/run";
/// All connections, and what happened to one of them.
pub const CONNECTIONS: &str = "/admin/coverage/connections";
/// The signed-in user.
pub const ME: &str = "/admin/me";
/// Longer addresses are not kept.
const MAX_BYTES: usize = 2000;

/// The path, with its query, of a page of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnPath(String);

impl ReturnPath {
    /// The requested path if it is that of a page, or else that of the first page.
    pub fn new(requested: &str) -> Self {
        let is_page = (requested.starts_with("/admin/coverage/") || requested == ME)
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
        assert_eq!(ReturnPath::new(ME).to_string(), ME);
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
