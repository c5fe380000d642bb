//! The page of the map.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::drawing::Drawing;
use crate::admin::map_query::MapViewQuery;
use crate::admin::map_tiles::{MapTiles, TileFile, TileFormat};
use crate::admin::map_view::{MAX_ZOOM, MapView};
use crate::admin::problem::Problem;
use crate::admin::state::SharedState;
use crate::admin::station_map::{DRAWING, map_view};
use crate::admin::station_query::{FilterQuery, PageQuery};
use crate::admin::stations::{connection_key, summarize};
use crate::admin::ui::account::Account;
use crate::admin::ui::assets::{MAP_ASSETS, MapAssets};
use crate::admin::ui::page::{self, Layout, Section};
use crate::admin::ui::page_params::PageParams;
use crate::admin::ui::return_path;
use crate::admin::ui::stations::links;
use crate::admin::ui::stations::table::StationFilters;
use crate::admin::ui::words;
use crate::store::{Bounds, StationExtent};

/// How far a link moves the view, as a share of its size.
const STEP: f64 = 0.5;

#[derive(Template)]
#[template(path = "map.html")]
struct MapPage {
    layout: Layout,
    namespace: String,
    connection: String,
    assets: MapAssets,
    /// In the order in which they run.
    scripts: Vec<&'static str>,
    filters: StationFilters,
    /// The address without filters, if there are any.
    unfiltered: Option<String>,
    stations: String,
    is_empty: bool,
    /// How many stations are not on the map, if there are any.
    without_position: Option<String>,
    /// The table with the same filters.
    table: String,
    drawing: Drawing,
    /// Links that move the view.
    moves: Vec<(&'static str, String)>,
    view: MapView,
    /// The area that the interactive map contains at first, unless the address has a view.
    bbox: Option<String>,
    /// The background of the interactive map; `None`: land, lakes and borders.
    tiles: Option<MapTiles>,
    /// Address of the file, if the tiles are of one.
    tile_file: &'static str,
    /// Address of the stations of an area.
    area: String,
    /// Address of a station is this one, its serial number, and the query.
    station_path: &'static str,
    station_query: String,
}

/// Shows the map. Requires `get` on the connection (`taranaconnections`).
pub async fn show(
    State(state): State<SharedState>,
    account: Account,
    PageParams(query): PageParams<MapViewQuery>,
) -> Result<Response, Problem> {
    let (filter, view) = query.into_parts()?;
    let has_view = view.is_some();
    let (view, extent, map) = map_view(&state, &account.caller, &filter, view).await?;
    let summary = summarize(&state, &account.caller, &filter.connection()).await?;
    let selected = filter.connection();
    let (namespace, connection) = connection_key(&state, &selected);
    let layout = Layout::new("Map", Some(account))
        .in_section(Section::Map)
        .of_connection(&state.defaults, &selected);
    let filters = StationFilters::new(&filter, &summary.markets);
    let drawing = Drawing::new(&view, DRAWING, &filter, &map);
    let page = MapPage {
        scripts: scripts(state.map_tiles.as_ref().and_then(MapTiles::file)),
        tiles: state.map_tiles.clone(),
        bbox: extent.bounds.filter(|_| !has_view).map(bbox),
        ..MapPage::new(
            layout,
            (namespace, connection),
            filters,
            &filter,
            (view, drawing),
            extent,
        )
    };
    let images = state.map_tiles.as_ref().and_then(MapTiles::image_source);
    page::render_with_images(StatusCode::OK, page.layout.nonce, &page, images)
}

impl MapPage {
    fn new(
        layout: Layout,
        (namespace, connection): (&str, &str),
        filters: StationFilters,
        filter: &FilterQuery,
        (view, drawing): (MapView, Drawing),
        extent: StationExtent,
    ) -> Self {
        let table = links::table(filter, &PageQuery::default());
        let unfiltered = filter
            .is_filtered()
            .then(|| links::map(&filter.without_filters(), None));
        let missing = extent.without_position;
        Self {
            layout,
            namespace: namespace.to_owned(),
            connection: connection.to_owned(),
            assets: MAP_ASSETS,
            filters,
            is_empty: extent.stations == 0 && unfiltered.is_none(),
            unfiltered,
            stations: words::number(extent.stations),
            without_position: (missing > 0).then(|| words::number(missing)),
            moves: moves(&view, filter),
            drawing,
            view,
            bbox: None,
            scripts: scripts(None),
            tiles: None,
            tile_file: return_path::MAP_TILES,
            area: links::map_area(filter),
            station_path: return_path::START,
            station_query: table
                .strip_prefix(return_path::START)
                .unwrap_or_default()
                .to_owned(),
            table,
        }
    }
}

/// The scripts of the page, in the order in which they run.
fn scripts(tiles: Option<&TileFile>) -> Vec<&'static str> {
    let reader = tiles.map(|_| MAP_ASSETS.pmtiles);
    let has_vectors = tiles.is_some_and(|file| file.format() == TileFormat::Vector);
    let parts = [
        Some(MAP_ASSETS.leaflet),
        reader,
        has_vectors.then_some(MAP_ASSETS.vector_tiles),
        Some(MAP_ASSETS.script),
    ];
    parts.into_iter().flatten().collect()
}

fn bbox(bounds: Bounds) -> String {
    let Bounds {
        west,
        south,
        east,
        north,
    } = bounds;
    format!("{west},{south},{east},{north}")
}

fn moves(view: &MapView, filter: &FilterQuery) -> Vec<(&'static str, String)> {
    let to = |right, down, zoom| links::map(filter, Some(&view.moved(DRAWING, right, down, zoom)));
    let mut moves = vec![
        ("North", to(0.0, -STEP, 0)),
        ("South", to(0.0, STEP, 0)),
        ("West", to(-STEP, 0.0, 0)),
        ("East", to(STEP, 0.0, 0)),
    ];
    if view.zoom < MAX_ZOOM {
        moves.push(("Zoom in", to(0.0, 0.0, 1)));
    }
    if view.zoom > 0 {
        moves.push(("Zoom out", to(0.0, 0.0, -1)));
    }
    moves.push(("All stations", links::map(filter, None)));
    moves
}
