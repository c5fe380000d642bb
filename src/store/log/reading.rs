//! How fresh the stations table is: when the newest reading that a run wrote was begun.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::attempts::failed_attempts;
use crate::fault::Fault;
use crate::store::handle::Store;

/// Among this many of the newest completed runs, by their creation, is the one that started last.
const NEWEST_RUNS: i64 = 10;

/// The newest reading that a run wrote to the stations table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastReading {
    /// Id of the run.
    pub run: Uuid,
    /// The reading began at this time or later, by the database's clock: the start of the run or, if attempts failed, the end of the
    /// last failed one.
    pub began_at: Timestamp,
}

impl Store {
    /// The reading of the newest completed run of a connection. Dry runs do not count; runs that skipped records or withheld
    /// deletions do.
    pub async fn last_reading(&self, connection_uid: Uuid) -> Result<Option<LastReading>, Fault> {
        // A connection's runs start nearly in the order of their creation, so that the index on created_at finds the newest ones.
        let select = "
            SELECT id, (extract(epoch FROM started_at) * 1000000)::int8,
                   CASE WHEN attempt > 1 THEN coalesce(errors, '[]') ELSE '[]' END
            FROM (SELECT id, started_at, attempt, errors FROM tarana_sync_logs
                  WHERE connection_uid = $1 AND outcome = 'completed' AND NOT dry_run AND started_at IS NOT NULL
                  ORDER BY created_at DESC LIMIT $2) AS newest
            ORDER BY started_at DESC LIMIT 1";
        let select = sqlx::query(select).bind(connection_uid).bind(NEWEST_RUNS);
        let mut tx = self.db.begin_read_only().await?;
        let row = tx.optional(select).await?;
        let Some(row) = row else {
            tx.commit().await?;
            return Ok(None);
        };
        let (run, started_at, errors): (Uuid, i64, Value) =
            (tx.get(&row, 0)?, tx.get(&row, 1)?, tx.get(&row, 2)?);
        tx.commit().await?;
        let started_at = Timestamp::from_microsecond(started_at).unwrap_or_default();
        let failed = failed_attempts(&errors)
            .into_iter()
            .map(|attempt| attempt.failed_at);
        Ok(Some(LastReading {
            run,
            began_at: failed.fold(started_at, Timestamp::max),
        }))
    }
}
