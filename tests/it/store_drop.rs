//! Dropped at any point, an Apply has done nothing and holds nothing, even while the server waits or works.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tarana_operator::fault::Reason;
use tarana_operator::station::Change;
use tarana_operator::store::{Closing, Outcome, Run, Store};

use crate::store_support::{
    Database, Way, apply, eventually, every_way, open, perform, plan, ready, row, run, table,
};

every_way! {
    while_it_waits_for_the_table,
    it_gets_the_table_when_it_is_free,
    after_each_stage,
    in_the_middle_of_reading_and_writing,
    while_the_server_waits_in_the_middle_of_a_statement,
    a_process_that_stands_still_loses_the_table,
}

/// No lock on a table of ours, and nobody who waits for one.
async fn calm(database: &Database, within: Duration) -> bool {
    eventually(within, async || {
        let held = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                    WHERE l.relation = 'tarana_base_stations'::regclass AND l.mode <> 'AccessShareLock'
                      AND a.application_name = 'tarana-operator'";
        database.value(held).await == "0"
    })
    .await
}

async fn untouched(database: &Database) {
    assert!(
        calm(database, Duration::from_secs(5)).await,
        "locks were left behind"
    );
    assert_eq!(
        database
            .value("SELECT string_agg(serial_number, ',') FROM tarana_base_stations")
            .await,
        "S1"
    );
    assert_eq!(
        database.value("SELECT count(*) FROM tarana_sync_changes").await,
        "1"
    );
    assert_eq!(
        database
            .value("SELECT status FROM tarana_sync_logs ORDER BY created_at DESC LIMIT 1")
            .await,
        "running"
    );
}

async fn begun(way: Way) -> (Database, Store, Run, i64) {
    let (database, store) = ready(way).await;
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    let run = run();
    let fence = open(&store, &run).await;
    (database, store, run, fence)
}

/// Holds a lock that Apply must wait for.
async fn blocker(database: &Database, lock: &str) -> PgConnection {
    let mut connection = database.connect().await;
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(lock.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

async fn while_it_waits_for_the_table(way: Way) {
    let (database, store, run, fence) = begun(way).await;
    let blocker = blocker(&database, "LOCK TABLE tarana_base_stations IN ROW EXCLUSIVE MODE").await;
    let waiting = tokio::time::timeout(Duration::from_millis(1500), store.begin_apply(run.id, fence)).await;
    assert!(waiting.is_err(), "it did not wait");
    assert!(
        calm(&database, Duration::from_secs(4)).await,
        "somebody still waits for the table"
    );
    // The log row is not held meanwhile: a cancel goes through with the table still locked.
    let cancel = Closing {
        outcome: Outcome::Cancelled,
        reason: Reason::Cancelled,
        message: "cancelled".into(),
        attempt: 1,
        fence: Some(fence),
    };
    assert_eq!(
        store.close(&run, &cancel).await.unwrap().outcome,
        Outcome::Cancelled
    );
    blocker.close().await.unwrap();
}

async fn it_gets_the_table_when_it_is_free(way: Way) {
    let (database, store, run, fence) = begun(way).await;
    let blocker = blocker(&database, "LOCK TABLE tarana_base_stations IN ROW EXCLUSIVE MODE").await;
    let release = async {
        tokio::time::sleep(Duration::from_millis(1300)).await;
        blocker.close().await.unwrap();
    };
    let ((), mut apply) = tokio::join!(release, apply(&store, &run, fence));
    assert_eq!(table(&mut apply).await.len(), 1);
}

async fn after_each_stage(way: Way) {
    let (database, store, run, fence) = begun(way).await;
    drop(apply(&store, &run, fence).await);
    untouched(&database).await;
    let mut begun = apply(&store, &run, fence).await;
    table(&mut begun).await;
    drop(begun);
    untouched(&database).await;
}

async fn in_the_middle_of_reading_and_writing(way: Way) {
    let (database, store, run, fence) = begun(way).await;
    // Every point at which the future gives up its thread, for a table and a plan of some size.
    let rows: Vec<Change> = (0..2000).map(|i| Change::Insert(row(&format!("N{i}")))).collect();
    let plan = plan(rows);
    for polls in 1.. {
        let mut work = Box::pin(async {
            let mut apply = apply(&store, &run, fence).await;
            apply.rows(drop).await.unwrap();
            apply.finish(&plan, false).await.unwrap();
        });
        let mut left = polls;
        let done = std::future::poll_fn(|cx| {
            if left == 0 {
                return std::task::Poll::Ready(false);
            }
            left -= 1;
            work.as_mut().poll(cx).map(|()| true)
        })
        .await;
        drop(work);
        assert!(
            calm(&database, Duration::from_secs(5)).await,
            "locks were left behind"
        );
        // Dropped between the COMMIT and its answer, it is done: all of it, and the row says so.
        let ended = store.ended(run.id).await.unwrap();
        assert!(ended.is_some() || !done);
        if ended.is_some() {
            // How often it yields depends on how fast the server answers; at least one drop must have come before the end.
            assert!(polls > 1, "it ended without ever giving up its thread");
            assert_eq!(
                database.value("SELECT count(*) FROM tarana_base_stations").await,
                "2001"
            );
            assert_eq!(
                database.value("SELECT count(*) FROM tarana_sync_changes").await,
                "2001"
            );
            break;
        }
        untouched(&database).await;
    }
}

async fn while_the_server_waits_in_the_middle_of_a_statement(way: Way) {
    let (database, store, run, fence) = begun(way).await;
    // Somebody holds a key that the insert runs into: the statement waits for the end of that transaction.
    database.sql("CREATE TABLE side (k int PRIMARY KEY); GRANT ALL ON side TO PUBLIC;
        CREATE FUNCTION side() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.side VALUES (1); RETURN new; END $$;
        CREATE TRIGGER side BEFORE INSERT ON tarana_base_stations FOR EACH ROW EXECUTE FUNCTION side()").await;
    let blocker = blocker(&database, "INSERT INTO side VALUES (1)").await;
    let apply = apply(&store, &run, fence).await;
    let plan = plan(vec![Change::Insert(row("S2"))]);
    let waiting = tokio::time::timeout(Duration::from_millis(500), apply.finish(&plan, false)).await;
    assert!(waiting.is_err(), "it did not wait");
    untouched(&database).await;
    blocker.close().await.unwrap();
    untouched(&database).await;
}

async fn a_process_that_stands_still_loses_the_table(way: Way) {
    let (database, store, run, fence) = begun(way).await;
    let stalled = apply(&store, &run, fence).await;
    // It holds table and log row and says nothing. Another process opens the run as soon as the server has given up on
    // the first, and the first one's write comes to nothing.
    let opened = eventually(Duration::from_secs(25), async || {
        store.open(&run, 1).await.is_ok()
    })
    .await;
    assert!(opened, "the table was never given back");
    let fault = stalled
        .finish(&plan(vec![Change::Insert(row("S2"))]), false)
        .await
        .unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseUnreachable, "{fault}");
    untouched(&database).await;
}
