//! An Apply that is dropped at any point has changed nothing and holds no lock, even while the server waits or works.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tarana_operator::fault::Reason;
use tarana_operator::station::Change;
use tarana_operator::store::{CloseRequest, Outcome, RunInfo, Store};

use crate::environment::wait_until;
use crate::store_support::{
    AccessMode, Database, apply, drop_when_blocked, open, perform, plan, ready, row, run, table,
    tests_with_every_mode, tests_with_mode, wait_for_value, wait_until_blocked,
};

tests_with_every_mode! {
    dropped_while_waiting_for_the_table_lock,
    apply_continues_when_the_table_lock_is_released,
    dropped_after_each_stage,
    dropped_at_some_yield_points,
    dropped_while_the_server_executes_a_statement,
}
tests_with_mode!(idle_direct, Direct, an_idle_transaction_loses_the_table_lock);
tests_with_mode!(
    idle_least_privilege,
    LeastPrivilege,
    an_idle_transaction_loses_the_table_lock
);

/// Waits until the operator neither holds nor awaits a write lock on the table.
async fn wait_until_unlocked(database: &Database) {
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                 WHERE l.relation = 'tarana_base_stations'::regclass AND l.mode <> 'AccessShareLock'
                   AND a.application_name = 'tarana-operator'";
    wait_for_value(database, locks, "0").await;
}

async fn assert_unchanged(database: &Database) {
    wait_until_unlocked(database).await;
    let state = "SELECT concat_ws(' ',
        (SELECT string_agg(serial_number, ',') FROM tarana_base_stations),
        (SELECT count(*) FROM tarana_sync_changes),
        (SELECT status FROM tarana_sync_logs ORDER BY created_at DESC LIMIT 1))";
    assert_eq!(database.value(state).await, "S1 1 running");
}

/// A database with the station `S1`, and a run that is open.
async fn open_run(mode: AccessMode) -> (Database, Store, RunInfo, i64) {
    let (database, store) = ready(mode).await;
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    let run = run();
    let fence = open(&store, &run).await;
    (database, store, run, fence)
}

/// A transaction that holds the lock of this statement.
async fn blocker(database: &Database, statement: &str) -> PgConnection {
    let mut connection = database.connect().await;
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

async fn dropped_while_waiting_for_the_table_lock(mode: AccessMode) {
    let (database, store, run, fence) = open_run(mode).await;
    let blocker = blocker(&database, "LOCK TABLE tarana_base_stations IN ROW EXCLUSIVE MODE").await;
    drop_when_blocked(&database, async {
        let _ = store.begin_apply(run.id, fence, &|_| ()).await;
    })
    .await;
    wait_until_unlocked(&database).await;
    // The log row is not locked: it can be closed while the table is locked.
    let cancel = CloseRequest {
        outcome: Outcome::Cancelled,
        reason: Reason::Cancelled,
        message: "cancelled".into(),
        attempt: 1,
        fence: Some(fence),
        spans: None,
    };
    assert_eq!(
        store.close(&run, &cancel).await.unwrap().outcome,
        Outcome::Cancelled
    );
    blocker.close().await.unwrap();
}

async fn apply_continues_when_the_table_lock_is_released(mode: AccessMode) {
    let (database, store, run, fence) = open_run(mode).await;
    let blocker = blocker(&database, "LOCK TABLE tarana_base_stations IN ROW EXCLUSIVE MODE").await;
    let release = async {
        wait_until_blocked(&database).await;
        // Exceeds the lock timeout of one second, after which Apply waits again.
        tokio::time::sleep(Duration::from_millis(1300)).await;
        blocker.close().await.unwrap();
    };
    let ((), mut apply) = tokio::join!(release, apply(&store, &run, fence));
    assert_eq!(table(&mut apply).await.len(), 1);
}

async fn dropped_after_each_stage(mode: AccessMode) {
    let (database, store, run, fence) = open_run(mode).await;
    drop(apply(&store, &run, fence).await);
    assert_unchanged(&database).await;
    let mut started = apply(&store, &run, fence).await;
    table(&mut started).await;
    drop(started);
    assert_unchanged(&database).await;
}

async fn dropped_at_some_yield_points(mode: AccessMode) {
    drop_at_yield_points(mode, 7).await;
}

#[tokio::test]
#[ignore = "long: make test-long"]
async fn dropped_at_every_yield_point() {
    for mode in [
        AccessMode::Direct,
        AccessMode::PgBouncer,
        AccessMode::Tls,
        AccessMode::LeastPrivilege,
    ] {
        drop_at_yield_points(mode, 1).await;
    }
}

/// Drops an Apply after 1 poll, after 1 + `stride` polls, and so on, until it completes.
async fn drop_at_yield_points(mode: AccessMode, stride: usize) {
    let (database, store, run, fence) = open_run(mode).await;
    let plan = plan((0..2000).map(|i| Change::Insert(row(&format!("N{i}")))).collect());
    for polls in (1..).step_by(stride) {
        let mut work = Box::pin(async {
            let mut apply = apply(&store, &run, fence).await;
            apply.read_rows(drop).await.unwrap();
            apply.finish(&plan, false, &[]).await.unwrap();
        });
        let mut remaining = polls;
        let is_done = std::future::poll_fn(|cx| {
            if remaining == 0 {
                return std::task::Poll::Ready(false);
            }
            remaining -= 1;
            work.as_mut().poll(cx).map(|()| true)
        })
        .await;
        drop(work);
        wait_until_unlocked(&database).await;
        let is_closed = store.closed_row(run.id).await.unwrap().is_some();
        assert!(is_closed || !is_done);
        // If it was dropped between COMMIT and response, all of it is done and the log row is closed.
        if is_closed {
            // The number of polls depends on the speed of the server.
            assert!(polls > 1, "it completed in one poll");
            for count in [
                "SELECT count(*) FROM tarana_base_stations",
                "SELECT count(*) FROM tarana_sync_changes",
            ] {
                assert_eq!(database.value(count).await, "2001", "{count}");
            }
            break;
        }
        assert_unchanged(&database).await;
    }
}

async fn dropped_while_the_server_executes_a_statement(mode: AccessMode) {
    let (database, store, run, fence) = open_run(mode).await;
    // The insert needs a unique key of another open transaction and waits for its end.
    database.sql("CREATE TABLE side (k int PRIMARY KEY); GRANT ALL ON side TO PUBLIC;
        CREATE FUNCTION side() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.side VALUES (1); RETURN new; END $$;
        CREATE TRIGGER side BEFORE INSERT ON tarana_base_stations FOR EACH ROW EXECUTE FUNCTION side()").await;
    let blocker = blocker(&database, "INSERT INTO side VALUES (1)").await;
    let apply = apply(&store, &run, fence).await;
    let plan = plan(vec![Change::Insert(row("S2"))]);
    drop_when_blocked(&database, async {
        let _ = apply.finish(&plan, false, &[]).await;
    })
    .await;
    assert_unchanged(&database).await;
    blocker.close().await.unwrap();
    assert_unchanged(&database).await;
}

#[tokio::test]
#[ignore = "long: make test-long"]
async fn an_idle_transaction_loses_the_table_lock_in_other_modes() {
    for mode in [AccessMode::PgBouncer, AccessMode::Tls] {
        an_idle_transaction_loses_the_table_lock(mode).await;
    }
}

async fn an_idle_transaction_loses_the_table_lock(mode: AccessMode) {
    let (database, store, run, fence) = open_run(mode).await;
    let stalled = apply(&store, &run, fence).await;
    // It holds table and log row and sends nothing. Another process opens the run once the server has ended the
    // transaction. The write of the first process is then rejected.
    wait_until("another process opens the run", || async {
        store.open(&run, 1, |_| Vec::new()).await.ok()
    })
    .await;
    let fault = stalled
        .finish(&plan(vec![Change::Insert(row("S2"))]), false, &[])
        .await
        .unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseUnreachable, "{fault}");
    assert_unchanged(&database).await;
}
