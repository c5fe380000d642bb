//! Servers that crash and come back, are full, or let people only read: each is told for what it is, and once it is over
//! the same store goes on by itself.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use devenv::{Postgres, Settings};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tarana_operator::fault::{Fault, Reason};
use tarana_operator::station::Change;
use tarana_operator::store::Store;

use crate::store_servers::{Certificates, Servers};
use crate::store_support::{Database, Way, apply, eventually, open, perform, plan, row, run, way};

way!(
    direct,
    Direct,
    a_crash_of_the_server_is_survived,
    a_commit_outlives_a_crash_whatever_the_server_is_told,
    a_standby_is_told_and_becomes_the_primary,
    a_full_server_is_told
);
way!(
    least,
    Least,
    a_crash_of_the_server_is_survived,
    a_commit_outlives_a_crash_whatever_the_server_is_told,
    a_crash_of_the_pooler_is_survived,
    a_standby_is_told_and_becomes_the_primary,
    a_full_server_is_told,
    a_full_pooler_is_told
);

/// Servers that nobody else uses, so that they may break, and a store whose table holds `S1`.
async fn alone(way: Way, server: &[(&str, &str)], pooler: &[(&str, &str)]) -> (Database, Store) {
    let settings = |given: &[(&str, &str)]| {
        let owned = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect::<Vec<_>>()
    };
    let extra = settings(server);
    // What was committed is still there after a crash.
    let durable = true;
    let postgres = Postgres::start_with(&Settings { durable, extra }).await.unwrap();
    // By itself it tries a server that failed every 15 seconds.
    let pooler = [pooler, &[("server_login_retry", "1")]].concat();
    let servers = Servers::before(postgres, Certificates::new(), settings(&pooler)).await;
    let database = Database::on(Arc::new(servers), way).await;
    let store = database.store().await;
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    (database, store)
}

/// A fault that is tried again, and says this.
fn passing(fault: &Fault, said: &str) {
    assert_eq!(fault.reason, Reason::DatabaseUnreachable, "{fault}");
    assert!(!fault.is_permanent());
    assert!(fault.message.contains(said), "{said}: {fault}");
}

/// The store has got over it: one more station.
async fn goes_on(database: &Database, store: &Store) {
    let up = eventually(Duration::from_secs(30), async || {
        store.ended(run().id).await.is_ok()
    })
    .await;
    assert!(up, "{:?}", store.ended(run().id).await);
    let stations = "SELECT count(*) FROM tarana_base_stations";
    let before: i32 = database.value(stations).await.parse().unwrap();
    perform(store, vec![Change::Insert(row(&format!("N{before}")))]).await;
    assert_eq!(database.value(stations).await, (before + 1).to_string());
}

/// Between two calls, between two statements of a transaction, and in the middle of one. `crash` ends something and
/// brings it back.
async fn survived(database: &Database, store: &Store, crash: impl AsyncFn()) {
    crash().await;
    goes_on(database, store).await;

    let one = run();
    let fence = open(store, &one).await;
    let mut begun = apply(store, &one, fence).await;
    begun.rows(drop).await.unwrap();
    crash().await;
    let fault = begun
        .finish(&plan(vec![Change::Insert(row("X"))]), false)
        .await
        .unwrap_err();
    passing(&fault, "check that it runs");
    goes_on(database, store).await;

    database
        .sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN new; END $$;
              CREATE TRIGGER slow BEFORE INSERT ON tarana_base_stations FOR EACH ROW EXECUTE FUNCTION slow()")
        .await;
    let two = run();
    let fence = open(store, &two).await;
    let begun = apply(store, &two, fence).await;
    let changes = plan(vec![Change::Insert(row("X"))]);
    let sleeps =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    let crashed = async {
        assert!(
            eventually(Duration::from_secs(20), async || database.value(sleeps).await
                == "1")
            .await
        );
        crash().await;
    };
    let (ended, ()) = tokio::join!(begun.finish(&changes, false), crashed);
    passing(&ended.unwrap_err(), "check that it runs");
    database.sql("DROP TRIGGER slow ON tarana_base_stations").await;
    goes_on(database, store).await;
    let strange = "SELECT count(*) FROM tarana_base_stations WHERE serial_number = 'X'";
    assert_eq!(database.value(strange).await, "0");
    for run in [one.id, two.id] {
        assert!(store.ended(run).await.unwrap().is_none());
    }
}

async fn a_crash_of_the_server_is_survived(way: Way) {
    let (database, store) = alone(way, &[], &[]).await;
    let postgres = &database.servers.postgres;
    survived(&database, &store, async || {
        postgres.crash().unwrap();
        postgres.resume().await.unwrap();
    })
    .await;
    postgres.crash().unwrap();
    passing(
        &store.ended(run().id).await.unwrap_err(),
        "spec.database.secretRef",
    );
    postgres.resume().await.unwrap();
    goes_on(&database, &store).await;
}

/// A server that is told to answer before it has written, and to write late.
async fn a_commit_outlives_a_crash_whatever_the_server_is_told(way: Way) {
    let late = [("synchronous_commit", "off"), ("wal_writer_delay", "10s")];
    let (database, store) = alone(way, &late, &[]).await;
    perform(&store, vec![Change::Insert(row("S2"))]).await;
    let postgres = &database.servers.postgres;
    postgres.crash().unwrap();
    postgres.resume().await.unwrap();
    let kept = "SELECT string_agg(serial_number, ' ' ORDER BY serial_number) FROM tarana_base_stations";
    assert_eq!(database.value(kept).await, "S1 S2");
}

async fn a_crash_of_the_pooler_is_survived(way: Way) {
    let (database, store) = alone(way, &[], &[]).await;
    let pooler = &database.servers.pgbouncer;
    survived(&database, &store, async || {
        pooler.crash().unwrap();
        pooler.resume().await.unwrap();
    })
    .await;
    pooler.crash().unwrap();
    passing(&store.ended(run().id).await.unwrap_err(), "refused");
    pooler.resume().await.unwrap();
    goes_on(&database, &store).await;
}

/// What a fail-over leaves at the old address, for a while or for good.
async fn a_standby_is_told_and_becomes_the_primary(way: Way) {
    let (database, store) = alone(way, &[], &[]).await;
    let postgres = &database.servers.postgres;
    postgres.crash().unwrap();
    postgres.resume_as_standby().await.unwrap();
    for _ in 0..2 {
        let up = async || {
            store
                .verify()
                .await
                .is_err_and(|fault| fault.message.contains("read-only"))
        };
        assert!(eventually(Duration::from_secs(20), up).await);
        passing(
            &store.register(&run()).await.unwrap_err(),
            "must lead to the primary",
        );
        passing(
            &store.ended(run().id).await.unwrap_err(),
            "must lead to the primary",
        );
    }
    assert_eq!(database.value("SELECT pg_promote()").await, "true");
    goes_on(&database, &store).await;
    // Read-only by default only: we say that we mean to write.
    let name = database.place().1;
    database
        .sql(&format!(
            "ALTER DATABASE {name} SET default_transaction_read_only TO on"
        ))
        .await;
    let fresh = Store::new(&database.config()).unwrap();
    perform(&fresh, vec![Change::Insert(row("S2"))]).await;
}

/// All connections there are.
async fn occupied(url: &str) -> Vec<PgConnection> {
    let options = PgConnectOptions::from_str(url).unwrap().extra_float_digits(None);
    let mut held = Vec::new();
    while let Ok(connection) = options.connect().await {
        held.push(connection);
    }
    assert!(!held.is_empty());
    held
}

async fn let_go(held: Vec<PgConnection>) {
    for connection in held {
        connection.close().await.unwrap();
    }
}

async fn a_full_server_is_told(way: Way) {
    let (database, store) = alone(way, &[("max_connections", "20")], &[]).await;
    store.close_pool().await;
    let pooler = &database.servers.pgbouncer;
    pooler.crash().unwrap();
    let held = occupied(&database.url).await;
    pooler.resume().await.unwrap();
    let store = Store::new(&database.config()).unwrap();
    passing(&store.ended(run().id).await.unwrap_err(), "at most four");
    let_go(held).await;
    goes_on(&database, &store).await;
}

async fn a_full_pooler_is_told(way: Way) {
    let (database, store) = alone(way, &[], &[("max_client_conn", "10")]).await;
    let held = occupied(&database.config().url).await;
    let other = Store::new(&database.config()).unwrap();
    passing(&other.ended(run().id).await.unwrap_err(), "at most four");
    let_go(held).await;
    goes_on(&database, &store).await;
    goes_on(&database, &other).await;
}
