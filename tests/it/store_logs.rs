//! The log row: gate, fence, end, and what is left behind.

use std::time::Duration;

use tarana_operator::fault::Reason;
use tarana_operator::station::Change;
use tarana_operator::store::{Closing, Opened, Outcome};
use uuid::Uuid;

use crate::store_support::{ADMINS, Database, EXISTING, Way, apply, every_way, open, plan, ready, row, run};

every_way! {
    a_run_is_pending_then_running_then_failed,
    a_close_can_be_repeated_and_announces_once,
    what_was_committed_cannot_be_cancelled,
    a_superseded_process_does_not_end_the_run,
    one_run_at_a_time_on_a_connection,
    a_user_whom_the_application_does_not_know_is_no_obstacle,
    the_sweep_ends_what_nobody_will_end,
}

fn failed(message: &str, fence: Option<i64>) -> Closing {
    Closing {
        outcome: Outcome::Failed,
        reason: Reason::FetchIncomplete,
        message: message.into(),
        attempt: 2,
        fence,
    }
}

async fn a_run_is_pending_then_running_then_failed(way: Way) {
    let (database, store) = ready(way).await;
    let run = run();
    store.register(&run).await.unwrap();
    store.register(&run).await.unwrap();
    let row = "SELECT concat_ws(' ', status, trigger_type, namespace, name, connection, actor, attempt, started_at IS NULL) FROM tarana_sync_logs";
    assert_eq!(
        database.value(row).await,
        "pending manual net sync-1 default someone 1 t"
    );
    let fence = open(&store, &run).await;
    assert_eq!(fence, 1);
    store.heartbeat(run.id, fence, 70).await.unwrap();
    store.waiting(run.id, fence, "page 3 was short\0").await.unwrap();
    assert_eq!(
        database
            .value("SELECT stations_fetched FROM tarana_sync_logs")
            .await,
        "70"
    );
    let ended = store
        .close(&run, &failed("short again", Some(fence)))
        .await
        .unwrap();
    assert_eq!(
        (ended.outcome, ended.reason.as_deref()),
        (Outcome::Failed, Some("FetchIncomplete"))
    );
    let errors = "SELECT string_agg(e->>'message', ', ') FROM tarana_sync_logs, jsonb_array_elements(errors) e WHERE e ? 'timestamp'";
    assert_eq!(
        database.value(errors).await,
        "page 3 was short\u{fffd}, short again"
    );
    let end = "SELECT concat_ws(' ', status, outcome, attempt, duration_ms >= 0, completed_at IS NULL) FROM tarana_sync_logs";
    assert_eq!(database.value(end).await, "failed failed 2 t f");
    assert_eq!(store.open(&run, 3).await.unwrap(), Opened::Ended(ended));
}

async fn a_close_can_be_repeated_and_announces_once(way: Way) {
    let (_database, store) = ready(way).await;
    let run = run();
    let cancelled = Closing {
        outcome: Outcome::Cancelled,
        reason: Reason::Cancelled,
        message: "cancelled by someone".into(),
        attempt: 1,
        fence: None,
    };
    // Never registered, never opened: a row is left all the same.
    let first = store.close(&run, &cancelled).await.unwrap();
    let second = store.close(&run, &failed("too late", None)).await.unwrap();
    assert_eq!(first, second);
    assert_eq!((first.outcome, first.duration_ms), (Outcome::Cancelled, 0));
    let events = store.undelivered(run.id).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind, "tarana/sync.cancelled");
    assert_eq!(events[0].payload["error"], "cancelled by someone");
}

async fn what_was_committed_cannot_be_cancelled(way: Way) {
    let (_database, store) = ready(way).await;
    let run = run();
    let fence = open(&store, &run).await;
    let done = apply(&store, &run, fence)
        .await
        .finish(&plan(vec![Change::Insert(row("S1"))]), false)
        .await
        .unwrap();
    assert_eq!(store.close(&run, &failed("no", Some(fence))).await.unwrap(), done);
}

async fn a_superseded_process_does_not_end_the_run(way: Way) {
    let (database, store) = ready(way).await;
    let run = run();
    let late = open(&store, &run).await;
    let current = open(&store, &run).await;
    let fault = store
        .close(&run, &failed("I am late", Some(late)))
        .await
        .unwrap_err();
    assert_eq!(fault.reason, Reason::Superseded);
    assert_eq!(
        database.value("SELECT status FROM tarana_sync_logs").await,
        "running"
    );
    store
        .close(&run, &failed("I am not", Some(current)))
        .await
        .unwrap();
}

async fn one_run_at_a_time_on_a_connection(way: Way) {
    let (database, store) = ready(way).await;
    let first = run();
    let mut second = run();
    second.connection_uid = first.connection_uid;
    second.name = "sync-2".into();
    // Both at the same instant: one is running, the other is told which.
    let (a, b) = tokio::join!(store.open(&first, 1), store.open(&second, 1));
    let (a, b) = (a.unwrap(), b.unwrap());
    let busy = match (&a, &b) {
        (Opened::Fence(_), Opened::Busy { name, .. }) => name == "sync-1",
        (Opened::Busy { name, .. }, Opened::Fence(_)) => name == "sync-2",
        _ => false,
    };
    assert!(busy, "{a:?} and {b:?}");
    assert_eq!(
        database
            .value("SELECT count(*) FROM tarana_sync_logs WHERE status = 'running'")
            .await,
        "1"
    );
    let other = run();
    assert_eq!(store.open(&other, 1).await.unwrap(), Opened::Fence(1));
}

async fn a_user_whom_the_application_does_not_know_is_no_obstacle(way: Way) {
    let database = Database::new(way).await;
    database.sql(ADMINS).await;
    let store = database.store().await;
    let mut known = run();
    known.triggered_by = Some(Uuid::from_u128(0xa));
    let mut unknown = run();
    unknown.triggered_by = Some(Uuid::new_v4());
    open(&store, &known).await;
    open(&store, &unknown).await;
    let by = |id| format!("SELECT triggered_by FROM tarana_sync_logs WHERE id = '{id}'");
    assert_eq!(
        database.value(&by(known.id)).await,
        Uuid::from_u128(0xa).to_string()
    );
    assert_eq!(database.value(&by(unknown.id)).await, "-");
}

async fn the_sweep_ends_what_nobody_will_end(way: Way) {
    let database = Database::new(way).await;
    database.sql(ADMINS).await;
    database.sql(EXISTING).await;
    let store = database.store().await;
    let (gone, fresh, mut live, mut elsewhere) = (run(), run(), run(), run());
    let connection = gone.connection_uid;
    live.connection_uid = connection;
    elsewhere.name = "elsewhere".into();
    for run in [&gone, &live, &elsewhere] {
        store.register(run).await.unwrap();
    }
    database.sql("UPDATE tarana_sync_logs SET created_at = now() - interval '10 minutes' WHERE connection IS NOT NULL").await;
    let fresh = tarana_operator::store::Run {
        connection_uid: connection,
        ..fresh
    };
    store.register(&fresh).await.unwrap();
    let mut swept = store
        .sweep(connection, &[live.id], Duration::from_mins(1))
        .await
        .unwrap();
    assert_eq!(
        swept.len(),
        2,
        "the one that is gone, and the one that has been running for two days"
    );
    swept.retain(|id| *id == gone.id);
    assert_eq!(swept, vec![gone.id]);
    let legacy = "SELECT concat_ws(' ', count(*) FILTER (WHERE status = 'running'), count(*) FILTER (WHERE reason = 'Abandoned'))
                  FROM tarana_sync_logs WHERE connection_uid IS NULL";
    assert_eq!(database.value(legacy).await, "1 1");
    assert!(
        store
            .sweep(connection, &[live.id], Duration::from_mins(1))
            .await
            .unwrap()
            .is_empty()
    );
}
