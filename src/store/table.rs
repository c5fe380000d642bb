//! What the catalog says about `tarana_base_stations`: it may be the application's, with other types, constraints and triggers.
//!
//! A table with the types of [`super::columns`] and without triggers costs one small query. Other types are compared as they store a
//! value ([`precision`]), and rows that triggers may change are read again after they were written.

mod policies;
mod precision;

use sqlx::AssertSqlSafe;

use self::precision::ColumnType;
use super::columns::{COLUMNS, list};
use super::db::Tx;
use super::error::DbError;
use crate::fault::Fault;
use crate::station::Row;

/// Maximum number of values that are reported as unreadable.
const MAX_UNREADABLE: i64 = 1000;

/// The table as this transaction finds it.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// In the order of [`COLUMNS`]. A column that the table lacks is exact: the next statement names it.
    columns: Vec<Column>,
    /// Whether the database may store something else than it is sent, for a reason that [`precision`] does not know.
    pub is_changed_by_database: bool,
    /// Whether every character can be stored.
    pub is_unicode: bool,
}

#[derive(Clone, Debug, Default)]
struct Column {
    kind: ColumnType,
    is_nullable: bool,
}

impl Table {
    /// Reads the catalog. Fails if row-level security may hide rows.
    pub async fn load(tx: &mut Tx) -> Result<Self, Fault> {
        // A domain is followed to the type below it.
        let select = "
            WITH RECURSIVE col AS (
                SELECT attname, atttypid AS type, atttypmod AS typmod, attnotnull FROM pg_attribute
                WHERE attrelid = 'tarana_base_stations'::regclass AND attnum > 0 AND NOT attisdropped
                UNION ALL
                SELECT c.attname, t.typbasetype, t.typtypmod, c.attnotnull OR t.typnotnull
                FROM col c JOIN pg_type t ON t.oid = c.type WHERE t.typtype = 'd')
            SELECT c.attname::text, t.typname::text, c.typmod, c.attnotnull,
                   EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'tarana_base_stations'::regclass AND NOT tgisinternal
                           AND tgenabled <> 'D' AND tgtype & 20 <> 0)
                   OR (SELECT relhasrules OR relkind NOT IN ('r', 'p') FROM pg_class
                       WHERE oid = 'tarana_base_stations'::regclass),
                   getdatabaseencoding() = 'UTF8', row_security_active('tarana_base_stations'::regclass)
            FROM col c JOIN pg_type t ON t.oid = c.type WHERE t.typtype <> 'd'";
        let rows = tx.all(sqlx::query(select)).await?;
        if let Some(row) = rows.first()
            && tx.get::<bool>(row, 6)?
        {
            policies::check(tx).await?;
        }
        let mut table = Self {
            columns: vec![Column::default(); COLUMNS.len()],
            is_changed_by_database: false,
            is_unicode: true,
        };
        for row in &rows {
            table.is_changed_by_database |= tx.get::<bool>(row, 4)?;
            table.is_unicode = tx.get(row, 5)?;
            let name: String = tx.get(row, 0)?;
            let Some(at) = COLUMNS.iter().position(|(column, _)| *column == name) else {
                continue;
            };
            let kind = ColumnType::of(COLUMNS[at].1, &tx.get::<String>(row, 1)?, tx.get(row, 2)?);
            table.is_changed_by_database |= kind == ColumnType::Unknown;
            table.columns[at] = Column {
                kind,
                is_nullable: !tx.get::<bool>(row, 3)?,
            };
        }
        Ok(table)
    }

    /// Whether the columns store every value of a [`Row`] as it is.
    pub fn is_exact(&self) -> bool {
        self.columns.iter().all(|column| !column.kind.rounds())
    }

    /// The row as the columns store it. A value that a column cannot store is unchanged: the database rejects it.
    pub fn as_stored(&self, row: &Row) -> Row {
        let mut stored = row.clone();
        let kind = |name: &str| {
            let at = COLUMNS.iter().position(|(column, _)| *column == name);
            at.and_then(|at| self.columns.get(at))
                .map_or(ColumnType::Exact, |column| column.kind)
        };
        stored.position.lat_e6 = kind("lat").round(row.position.lat_e6, 6);
        stored.position.lng_e6 = kind("lng").round(row.position.lng_e6, 6);
        let small = |name: &str, value: Option<i32>, scale: u32| {
            value.map(|value| i32::try_from(kind(name).round(value.into(), scale)).unwrap_or(value))
        };
        stored.height_cm = small("height_m", row.height_cm, 2);
        stored.azimuth_cdeg = small("azimuth_deg", row.azimuth_cdeg, 2);
        for (name, field) in [
            ("active_connections", &mut stored.active_connections),
            ("device_status", &mut stored.device_status),
            ("region_id", &mut stored.region_id),
            ("market_id", &mut stored.market_id),
            ("site_id", &mut stored.site_id),
            ("cell_id", &mut stored.cell_id),
            ("sector_id", &mut stored.sector_id),
        ] {
            *field = small(name, *field, 0);
        }
        stored
    }

    /// The columns, as [`super::decode`] expects them. A value that a [`Row`] cannot hold is read as NULL.
    pub fn select_list(&self) -> String {
        list(|name, kind| match precision::readable(name, kind) {
            Some(readable) if self.may_be_unreadable(name) => {
                format!("CASE WHEN {readable} THEN {name}::{kind} END AS {name}")
            }
            _ => format!("{name}::{kind}"),
        })
    }

    /// Whether the column may have values that a [`Row`] cannot hold.
    pub fn may_be_unreadable(&self, name: &str) -> bool {
        let mut columns = COLUMNS.iter().zip(&self.columns);
        columns.any(|((column, kind), actual)| *column == name && actual.kind.exceeds(kind))
    }

    pub fn is_nullable(&self, at: usize) -> bool {
        self.columns.get(at).is_some_and(|column| column.is_nullable)
    }

    /// Serial and column of the values that [`Self::select_list`] reads as NULL.
    pub async fn unreadable_values(&self, tx: &mut Tx) -> Result<Vec<(String, String)>, DbError> {
        let mut found = Vec::new();
        for (name, kind) in COLUMNS {
            let Some(readable) = precision::readable(name, kind).filter(|_| self.may_be_unreadable(name))
            else {
                continue;
            };
            let select = format!(
                "SELECT serial_number::text FROM tarana_base_stations
                 WHERE {name} IS NOT NULL AND ({readable}) IS NOT TRUE ORDER BY 1 LIMIT {MAX_UNREADABLE}"
            );
            for row in tx.all(sqlx::query(AssertSqlSafe(select))).await? {
                found.push((tx.get(&row, 0)?, name.to_owned()));
            }
        }
        Ok(found)
    }
}
