//! Reads `tarana_base_stations` for the API: search, sort, pages, counts and the history of a station.

use jiff::Timestamp;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::db::{Statement, Tx};
use super::error::DbError;
use super::handle::Store;
use crate::fault::Fault;

/// The history of a station covers this many of the newest runs.
const HISTORY_RUNS: i64 = 500;

/// A row of `tarana_base_stations`.
#[derive(Clone, Debug, PartialEq)]
pub struct StationRow {
    /// Its serial number.
    pub serial: String,
    /// Host name.
    pub hostname: String,
    /// Site name.
    pub site_name: String,
    /// Connected customers.
    pub active_connections: Option<i32>,
    /// Market.
    pub market: Option<String>,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lng: f64,
    /// Region.
    pub region: Option<String>,
    /// Metres above mean sea level.
    pub height_m: Option<f64>,
    /// Degrees clockwise from north.
    pub azimuth_deg: Option<f64>,
    /// Band.
    pub band: Option<String>,
    /// Whether it is online.
    pub online: bool,
    /// Cell name.
    pub cell_name: Option<String>,
    /// Sector name.
    pub sector_name: Option<String>,
    /// When a sync last changed it.
    pub last_updated: Option<Timestamp>,
}

/// Sort column; ties are sorted by serial number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StationSort {
    /// Serial number.
    #[default]
    Serial,
    /// Host name.
    Hostname,
    /// Site name.
    Site,
    /// Market.
    Market,
    /// Region.
    Region,
    /// Online or not.
    Status,
    /// Connected customers.
    Connections,
    /// When a sync last changed it.
    LastUpdated,
}

impl StationSort {
    fn column(self) -> &'static str {
        match self {
            Self::Serial => "serial_number",
            Self::Hostname => "hostname",
            Self::Site => "site_name",
            Self::Market => "market",
            Self::Region => "region",
            Self::Status => "device_status",
            Self::Connections => "active_connections",
            Self::LastUpdated => "last_updated",
        }
    }
}

/// Which stations to read. The default is all.
#[derive(Clone, Copy, Debug, Default)]
pub struct StationFilter<'a> {
    /// Substring of serial, host, site, cell or sector, case-insensitive.
    pub text: Option<&'a str>,
    /// Market.
    pub market: Option<&'a str>,
    /// Region.
    pub region: Option<&'a str>,
    /// Online or offline.
    pub online: Option<bool>,
}

/// Which page of stations to list.
#[derive(Clone, Debug, Default)]
pub struct StationQuery<'a> {
    /// Which stations match.
    pub filter: StationFilter<'a>,
    /// Sort column.
    pub sort: StationSort,
    /// Descending order.
    pub descending: bool,
    /// Number of rows to skip.
    pub offset: i64,
    /// Maximum number of rows.
    pub limit: i64,
}

/// A change of a station by a run.
#[derive(Clone, Debug, PartialEq)]
pub struct StationChange {
    /// Id of the run.
    pub run: Uuid,
    /// When the run was created.
    pub at: Timestamp,
    /// Number of the change in the run.
    pub seq: i32,
    /// Serial number of the station.
    pub serial: String,
    /// `insert`, `update` or `delete`.
    pub op: String,
    /// The columns before; of an update only those that differ.
    pub before: Option<Value>,
    /// The columns after.
    pub after: Option<Value>,
    /// False for a dry run and for a withheld delete.
    pub applied: bool,
}

/// Numbers of stations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StationCounts {
    /// Market; `None` for the total.
    pub market: Option<String>,
    /// Number of stations.
    pub stations: i64,
    /// Number of online stations.
    pub online: i64,
    /// Sum of their connected customers.
    pub active_connections: i64,
    /// When a sync last changed one of them.
    pub last_updated: Option<Timestamp>,
}

/// The columns that [`read_station`] expects, in its order. Times are microseconds.
pub(super) const COLUMNS: &str = "
    serial_number, hostname, site_name, active_connections, market, lat::float8, lng::float8, region, height_m::float8,
    azimuth_deg::float8, band, coalesce(device_status, 0) = 1, cell_name, sector_name,
    (extract(epoch FROM last_updated) * 1000000)::int8";

/// The condition of a [`StationFilter`], whose values [`bind_filter`] binds. One comparison of all texts takes half the time of one each. The
/// columns may have collations that differ, or that LIKE does not support.
pub(super) const MATCHES: &str = r#"
    ($1::text IS NULL OR lower(concat_ws(chr(1), serial_number, hostname, site_name, cell_name, sector_name) COLLATE "default")
        LIKE lower($1 COLLATE "default"))
    AND ($2::text IS NULL OR market = $2) AND ($3::text IS NULL OR region = $3)
    AND ($4::bool IS NULL OR (coalesce(device_status, 0) = 1) = $4)"#;

impl Store {
    /// A page of the matching stations, and the number of all matching stations.
    pub async fn stations(&self, query: &StationQuery<'_>) -> Result<(Vec<StationRow>, i64), Fault> {
        let order = if query.descending { "DESC" } else { "ASC" };
        let column = query.sort.column();
        let select = format!(
            "SELECT {COLUMNS} FROM tarana_base_stations WHERE {MATCHES}
             ORDER BY {column} {order} NULLS LAST, serial_number {order} LIMIT $5 OFFSET $6"
        );
        let mut tx = self.db.begin_read_only().await?;
        let listed = bind_filter(sqlx::query(sqlx::AssertSqlSafe(select)), &query.filter)
            .bind(query.limit)
            .bind(query.offset);
        let rows = tx.all(listed).await?;
        let total = match known_total(query, rows.len()) {
            Some(total) => total,
            None => count(&mut tx, &query.filter).await?,
        };
        tx.commit().await?;
        Ok((self.db.target().decode(&rows, read_station)?, total))
    }

    /// One station.
    pub async fn station(&self, serial: &str) -> Result<Option<StationRow>, Fault> {
        let select = format!("SELECT {COLUMNS} FROM tarana_base_stations WHERE serial_number = $1");
        let mut tx = self.db.begin_read_only().await?;
        let rows = tx
            .all(sqlx::query(sqlx::AssertSqlSafe(select)).bind(serial))
            .await?;
        tx.commit().await?;
        Ok(self.db.target().decode(&rows, read_station)?.pop())
    }

    /// The changes of a station in the newest runs, newest first. Includes changes that were not applied.
    pub async fn station_history(&self, serial: &str, limit: i64) -> Result<Vec<StationChange>, Fault> {
        // Unpacks only runs that contain the serial number.
        let select = "
            WITH newest AS (SELECT id, created_at FROM tarana_sync_logs ORDER BY created_at DESC NULLS LAST LIMIT $3),
                 hit AS (SELECT DISTINCT b.run FROM tarana_sync_change_batches b JOIN newest n ON n.id = b.run
                         WHERE b.serial_number @> ARRAY[$1] OR strpos(b.changes::text, $1) > 0)
            SELECT c.run, (extract(epoch FROM n.created_at) * 1000000)::int8, c.seq, c.serial, c.op, c.before::jsonb,
                   c.after::jsonb, c.applied
            FROM hit JOIN newest n ON n.id = hit.run JOIN tarana_sync_changes c ON c.run = hit.run
            WHERE c.serial = $1 ORDER BY n.created_at DESC, c.seq DESC LIMIT $2";
        let mut tx = self.db.begin_read_only().await?;
        let rows = tx
            .all(sqlx::query(select).bind(serial).bind(limit).bind(HISTORY_RUNS))
            .await?;
        tx.commit().await?;
        Ok(self.db.target().decode(&rows, read_change)?)
    }

    /// The changes of a run after this sequence number, in order. Includes changes that were not applied.
    pub async fn changes(&self, run: Uuid, after: i32, limit: i64) -> Result<Vec<StationChange>, Fault> {
        self.changes_of(run, after, None, limit).await
    }

    /// The first deletions of a run, in order. Includes those that were only planned or withheld.
    pub async fn deletions(&self, run: Uuid, limit: i64) -> Result<Vec<StationChange>, Fault> {
        self.changes_of(run, i32::MIN, Some("delete"), limit).await
    }

    async fn changes_of(
        &self,
        run: Uuid,
        after: i32,
        op: Option<&str>,
        limit: i64,
    ) -> Result<Vec<StationChange>, Fault> {
        // Batches before `after` are not unpacked.
        let select = "
            SELECT c.run, (extract(epoch FROM l.created_at) * 1000000)::int8, c.seq, c.serial, c.op, c.before::jsonb,
                   c.after::jsonb, c.applied
            FROM tarana_sync_changes c JOIN tarana_sync_logs l ON l.id = c.run
            WHERE c.run = $1 AND c.seq > $2 AND ($3::text IS NULL OR c.op = $3) ORDER BY c.seq LIMIT $4";
        let mut tx = self.db.begin_read_only().await?;
        let query = sqlx::query(select).bind(run).bind(after).bind(op).bind(limit);
        let rows = tx.all(query).await?;
        tx.commit().await?;
        Ok(self.db.target().decode(&rows, read_change)?)
    }

    /// Numbers of stations in total and by market, the market with the most stations first.
    pub async fn station_counts(&self) -> Result<Vec<StationCounts>, Fault> {
        let select = "
            SELECT coalesce(market, ''), grouping(coalesce(market, '')) = 1, count(*), count(*) FILTER (WHERE device_status = 1),
                   coalesce(sum(active_connections), 0)::int8, (extract(epoch FROM max(last_updated)) * 1000000)::int8
            FROM tarana_base_stations GROUP BY GROUPING SETS ((), (coalesce(market, ''))) ORDER BY 2 DESC, 3 DESC, 1";
        let mut tx = self.db.begin_read_only().await?;
        let rows = tx.all(sqlx::query(select)).await?;
        tx.commit().await?;
        let counts = self.db.target().decode(&rows, |row| {
            let market: Option<String> = row.try_get(0)?;
            let is_all: bool = row.try_get(1)?;
            Ok(StationCounts {
                market: if is_all {
                    None
                } else {
                    Some(market.unwrap_or_default())
                },
                stations: row.try_get(2)?,
                online: row.try_get(3)?,
                active_connections: row.try_get(4)?,
                last_updated: time(row, 5)?,
            })
        })?;
        Ok(counts)
    }
}

/// The number of all matching stations, if it follows from the number of those on the page.
fn known_total(query: &StationQuery<'_>, on_page: usize) -> Option<i64> {
    let on_page = i64::try_from(on_page).ok()?;
    let is_last_page = on_page < query.limit && (on_page > 0 || query.offset == 0);
    is_last_page.then(|| query.offset + on_page)
}

async fn count(tx: &mut Tx, filter: &StationFilter<'_>) -> Result<i64, DbError> {
    let count = format!("SELECT count(*) FROM tarana_base_stations WHERE {MATCHES}");
    let counted = bind_filter(sqlx::query(sqlx::AssertSqlSafe(count)), filter);
    let row = tx.one(counted).await?;
    tx.get(&row, 0)
}

/// Binds the values of [`MATCHES`].
pub(super) fn bind_filter<'q>(statement: Statement<'q>, filter: &StationFilter<'q>) -> Statement<'q> {
    statement
        .bind(filter.text.map(contains_pattern))
        .bind(filter.market)
        .bind(filter.region)
        .bind(filter.online)
}

/// A LIKE pattern that matches `text` literally, anywhere.
fn contains_pattern(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}

fn time(row: &PgRow, at: usize) -> Result<Option<Timestamp>, sqlx::Error> {
    let microseconds: Option<i64> = row.try_get(at)?;
    Ok(microseconds.and_then(|t| Timestamp::from_microsecond(t).ok()))
}

pub(super) fn read_station(row: &PgRow) -> Result<StationRow, sqlx::Error> {
    Ok(StationRow {
        serial: row.try_get(0)?,
        hostname: row.try_get(1)?,
        site_name: row.try_get(2)?,
        active_connections: row.try_get(3)?,
        market: row.try_get(4)?,
        lat: row.try_get(5)?,
        lng: row.try_get(6)?,
        region: row.try_get(7)?,
        height_m: row.try_get(8)?,
        azimuth_deg: row.try_get(9)?,
        band: row.try_get(10)?,
        online: row.try_get(11)?,
        cell_name: row.try_get(12)?,
        sector_name: row.try_get(13)?,
        last_updated: time(row, 14)?,
    })
}

fn read_change(row: &PgRow) -> Result<StationChange, sqlx::Error> {
    Ok(StationChange {
        run: row.try_get(0)?,
        at: time(row, 1)?.unwrap_or_default(),
        seq: row.try_get(2)?,
        serial: row.try_get(3)?,
        op: row.try_get(4)?,
        before: row.try_get(5)?,
        after: row.try_get(6)?,
        applied: row.try_get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::contains_pattern;

    #[test]
    fn search_text_is_matched_literally() {
        assert_eq!(contains_pattern(r"50%_\"), r"%50\%\_\\%");
    }
}
