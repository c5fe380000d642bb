//! Whole runs as production should have them: through PgBouncer, over TLS, as the role of
//! `migrations/roles/operator.sql`, by an operator that may not migrate.

use serde_json::json;
use tarana_operator::api::sync::{Phase, Step, TaranaSync};

use super::servers;
use super::store_servers::LEAST;
use super::store_support::{ADMINS, Database, EXISTING, Way};
use super::truth::{rows, table_is_true};
use super::world::{World, of, phase, step};

async fn world(database: &Database) -> World {
    database.store().await;
    let mut w = World::with_database(servers::tcs(), &database.url).await;
    w.migrate = false;
    w.start_operator();
    w.secret("tcs", &servers::credentials()).await;
    let least = database.config();
    let authority = String::from_utf8(least.ca_pem.unwrap()).unwrap();
    w.secret("database", &json!({"url": least.url, "ca.crt": authority}))
        .await;
    let guard = json!({"freeCount": 0, "maxPercent": 0});
    w.connection(
        "default",
        json!({"database": {"secretRef": {"caKey": "ca.crt"}}, "deleteGuard": guard}),
    )
    .await;
    w.ready().await;
    w
}

fn counts(sync: &TaranaSync) -> (i64, i64) {
    let counts = sync.status.as_ref().and_then(|s| s.counts).unwrap();
    (counts.deleted, counts.withheld)
}

/// Inserts, a dry run, withheld and approved deletes, a cancel while the run waits for the table, and one more run.
async fn story(w: &World) {
    let first = w.run("first", json!({})).await;
    assert_eq!(phase(&first), Phase::Completed, "{:?}", of(&first, "Finished"));
    let placed: Vec<String> = rows(&w.db).await.into_keys().collect();
    for serial in &placed[..3] {
        assert!(w.tcs.remove(serial));
    }
    w.tcs.add(2);
    let before = w.table().await;
    let dry = w.run("dry", json!({"dryRun": true, "deleteStale": true})).await;
    assert_eq!(phase(&dry), Phase::Completed, "{:?}", of(&dry, "Finished"));
    assert_eq!(w.table().await, before, "a dry run wrote");
    let guarded = w.run("guarded", json!({"deleteStale": true})).await;
    assert_eq!(counts(&guarded), (0, 3));

    let holder = w.hold_table().await;
    let approved = json!({"deleteStale": true, "approvedDeletes": 3});
    w.sync("cancelled", approved.clone()).await;
    w.sync_when("cancelled", "applies", |s| step(s) == Some(Step::Apply))
        .await;
    w.cancel("cancelled").await;
    assert_eq!(phase(&w.finished("cancelled").await), Phase::Cancelled);
    drop(holder);

    let last = w.run("last", approved).await;
    assert_eq!(phase(&last), Phase::Completed, "{:?}", of(&last, "Finished"));
    assert_eq!(counts(&last), (3, 0));
    table_is_true(w).await;
    let sessions = "select count(*) from pg_stat_activity where datname = current_database()
                    and application_name = 'tarana-operator'";
    assert!(w.number(sessions).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_tables_that_the_migrations_made() {
    let database = Database::new(Way::Least).await;
    let w = world(&database).await;
    story(&w).await;
    let strangers = format!(
        "SELECT string_agg(DISTINCT usename, ',') FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'tarana-operator' AND usename <> '{LEAST}'"
    );
    assert_eq!(database.value(&strangers).await, "-");
}

/// With row-level security on, as it is in Supabase, and stations and rows of a day before the operator.
#[tokio::test(flavor = "multi_thread")]
async fn on_an_application_s_tables() {
    let database = Database::supabase(Way::Least).await;
    database.sql(ADMINS).await;
    database.sql(EXISTING).await;
    // What the fixture's stations are called there is nobody's serial: they are of no region, and so never stale.
    database.sql("DELETE FROM tarana_base_stations").await;
    let w = world(&database).await;
    story(&w).await;
    assert_eq!(
        database
            .value("SELECT count(*) FROM tarana_base_stations WHERE location IS NULL")
            .await,
        "0"
    );
}
