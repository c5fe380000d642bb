//! The log row: one running row per connection, fence, closing, sweep.

use std::time::Duration;

use tarana_operator::fault::Reason;
use tarana_operator::station::Change;
use tarana_operator::store::{
    CloseRequest, OpenResult, Outcome, RunInfo, Span, SpanKind, Store, SweepScope, SweptEnd,
};
use uuid::Uuid;

use crate::store_support::{
    ADMINS, AccessMode, Database, EXISTING, abandoned, apply, deliver_events, open, plan, ready, row, run,
    sweep, tests_with_every_mode,
};

tests_with_every_mode! {
    a_run_is_pending_then_running_then_failed,
    closing_twice_creates_one_event,
    a_committed_run_cannot_be_cancelled,
    a_superseded_process_cannot_close_the_row,
    a_connection_runs_one_sync_at_a_time,
    an_unknown_admin_user_is_stored_as_null,
    the_sweep_closes_abandoned_rows,
    spans_are_written_by_the_owner_of_the_row_only,
}

fn failed(message: &str, fence: Option<i64>) -> CloseRequest {
    CloseRequest {
        outcome: Outcome::Failed,
        reason: Reason::FetchIncomplete,
        message: message.into(),
        attempt: 2,
        fence,
        spans: None,
    }
}

async fn a_run_is_pending_then_running_then_failed(mode: AccessMode) {
    let (database, store) = ready(mode).await;
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
    store.heartbeat(run.id, fence, 70, &[]).await.unwrap();
    store
        .record_failure(run.id, fence, "page 3 was short\0", &[])
        .await
        .unwrap();
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
    assert_eq!(
        store.open(&run, 3, |_| Vec::new()).await.unwrap(),
        OpenResult::Closed(ended)
    );
}

async fn closing_twice_creates_one_event(mode: AccessMode) {
    let (_database, store) = ready(mode).await;
    let run = run();
    let cancelled = CloseRequest {
        outcome: Outcome::Cancelled,
        reason: Reason::Cancelled,
        message: "cancelled by someone".into(),
        attempt: 1,
        fence: None,
        spans: None,
    };
    // Closing creates the row if the run was never registered or opened.
    let first = store.close(&run, &cancelled).await.unwrap();
    let second = store.close(&run, &failed("second", None)).await.unwrap();
    assert_eq!(first, second);
    assert_eq!((first.outcome, first.duration_ms), (Outcome::Cancelled, 0));
    let events = deliver_events(&store, run.connection_uid).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["tarana/sync.requested", "tarana/sync.cancelled"]);
    assert_eq!(events[1].payload, serde_json::json!({"sync_log_id": run.id}));
}

async fn a_committed_run_cannot_be_cancelled(mode: AccessMode) {
    let (_database, store) = ready(mode).await;
    let run = run();
    let fence = open(&store, &run).await;
    let done = apply(&store, &run, fence)
        .await
        .finish(&plan(vec![Change::Insert(row("S1"))]), false, &[])
        .await
        .unwrap();
    assert_eq!(store.close(&run, &failed("no", Some(fence))).await.unwrap(), done);
}

async fn a_superseded_process_cannot_close_the_row(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    let run = run();
    let late = open(&store, &run).await;
    let current = open(&store, &run).await;
    let fault = store
        .close(&run, &failed("superseded", Some(late)))
        .await
        .unwrap_err();
    assert_eq!(fault.reason, Reason::Superseded);
    assert_eq!(
        database.value("SELECT status FROM tarana_sync_logs").await,
        "running"
    );
    store
        .close(&run, &failed("current", Some(current)))
        .await
        .unwrap();
}

/// A span that began at this second.
fn span(second: i64) -> Span {
    Span::new(
        SpanKind::Attempt,
        Some(1),
        jiff::Timestamp::from_second(second).unwrap(),
    )
}

/// When the recorded spans began, in seconds.
async fn recorded(store: &Store, run: &RunInfo) -> Vec<i64> {
    let spans = store.logged_run(run.id).await.unwrap().unwrap().spans;
    spans.iter().map(|span| span.started_at.as_second()).collect()
}

async fn spans_are_written_by_the_owner_of_the_row_only(mode: AccessMode) {
    let (_database, store) = ready(mode).await;
    let run = run();
    store.register(&run).await.unwrap();
    assert_eq!(recorded(&store, &run).await, [0_i64; 0]);
    let first = store.open(&run, 1, |row| {
        assert_eq!((row.fence, row.spans.len(), row.heartbeat_at), (1, 0, None));
        vec![span(1)]
    });
    assert_eq!(first.await.unwrap(), OpenResult::Opened(1));
    store.heartbeat(run.id, 1, 0, &[span(1), span(2)]).await.unwrap();
    store.heartbeat(run.id, 1, 0, &[]).await.unwrap();
    assert_eq!(recorded(&store, &run).await, [1, 2], "no spans change nothing");
    // Another process takes the run over, and continues its spans.
    let second = store.open(&run, 1, |row| {
        assert!(row.heartbeat_at.is_some_and(|at| at <= row.at), "{row:?}");
        [row.spans.clone(), vec![span(3)]].concat()
    });
    assert_eq!(second.await.unwrap(), OpenResult::Opened(2));
    let late = [
        store.heartbeat(run.id, 1, 0, &[span(9)]).await,
        store.record_failure(run.id, 1, "late", &[span(9)]).await,
    ];
    assert!(
        late.into_iter()
            .all(|late| late.unwrap_err().reason == Reason::Superseded)
    );
    assert_eq!(recorded(&store, &run).await, [1, 2, 3]);
    store
        .record_failure(run.id, 2, "failed", &[span(4)])
        .await
        .unwrap();
    assert_eq!(recorded(&store, &run).await, [4]);
    // A cancellation applies whoever owns the run, but not its spans.
    let cancel = CloseRequest {
        spans: Some((1, vec![span(9)])),
        ..failed("cancelled", None)
    };
    store
        .close(&run, &cancel)
        .await
        .unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(recorded(&store, &run).await, [4]);

    for completes in [false, true] {
        let run = self::run();
        let fence = open(&store, &run).await;
        if completes {
            let apply = apply(&store, &run, fence).await;
            apply.finish(&plan(vec![]), false, &[span(5)]).await.unwrap();
        } else {
            let close = CloseRequest {
                spans: Some((fence, vec![span(5)])),
                ..failed("failed", Some(fence))
            };
            store.close(&run, &close).await.unwrap();
        }
        assert_eq!(recorded(&store, &run).await, [5], "completes: {completes}");
    }
}

async fn a_connection_runs_one_sync_at_a_time(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    let first = run();
    let mut second = run();
    second.connection_uid = first.connection_uid;
    second.name = "sync-2".into();
    // Of two concurrent calls, one opens its run and the other returns the name of that run.
    let (a, b) = tokio::join!(
        store.open(&first, 1, |_| Vec::new()),
        store.open(&second, 1, |_| Vec::new())
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    let busy = match (&a, &b) {
        (OpenResult::Opened(_), OpenResult::Busy { name, .. }) => name == "sync-1",
        (OpenResult::Busy { name, .. }, OpenResult::Opened(_)) => name == "sync-2",
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
    assert_eq!(
        store.open(&other, 1, |_| Vec::new()).await.unwrap(),
        OpenResult::Opened(1)
    );
}

async fn an_unknown_admin_user_is_stored_as_null(mode: AccessMode) {
    let database = Database::new(mode).await;
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

async fn the_sweep_closes_abandoned_rows(mode: AccessMode) {
    let database = Database::new(mode).await;
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
    let fresh = tarana_operator::store::RunInfo {
        connection_uid: connection,
        ..fresh
    };
    store.register(&fresh).await.unwrap();
    let grace = Duration::from_mins(1);
    let mut swept = sweep(&store, connection, &[live.id], grace).await.unwrap();
    assert_eq!(
        swept.len(),
        2,
        "the run without object, and the legacy row that has been running for two days"
    );
    swept.retain(|id| *id == gone.id);
    assert_eq!(swept, vec![gone.id]);
    let legacy = "SELECT string_agg(concat_ws(' ', status, completed_at > now() - interval '1 minute', outcome, reason,
                                              errors -> -1 ->> 'message'), ', ' ORDER BY status)
                  FROM tarana_sync_logs WHERE connection_uid IS NULL AND (status = 'running' OR duration_ms > 86400000)";
    assert_eq!(
        database.value(legacy).await,
        "failed t no process was left to continue this run, running",
        "the function knows nothing of our columns"
    );
    let events = "SELECT count(*) FROM tarana_sync_outbox o JOIN tarana_sync_logs l ON l.id = o.run WHERE l.connection_uid IS NULL";
    assert_eq!(database.value(events).await, "0");
    assert!(
        sweep(&store, connection, &[live.id], grace)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn the_sweep_closes_rows_of_deleted_connections_of_its_own_cluster_and_namespace() {
    let database = Database::new(AccessMode::Direct).await;
    let store = database.store().await;
    let cluster = Uuid::new_v4();
    let of = |cluster_uid, namespace: &str| tarana_operator::store::RunInfo {
        cluster_uid,
        namespace: namespace.into(),
        ..run()
    };
    let [finished, gone, live] = [(); 3].map(|()| of(Some(cluster), "net"));
    let others = [
        of(Some(Uuid::new_v4()), "net"),
        of(Some(cluster), "other"),
        of(None, "net"),
    ];
    for run in [&finished, &gone, &live].into_iter().chain(&others) {
        store.register(run).await.unwrap();
    }
    store.open(&finished, 1, |_| Vec::new()).await.unwrap();
    let sweep = |grace| sweep_cluster(&store, cluster, live.id, finished.id, grace);
    assert!(
        sweep(Duration::from_mins(1)).await.is_empty(),
        "all rows are young"
    );
    let mut expected = vec![finished.id, gone.id];
    expected.sort();
    assert_eq!(sweep(Duration::ZERO).await, expected);
    let end = async |id| {
        let row = store.closed_row(id).await.unwrap();
        row.map(|row| (row.outcome, row.reason.unwrap_or_default()))
    };
    assert_eq!(
        end(finished.id).await,
        Some((Outcome::Cancelled, "Cancelled".into()))
    );
    assert_eq!(end(gone.id).await, Some((Outcome::Failed, "Abandoned".into())));
    for untouched in [&live].into_iter().chain(&others) {
        assert_eq!(end(untouched.id).await, None, "{untouched:?}");
    }
}

/// Sweeps for a new connection of the cluster in namespace `net`. The row of `finished` is closed as cancelled.
async fn sweep_cluster(
    store: &Store,
    cluster: Uuid,
    live: Uuid,
    finished: Uuid,
    grace: Duration,
) -> Vec<Uuid> {
    let scope = SweepScope {
        connection_uid: Uuid::new_v4(),
        cluster_uid: Some(cluster),
        namespace: "net",
        live: &[live],
        grace,
    };
    let cancelled = SweptEnd {
        outcome: Outcome::Cancelled,
        reason: Reason::Cancelled,
        message: "its object was deleted".into(),
    };
    let end = |row: &tarana_operator::store::AbandonedRow| {
        if row.id == finished {
            cancelled.clone()
        } else {
            abandoned()
        }
    };
    let rows = store.abandoned_rows(&scope).await.unwrap();
    let mut swept = store.sweep(&scope, rows, end).await.unwrap().closed;
    swept.sort();
    swept
}
