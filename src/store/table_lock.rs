//! Locks the table of stations, and tells who holds it.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::db::{Db, Tx};
use super::error::DbError;

/// Pause between two requests for the lock. Other writers queue behind a request that waits, so it waits for less time than this.
const PAUSE: Duration = Duration::from_millis(800);
/// Most holders that are named.
const MAX_NAMED: usize = 3;

/// The lock modes that conflict with ours, and that of sessions which have locked single rows.
const TABLE_MODES: &[&str] = &[
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
];
const ROW_MODES: &[&str] = &["RowShareLock"];

/// Waits without a limit, in short requests, each in a transaction of its own: a waiting process holds no lock and no session
/// between them, other writers get the
/// table between the requests, and a server that does not notice a dropped client stops waiting by itself. After each request that failed,
/// `on_wait` gets the sessions that hold the table. Also returns how long it took.
pub(super) async fn lock_table(
    db: &Db,
    on_wait: &(dyn Fn(String) + Sync),
) -> Result<(Tx, Duration), DbError> {
    let lock = "SET LOCAL lock_timeout TO '200ms';
                LOCK TABLE tarana_base_stations IN SHARE ROW EXCLUSIVE MODE;
                SET LOCAL lock_timeout TO '5s'";
    let mut began = None;
    loop {
        let mut tx = db.begin_long().await?;
        let began = *began.get_or_insert_with(Instant::now);
        match tx.script(lock.to_owned()).await {
            Ok(()) => return Ok((tx, began.elapsed())),
            Err(e) if e.has_code("55P03") => tx.rollback().await?,
            Err(e) => return Err(e),
        }
        let mut tx = db.begin_read_only().await?;
        on_wait(waiting(&holders(&mut tx, TABLE_MODES).await?));
        tx.rollback().await?;
        sleep(PAUSE).await;
    }
}

/// For what a run waits whose rows are locked; `None` if no session has locked rows of the table.
pub(super) async fn row_lock_holders(tx: &mut Tx) -> Result<Option<String>, DbError> {
    let holders = holders(tx, ROW_MODES).await?;
    Ok((!holders.is_empty()).then(|| waiting(&holders)))
}

/// A session, as a text for users.
async fn holders(tx: &mut Tx, modes: &[&str]) -> Result<Vec<String>, DbError> {
    // A prepared transaction has no session. Those of other roles may hide since when they are open.
    let select = "
        SELECT DISTINCT l.pid, a.application_name, to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
        FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'relation' AND l.relation = 'tarana_base_stations'::regclass AND l.granted AND l.mode = ANY ($1)
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND l.pid IS DISTINCT FROM pg_backend_pid()
        ORDER BY 1";
    let rows = tx.all(sqlx::query(select).bind(modes.to_vec())).await?;
    let decode = |row| {
        let pid: Option<i32> = tx.get(row, 0)?;
        let application: Option<String> = tx.get(row, 1)?;
        let since: Option<String> = tx.get(row, 2)?;
        let Some(pid) = pid else {
            return Ok("a prepared transaction (see pg_prepared_xacts)".to_owned());
        };
        let application = application.filter(|name| !name.is_empty());
        let application = application.map_or(String::new(), |name| format!(" ({name:?})"));
        let since = since.map_or(String::new(), |since| {
            format!(", whose transaction began at {since} UTC")
        });
        Ok(format!("session {pid}{application}{since}"))
    };
    rows.iter().map(decode).collect()
}

fn waiting(holders: &[String]) -> String {
    let held_by = match holders {
        [] => "a session that has just released it".to_owned(),
        _ => holders[..holders.len().min(MAX_NAMED)].join(" and "),
    };
    let others = match holders.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        n => format!(" and {n} others"),
    };
    format!(
        "waits for a lock on tarana_base_stations, held by {held_by}{others}; pg_terminate_backend(pid) ends a session that was forgotten"
    )
}

#[cfg(test)]
mod tests {
    use super::waiting;

    #[test]
    fn at_most_three_holders_are_named() {
        let sessions: Vec<String> = (1..=5).map(|pid| format!("session {pid}")).collect();
        let named = waiting(&sessions);
        assert!(
            named.contains("session 1 and session 2 and session 3 and 2 others;"),
            "{named}"
        );
        assert!(waiting(&sessions[..1]).contains("held by session 1;"));
        assert!(waiting(&[]).contains("just released"));
    }
}
