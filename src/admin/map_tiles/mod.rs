#![doc = include_str!("README.md")]

mod file;
mod server;

use std::path::Path;

pub use file::{InvalidTileFile, TileFile, TileFormat};
pub use server::TileServer;

/// The tiles behind the map, and whom to credit for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapTiles {
    source: TileSource,
    attribution: String,
}

/// Where browsers load tiles from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TileSource {
    Server(TileServer),
    File(TileFile),
}

/// Why the flags of the tiles are rejected. The URL may hold a key, so that the message does not quote it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMapTiles {
    /// The flags contradict each other, or the URL is invalid.
    #[error("{0}")]
    Flags(&'static str),
    /// The file is not one of tiles that the map can show.
    #[error("--map-tile-file {path}: {source}")]
    File {
        /// Path of the file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: InvalidTileFile,
    },
}

impl MapTiles {
    /// The tiles of `--map-tile-url`, `--map-tile-file` and `--map-attribution`; `None` if there are none. Reads the header of the file.
    pub fn from_flags(
        url: &str,
        file: Option<&Path>,
        attribution: &str,
    ) -> Result<Option<Self>, InvalidMapTiles> {
        let (url, attribution) = (url.trim(), attribution.trim());
        let source = match (url, file) {
            ("", None) if attribution.is_empty() => return Ok(None),
            ("", None) => Err(
                "--map-attribution has no effect without --map-tile-url or --map-tile-file: add one, or remove it",
            ),
            (_, Some(_)) if !url.is_empty() => {
                Err("--map-tile-url and --map-tile-file contradict each other: remove one")
            }
            _ if attribution.is_empty() => Err(
                "--map-tile-url and --map-tile-file need --map-attribution: whom the map credits, for example © OpenStreetMap contributors",
            ),
            (_, Some(path)) => return Self::from_file(path, attribution).map(Some),
            (_, None) => TileServer::parse(url),
        };
        Ok(Some(Self {
            source: TileSource::Server(source.map_err(InvalidMapTiles::Flags)?),
            attribution: attribution.to_owned(),
        }))
    }

    fn from_file(path: &Path, attribution: &str) -> Result<Self, InvalidMapTiles> {
        let file = TileFile::open(path).map_err(|source| InvalidMapTiles::File {
            path: path.display().to_string(),
            source,
        })?;
        Ok(Self {
            source: TileSource::File(file),
            attribution: attribution.to_owned(),
        })
    }

    /// The tile server, if the tiles are of one.
    pub fn server(&self) -> Option<&TileServer> {
        match &self.source {
            TileSource::Server(server) => Some(server),
            TileSource::File(_) => None,
        }
    }

    /// The file, if the tiles are of one.
    pub fn file(&self) -> Option<&TileFile> {
        match &self.source {
            TileSource::Server(_) => None,
            TileSource::File(file) => Some(file),
        }
    }

    /// What the page may load images from, other than its own origin, as a source of a Content-Security-Policy.
    pub fn image_source(&self) -> Option<&str> {
        match &self.source {
            TileSource::Server(server) => server.origin(),
            // The script makes an image of a part of the file.
            TileSource::File(file) => (file.format() == TileFormat::Image).then_some("blob:"),
        }
    }

    /// Whom the map credits, as text.
    pub fn attribution(&self) -> &str {
        &self.attribution
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_server_is_contacted_only_at_its_origin() {
        for (url, origin) in [
            (
                "https://Tiles.example.org/{z}/{x}/{y}.png?key=a",
                Some("https://tiles.example.org"),
            ),
            ("http://127.0.0.1:8080/{z}/{y}/{x}", Some("http://127.0.0.1:8080")),
            (
                "https://bücher.example/{z}/{x}/{y}",
                Some("https://xn--bcher-kva.example"),
            ),
            (" /tiles/{z}/{x}/{y}.png ", None),
        ] {
            let tiles = MapTiles::from_flags(url, None, " © Them ").unwrap().unwrap();
            assert_eq!(
                (tiles.image_source(), tiles.attribution()),
                (origin, "© Them"),
                "{url}"
            );
            assert_eq!(tiles.server().unwrap().url(), url.trim());
        }
        assert!(MapTiles::from_flags("", None, " ").unwrap().is_none());
    }

    #[test]
    fn invalid_flags_are_named_without_the_url() {
        let message = |url, file: Option<&str>, attribution| {
            MapTiles::from_flags(url, file.map(Path::new), attribution)
                .unwrap_err()
                .to_string()
        };
        for (url, attribution, part) in [
            ("", "© Them", "--map-attribution has no effect"),
            ("https://secret.example/{z}/{x}/{y}", "", "need --map-attribution"),
            ("https://secret.example/{z}/{x}", "©", "{z}, {x} and {y}"),
            (
                "https://{s}.secret.example/{z}/{x}/{y}",
                "©",
                "no other placeholders",
            ),
            ("//secret.example/{z}/{x}/{y}", "©", "https://"),
            ("ftp://secret.example/{z}/{x}/{y}", "©", "https://"),
            (
                "https://me:secret@example.org/{z}/{x}/{y}",
                "©",
                "without user and password",
            ),
            ("secret/{z}/{x}/{y}", "©", "https://"),
        ] {
            let message = message(url, None, attribution);
            assert!(message.contains(part), "{url}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
        let both = message("https://a.org/{z}/{x}/{y}", Some("/a.pmtiles"), "©");
        assert!(both.contains("contradict"), "{both}");
        assert!(message("", Some("/a.pmtiles"), " ").contains("need --map-attribution"));
        let missing = message("", Some("/nowhere/a.pmtiles"), "©");
        assert!(
            missing.starts_with("--map-tile-file /nowhere/a.pmtiles: "),
            "{missing}"
        );
    }
}
