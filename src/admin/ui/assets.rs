//! Serves the files of the pages, which are embedded in the binary.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::admin::problem::Problem;

/// An embedded file.
#[derive(Debug)]
struct Asset {
    /// Name with a hash of the content, such as `page.3f2a9c01.css`.
    file_name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    /// The same, compressed.
    gzip: &'static [u8],
}

// `ASSETS`, and the macro `asset!("page.css")`.
include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What every page loads.
#[derive(Clone, Copy, Debug)]
pub struct PageAssets {
    pub icon: &'static str,
    pub styles: &'static str,
    /// In the order in which they run.
    pub scripts: [&'static str; 2],
    pub licenses: &'static str,
}

/// The files of every page.
pub const PAGE_ASSETS: PageAssets = PageAssets {
    icon: asset!("icon.svg"),
    styles: asset!("page.css"),
    scripts: [asset!("htmx.js"), asset!("page.js")],
    licenses: asset!("licenses.txt"),
};

/// What the page of the map loads as well.
#[derive(Clone, Copy, Debug)]
pub struct MapAssets {
    pub styles: &'static str,
    pub leaflet: &'static str,
    /// Reads a file of tiles, if there is one.
    pub pmtiles: &'static str,
    /// Draws vector tiles, if the file has them.
    pub vector_tiles: &'static str,
    pub script: &'static str,
    pub world: &'static str,
}

/// The files of the map.
pub const MAP_ASSETS: MapAssets = MapAssets {
    styles: asset!("leaflet.css"),
    leaflet: asset!("leaflet.js"),
    pmtiles: asset!("pmtiles.js"),
    vector_tiles: asset!("protomaps.js"),
    script: asset!("map.js"),
    world: asset!("world.svg"),
};

/// Returns an asset. Requires nothing: the files are the same for everybody.
pub async fn serve(Path(file_name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.file_name == file_name);
    let asset = asset.ok_or_else(|| Problem::NotFound("there is no such file".to_owned()))?;
    let common = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        // The name changes with the content.
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    let gzip = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
    Ok(if accepts_gzip(&headers) {
        (common, gzip, asset.gzip).into_response()
    } else {
        (common, asset.bytes).into_response()
    })
}

/// Whether the client accepts a compressed response (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut accepted = codings.filter_map(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=")?.parse::<f32>().ok()?;
        (name.trim().eq_ignore_ascii_case("gzip")).then_some(weight > 0.0)
    });
    accepted.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_only_if_it_is_accepted() {
        let cases = [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
            ("", false),
            ("gzip;level=9", false),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), expected, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn the_files_are_small_and_load_nothing_from_elsewhere() {
        let size = |part: &str| {
            let parts = ASSETS.iter().filter(|asset| asset.file_name.starts_with(part));
            parts.map(|asset| asset.gzip.len()).sum::<usize>()
        };
        let page = ["page.", "htmx.", "icon."].map(size).iter().sum::<usize>();
        let map = ["leaflet.", "map.", "world.", "pmtiles.", "protomaps."]
            .map(size)
            .iter()
            .sum::<usize>();
        assert!((1..100_000).contains(&page), "{page}");
        assert!((1..300_000).contains(&map), "{map}");
        for asset in ASSETS
            .iter()
            .filter(|asset| asset.media_type.starts_with("text/css"))
        {
            let text = String::from_utf8_lossy(asset.bytes);
            assert!(
                !text.contains("url(") && !text.contains("@import"),
                "{}",
                asset.file_name
            );
        }
    }
}
