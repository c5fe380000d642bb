//! A tile server.

use reqwest::Url;

/// The parts of the URL that a browser replaces.
const PLACEHOLDERS: [&str; 3] = ["{z}", "{x}", "{y}"];

/// A server of images, whose tiles are those of Web Mercator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileServer {
    /// URL of a tile, with the placeholders.
    url: String,
    /// Scheme, host and port; `None` if it is the host of the pages.
    origin: Option<String>,
}

impl TileServer {
    /// The server of this URL, or why it is rejected.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        Ok(Self {
            origin: origin(url)?,
            url: url.to_owned(),
        })
    }

    /// URL of a tile, with `{z}`, `{x}` and `{y}`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The origin that the page may load images from; `None` if it is its own.
    pub(super) fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }
}

/// The origin of the URL of a tile.
fn origin(url: &str) -> Result<Option<String>, &'static str> {
    let has_placeholders = PLACEHOLDERS.iter().all(|part| url.contains(part));
    let tile = PLACEHOLDERS
        .iter()
        .fold(url.to_owned(), |url, part| url.replace(part, "0"));
    if !has_placeholders || tile.contains(['{', '}']) {
        return Err(
            "--map-tile-url must have {z}, {x} and {y} and no other placeholders, like https://tiles.example.org/{z}/{x}/{y}.png",
        );
    }
    if tile.starts_with('/') && !tile.starts_with("//") {
        return Ok(None);
    }
    match Url::parse(&tile) {
        Ok(url)
            if ["http", "https"].contains(&url.scheme())
                && url.username().is_empty()
                && url.password().is_none() =>
        {
            Ok(Some(url.origin().ascii_serialization()))
        }
        _ => Err(
            "--map-tile-url must be a URL with https:// or http:// and without user and password, or begin with a slash: a path of the host \
             of the pages",
        ),
    }
}
