//! Pure: the query parameters of the map, for the API and the page. The first fields are those of [`FilterQuery`].

use serde::Deserialize;
use utoipa::IntoParams;

use super::map_view::{MAX_ZOOM, MapView, parse_bounds};
use super::problem::Problem;
use super::station_query::FilterQuery;
use crate::store::Bounds;

/// Query of the map's stations.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MapAreaQuery {
    /// Namespace of the connection. Default: `--admin-namespace` of the operator.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
    /// Name of the connection. Default: `--admin-connection` of the operator.
    connection: Option<String>,
    /// Text in the serial number or in the name of host, site, cell or sector, case-insensitive.
    #[param(max_length = 200)]
    search: Option<String>,
    /// Market.
    market: Option<String>,
    /// Region.
    region: Option<String>,
    /// Whether the station is online.
    online: Option<bool>,
    /// Zoom of the map, which decides about the size of the cells: 64 of 256 · 2^zoom pixels. Default: that at which the area fits into
    /// 960 by 540 pixels.
    #[param(minimum = 0, maximum = 18)]
    zoom: Option<u8>,
    /// The area as `west,south,east,north` in degrees; west of an area across the antimeridian is larger than east. Default: all matching
    /// stations.
    bbox: Option<String>,
}

/// Query of the page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapViewQuery {
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
    connection: Option<String>,
    search: Option<String>,
    market: Option<String>,
    region: Option<String>,
    online: Option<bool>,
    zoom: Option<u8>,
    lat: Option<f64>,
    lng: Option<f64>,
}

impl MapAreaQuery {
    /// Which stations, which area of the map, and its zoom.
    pub fn into_parts(self) -> Result<(FilterQuery, Option<Bounds>, Option<u8>), Problem> {
        if self.zoom.is_some_and(|zoom| zoom > MAX_ZOOM) {
            return Err(Problem::BadRequest(format!(
                "zoom: must be a number from 0 to {MAX_ZOOM}"
            )));
        }
        let bounds = self.bbox.as_deref().map(parse_bounds).transpose()?;
        let filter = FilterQuery {
            namespace: self.namespace,
            connection: self.connection,
            search: self.search,
            market: self.market,
            region: self.region,
            online: self.online,
        };
        Ok((filter, bounds, self.zoom))
    }
}

impl MapViewQuery {
    /// Which stations, and which view of the map, if the query has one.
    pub fn into_parts(self) -> Result<(FilterQuery, Option<MapView>), Problem> {
        let view = match (self.zoom, self.lng, self.lat) {
            (Some(zoom), Some(lng), Some(lat)) => Some(MapView::new(zoom, lng, lat)?),
            (None, None, None) => None,
            _ => {
                return Err(Problem::BadRequest(
                    "zoom, lat, lng: must be given together".to_owned(),
                ));
            }
        };
        let filter = FilterQuery {
            namespace: self.namespace,
            connection: self.connection,
            search: self.search,
            market: self.market,
            region: self.region,
            online: self.online,
        };
        Ok((filter, view))
    }
}
