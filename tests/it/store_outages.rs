//! Servers that crash and restart, have no free connection, or are read-only. The store reports each, and recovers by itself
//! afterwards.

use std::str::FromStr as _;
use std::sync::Arc;

use devenv::{Postgres, PostgresSettings};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tarana_operator::fault::{Fault, Reason};
use tarana_operator::station::Change;
use tarana_operator::store::Store;

use crate::environment::wait_until;
use crate::store_servers::{Certificates, Servers};
use crate::store_support::{
    AccessMode, Database, apply, open, perform, plan, row, run, tests_with_mode, wait_for_value,
};

tests_with_mode!(
    direct,
    Direct,
    the_store_recovers_from_a_server_crash,
    a_commit_is_durable_despite_asynchronous_commit,
    a_standby_is_reported_until_it_is_promoted,
    a_read_only_database_is_not_written,
    a_full_server_is_reported
);
tests_with_mode!(
    least_privilege,
    LeastPrivilege,
    the_store_recovers_from_a_server_crash,
    a_commit_is_durable_despite_asynchronous_commit,
    the_store_recovers_from_a_pooler_crash,
    a_standby_is_reported_until_it_is_promoted,
    a_read_only_database_is_not_written,
    a_full_server_is_reported,
    a_full_pooler_is_reported
);

/// Starts servers of its own, which the test may break, and a store whose table contains `S1`.
async fn start_servers(
    mode: AccessMode,
    server: &[(&str, &str)],
    pooler: &[(&str, &str)],
) -> (Database, Store) {
    let settings = |given: &[(&str, &str)]| {
        let owned = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect::<Vec<_>>()
    };
    let extra = settings(server);
    // Committed data survives a crash.
    let durable = true;
    let postgres = Postgres::start_with(&PostgresSettings { durable, extra })
        .await
        .unwrap();
    // The default is to retry a failed server after 15 seconds.
    let pooler = [pooler, &[("server_login_retry", "1")]].concat();
    let servers = Servers::with_pgbouncer(postgres, Certificates::new(), settings(&pooler)).await;
    let database = Database::on(Arc::new(servers), mode).await;
    let store = database.store().await;
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    (database, store)
}

/// Asserts a transient fault whose message contains this.
fn assert_transient(fault: &Fault, expected: &str) {
    assert_eq!(fault.reason, Reason::DatabaseUnreachable, "{fault}");
    assert!(!fault.is_permanent());
    assert!(fault.message.contains(expected), "{expected}: {fault}");
}

/// Waits until the store responds, and inserts one station.
async fn assert_recovered(database: &Database, store: &Store) {
    wait_until("the store responds", || async {
        store.closed_row(run().id).await.ok()
    })
    .await;
    let stations = "SELECT count(*) FROM tarana_base_stations";
    let before: i32 = database.value(stations).await.parse().unwrap();
    perform(store, vec![Change::Insert(row(&format!("N{before}")))]).await;
    assert_eq!(database.value(stations).await, (before + 1).to_string());
}

/// Crashes something between two calls, between two statements of a transaction, and during a statement. `crash` also
/// restarts it.
async fn assert_survives(database: &Database, store: &Store, crash: impl AsyncFn()) {
    crash().await;
    assert_recovered(database, store).await;

    let one = run();
    let fence = open(store, &one).await;
    let mut started = apply(store, &one, fence).await;
    started.read_rows(drop).await.unwrap();
    crash().await;
    let fault = started
        .finish(&plan(vec![Change::Insert(row("X"))]), false, &[])
        .await
        .unwrap_err();
    assert_transient(&fault, "check that it runs");
    assert_recovered(database, store).await;

    database
        .sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN new; END $$;
              CREATE TRIGGER slow BEFORE INSERT ON tarana_base_stations FOR EACH ROW EXECUTE FUNCTION slow()")
        .await;
    let two = run();
    let fence = open(store, &two).await;
    let started = apply(store, &two, fence).await;
    let changes = plan(vec![Change::Insert(row("X"))]);
    let sleeps =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    let crashed = async {
        wait_for_value(database, sleeps, "1").await;
        crash().await;
    };
    let (ended, ()) = tokio::join!(started.finish(&changes, false, &[]), crashed);
    assert_transient(&ended.unwrap_err(), "check that it runs");
    database.sql("DROP TRIGGER slow ON tarana_base_stations").await;
    assert_recovered(database, store).await;
    let count = "SELECT count(*) FROM tarana_base_stations WHERE serial_number = 'X'";
    assert_eq!(database.value(count).await, "0");
    for run in [one.id, two.id] {
        assert!(store.closed_row(run).await.unwrap().is_none());
    }
}

async fn the_store_recovers_from_a_server_crash(mode: AccessMode) {
    let (database, store) = start_servers(mode, &[], &[]).await;
    let postgres = &database.servers.postgres;
    assert_survives(&database, &store, async || {
        postgres.crash().unwrap();
        postgres.restart().await.unwrap();
    })
    .await;
    postgres.crash().unwrap();
    assert_transient(
        &store.closed_row(run().id).await.unwrap_err(),
        "spec.database.secretRef",
    );
    postgres.restart().await.unwrap();
    assert_recovered(&database, &store).await;
}

/// With `synchronous_commit = off`, a server confirms a COMMIT before it is durable.
async fn a_commit_is_durable_despite_asynchronous_commit(mode: AccessMode) {
    let late = [("synchronous_commit", "off"), ("wal_writer_delay", "10s")];
    let (database, store) = start_servers(mode, &late, &[]).await;
    perform(&store, vec![Change::Insert(row("S2"))]).await;
    let postgres = &database.servers.postgres;
    postgres.crash().unwrap();
    postgres.restart().await.unwrap();
    let kept = "SELECT string_agg(serial_number, ' ' ORDER BY serial_number) FROM tarana_base_stations";
    assert_eq!(database.value(kept).await, "S1 S2");
}

async fn the_store_recovers_from_a_pooler_crash(mode: AccessMode) {
    let (database, store) = start_servers(mode, &[], &[]).await;
    let pooler = &database.servers.pgbouncer;
    assert_survives(&database, &store, async || {
        pooler.crash().unwrap();
        pooler.restart().await.unwrap();
    })
    .await;
    pooler.crash().unwrap();
    assert_transient(&store.closed_row(run().id).await.unwrap_err(), "refused");
    pooler.restart().await.unwrap();
    assert_recovered(&database, &store).await;
}

/// After a fail-over, the old address may lead to a standby.
async fn a_standby_is_reported_until_it_is_promoted(mode: AccessMode) {
    let (database, store) = start_servers(mode, &[], &[]).await;
    let postgres = &database.servers.postgres;
    postgres.crash().unwrap();
    postgres.restart_as_standby().await.unwrap();
    for _ in 0..2 {
        wait_until("the standby is reported", || async {
            let fault = store.verify().await.err()?;
            fault.message.contains("read-only").then_some(())
        })
        .await;
        assert_transient(
            &store.register(&run()).await.unwrap_err(),
            "must lead to the primary",
        );
        assert_transient(
            &store.closed_row(run().id).await.unwrap_err(),
            "must lead to the primary",
        );
    }
    assert_eq!(database.value("SELECT pg_promote()").await, "true");
    assert_recovered(&database, &store).await;
}

/// A provider sets this while the disk of the server is full.
async fn a_read_only_database_is_not_written(mode: AccessMode) {
    let (database, _) = start_servers(mode, &[], &[]).await;
    let name = database.address_and_name().1;
    let set = |value: &str| format!("ALTER DATABASE {name} SET default_transaction_read_only TO {value}");
    database.sql(&set("on")).await;
    database.servers.pgbouncer.crash().unwrap();
    database.servers.pgbouncer.restart().await.unwrap();
    let fresh = Store::new(&database.config()).unwrap();
    for fault in [
        fresh.verify().await.unwrap_err(),
        fresh.register(&run()).await.unwrap_err(),
        fresh.closed_row(run().id).await.unwrap_err(),
    ] {
        assert_transient(&fault, "read-only");
        assert!(fault.message.contains("default_transaction_read_only"), "{fault}");
    }
    // Of another database, which is not read-only.
    let mut server = PgConnection::connect(database.servers.postgres.url())
        .await
        .unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(set("off")))
        .execute(&mut server)
        .await
        .unwrap();
    database.servers.pgbouncer.crash().unwrap();
    database.servers.pgbouncer.restart().await.unwrap();
    let recovered = Store::new(&database.config()).unwrap();
    perform(&recovered, vec![Change::Insert(row("S2"))]).await;
}

/// Opens connections until the server accepts no more.
async fn occupy(url: &str) -> Vec<PgConnection> {
    let options = PgConnectOptions::from_str(url).unwrap().extra_float_digits(None);
    let mut held = Vec::new();
    while let Ok(connection) = options.connect().await {
        held.push(connection);
    }
    assert!(!held.is_empty());
    held
}

async fn release(held: Vec<PgConnection>) {
    for connection in held {
        connection.close().await.unwrap();
    }
}

async fn a_full_server_is_reported(mode: AccessMode) {
    let (database, store) = start_servers(mode, &[("max_connections", "20")], &[]).await;
    store.close_pool().await;
    let pooler = &database.servers.pgbouncer;
    pooler.crash().unwrap();
    let held = occupy(&database.url).await;
    pooler.restart().await.unwrap();
    let store = Store::new(&database.config()).unwrap();
    assert_transient(
        &store.closed_row(run().id).await.unwrap_err(),
        "--database-connections",
    );
    release(held).await;
    assert_recovered(&database, &store).await;
}

async fn a_full_pooler_is_reported(mode: AccessMode) {
    let (database, store) = start_servers(mode, &[], &[("max_client_conn", "10")]).await;
    let held = occupy(&database.config().url).await;
    let other = Store::new(&database.config()).unwrap();
    assert_transient(
        &other.closed_row(run().id).await.unwrap_err(),
        "--database-connections",
    );
    release(held).await;
    assert_recovered(&database, &store).await;
    assert_recovered(&database, &other).await;
}
