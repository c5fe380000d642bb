//! A file of tiles in the format PMTiles, version 3: <https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md>.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Length of the header in bytes.
const HEADER_BYTES: usize = 127;
/// The first bytes of a file.
const MAGIC: &[u8] = b"PMTiles";
/// The version of the format that the script reads.
const VERSION: u8 = 3;

/// Offsets in the header.
mod offset {
    pub const VERSION: usize = 7;
    pub const INTERNAL_COMPRESSION: usize = 97;
    pub const TILE_COMPRESSION: usize = 98;
    pub const TILE_TYPE: usize = 99;
    pub const MIN_ZOOM: usize = 100;
    pub const MAX_ZOOM: usize = 101;
}

/// A PMTiles file that the operator serves. It may be replaced while the operator runs by one of the same format and zoom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileFile {
    path: PathBuf,
    format: TileFormat,
    min_zoom: u8,
    max_zoom: u8,
}

/// What the tiles are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileFormat {
    /// Vector tiles. The script draws those with the layers of Protomaps' basemaps.
    Vector,
    /// PNG, JPEG, WebP or AVIF.
    Image,
}

/// Why a file cannot be the background of the map.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTileFile {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The file is not PMTiles.
    #[error("it is not a PMTiles file of version 3: convert it with `pmtiles convert`")]
    Format,
    /// Browsers cannot decompress it.
    #[error(
        "its directories and tiles must be compressed with gzip or not at all: convert it with `pmtiles convert`"
    )]
    Compression,
    /// The script cannot draw its tiles.
    #[error("its tiles must be vector tiles (MVT) or images (PNG, JPEG, WebP, AVIF), their type is {0}")]
    TileType(u8),
}

impl TileFile {
    /// Reads the header of a file.
    pub(super) fn open(path: &Path) -> Result<Self, InvalidTileFile> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        File::open(path)?
            .take(HEADER_BYTES as u64)
            .read_to_end(&mut header)?;
        Self::from_header(path, &header)
    }

    fn from_header(path: &Path, header: &[u8]) -> Result<Self, InvalidTileFile> {
        let is_known =
            header.len() == HEADER_BYTES && header.starts_with(MAGIC) && header[offset::VERSION] == VERSION;
        if !is_known {
            return Err(InvalidTileFile::Format);
        }
        // 1: none, 2: gzip.
        let is_readable = |compression: usize| [1, 2].contains(&header[compression]);
        if ![offset::INTERNAL_COMPRESSION, offset::TILE_COMPRESSION]
            .into_iter()
            .all(is_readable)
        {
            return Err(InvalidTileFile::Compression);
        }
        let format = match header[offset::TILE_TYPE] {
            1 => TileFormat::Vector,
            2..=5 => TileFormat::Image,
            other => return Err(InvalidTileFile::TileType(other)),
        };
        Ok(Self {
            path: path.to_owned(),
            format,
            min_zoom: header[offset::MIN_ZOOM],
            max_zoom: header[offset::MAX_ZOOM],
        })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the tiles are.
    pub fn format(&self) -> TileFormat {
        self.format
    }

    /// The smallest zoom of a tile; 0 is the world in one tile.
    pub fn min_zoom(&self) -> u8 {
        self.min_zoom
    }

    /// The largest zoom of a tile: beyond it, tiles are enlarged.
    pub fn max_zoom(&self) -> u8 {
        self.max_zoom
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(changes: &[(usize, u8)]) -> Vec<u8> {
        let mut header = vec![0; HEADER_BYTES];
        header[..MAGIC.len()].copy_from_slice(MAGIC);
        for (offset, value) in [
            (offset::VERSION, VERSION),
            (offset::INTERNAL_COMPRESSION, 2),
            (offset::TILE_COMPRESSION, 1),
            (offset::TILE_TYPE, 1),
            (offset::MAX_ZOOM, 15),
        ] {
            header[offset] = value;
        }
        for (offset, value) in changes {
            header[*offset] = *value;
        }
        header
    }

    fn open(header: &[u8]) -> Result<TileFile, InvalidTileFile> {
        TileFile::from_header(Path::new("a.pmtiles"), header)
    }

    #[test]
    fn the_header_tells_what_the_tiles_are() {
        let file = open(&header(&[])).unwrap();
        assert_eq!(
            (file.format(), file.min_zoom(), file.max_zoom()),
            (TileFormat::Vector, 0, 15)
        );
        for tile_type in 2..=5 {
            let file = open(&header(&[(offset::TILE_TYPE, tile_type)])).unwrap();
            assert_eq!(file.format(), TileFormat::Image);
        }
    }

    #[test]
    fn a_file_that_the_map_cannot_show_is_rejected() {
        let rejected = |header: &[u8]| open(header).unwrap_err().to_string();
        let whole = header(&[]);
        for invalid in [
            &whole[..HEADER_BYTES - 1],
            &[],
            &header(&[(0, b'p')]),
            &header(&[(offset::VERSION, 2)]),
        ] {
            assert!(rejected(invalid).contains("version 3"));
        }
        for compression in [offset::INTERNAL_COMPRESSION, offset::TILE_COMPRESSION] {
            assert!(rejected(&header(&[(compression, 3)])).contains("gzip"));
        }
        for tile_type in [0, 6] {
            assert!(rejected(&header(&[(offset::TILE_TYPE, tile_type)])).contains("vector tiles"));
        }
    }
}
