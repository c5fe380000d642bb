//! All statements of the store through PgBouncer in transaction mode, with fewer server connections than clients.

use std::time::Duration;

use tarana_operator::fault::Reason;
use tarana_operator::station::Change;
use tarana_operator::store::{
    CloseRequest, Config, MomentQuery, OpenResult, Outcome, RunInfo, StationFilter, Store,
};

use crate::store_support::{
    AccessMode, Database, apply, deliver_events, drop_when_blocked, open, plan, row, run, sweep, table,
    tests_with_mode, wait_for_value,
};

tests_with_mode!(pgbouncer, PgBouncer, sixteen_clients_share_two_server_connections);
tests_with_mode!(
    least_privilege,
    LeastPrivilege,
    sixteen_clients_share_two_server_connections
);

async fn execute_run(store: &Store, number: usize) {
    let run = run();
    store.register(&run).await.unwrap();
    let fence = open(store, &run).await;
    store.heartbeat(run.id, fence, 1, &[]).await.unwrap();
    store
        .record_failure(run.id, fence, "once more", &[])
        .await
        .unwrap();
    let OpenResult::Opened(fence) = store.open(&run, 2, |_| Vec::new()).await.unwrap() else {
        panic!("not opened")
    };
    let mut apply = apply(store, &run, fence).await;
    let before = table(&mut apply).await;
    let mut changes: Vec<Change> = (0..20)
        .map(|i| Change::Insert(row(&format!("S{number}-{i}"))))
        .collect();
    if let Some(one) = before.first() {
        changes.push(Change::Update {
            before: Box::new(one.clone()),
            after: Box::new(one.clone()),
        });
        changes.push(Change::Delete(before[before.len() - 1].clone()));
    }
    apply.finish(&plan(changes), false, &[]).await.unwrap();
    assert_eq!(deliver_events(store, run.connection_uid).await.unwrap().len(), 2);
    let cancelled = CloseRequest {
        outcome: Outcome::Cancelled,
        reason: Reason::Cancelled,
        message: String::new(),
        attempt: 1,
        fence: None,
        spans: None,
    };
    assert_eq!(
        store.close(&run, &cancelled).await.unwrap().outcome,
        Outcome::Completed
    );
    sweep(store, run.connection_uid, &[], Duration::from_mins(1))
        .await
        .unwrap();
    read(store, &run).await;
}

/// What the admin API reads.
async fn read(store: &Store, run: &RunInfo) {
    let reading = store.last_reading(run.connection_uid).await.unwrap().unwrap();
    assert_eq!(reading.run, run.id);
    let query = MomentQuery {
        namespace: &run.namespace,
        connection: &run.connection,
        before: None,
        limit: 10,
    };
    let moments = store.run_moments(&query).await.unwrap();
    assert!(!moments.is_empty());
    let mut export = store
        .begin_export(&StationFilter::default())
        .await
        .unwrap()
        .unwrap();
    assert!(!export.next_chunk().await.unwrap().is_empty());
    while !export.next_chunk().await.unwrap().is_empty() {}
}

async fn sixteen_clients_share_two_server_connections(mode: AccessMode) {
    let database = Database::new(mode).await;
    database.store().await;
    let config = Config {
        // Other programs need this parameter.
        url: format!("{}?pgbouncer=true", database.config().url),
        ..database.config()
    };
    let stores: Vec<Store> = (0..16).map(|_| Store::new(&config).unwrap()).collect();
    futures::future::join_all(stores.iter().map(async |s| s.verify().await.unwrap())).await;
    futures::future::join_all(stores.iter().enumerate().map(async |(i, s)| {
        for round in 0..4 {
            execute_run(s, i * 10 + round).await;
        }
    }))
    .await;
    assert_eq!(
        database
            .value("SELECT count(*) FROM tarana_sync_logs WHERE status = 'completed'")
            .await,
        "64"
    );
    let rows = 16 * 4 * 20 - 63;
    assert_eq!(
        database.value("SELECT count(*) FROM tarana_base_stations").await,
        rows.to_string()
    );

    // An Apply that is dropped while it waits also leaves the server's lock queue.
    let run = run();
    let fence = open(&stores[0], &run).await;
    let holder = apply(&stores[0], &run, fence).await;
    drop_when_blocked(&database, async {
        let _ = stores[1].begin_apply(run.id, fence, &|_| ()).await;
    })
    .await;
    drop(holder);
    let locks = "SELECT count(*) FROM pg_locks WHERE relation = 'tarana_base_stations'::regclass";
    wait_for_value(&database, locks, "0").await;
}
