//! Pure: Web Mercator, the projection of the map, and what a view of it shows.
//!
//! Positions on the map are fractions of the world: x to the east, y to the south, both from 0 to 1.

use super::problem::Problem;
use crate::store::{Bounds, MapQuery};

/// Edge of the world in pixels at zoom 0. Each zoom doubles it.
const WORLD_PIXELS: f64 = 256.0;
/// Largest zoom: a pixel is about half a metre.
pub const MAX_ZOOM: u8 = 18;
/// The map is square: it ends here in the north and in the south.
pub const MAX_LATITUDE: f64 = 85.051_129;
/// From this zoom on, every station is shown by itself.
const DETAILED_ZOOM: u8 = 13;
/// Cells along the edge of 256 pixels: a cell has 64 pixels, in which the number of its stations is readable.
const CELLS_PER_WORLD: f64 = 4.0;
/// Maximum number of cells of an area. A larger grid is replaced by a coarser one.
const MAX_CELLS: f64 = 2048.0;
/// A view of a single place does not zoom in further.
const MAX_FITTED_ZOOM: u8 = 12;
/// The fitted area leaves this much of the view free at each edge, so that no symbol is cut.
const FITTED_SHARE: f64 = 0.86;

/// Position of a longitude and latitude on the map.
pub fn project(lng: f64, lat: f64) -> (f64, f64) {
    let radians = lat.clamp(-MAX_LATITUDE, MAX_LATITUDE).to_radians();
    let y = radians.tan().asinh() / std::f64::consts::TAU;
    (lng / 360.0 + 0.5, 0.5 - y)
}

/// Longitude and latitude of a position on the map.
fn unproject(x: f64, y: f64) -> (f64, f64) {
    let lat = ((0.5 - y) * std::f64::consts::TAU).sinh().atan();
    ((x - 0.5) * 360.0, lat.to_degrees())
}

/// A longitude from -180 to 180.
fn wrap(lng: f64) -> f64 {
    (lng + 180.0).rem_euclid(360.0) - 180.0
}

/// A size in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

/// What a map shows: its center, and its zoom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapView {
    pub zoom: u8,
    pub lng: f64,
    pub lat: f64,
}

impl MapView {
    /// The whole world.
    pub const WORLD: Self = Self {
        zoom: 1,
        lng: 0.0,
        lat: 20.0,
    };

    /// The view with these parameters, if they are a position on the map.
    pub fn new(zoom: u8, lng: f64, lat: f64) -> Result<Self, Problem> {
        if zoom > MAX_ZOOM || !(-180.0..=180.0).contains(&lng) || !(-90.0..=90.0).contains(&lat) {
            return Err(Problem::BadRequest(format!(
                "zoom: must be a number from 0 to {MAX_ZOOM}; lng: from -180 to 180; lat: from -90 to 90"
            )));
        }
        Ok(Self { zoom, lng, lat })
    }

    /// The closest view of this size that contains an area.
    pub fn fit(bounds: &Bounds, size: Size) -> Self {
        let (west, south) = project(bounds.west, bounds.south);
        let (mut east, north) = project(bounds.east, bounds.north);
        if east < west {
            east += 1.0;
        }
        let fits = |zoom: &u8| {
            let pixels = world_pixels(*zoom);
            (east - west) * pixels <= size.width * FITTED_SHARE
                && (south - north) * pixels <= size.height * FITTED_SHARE
        };
        let zoom = (0..=MAX_FITTED_ZOOM).rev().find(fits).unwrap_or_default();
        let (lng, lat) = unproject(f64::midpoint(west, east), f64::midpoint(south, north));
        Self {
            zoom,
            lng: wrap(lng),
            lat,
        }
    }

    /// The area that a view of this size shows.
    pub fn bounds(&self, size: Size) -> Bounds {
        let (x, y) = project(self.lng, self.lat);
        let pixels = world_pixels(self.zoom);
        let (half_width, half_height) = (size.width / pixels / 2.0, size.height / pixels / 2.0);
        let (north, south) = (y - half_height, y + half_height);
        // Beyond its edge, the map shows what is in the cells at the edge: everything up to the pole.
        let lat = |y: f64, pole: f64| {
            if (0.0..=1.0).contains(&y) {
                unproject(0.0, y).1
            } else {
                pole
            }
        };
        let (west, east) = if half_width < 0.5 {
            (
                wrap(unproject(x - half_width, 0.0).0),
                wrap(unproject(x + half_width, 0.0).0),
            )
        } else {
            (-180.0, 180.0)
        };
        Bounds {
            west,
            south: lat(south, -90.0),
            east,
            north: lat(north, 90.0),
        }
    }

    /// Where a view of this size shows a position: pixels from its left upper corner, in the copy of the world next to the center.
    pub fn pixel(&self, size: Size, lng: f64, lat: f64) -> (f64, f64) {
        let (center_x, center_y) = project(self.lng, self.lat);
        let (x, y) = project(self.lng + wrap(lng - self.lng), lat);
        let pixels = world_pixels(self.zoom);
        (
            (x - center_x) * pixels + size.width / 2.0,
            (y - center_y) * pixels + size.height / 2.0,
        )
    }

    /// Where a view of this size shows the symbol of a cell's stations: at their mean, but so far from the edge of the cell that symbols with
    /// this radius do not overlap.
    pub fn cell_pixel(&self, size: Size, cells: f64, radius: f64, lng: f64, lat: f64) -> (f64, f64) {
        let inset = (radius / world_pixels(self.zoom) * cells).min(0.5);
        let inside = |position: f64| {
            let cell = (position * cells).floor();
            (position * cells).clamp(cell + inset, cell + 1.0 - inset) / cells
        };
        let (x, y) = project(lng, lat);
        let (lng, lat) = unproject(inside(x), inside(y));
        self.pixel(size, lng, lat)
    }

    /// The view whose center is moved by shares of its size, and whose zoom is changed. It stays on the map.
    pub fn moved(&self, size: Size, right: f64, down: f64, zoom: i8) -> Self {
        let (x, y) = project(self.lng, self.lat);
        let pixels = world_pixels(self.zoom);
        let x = x + right * size.width / pixels;
        let y = (y + down * size.height / pixels).clamp(0.0, 1.0);
        let (lng, lat) = unproject(x, y);
        Self {
            zoom: self.zoom.saturating_add_signed(zoom).min(MAX_ZOOM),
            lng: wrap(lng),
            lat,
        }
    }
}

/// Edge of the world in pixels.
pub fn world_pixels(zoom: u8) -> f64 {
    WORLD_PIXELS * f64::from(zoom).exp2()
}

/// What the database reads of an area at a zoom.
pub fn map_query(bounds: Bounds, zoom: u8) -> MapQuery {
    let (west, north) = project(bounds.west, bounds.north);
    let (east, south) = project(bounds.east, bounds.south);
    let width = if east < west {
        east - west + 1.0
    } else {
        east - west
    };
    let cells = |zoom: u8| CELLS_PER_WORLD * f64::from(zoom).exp2();
    let is_bounded = |zoom: &u8| {
        let cells = cells(*zoom);
        (width * cells + 1.0) * ((south - north) * cells + 1.0) <= MAX_CELLS
    };
    let grid_zoom = (0..=zoom).rev().find(is_bounded).unwrap_or_default();
    MapQuery {
        bounds,
        cells: cells(grid_zoom),
        is_detailed: zoom >= DETAILED_ZOOM,
    }
}

/// The edges of an area as a query has them: `west,south,east,north`.
pub fn parse_bounds(text: &str) -> Result<Bounds, Problem> {
    let edges: Option<Vec<f64>> = text.split(',').map(|edge| edge.trim().parse().ok()).collect();
    let is_lng = |lng: f64| (-180.0..=180.0).contains(&lng);
    let is_lat = |lat: f64| (-90.0..=90.0).contains(&lat);
    match edges.as_deref() {
        Some(&[west, south, east, north])
            if is_lng(west) && is_lng(east) && is_lat(south) && is_lat(north) && south <= north =>
        {
            Ok(Bounds {
                west,
                south,
                east,
                north,
            })
        }
        _ => Err(Problem::BadRequest(
            "bbox: must be west,south,east,north in degrees, with longitudes from -180 to 180 and latitudes from -90 to 90".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        width: 960.0,
        height: 540.0,
    };

    fn bounds(west: f64, south: f64, east: f64, north: f64) -> Bounds {
        Bounds {
            west,
            south,
            east,
            north,
        }
    }

    #[test]
    fn a_fitted_view_contains_its_area() {
        let cases = [
            bounds(16.5, -34.8, 32.9, -22.1),
            bounds(-180.0, -90.0, 180.0, 90.0),
            // Across the antimeridian.
            bounds(176.0, -20.0, -178.0, -15.0),
            bounds(28.0, -26.0, 28.0, -26.0),
            bounds(-75.0, 89.0, -70.0, 90.0),
        ];
        for area in cases {
            let view = MapView::fit(&area, SIZE);
            for (lng, lat) in [(area.west, area.north), (area.east, area.south)] {
                let (x, y) = view.pixel(SIZE, lng, lat);
                assert!(
                    (0.0..=SIZE.width).contains(&x) && (0.0..=SIZE.height).contains(&y),
                    "{area:?} {view:?}: {x} {y}"
                );
            }
            let (west, east) = (view.bounds(SIZE).west, view.bounds(SIZE).east);
            assert!((-180.0..=180.0).contains(&west) && (-180.0..=180.0).contains(&east));
        }
        assert_eq!(MapView::fit(&cases[3], SIZE).zoom, MAX_FITTED_ZOOM);
        let pacific = MapView::fit(&cases[2], SIZE);
        assert!(
            (pacific.lng - 179.0).abs() < 1e-9 && pacific.zoom >= 6,
            "{pacific:?}"
        );
        assert!(pacific.bounds(SIZE).west > pacific.bounds(SIZE).east);
    }

    #[test]
    fn the_edges_of_a_view_are_at_its_edges() {
        let view = MapView::new(7, 28.0, -26.0).unwrap();
        let shown = view.bounds(SIZE);
        let (left, top) = view.pixel(SIZE, shown.west, shown.north);
        let (right, bottom) = view.pixel(SIZE, shown.east, shown.south);
        for (found, expected) in [
            (left, 0.0),
            (top, 0.0),
            (right, SIZE.width),
            (bottom, SIZE.height),
        ] {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert_eq!(
            MapView::WORLD.bounds(SIZE),
            bounds(-180.0, MapView::WORLD.bounds(SIZE).south, 180.0, 90.0)
        );
        let moved = view.moved(SIZE, 0.5, 0.0, 1);
        assert_eq!((moved.zoom, moved.lat.round()), (8, -26.0));
        assert!((moved.lng - shown.east).abs() < 1e-9, "{moved:?} {shown:?}");
    }

    #[test]
    fn symbols_of_neighboring_cells_do_not_overlap() {
        let view = MapView::new(3, 0.0, 0.0).unwrap();
        let x = |lng| view.cell_pixel(SIZE, 32.0, 20.0, lng, 1.0).0;
        // A cell has 11.25 degrees, which are 64 pixels.
        assert!((x(-0.1) - 460.0).abs() < 1e-6 && (x(0.1) - 500.0).abs() < 1e-6);
        assert!((x(5.0) - view.pixel(SIZE, 5.0, 1.0).0).abs() < 1e-6);
    }

    #[test]
    fn a_grid_is_bounded() {
        let world = bounds(-180.0, -90.0, 180.0, 90.0);
        for zoom in 0..=MAX_ZOOM {
            let query = map_query(world, zoom);
            assert!((query.cells + 1.0).powi(2) <= MAX_CELLS, "{query:?}");
        }
        let view = MapView::new(9, 28.0, -26.0).unwrap();
        assert!((map_query(view.bounds(SIZE), 9).cells - 2048.0).abs() < f64::EPSILON);
        assert!(map_query(world, DETAILED_ZOOM).is_detailed);
    }

    #[test]
    fn an_area_must_be_on_earth() {
        assert_eq!(
            parse_bounds("170, -20,-170,20").unwrap(),
            bounds(170.0, -20.0, -170.0, 20.0)
        );
        for invalid in [
            "",
            "1,2,3",
            "1,2,3,4,5",
            "a,0,1,1",
            "NaN,0,1,1",
            "0,0,181,1",
            "0,2,1,1",
            "0,-91,1,1",
            "0,0,inf,1",
        ] {
            assert!(parse_bounds(invalid).is_err(), "{invalid}");
        }
    }
}
