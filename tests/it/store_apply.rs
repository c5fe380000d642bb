//! Apply: what it writes, keeps and records.

use serde_json::json;
use tarana_operator::fault::Reason;
use tarana_operator::station::{Change, Plan, Rejected};
use tarana_operator::store::{BeginApply, MomentQuery, Outcome, RunInfo, Store};

use crate::store_support::{
    ADMINS, AccessMode, Database, EXISTING, apply, deliver_events, open, perform, plan, ready, row, run,
    table, tests_with_every_mode,
};

tests_with_every_mode! {
    rows_are_read_back_exactly_as_they_were_written,
    only_synced_columns_of_an_existing_table_change,
    changes_log_row_and_event_agree,
    a_dry_run_changes_no_station,
    a_superseded_process_is_fenced,
    many_changes_are_numbered_consecutively,
}

async fn rows_are_read_back_exactly_as_they_were_written(mode: AccessMode) {
    let (_database, store) = ready(mode).await;
    let mut odd = row("S2");
    odd.market = None;
    odd.height_cm = Some(-5);
    odd.azimuth_cdeg = None;
    odd.position.lat_e6 = 0;
    perform(
        &store,
        vec![Change::Insert(row("S1")), Change::Insert(odd.clone())],
    )
    .await;
    let run = run();
    let fence = open(&store, &run).await;
    assert_eq!(
        table(&mut apply(&store, &run, fence).await).await,
        vec![row("S1"), odd]
    );
}

async fn only_synced_columns_of_an_existing_table_change(mode: AccessMode) {
    let database = Database::new(mode).await;
    database.sql(ADMINS).await;
    database.sql(EXISTING).await;
    let store = database.store().await;
    let kept = "SELECT id || created_at::text || network_profile_id || bandwidth_mhz FROM tarana_base_stations WHERE serial_number = 'S1'";
    let before = database.value(kept).await;
    let run = run();
    let fence = open(&store, &run).await;
    let mut apply = apply(&store, &run, fence).await;
    let rows = table(&mut apply).await;
    assert_eq!(
        (
            rows[0].active_connections,
            rows[0].region.as_deref(),
            rows[0].device_status
        ),
        (None, None, None)
    );
    let changes = vec![
        Change::Insert(row("S3")),
        Change::Update {
            before: Box::new(rows[0].clone()),
            after: Box::new(row("S1")),
        },
        Change::Delete(rows[1].clone()),
    ];
    let ended = apply.finish(&plan(changes), false, &[]).await.unwrap();
    assert_eq!(
        (ended.counts.inserted, ended.counts.updated, ended.counts.deleted),
        (1, 1, 1)
    );
    assert_eq!(database.value(kept).await, before);
    assert_eq!(
        database
            .value("SELECT st_astext(location) FROM tarana_base_stations WHERE serial_number = 'S1'")
            .await,
        "POINT(28.056721 -26.107912)"
    );
    assert_eq!(
        database
            .value("SELECT string_agg(coalesce(tower, '-'), ',' ORDER BY id) FROM orders")
            .await,
        "S1,-"
    );
}

/// The row has the counts and the message of the plan, also in lists.
async fn assert_listed(store: &Store, run: &RunInfo, plan: &Plan) {
    let logged = store.logged_run(run.id).await.unwrap().unwrap();
    assert_eq!(
        (logged.counts, &logged.message),
        (plan.counts, &plan.withheld_because)
    );
    let query = MomentQuery {
        namespace: &run.namespace,
        connection: &run.connection,
        before: None,
        limit: 9,
    };
    let moments = store.run_moments(&query).await.unwrap();
    let end = moments.iter().find(|moment| moment.is_end).unwrap();
    assert_eq!((end.counts, &end.message), (plan.counts, &plan.withheld_because));
}

/// A plan with each kind of change.
fn plan_with_everything() -> Plan {
    let mut after = row("S1");
    after.device_status = Some(0);
    let mut plan = plan(vec![
        Change::Insert(row("S3")),
        Change::Update {
            before: Box::new(row("S1")),
            after: Box::new(after),
        },
        Change::Delete(row("S9")),
        Change::Withhold(row("S2")),
    ]);
    plan.withheld_because = Some("1 of 2 rows is more than 5 %".into());
    plan.skipped = vec![Rejected {
        serial: Some("S7".into()),
        why: "latitude 91".into(),
    }];
    plan.counts.skipped = 1;
    plan.counts.stale = 7;
    plan
}

async fn changes_log_row_and_event_agree(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    perform(
        &store,
        vec![
            Change::Insert(row("S1")),
            Change::Insert(row("S2")),
            Change::Insert(row("S9")),
        ],
    )
    .await;
    let run = run();
    let fence = open(&store, &run).await;
    let plan = plan_with_everything();
    let ended = apply(&store, &run, fence)
        .await
        .finish(&plan, false, &[])
        .await
        .unwrap();

    assert_eq!(ended.outcome, Outcome::Completed);
    assert_eq!(ended.counts, plan.counts);
    assert_listed(&store, &run, &plan).await;
    assert_eq!(ended.reason.as_deref(), Some("DeletesWithheld"));
    assert_eq!(ended.message, plan.withheld_because);
    assert_eq!(store.closed_row(run.id).await.unwrap(), Some(ended));

    let select = "SELECT string_agg(concat_ws(' ', seq, serial, op, applied), ', ' ORDER BY seq) FROM tarana_sync_changes";
    let recorded = database
        .value(&format!("{select} WHERE run = '{}'", run.id))
        .await;
    assert_eq!(
        recorded,
        "1 S9 delete t, 2 S1 update t, 3 S3 insert t, 4 S2 delete f"
    );
    let sides = "SELECT before::text || after::text FROM tarana_sync_changes WHERE op = 'update'";
    assert_eq!(
        database.value(sides).await,
        r#"{"device_status":1}{"device_status":0}"#
    );
    let inserted = format!(
        "SELECT after->>'lat' FROM tarana_sync_changes WHERE op = 'insert' AND run = '{}'",
        run.id
    );
    assert_eq!(database.value(&inserted).await, "-26.107912");

    assert_events(&database, &store, &run).await;
}

async fn assert_events(database: &Database, store: &Store, run: &RunInfo) {
    let events = deliver_events(store, run.connection_uid).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["tarana/sync.requested", "tarana/sync.completed"]);
    assert_eq!(
        (&events[1].payload["inserted"], &events[1].payload["deleted"]),
        (&json!(1), &json!(1))
    );
    let errors = format!(
        "SELECT errors->0->>'message' FROM tarana_sync_logs WHERE id = '{}'",
        run.id
    );
    assert_eq!(database.value(&errors).await, "S7: latitude 91");
}

async fn a_dry_run_changes_no_station(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    let mut run = run();
    run.dry_run = true;
    let fence = open(&store, &run).await;
    let changes = plan(vec![Change::Insert(row("S2")), Change::Delete(row("S1"))]);
    let ended = apply(&store, &run, fence)
        .await
        .finish(&changes, true, &[])
        .await
        .unwrap();
    assert_eq!(ended.counts.inserted, 1);
    assert_eq!(
        database
            .value("SELECT string_agg(serial_number, ',') FROM tarana_base_stations")
            .await,
        "S1"
    );
    let planned = format!(
        "SELECT count(*) FROM tarana_sync_changes WHERE NOT applied AND run = '{}'",
        run.id
    );
    assert_eq!(database.value(&planned).await, "2");
}

async fn a_superseded_process_is_fenced(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    let run = run();
    let late = open(&store, &run).await;
    let current = open(&store, &run).await;
    assert_eq!(current, late + 1);
    let fault = store
        .begin_apply(run.id, late, &|_| ())
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(fault.reason, Reason::Superseded);
    assert_eq!(
        store.heartbeat(run.id, late, 1, &[]).await.unwrap_err().reason,
        Reason::Superseded
    );
    assert_eq!(
        store
            .record_failure(run.id, late, "x", &[])
            .await
            .unwrap_err()
            .reason,
        Reason::Superseded
    );
    assert_eq!(
        database.value("SELECT count(*) FROM tarana_base_stations").await,
        "0"
    );
    apply(&store, &run, current)
        .await
        .finish(&plan(vec![Change::Insert(row("S1"))]), false, &[])
        .await
        .unwrap();
    // After the commit, every process gets the closed row.
    match store.begin_apply(run.id, late, &|_| ()).await.unwrap() {
        BeginApply::Closed(ended) => assert_eq!(ended.counts.inserted, 1),
        BeginApply::Started(_) => panic!("a closed run was opened"),
    }
}

async fn many_changes_are_numbered_consecutively(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    let rows: Vec<_> = (0..5000).map(|i| Change::Insert(row(&format!("S{i}")))).collect();
    perform(&store, rows).await;
    let numbered = "SELECT concat_ws(' ', count(DISTINCT seq), min(seq), max(seq), count(DISTINCT serial)) FROM tarana_sync_changes";
    assert_eq!(database.value(numbered).await, "5000 1 5000 5000");
    assert_eq!(
        database
            .value("SELECT count(*) > 1 FROM tarana_sync_change_batches")
            .await,
        "true"
    );
    database.sql("DELETE FROM tarana_sync_logs").await;
    assert_eq!(
        database.value("SELECT count(*) FROM tarana_sync_changes").await,
        "0"
    );
}
