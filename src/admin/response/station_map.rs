//! Pure: the response with the stations of a map.

use serde::Serialize;
use utoipa::ToSchema;

use super::station::Freshness;
use crate::store::{Bounds, MappedStation, StationExtent, StationGroup, StationMap};

/// A station on the map.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = MapStation)]
#[serde(rename_all = "camelCase")]
pub struct MappedStationResponse {
    pub serial: String,
    pub site_name: String,
    pub hostname: String,
    /// Whether the station is online.
    pub online: bool,
    /// Degrees from north.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azimuth_deg: Option<f64>,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lng: f64,
}

/// Stations that are shown as one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = MapGroup)]
pub struct StationGroupResponse {
    /// Number of stations.
    pub stations: i64,
    /// Number of stations that are online.
    pub online: i64,
    /// Mean of their degrees north.
    pub lat: f64,
    /// Mean of their degrees east.
    pub lng: f64,
}

/// All matching stations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = MapExtent)]
#[serde(rename_all = "camelCase")]
pub struct ExtentResponse {
    /// Number of matching stations.
    pub stations: i64,
    /// Number of matching stations without a position: they are not on the map.
    pub without_position: i64,
    /// The area that contains the others: west, south, east, north in degrees. Absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bbox: Option<[f64; 4]>,
}

/// The stations of an area of the map. Each is in one of the lists.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Map)]
pub struct StationMapResponse {
    /// Stations by themselves, sorted by serial number: at most 2,000. From zoom 13 on these are all stations, if there are not more; before,
    /// those of cells with one place, which has at most eight stations.
    pub stations: Vec<MappedStationResponse>,
    /// Cells with more stations, those with the most first: at most 2,048.
    pub groups: Vec<StationGroupResponse>,
    /// Cells along an edge of the world in Web Mercator: a map that moves a group's symbol away from the edge of its cell has no overlaps.
    pub cells: f64,
    /// All matching stations, if the request has no area.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extent: Option<ExtentResponse>,
    #[serde(flatten)]
    pub freshness: Freshness,
}

impl StationMapResponse {
    pub fn new(map: StationMap, cells: f64, extent: Option<StationExtent>, freshness: Freshness) -> Self {
        Self {
            stations: map
                .stations
                .into_iter()
                .map(MappedStationResponse::from)
                .collect(),
            groups: map.groups.into_iter().map(StationGroupResponse::from).collect(),
            cells,
            extent: extent.map(ExtentResponse::from),
            freshness,
        }
    }
}

impl From<MappedStation> for MappedStationResponse {
    fn from(station: MappedStation) -> Self {
        Self {
            serial: station.serial,
            site_name: station.site_name,
            hostname: station.hostname,
            online: station.online,
            azimuth_deg: station.azimuth_deg,
            lat: station.lat,
            lng: station.lng,
        }
    }
}

impl From<StationGroup> for StationGroupResponse {
    fn from(group: StationGroup) -> Self {
        Self {
            stations: group.stations,
            online: group.online,
            // A mean of the database has digits that depend on the order of the rows.
            lat: rounded(group.lat),
            lng: rounded(group.lng),
        }
    }
}

/// To a millionth of a degree: a tenth of a meter.
fn rounded(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}

impl From<StationExtent> for ExtentResponse {
    fn from(extent: StationExtent) -> Self {
        let edges = |bounds: Bounds| [bounds.west, bounds.south, bounds.east, bounds.north];
        Self {
            stations: extent.stations,
            without_position: extent.without_position,
            bbox: extent.bounds.map(edges),
        }
    }
}
