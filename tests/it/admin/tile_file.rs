//! A file of tiles behind the map: the parts of it that the operator returns, and the map in a browser.

use std::path::{Path, PathBuf};

use tarana_operator::admin::MapTiles;

use super::browser;
use super::client::AdminClient;
use super::page_client::{Browser, MAP_TILES, read};
use crate::environment::TestEnvironment;
use crate::servers;

/// The tests of a map with a file of tiles.
const TESTS: &str = "tile_file.test.mjs";

/// A vector tile that is land: a layer `earth` with a polygon, the whole tile.
const LAND: &[u8] = b"\x1a\x20\x78\x02\x0a\x05earth\x28\x80\x20\x12\x12\x18\x03\x22\x0e\x09\x00\x00\x1a\x80\x40\x00\x00\x80\x40\xff\x3f\x00\x0f";

/// A picture of one pixel.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\xdacd`\xf8_\x0f\0\x02\x87\x01\x80\xeb\x47\xba\x92\0\0\0\0IEND\xaeB`\x82";

/// Writes a PMTiles file whose tiles of zoom 0 and 1 are all `tile`, which is of this type.
fn write_tiles(path: &Path, tile_type: u8, tile: &[u8]) {
    let metadata = b"{}";
    // One entry: from tile 0, 5 tiles, their length, at the beginning of the data.
    let directory = [1, 0, 5, u8::try_from(tile.len()).unwrap(), 1];
    let sections = [directory.len(), metadata.len(), 0, tile.len()];
    let mut file = b"PMTiles\x03".to_vec();
    let mut offset = 127;
    for length in sections {
        for number in [offset, length as u64] {
            file.extend(number.to_le_bytes());
        }
        offset += length as u64;
    }
    for count in [5_u64, 1, 1] {
        file.extend(count.to_le_bytes());
    }
    // Clustered, neither directories nor tiles compressed, of this type, for zoom 0 to 1.
    file.extend([1, 1, 1, tile_type, 0, 1]);
    file.resize(127, 0);
    for section in [&directory[..], metadata, tile] {
        file.extend(section);
    }
    std::fs::write(path, file).unwrap();
}

/// An admin API whose map has a file with such tiles, which the test removes.
async fn with_file(tile_type: u8, tile: &[u8]) -> (AdminClient, PathBuf) {
    let env = TestEnvironment::bare(servers::tcs_with(4)).await;
    let path = std::env::temp_dir().join(format!("{}.pmtiles", env.namespace));
    write_tiles(&path, tile_type, tile);
    let admin = AdminClient::start_configured(env, |config| {
        config.map_tiles = MapTiles::from_flags("", Some(&path), "© Them").unwrap();
    })
    .await;
    admin.create_connection().await;
    (admin, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_file_is_returned_to_signed_in_users() {
    let (admin, path) = with_file(1, LAND).await;
    let viewer = Browser::signed_in(&admin, &admin.viewer).await;
    let part = read(viewer.request("GET", MAP_TILES).header("range", "bytes=0-7")).await;
    assert_eq!(
        (part.status, part.text.as_str()),
        (206, "PMTiles\u{3}"),
        "{part:?}"
    );
    let length = std::fs::metadata(&path).unwrap().len();
    assert_eq!(part.header("content-range"), format!("bytes 0-7/{length}"));
    assert_eq!(part.header("cache-control"), "no-store");
    let beyond = viewer.request("GET", MAP_TILES).header("range", "bytes=9999999-");
    assert_eq!(read(beyond).await.status, 416);
    assert_eq!(Browser::new(&admin).get(MAP_TILES).await.status, 303);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(viewer.get(MAP_TILES).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_tiles_is_the_background_of_the_map_in_a_browser() {
    for (tile_type, tile) in [(1, LAND), (2, PIXEL)] {
        let (admin, path) = with_file(tile_type, tile).await;
        admin.env.run("first", serde_json::json!({})).await;
        let mut command = browser::command(&admin, &["--test", TESTS].map(str::to_owned)).await;
        command.env("TARANA_TILES", &path);
        browser::run(command).await;
    }
}
