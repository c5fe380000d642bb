//! The sessions of a pool: who shares them, who waits for them, and what a wait ends with.

use std::time::Duration;

use futures::FutureExt as _;
use tarana_operator::fault::Reason;
use tarana_operator::store::{Config, SessionPools, StationFilter, Store};

use super::crowd::SilentServer;
use crate::environment::wait_until;
use crate::store_support::{AccessMode, Database, apply, open, run};

/// A store of a database with these sessions, whose schema is verified.
async fn store(pools: &SessionPools) -> (Database, Store) {
    let database = Database::new(AccessMode::Direct).await;
    let store = Store::shared(&database.config(), pools).unwrap();
    store.verify().await.unwrap();
    (database, store)
}

/// Waits for a session end after a bound, with a message that does not blame the server.
#[tokio::test]
async fn a_wait_for_a_session_is_bounded_and_says_who_has_them() {
    let (_database, store) = store(&SessionPools::new(1)).await;
    let run = run();
    let fence = open(&store, &run).await;
    let writing = apply(&store, &run, fence).await;
    // With paused time, the bound is reached at once.
    tokio::time::pause();
    let fault = store.now().await.unwrap_err();
    tokio::time::resume();
    assert_eq!(fault.reason, Reason::DatabaseBusy, "{fault}");
    assert!(!fault.is_permanent());
    for expected in [
        "all 1 sessions of this process are in use",
        "--database-connections",
        "127.0.0.1:",
    ] {
        assert!(fault.message.contains(expected), "{fault}");
    }
    // A wait that is dropped leaves nothing behind, and the next one gets the session when it is free.
    drop(store.now().now_or_never());
    writing.abort().await.unwrap();
    store.now().await.unwrap();
}

/// Long transactions leave some sessions to short ones.
#[tokio::test]
async fn exports_and_applies_leave_sessions_to_short_transactions() {
    let (_database, store) = store(&SessionPools::new(2)).await;
    let run = run();
    let fence = open(&store, &run).await;
    let writing = apply(&store, &run, fence).await;
    let filter = StationFilter::default();
    store.now().await.unwrap();
    // With paused time, the bound of its wait is reached at once.
    tokio::time::pause();
    let fault = store.begin_export(&filter).await.map(drop).unwrap_err();
    tokio::time::resume();
    assert_eq!(fault.reason, Reason::DatabaseBusy, "it waits for Apply: {fault}");
    store.now().await.unwrap();
    writing.abort().await.unwrap();
    assert!(store.begin_export(&filter).await.unwrap().is_some());
}

/// Stores that log in in the same way share sessions, whatever their schemas; others do not.
#[tokio::test]
async fn stores_of_one_login_share_their_sessions() {
    let pools = SessionPools::new(3);
    let (database, first) = store(&pools).await;
    let other_schema = Config {
        schema: "other".into(),
        ..database.config()
    };
    let second = Store::shared(&other_schema, &pools).unwrap();
    let role = database.role("").await;
    let other_role = Store::shared(&role, &pools).unwrap();
    assert_eq!(
        second.pool_size().0,
        first.pool_size().0,
        "the first has used them"
    );
    assert_eq!(other_role.pool_size().0, 0);
    second.now().await.unwrap();
    other_role.now().await.unwrap();
    assert!((1..=3).contains(&first.pool_size().0));
    assert_eq!(other_role.pool_size().0, 1);
    drop(second);
    wait_until("idle sessions are closed", || async {
        (first.pool_size().0 == 0).then_some(())
    })
    .await;
    first.now().await.unwrap();
}

/// Of many transactions that wait for a dead server, each ends after one attempt to connect or two.
#[tokio::test]
async fn a_dead_server_is_found_out_once_for_all_that_wait() {
    let server = SilentServer::start().await;
    let config = Config {
        url: format!("postgres://u:p@{}/d", server.address),
        ca_pem: None,
        schema: "public".into(),
        migrate: false,
    };
    let store = Store::shared(&config, &SessionPools::new(2)).unwrap();
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    let waits = (0..50).map(|_| store.now());
    for fault in futures::future::join_all(waits).await {
        assert_eq!(fault.unwrap_err().reason, Reason::DatabaseUnreachable);
    }
    // Alone, each pair would take 12 seconds, so that the last ones would wait for too long.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}
