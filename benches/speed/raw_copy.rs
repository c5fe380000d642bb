//! X: a raw binary COPY of the rows of a table into another one with the same columns and indexes.

use std::time::Instant;

use futures::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::Result;

/// The columns that a sync writes.
const COLUMNS: &str = "serial_number, hostname, site_name, active_connections, market, lat, lng, region, height_m, azimuth_deg, band,
     device_status, region_id, market_id, site_id, cell_id, sector_id, cell_name, sector_name";

/// The rows of `schema.tarana_base_stations` as binary COPY data.
pub struct RawCopy {
    admin: PgConnection,
    schema: String,
    data: Vec<u8>,
}

impl RawCopy {
    /// Reads the rows with a binary COPY.
    pub async fn of(database: &str, schema: &str) -> Result<Self> {
        let mut admin = PgConnection::connect(database).await?;
        let twin = format!(
            "CREATE TABLE IF NOT EXISTS {schema}.twin (LIKE {schema}.tarana_base_stations INCLUDING ALL)"
        );
        script(&mut admin, &twin).await?;
        let sql = format!("COPY {schema}.tarana_base_stations ({COLUMNS}) TO STDOUT (FORMAT binary)");
        let pieces: Vec<_> = admin.copy_out_raw(&sql).await?.try_collect().await?;
        Ok(Self {
            admin,
            schema: schema.to_owned(),
            data: pieces.concat(),
        })
    }

    /// The seconds of a COPY into the empty twin, the better of two.
    pub async fn seconds(&mut self) -> Result<f64> {
        Ok(self.once().await?.min(self.once().await?))
    }

    async fn once(&mut self) -> Result<f64> {
        let schema = &self.schema;
        script(&mut self.admin, &format!("TRUNCATE {schema}.twin")).await?;
        script(&mut self.admin, "CHECKPOINT").await?;
        let sql = format!("COPY {schema}.twin ({COLUMNS}) FROM STDIN (FORMAT binary)");
        let begin = Instant::now();
        let mut copy = self.admin.copy_in_raw(&sql).await?;
        for piece in self.data.chunks(128 * 1024) {
            copy.send(piece).await?;
        }
        copy.finish().await?;
        let took = begin.elapsed().as_secs_f64();
        script(&mut self.admin, &format!("TRUNCATE {schema}.twin")).await?;
        Ok(took)
    }
}

/// Executes statements.
pub async fn script(admin: &mut PgConnection, sql: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(admin)
        .await?;
    Ok(())
}
