//! Exports `tarana_base_stations`: the matching rows of one snapshot, in chunks.

use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::db::Tx;
use super::handle::Store;
use super::stations::{COLUMNS, MATCHES, StationFilter, StationRow, bind_filter, read_station};
use crate::fault::{Fault, Reason};

/// Rows per chunk. Only one chunk is in memory.
const CHUNK_ROWS: usize = 1000;
/// The server ends the transaction if the reader of the export takes longer than this for a chunk.
const CHUNK_TIMEOUT: &str = "60s";
/// An export holds a session of the pool, and a snapshot, which delays VACUUM.
const EXPORT_TIMEOUT: Duration = Duration::from_mins(10);

/// An export in progress: an open transaction with a cursor. Dropping it ends both.
pub struct StationExport {
    tx: Option<Tx>,
    started_at: Instant,
    _permit: OwnedSemaphorePermit,
}

impl std::fmt::Debug for StationExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StationExport")
            .field("started_at", &self.started_at)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Begins an export of the matching stations, sorted by serial number. `None` if too many exports are in progress: each one holds a
    /// session of the pool for as long as its reader needs.
    pub async fn begin_export(&self, filter: &StationFilter<'_>) -> Result<Option<StationExport>, Fault> {
        let Some(permit) = self.db.pool().try_export() else {
            return Ok(None);
        };
        let mut tx = self.db.begin_long_read_only().await?;
        tx.script(format!(
            "SET LOCAL idle_in_transaction_session_timeout TO '{CHUNK_TIMEOUT}'"
        ))
        .await?;
        // All fetches from a cursor read the snapshot of its declaration.
        let declare = format!(
            "DECLARE stations NO SCROLL CURSOR FOR
             SELECT {COLUMNS} FROM tarana_base_stations WHERE {MATCHES} ORDER BY serial_number"
        );
        let declare = sqlx::query(sqlx::AssertSqlSafe(declare));
        tx.execute(bind_filter(declare, filter)).await?;
        Ok(Some(StationExport {
            tx: Some(tx),
            started_at: Instant::now(),
            _permit: permit,
        }))
    }
}

impl StationExport {
    /// The next rows; empty after the last one.
    pub async fn next_chunk(&mut self) -> Result<Vec<StationRow>, Fault> {
        let Some(mut tx) = self.tx.take() else {
            return Ok(Vec::new());
        };
        if self.started_at.elapsed() > EXPORT_TIMEOUT {
            let message = format!("an export took longer than {} s", EXPORT_TIMEOUT.as_secs());
            return Err(Fault::new(Reason::DatabaseBusy, message));
        }
        let fetch = format!("FETCH {CHUNK_ROWS} FROM stations");
        let rows = tx.all(sqlx::query(sqlx::AssertSqlSafe(fetch))).await?;
        let stations = tx.target().decode(&rows, read_station)?;
        // A short chunk is the last one.
        if stations.len() < CHUNK_ROWS {
            tx.commit().await?;
        } else {
            self.tx = Some(tx);
        }
        Ok(stations)
    }
}
