//! Complete runs as recommended for production: through PgBouncer, over TLS, as the role of
//! `migrations/roles/operator.sql`, with an operator that may not migrate.

use serde_json::json;
use tarana_operator::api::sync::{Phase, Step, TaranaSync};

use super::environment::{TestEnvironment, of, phase, step};
use super::expected_table::{assert_table_matches_fleet, stored_rows};
use super::servers;
use super::store_servers::OPERATOR_ROLE;
use super::store_support::{ADMINS, AccessMode, Database, EXISTING};

async fn environment(database: &Database) -> TestEnvironment {
    database.store().await;
    let mut env = TestEnvironment::with_database(servers::tcs(), &database.url).await;
    env.migrate = false;
    env.start_operator();
    env.secret("tcs", &servers::credentials()).await;
    let config = database.config();
    let authority = String::from_utf8(config.ca_pem.unwrap()).unwrap();
    env.secret("database", &json!({"url": config.url, "ca.crt": authority}))
        .await;
    let guard = json!({"freeCount": 0, "maxPercent": 0});
    env.connection(
        "default",
        json!({"database": {"secretRef": {"caKey": "ca.crt"}}, "deleteGuard": guard}),
    )
    .await;
    env.ready().await;
    env
}

fn counts(sync: &TaranaSync) -> (i64, i64) {
    let counts = sync.status.as_ref().and_then(|s| s.counts).unwrap();
    (counts.deleted, counts.withheld)
}

/// Executes inserts, a dry run, withheld and approved deletes, and a cancel while the run waits for the table lock.
async fn execute_runs(env: &TestEnvironment) {
    let first = env.run("first", json!({})).await;
    assert_eq!(phase(&first), Phase::Completed, "{:?}", of(&first, "Finished"));
    let serials: Vec<String> = stored_rows(&env.db).await.into_keys().collect();
    for serial in &serials[..3] {
        assert!(env.tcs.remove(serial));
    }
    env.tcs.add(2);
    let before = env.table().await;
    let dry = env.run("dry", json!({"dryRun": true, "deleteStale": true})).await;
    assert_eq!(phase(&dry), Phase::Completed, "{:?}", of(&dry, "Finished"));
    assert_eq!(env.table().await, before, "a dry run changed the table");
    let guarded = env.run("guarded", json!({"deleteStale": true})).await;
    assert_eq!(counts(&guarded), (0, 3));

    let lock = env.lock_table().await;
    let approved = json!({"deleteStale": true, "approvedDeletes": 3});
    env.sync("cancelled", approved.clone()).await;
    env.wait_for_sync("cancelled", "applies", |s| step(s) == Some(Step::Apply))
        .await;
    env.cancel("cancelled").await;
    assert_eq!(phase(&env.finished("cancelled").await), Phase::Cancelled);
    drop(lock);

    let last = env.run("last", approved).await;
    assert_eq!(phase(&last), Phase::Completed, "{:?}", of(&last, "Finished"));
    assert_eq!(counts(&last), (3, 0));
    assert_table_matches_fleet(env).await;
    let sessions = "select count(*) from pg_stat_activity where datname = current_database()
                    and application_name = 'tarana-operator'";
    assert!(env.number(sessions).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_on_migrated_tables() {
    let database = Database::new(AccessMode::LeastPrivilege).await;
    let env = environment(&database).await;
    execute_runs(&env).await;
    let other_users = format!(
        "SELECT string_agg(DISTINCT usename, ',') FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'tarana-operator' AND usename <> '{OPERATOR_ROLE}'"
    );
    assert_eq!(database.value(&other_users).await, "-");
}

/// With row-level security, as in Supabase, and existing log rows.
#[tokio::test(flavor = "multi_thread")]
async fn runs_on_existing_tables() {
    let database = Database::supabase(AccessMode::LeastPrivilege).await;
    database.sql(ADMINS).await;
    database.sql(EXISTING).await;
    // The stations of the fixture belong to no region and would never be stale.
    database.sql("DELETE FROM tarana_base_stations").await;
    let env = environment(&database).await;
    execute_runs(&env).await;
    assert_eq!(
        database
            .value("SELECT count(*) FROM tarana_base_stations WHERE location IS NULL")
            .await,
        "0"
    );
}
