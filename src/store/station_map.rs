//! Reads `tarana_base_stations` for the map: the stations of an area, grouped by the cells of a grid where there are many.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::db::{Statement, Tx};
use super::error::DbError;
use super::handle::Store;
use super::stations::{MATCHES, StationFilter, bind_filter};
use crate::fault::Fault;

/// Maximum number of stations that a map has by themselves.
const MAX_STATIONS: usize = 2000;
/// A cell with more stations at one place is a group.
const MAX_STATIONS_OF_PLACE: usize = 8;

/// A station has a position unless its coordinates are 0/0, which means that they are not set, or not a position on earth.
const HAS_POSITION: &str = "(lng BETWEEN -180 AND 180 AND lat BETWEEN -90 AND 90 AND (lng <> 0 OR lat <> 0))";
/// Has a position within the bounds that [`bind_area`] binds. Those that cross the antimeridian have their western edge east of the eastern
/// one.
const IN_AREA: &str = "
    lat BETWEEN $6::float8::numeric AND $8::float8::numeric
    AND (lng <> 0 OR lat <> 0)
    AND (CASE WHEN $5::float8 <= $7::float8 THEN lng BETWEEN $5::float8::numeric AND $7::float8::numeric
              ELSE lng BETWEEN $5::float8::numeric AND 180 OR lng BETWEEN -180 AND $7::float8::numeric END)";
/// Column and row of a cell in one number. Web Mercator has no poles: what is beyond its edge is in the cells at the edge.
const CELL: &str = "
    floor((lng + 180) / 360 * $9::float8) * 1e9
    + floor((0.5 - ln(tan(radians(45 + least(greatest(lat, -85.051129), 85.051129) / 2))) / (2 * pi())) * $9::float8)";
/// The columns that [`read_station`] expects, in its order.
const STATION: &str = "
    serial_number, site_name, hostname, coalesce(device_status, 0) = 1, azimuth_deg::float8, lng::float8, lat::float8";

/// An area between meridians and parallels, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Western edge; east of `east` if the area crosses the antimeridian.
    pub west: f64,
    /// Southern edge.
    pub south: f64,
    /// Eastern edge.
    pub east: f64,
    /// Northern edge.
    pub north: f64,
}

/// Which part of a map to read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapQuery {
    /// The area.
    pub bounds: Bounds,
    /// Cells of the grid along an edge of the world.
    pub cells: f64,
    /// Whether every station is read by itself if there are not too many.
    pub is_detailed: bool,
}

/// Where the matching stations are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StationExtent {
    /// Number of matching stations.
    pub stations: i64,
    /// Number of matching stations without a position.
    pub without_position: i64,
    /// The area that contains the others; `None` if there are none.
    pub bounds: Option<Bounds>,
}

/// The stations of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StationGroup {
    /// Number of stations.
    pub stations: i64,
    /// Number of online stations.
    pub online: i64,
    /// Mean of their degrees east.
    pub lng: f64,
    /// Mean of their degrees north.
    pub lat: f64,
}

/// A station on a map.
#[derive(Clone, Debug, PartialEq)]
pub struct MappedStation {
    /// Its serial number.
    pub serial: String,
    /// Site name.
    pub site_name: String,
    /// Host name.
    pub hostname: String,
    /// Whether it is online.
    pub online: bool,
    /// Degrees clockwise from north.
    pub azimuth_deg: Option<f64>,
    /// Degrees east.
    pub lng: f64,
    /// Degrees north.
    pub lat: f64,
}

/// The stations of an area. Each of them is in one of the lists, unless a sync commits while they are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StationMap {
    /// Stations by themselves, sorted by serial number.
    pub stations: Vec<MappedStation>,
    /// Cells with more stations, those with the most first.
    pub groups: Vec<StationGroup>,
}

/// A cell, and whether its stations are few and at one place.
type Cell = (StationGroup, bool);

impl Store {
    /// Where the matching stations are.
    pub async fn station_extent(&self, filter: &StationFilter<'_>) -> Result<StationExtent, Fault> {
        let select = format!(
            "SELECT count(*), count(*) FILTER (WHERE NOT {HAS_POSITION}),
                    (min(lng) FILTER (WHERE {HAS_POSITION}))::float8, (min(lat) FILTER (WHERE {HAS_POSITION}))::float8,
                    (max(lng) FILTER (WHERE {HAS_POSITION}))::float8, (max(lat) FILTER (WHERE {HAS_POSITION}))::float8
             FROM tarana_base_stations WHERE {MATCHES}"
        );
        let mut tx = self.db.begin_read_only().await?;
        let row = tx
            .one(bind_filter(sqlx::query(sqlx::AssertSqlSafe(select)), filter))
            .await?;
        tx.commit().await?;
        Ok(read_extent(&row).map_err(|e| DbError::new(self.db.target(), e))?)
    }

    /// The matching stations of an area.
    pub async fn station_map(
        &self,
        filter: &StationFilter<'_>,
        query: &MapQuery,
    ) -> Result<StationMap, Fault> {
        let mut tx = self.db.begin_read_only().await?;
        let map = read_map(&mut tx, filter, query).await?;
        tx.commit().await?;
        Ok(map)
    }
}

async fn read_map(tx: &mut Tx, filter: &StationFilter<'_>, query: &MapQuery) -> Result<StationMap, Fault> {
    if query.is_detailed {
        let stations = read_all(tx, filter, query).await?;
        if stations.len() <= MAX_STATIONS {
            return Ok(StationMap {
                stations,
                groups: Vec::new(),
            });
        }
    }
    let (mut places, mut groups, mut count) = (Vec::new(), Vec::new(), 0);
    for (group, is_place) in read_cells(tx, filter, query).await? {
        if is_place && count + group.stations <= i64::try_from(MAX_STATIONS).unwrap_or_default() {
            count += group.stations;
            places.push(group);
        } else {
            groups.push(group);
        }
    }
    let stations = if places.is_empty() {
        Vec::new()
    } else {
        read_places(tx, filter, query, &places).await?
    };
    Ok(StationMap { stations, groups })
}

/// The stations of the area, and no more than one beyond the maximum.
async fn read_all(
    tx: &mut Tx,
    filter: &StationFilter<'_>,
    query: &MapQuery,
) -> Result<Vec<MappedStation>, Fault> {
    let select = format!(
        "SELECT {STATION} FROM tarana_base_stations WHERE {MATCHES} AND {IN_AREA}
         ORDER BY serial_number LIMIT {}",
        MAX_STATIONS + 1
    );
    let select = bind_filter(sqlx::query(sqlx::AssertSqlSafe(select)), filter);
    let rows = tx.all(bind_area(select, &query.bounds)).await?;
    Ok(tx.target().decode(&rows, read_station)?)
}

/// The cells of the area with stations.
async fn read_cells(tx: &mut Tx, filter: &StationFilter<'_>, query: &MapQuery) -> Result<Vec<Cell>, Fault> {
    // The planner overestimates the number of cells: it would sort all stations, and compile the statement for longer than it runs.
    tx.script("SET LOCAL enable_sort TO off; SET LOCAL jit TO off".to_owned())
        .await?;
    // OFFSET 0 keeps the conversion of a coordinate, which is the expensive part, to one for each row. avg() is slower than sum().
    let select = format!(
        "SELECT count(*), count(*) FILTER (WHERE online), sum(lng) / count(*), sum(lat) / count(*),
                count(*) <= {MAX_STATIONS_OF_PLACE} AND min(lng) = max(lng) AND min(lat) = max(lat)
         FROM (SELECT lng::float8, lat::float8, coalesce(device_status, 0) = 1 AS online FROM tarana_base_stations
               WHERE {MATCHES} AND {IN_AREA} OFFSET 0) placed
         GROUP BY {CELL} ORDER BY 1 DESC, 3, 4"
    );
    let select = bind_filter(sqlx::query(sqlx::AssertSqlSafe(select)), filter);
    let rows = tx.all(bind_area(select, &query.bounds).bind(query.cells)).await?;
    let cells = tx.target().decode(&rows, |row| {
        let group = StationGroup {
            stations: row.try_get(0)?,
            online: row.try_get(1)?,
            lng: row.try_get(2)?,
            lat: row.try_get(3)?,
        };
        Ok((group, row.try_get(4)?))
    })?;
    Ok(cells)
}

/// The stations at these places.
async fn read_places(
    tx: &mut Tx,
    filter: &StationFilter<'_>,
    query: &MapQuery,
    places: &[StationGroup],
) -> Result<Vec<MappedStation>, Fault> {
    // The mean of equal numbers may differ from them in its last digit; a coordinate has six decimal digits.
    let select = format!(
        "SELECT {STATION} FROM tarana_base_stations WHERE {MATCHES} AND {IN_AREA}
             AND (round(lng::numeric, 6), round(lat::numeric, 6)) IN (SELECT round(x::numeric, 6), round(y::numeric, 6) FROM unnest($9::float8[], $10::float8[]) AS place (x, y))
         ORDER BY serial_number LIMIT {MAX_STATIONS}"
    );
    tx.script("SET LOCAL enable_sort TO on".to_owned()).await?;
    let select = bind_filter(sqlx::query(sqlx::AssertSqlSafe(select)), filter);
    let select = bind_area(select, &query.bounds)
        .bind(places.iter().map(|place| place.lng).collect::<Vec<f64>>())
        .bind(places.iter().map(|place| place.lat).collect::<Vec<f64>>());
    let rows = tx.all(select).await?;
    Ok(tx.target().decode(&rows, read_station)?)
}

/// Binds the values of [`IN_AREA`].
fn bind_area<'q>(statement: Statement<'q>, bounds: &Bounds) -> Statement<'q> {
    statement
        .bind(bounds.west)
        .bind(bounds.south)
        .bind(bounds.east)
        .bind(bounds.north)
}

fn read_extent(row: &PgRow) -> Result<StationExtent, sqlx::Error> {
    let edges: [Option<f64>; 4] = [row.try_get(2)?, row.try_get(3)?, row.try_get(4)?, row.try_get(5)?];
    let bounds = match edges {
        [Some(west), Some(south), Some(east), Some(north)] => Some(Bounds {
            west,
            south,
            east,
            north,
        }),
        _ => None,
    };
    Ok(StationExtent {
        stations: row.try_get(0)?,
        without_position: row.try_get(1)?,
        bounds,
    })
}

fn read_station(row: &PgRow) -> Result<MappedStation, sqlx::Error> {
    Ok(MappedStation {
        serial: row.try_get(0)?,
        site_name: row.try_get(1)?,
        hostname: row.try_get(2)?,
        online: row.try_get(3)?,
        azimuth_deg: row.try_get(4)?,
        lng: row.try_get(5)?,
        lat: row.try_get(6)?,
    })
}
