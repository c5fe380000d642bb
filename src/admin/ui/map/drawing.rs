//! Pure: a view of the map as SVG, in pixels from its left upper corner.

use std::f64::consts::TAU;

use crate::admin::map_view::{MapView, Size, world_pixels};
use crate::admin::response::station_map::{MappedStationResponse, StationGroupResponse, StationMapResponse};
use crate::admin::station_query::{FilterQuery, PageQuery};
use crate::admin::ui::stations::links;
use crate::admin::ui::words;

/// Edge of the world in `world.svg`, as in `ui/map.mjs`.
const WORLD_GRID: f64 = 16384.0;
/// Radius of a wedge.
const WEDGE_RADIUS: f64 = 20.0;
/// Angle of a wedge in degrees.
const WEDGE_ANGLE: f64 = 50.0;
/// Distance of stations without an azimuth at one place.
const DOT_DISTANCE: f64 = 13.0;
/// A group of stations is opened by this much zoom.
const GROUP_ZOOM: i8 = 2;
/// Characters of a name in the text of a symbol.
const MAX_NAME_CHARS: usize = 200;

/// What the drawing shows.
#[derive(Clone, Debug)]
pub struct Drawing {
    pub size: Size,
    /// Transformations of `world.svg`, one for each copy of the world in the view.
    pub worlds: Vec<String>,
    pub groups: Vec<Group>,
    pub stations: Vec<Station>,
}

/// A circle with the number of its stations.
#[derive(Clone, Debug)]
pub struct Group {
    pub x: String,
    pub y: String,
    pub radius: f64,
    pub count: String,
    pub status: &'static str,
    pub title: String,
    pub address: String,
}

/// A wedge, or a dot.
#[derive(Clone, Debug)]
pub struct Station {
    /// A path in SVG.
    pub path: String,
    pub status: &'static str,
    pub title: String,
    pub address: String,
}

impl Drawing {
    pub fn new(view: &MapView, size: Size, filter: &FilterQuery, map: &StationMapResponse) -> Self {
        Self {
            size,
            worlds: worlds(view, size),
            groups: map
                .groups
                .iter()
                .map(|group| draw_group(view, size, filter, map.cells, group))
                .collect(),
            stations: draw_stations(view, size, filter, &map.stations),
        }
    }
}

/// The copies of the world that a view shows, and one more at each side: land that crosses the antimeridian is beyond the edge of its copy.
fn worlds(view: &MapView, size: Size) -> Vec<String> {
    let pixels = world_pixels(view.zoom);
    let (center, middle) = view.pixel(size, 0.0, 0.0);
    let (left, top) = (center - pixels / 2.0, middle - pixels / 2.0);
    let first = left - ((left / pixels).ceil() + 1.0) * pixels;
    let copies = std::iter::successors(Some(first), |left| Some(left + pixels));
    copies
        .take_while(|left| *left < size.width + pixels)
        .map(|left| format!("translate({left:.3} {top:.3}) scale({})", pixels / WORLD_GRID))
        .collect()
}

fn draw_group(
    view: &MapView,
    size: Size,
    filter: &FilterQuery,
    cells: f64,
    group: &StationGroupResponse,
) -> Group {
    let count = words::number(group.stations);
    // The number fits into the circle, and the circle into a cell of 64 pixels.
    let radius = 10.0 + 3.0 * f64::from(u8::try_from(count.len()).unwrap_or(u8::MAX));
    let (x, y) = view.cell_pixel(size, cells, radius, group.lng, group.lat);
    let closer = MapView {
        lng: group.lng,
        lat: group.lat,
        ..view.moved(size, 0.0, 0.0, GROUP_ZOOM)
    };
    Group {
        x: format!("{x:.1}"),
        y: format!("{y:.1}"),
        radius,
        status: status(group.online, group.stations),
        title: format!("{count} stations, {} online", words::number(group.online)),
        count,
        address: links::map(filter, Some(&closer)),
    }
}

/// The status of stations in one word.
fn status(online: i64, stations: i64) -> &'static str {
    match online {
        0 => "offline",
        _ if online == stations => "online",
        _ => "mixed",
    }
}

fn draw_stations(
    view: &MapView,
    size: Size,
    filter: &FilterQuery,
    stations: &[MappedStationResponse],
) -> Vec<Station> {
    let shape = |(station, index, count): (&MappedStationResponse, usize, usize)| {
        let (x, y) = view.pixel(size, station.lng, station.lat);
        let status = status(i64::from(station.online), 1);
        Station {
            path: match station.azimuth_deg {
                Some(azimuth) => wedge(x, y, azimuth, index, count),
                None => dot(x, y, index, count),
            },
            status,
            title: format!("{}, {}, {status}", station.serial, excerpt(&station.site_name)),
            address: links::station(&station.serial, filter, &PageQuery::default()),
        }
    };
    side_by_side(stations).into_iter().map(shape).collect()
}

/// The beginning of a long name: thousands of stations are drawn.
fn excerpt(name: &str) -> String {
    let mut chars = name.chars();
    let mut excerpt: String = chars.by_ref().take(MAX_NAME_CHARS).collect();
    if chars.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// Each station with its index among the stations of the same place and azimuth, and their number.
fn side_by_side(stations: &[MappedStationResponse]) -> Vec<(&MappedStationResponse, usize, usize)> {
    let key = |station: &MappedStationResponse| {
        let azimuth = station.azimuth_deg.map_or(u64::MAX, f64::to_bits);
        (station.lng.to_bits(), station.lat.to_bits(), azimuth)
    };
    let mut sorted: Vec<&MappedStationResponse> = stations.iter().collect();
    sorted.sort_by_key(|station| key(station));
    let equal = sorted.chunk_by(|a, b| key(a) == key(b));
    equal
        .flat_map(|chunk| {
            chunk
                .iter()
                .zip(0..)
                .map(|(station, index)| (*station, index, chunk.len()))
        })
        .collect()
}

/// A sector of a circle in the direction of the azimuth; `count` stations of one direction share its angle.
#[expect(clippy::cast_precision_loss, reason = "both are the few stations of a place")]
fn wedge(x: f64, y: f64, azimuth: f64, index: usize, count: usize) -> String {
    let width = WEDGE_ANGLE / count as f64;
    let start = azimuth - WEDGE_ANGLE / 2.0 + width * index as f64;
    let point = |degrees: f64| {
        let (sin, cos) = (degrees / 360.0 * TAU).sin_cos();
        (x + WEDGE_RADIUS * sin, y - WEDGE_RADIUS * cos)
    };
    let ((from_x, from_y), (to_x, to_y)) = (point(start), point(start + width));
    format!("M{x:.1} {y:.1}L{from_x:.1} {from_y:.1}A{WEDGE_RADIUS} {WEDGE_RADIUS} 0 0 1 {to_x:.1} {to_y:.1}Z")
}

/// A dot; `count` stations of a place are in a row.
#[expect(clippy::cast_precision_loss, reason = "both are the few stations of a place")]
fn dot(x: f64, y: f64, index: usize, count: usize) -> String {
    let left = x + DOT_DISTANCE * (index as f64 - (count - 1) as f64 / 2.0) - 6.0;
    format!("M{left:.1} {y:.1}a6 6 0 1 1 12 0a6 6 0 1 1 -12 0Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        width: 960.0,
        height: 540.0,
    };

    fn station(serial: &str, azimuth_deg: Option<f64>) -> MappedStationResponse {
        MappedStationResponse {
            serial: serial.to_owned(),
            site_name: "Hill".to_owned(),
            hostname: "host".to_owned(),
            online: true,
            azimuth_deg,
            lat: 0.0,
            lng: 0.0,
        }
    }

    #[test]
    fn stations_of_a_place_are_side_by_side() {
        let stations = [
            station("A", Some(90.0)),
            station("B", None),
            station("C", Some(90.0)),
            station("D", Some(0.0)),
            station("E", None),
        ];
        let view = MapView::new(3, 0.0, 0.0).unwrap();
        let drawn = draw_stations(&view, SIZE, &FilterQuery::default(), &stations);
        let paths: Vec<(&str, &str)> = drawn
            .iter()
            .map(|station| (&station.title[..1], station.path.as_str()))
            .collect();
        assert_eq!(
            paths,
            [
                ("D", "M480.0 270.0L471.5 251.9A20 20 0 0 1 488.5 251.9Z"),
                ("A", "M480.0 270.0L498.1 261.5A20 20 0 0 1 500.0 270.0Z"),
                ("C", "M480.0 270.0L500.0 270.0A20 20 0 0 1 498.1 278.5Z"),
                ("B", "M467.5 270.0a6 6 0 1 1 12 0a6 6 0 1 1 -12 0Z"),
                ("E", "M480.5 270.0a6 6 0 1 1 12 0a6 6 0 1 1 -12 0Z"),
            ]
        );
    }

    #[test]
    fn the_world_repeats_beyond_the_antimeridian() {
        let copies = |zoom, lng| worlds(&MapView::new(zoom, lng, 0.0).unwrap(), SIZE);
        assert_eq!(copies(0, 0.0).len(), 7);
        assert_eq!(
            copies(3, 0.0),
            [
                "translate(-2592.000 -754.000) scale(0.125)",
                "translate(-544.000 -754.000) scale(0.125)",
                "translate(1504.000 -754.000) scale(0.125)",
            ],
            "the view is within one copy"
        );
        assert_eq!(copies(3, 180.0).len(), 4);
    }

    #[test]
    fn a_group_has_one_status() {
        assert_eq!(
            [status(0, 3), status(3, 3), status(1, 3)],
            ["offline", "online", "mixed"]
        );
    }
}
