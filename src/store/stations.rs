//! The table of stations, for whoever looks at it: searched, sorted, counted.

use jiff::Timestamp;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Store;
use super::error::DbError;
use super::history::read_only;
use crate::fault::Fault;

/// Runs whose changes are looked through for the history of one station, the newest.
const RUNS: i64 = 500;

/// A base station, as its row has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its serial number.
    pub serial: String,
    /// Name of the host.
    pub hostname: String,
    /// Name of the site.
    pub site_name: String,
    /// Customers.
    pub active_connections: Option<i32>,
    /// Market.
    pub market: Option<String>,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lng: f64,
    /// Region.
    pub region: Option<String>,
    /// Metres above the sea.
    pub height_m: Option<f64>,
    /// Degrees from north.
    pub azimuth_deg: Option<f64>,
    /// Band.
    pub band: Option<String>,
    /// Whether it is online.
    pub online: bool,
    /// Name of the cell.
    pub cell_name: Option<String>,
    /// Name of the sector.
    pub sector_name: Option<String>,
    /// When a sync changed it last.
    pub last_updated: Option<Timestamp>,
}

/// What the rows are sorted by; within it by serial number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Serial number.
    #[default]
    Serial,
    /// Name of the host.
    Hostname,
    /// Name of the site.
    Site,
    /// Market.
    Market,
    /// Region.
    Region,
    /// Online or not.
    Status,
    /// Customers.
    Connections,
    /// When a sync changed it last.
    LastUpdated,
}

impl Sort {
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

/// Which stations are wanted.
#[derive(Clone, Debug, Default)]
pub struct Search<'a> {
    /// Somewhere in serial, host, site, cell or sector; any case.
    pub text: Option<&'a str>,
    /// In this market.
    pub market: Option<&'a str>,
    /// In this region.
    pub region: Option<&'a str>,
    /// Online or not.
    pub online: Option<bool>,
    /// In this order.
    pub sort: Sort,
    /// From the end.
    pub descending: bool,
    /// So many are left out.
    pub offset: i64,
    /// At most so many.
    pub most: i64,
}

/// What happened to a station.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// In this run.
    pub run: Uuid,
    /// When the run was created.
    pub at: Timestamp,
    /// Number of the change in the run.
    pub seq: i32,
    /// Of this station.
    pub serial: String,
    /// `insert`, `update` or `delete`.
    pub op: String,
    /// The columns before, of an update those that differ.
    pub before: Option<Value>,
    /// The columns after.
    pub after: Option<Value>,
    /// False for a dry run, and for a delete that was withheld.
    pub applied: bool,
}

/// Counts of stations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Market; `None` for the sum of all.
    pub market: Option<String>,
    /// All.
    pub stations: i64,
    /// Those that are online.
    pub online: i64,
    /// Their customers.
    pub active_connections: i64,
    /// When a sync changed one last.
    pub last_updated: Option<Timestamp>,
}

/// The columns that [`read`] reads, in its order. The time in microseconds.
const COLUMNS: &str = "
    serial_number, hostname, site_name, active_connections, market, lat::float8, lng::float8, region, height_m::float8,
    azimuth_deg::float8, band, coalesce(device_status, 0) = 1, cell_name, sector_name,
    (extract(epoch FROM last_updated) * 1000000)::int8";

const WANTED: &str = "
    ($1::text IS NULL OR serial_number ILIKE $1 OR hostname ILIKE $1 OR site_name ILIKE $1 OR cell_name ILIKE $1
        OR sector_name ILIKE $1)
    AND ($2::text IS NULL OR market = $2) AND ($3::text IS NULL OR region = $3)
    AND ($4::bool IS NULL OR (coalesce(device_status, 0) = 1) = $4)";

impl Store {
    /// Stations, and how many there are beside those.
    pub async fn stations(&self, search: &Search<'_>) -> Result<(Vec<Listed>, i64), Fault> {
        let order = if search.descending { "DESC" } else { "ASC" };
        let column = search.sort.column();
        let select = format!(
            "SELECT {COLUMNS} FROM tarana_base_stations WHERE {WANTED}
             ORDER BY {column} {order} NULLS LAST, serial_number {order} LIMIT $5 OFFSET $6"
        );
        let count = format!("SELECT count(*) FROM tarana_base_stations WHERE {WANTED}");
        let text = search.text.map(somewhere);
        let mut tx = self.db.begin().await?;
        read_only(&mut tx).await?;
        let counted = sqlx::query(sqlx::AssertSqlSafe(count))
            .bind(&text)
            .bind(search.market)
            .bind(search.region)
            .bind(search.online);
        let counted = tx.one(counted).await?;
        let total = tx.get(&counted, 0)?;
        let listed = sqlx::query(sqlx::AssertSqlSafe(select))
            .bind(&text)
            .bind(search.market)
            .bind(search.region)
            .bind(search.online)
            .bind(search.most)
            .bind(search.offset);
        let rows = tx.all(listed).await?;
        tx.commit().await?;
        Ok((self.read_all(&rows, read)?, total))
    }

    /// One station.
    pub async fn station(&self, serial: &str) -> Result<Option<Listed>, Fault> {
        let select = format!("SELECT {COLUMNS} FROM tarana_base_stations WHERE serial_number = $1");
        let mut tx = self.db.begin().await?;
        read_only(&mut tx).await?;
        let rows = tx
            .all(sqlx::query(sqlx::AssertSqlSafe(select)).bind(serial))
            .await?;
        tx.commit().await?;
        Ok(self.read_all(&rows, read)?.pop())
    }

    /// Stations in the order of their serials, those after this one: a page of a walk through all.
    pub async fn stations_after(&self, serial: &str, most: i64) -> Result<Vec<Listed>, Fault> {
        let select = format!(
            "SELECT {COLUMNS} FROM tarana_base_stations WHERE serial_number > $1 ORDER BY serial_number LIMIT $2"
        );
        let mut tx = self.db.begin().await?;
        read_only(&mut tx).await?;
        let rows = tx
            .all(sqlx::query(sqlx::AssertSqlSafe(select)).bind(serial).bind(most))
            .await?;
        tx.commit().await?;
        self.read_all(&rows, read)
    }

    /// What the newest runs did to a station, or would have, newest first.
    pub async fn story(&self, serial: &str, most: i64) -> Result<Vec<Happened>, Fault> {
        // Only runs in which the serial stands somewhere are unpacked.
        let select = "
            WITH newest AS (SELECT id, created_at FROM tarana_sync_logs ORDER BY created_at DESC NULLS LAST LIMIT $3),
                 hit AS (SELECT DISTINCT b.run FROM tarana_sync_change_batches b JOIN newest n ON n.id = b.run
                         WHERE b.serial_number @> ARRAY[$1] OR strpos(b.changes::text, $1) > 0)
            SELECT c.run, (extract(epoch FROM n.created_at) * 1000000)::int8, c.seq, c.serial, c.op, c.before::jsonb,
                   c.after::jsonb, c.applied
            FROM hit JOIN newest n ON n.id = hit.run JOIN tarana_sync_changes c ON c.run = hit.run
            WHERE c.serial = $1 ORDER BY n.created_at DESC, c.seq DESC LIMIT $2";
        let mut tx = self.db.begin().await?;
        read_only(&mut tx).await?;
        let rows = tx
            .all(sqlx::query(select).bind(serial).bind(most).bind(RUNS))
            .await?;
        tx.commit().await?;
        self.read_all(&rows, happened)
    }

    /// What a run did to the stations, or would have, in its order: the changes after this number.
    pub async fn changes(&self, run: Uuid, after: i32, most: i64) -> Result<Vec<Happened>, Fault> {
        // Whole batches before the one in question are not unpacked.
        let select = "
            SELECT c.run, (extract(epoch FROM l.created_at) * 1000000)::int8, c.seq, c.serial, c.op, c.before::jsonb,
                   c.after::jsonb, c.applied
            FROM tarana_sync_changes c JOIN tarana_sync_logs l ON l.id = c.run
            WHERE c.run = $1 AND c.seq > $2 ORDER BY c.seq LIMIT $3";
        let mut tx = self.db.begin().await?;
        read_only(&mut tx).await?;
        let rows = tx
            .all(sqlx::query(select).bind(run).bind(after).bind(most))
            .await?;
        tx.commit().await?;
        self.read_all(&rows, happened)
    }

    /// Counts, of all and by market, the market with the most stations first.
    pub async fn tally(&self) -> Result<Vec<Tally>, Fault> {
        let select = "
            SELECT market, grouping(market) = 1, count(*), count(*) FILTER (WHERE device_status = 1),
                   coalesce(sum(active_connections), 0)::int8, (extract(epoch FROM max(last_updated)) * 1000000)::int8
            FROM tarana_base_stations GROUP BY GROUPING SETS ((), (market)) ORDER BY 2 DESC, 3 DESC, 1";
        let mut tx = self.db.begin().await?;
        read_only(&mut tx).await?;
        let rows = tx.all(sqlx::query(select)).await?;
        tx.commit().await?;
        self.read_all(&rows, |row| {
            let market: Option<String> = row.try_get(0)?;
            let is_all: bool = row.try_get(1)?;
            Ok(Tally {
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
        })
    }

    fn read_all<T>(
        &self,
        rows: &[PgRow],
        read: impl Fn(&PgRow) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, Fault> {
        let read: Result<_, sqlx::Error> = rows.iter().map(read).collect();
        Ok(read.map_err(|e| DbError::new(self.db.target(), e))?)
    }
}

/// A pattern of LIKE for text that may stand anywhere, taken as it is.
fn somewhere(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}

fn time(row: &PgRow, at: usize) -> Result<Option<Timestamp>, sqlx::Error> {
    let microseconds: Option<i64> = row.try_get(at)?;
    Ok(microseconds.and_then(|t| Timestamp::from_microsecond(t).ok()))
}

fn read(row: &PgRow) -> Result<Listed, sqlx::Error> {
    Ok(Listed {
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

fn happened(row: &PgRow) -> Result<Happened, sqlx::Error> {
    Ok(Happened {
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
    use super::somewhere;

    #[test]
    fn what_is_searched_for_is_no_pattern() {
        assert_eq!(somewhere(r"50%_\"), r"%50\%\_\\%");
    }
}
