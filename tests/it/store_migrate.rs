//! Migrations: on an empty database and on existing tables, repeated and concurrent, and where they must fail.

use tarana_operator::fault::Reason;
use tarana_operator::station::Change;
use tarana_operator::store::{Config, Store};

use crate::store_support::{ADMINS, AccessMode, Database, EXISTING, perform, row, tests_with_owner_modes};

tests_with_owner_modes! {
    an_empty_database_is_migrated_once,
    supabase_roles_get_policies_and_see_no_internal_rows,
    existing_tables_keep_their_data,
    a_complete_table_may_have_another_owner,
    missing_columns_are_added_to_an_older_table,
    an_older_schema_is_upgraded_and_keeps_its_runs,
    postgis_is_used_if_present_and_never_installed,
    concurrent_migrations_apply_once,
    a_schema_name_that_needs_quotes_works,
    an_unusable_schema_is_reported,
}

const POLICIES: &str = "SELECT string_agg(tablename || ':' || policyname, ', ' ORDER BY tablename, policyname) FROM pg_policies WHERE schemaname = 'public'";

async fn an_empty_database_is_migrated_once(mode: AccessMode) {
    let database = Database::new(mode).await;
    let store = Store::new(&database.config()).unwrap();
    assert_eq!(
        store.migrate().await.unwrap(),
        [
            "stations", "logs", "changes", "outbox", "exposure", "listing", "rows", "cluster", "spans",
            "stale", "delivery"
        ]
    );
    assert!(store.migrate().await.unwrap().is_empty());
    store.verify().await.unwrap();
    let reference =
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'tarana_sync_logs'::regclass";
    assert_eq!(
        database.value(reference).await,
        "0",
        "admin_users belongs to the application"
    );
    assert_eq!(
        database.value(POLICIES).await,
        "tarana_base_stations:Base stations are public"
    );
}

async fn supabase_roles_get_policies_and_see_no_internal_rows(mode: AccessMode) {
    let database = Database::supabase(mode).await;
    database.sql(ADMINS).await;
    let store = database.store().await;
    let policies = database.value(POLICIES).await;
    assert_eq!(
        policies,
        "tarana_base_stations:Base stations are public, tarana_migrations:Service role, \
         tarana_sync_change_batches:Service role, tarana_sync_logs:Admins can view sync logs, \
         tarana_sync_logs:Service role can manage sync logs, tarana_sync_outbox:Service role"
    );
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    for role in ["anon", "authenticated", "service_role"] {
        for (table, rows) in [("tarana_sync_change_batches", 1), ("tarana_sync_outbox", 2)] {
            let seen = if role == "service_role" { rows } else { 0 };
            database.sql(&format!("SET ROLE {role}; DO $$ BEGIN IF (SELECT count(*) FROM {table}) <> {seen} THEN RAISE '{role} {table}'; END IF; END $$")).await;
        }
    }
    let view = "SELECT has_table_privilege('anon', 'tarana_sync_changes', 'SELECT')";
    assert_eq!(database.value(view).await, "false");
    database.sql("SET ROLE anon; DO $$ BEGIN IF (SELECT count(*) FROM tarana_base_stations) <> 1 THEN RAISE 'not public'; END IF; END $$").await;
}

async fn existing_tables_keep_their_data(mode: AccessMode) {
    let database = Database::supabase(mode).await;
    database.sql(ADMINS).await;
    database.sql(EXISTING).await;
    let before = database
        .value("SELECT string_agg(s::text, ';' ORDER BY id) FROM tarana_base_stations s")
        .await;
    database.store().await;
    assert_eq!(
        database
            .value("SELECT string_agg(s::text, ';' ORDER BY id) FROM tarana_base_stations s")
            .await,
        before
    );
    assert_eq!(database.value("SELECT count(*) FROM tarana_sync_logs").await, "3");
    let policies = database.value(POLICIES).await;
    assert!(
        policies.starts_with("tarana_base_stations:p, tarana_migrations"),
        "{policies}"
    );
}

async fn a_complete_table_may_have_another_owner(mode: AccessMode) {
    let database = Database::new(mode).await;
    database.sql(ADMINS).await;
    database.sql(EXISTING).await;
    let role = database
        .role(
            "GRANT CREATE ON SCHEMA public TO ROLE;
             ALTER TABLE tarana_sync_logs OWNER TO ROLE; GRANT REFERENCES ON admin_users TO ROLE;
             GRANT SELECT, INSERT, UPDATE, DELETE ON tarana_base_stations TO ROLE;
             CREATE POLICY w ON tarana_base_stations TO ROLE USING (true) WITH CHECK (true);",
        )
        .await;
    let store = Store::new(&role).unwrap();
    store.verify().await.unwrap();
    perform(
        &store,
        vec![
            Change::Insert(row("S3")),
            Change::Update {
                before: Box::new(row("S1")),
                after: Box::new(row("S1")),
            },
        ],
    )
    .await;
    assert_eq!(
        database
            .value("SELECT hostname FROM tarana_base_stations WHERE serial_number = 'S1'")
            .await,
        "host \"S1\""
    );
}

async fn missing_columns_are_added_to_an_older_table(mode: AccessMode) {
    let database = Database::new(mode).await;
    database
        .sql("CREATE TABLE tarana_base_stations (
                id uuid PRIMARY KEY DEFAULT gen_random_uuid(), serial_number text NOT NULL UNIQUE, hostname text NOT NULL,
                site_name text NOT NULL, active_connections int DEFAULT 0, market text, lat numeric(10,6) NOT NULL,
                lng numeric(10,6) NOT NULL, region text DEFAULT 'South Africa', last_updated timestamptz DEFAULT now(),
                created_at timestamptz DEFAULT now());
              INSERT INTO tarana_base_stations (serial_number, hostname, site_name, lat, lng) VALUES ('S1', 'h', 's', 1, 2)")
        .await;
    let store = database.store().await;
    perform(&store, vec![Change::Insert(row("S2"))]).await;
    let values = "SELECT string_agg(concat_ws(' ', serial_number, height_m, device_status), ', ' ORDER BY serial_number) FROM tarana_base_stations";
    assert_eq!(database.value(values).await, "S1 0, S2 1598.60 1");
}

async fn an_older_schema_is_upgraded_and_keeps_its_runs(mode: AccessMode) {
    let database = Database::new(mode).await;
    let store = database.store().await;
    let run = perform(&store, vec![Change::Insert(row("S1"))]).await;
    let older = "ALTER TABLE tarana_sync_logs DROP COLUMN spans, DROP COLUMN stale;
                 ALTER TABLE tarana_sync_outbox DROP COLUMN attempts, DROP COLUMN next_attempt_at, DROP COLUMN abandoned_at,
                     DROP COLUMN last_error;
                 DELETE FROM tarana_migrations WHERE version >= 9";
    database.sql(older).await;
    let store = Store::new(&database.config()).unwrap();
    assert_eq!(store.migrate().await.unwrap(), ["spans", "stale", "delivery"]);
    store.verify().await.unwrap();
    let logged = store.logged_run(run.id).await.unwrap().unwrap();
    assert_eq!((logged.status.as_str(), logged.spans), ("completed", vec![]));
    assert_eq!((logged.counts.inserted, logged.counts.stale), (1, 0));
}

async fn postgis_is_used_if_present_and_never_installed(mode: AccessMode) {
    let database = Database::new(mode).await;
    database
        .sql("CREATE SCHEMA extensions; CREATE EXTENSION postgis SCHEMA extensions")
        .await;
    let store = database.store().await;
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    assert_eq!(
        database
            .value("SELECT extensions.st_astext(location) FROM tarana_base_stations")
            .await,
        "POINT(28.056721 -26.107912)"
    );
    let plain = Database::new(mode).await;
    plain.store().await;
    assert_eq!(
        plain
            .value("SELECT count(*) FROM pg_extension WHERE extname = 'postgis'")
            .await,
        "0"
    );
}

async fn concurrent_migrations_apply_once(mode: AccessMode) {
    let database = Database::new(mode).await;
    let stores: Vec<_> = (0..6).map(|_| Store::new(&database.config()).unwrap()).collect();
    let applied = futures::future::join_all(stores.iter().map(Store::migrate)).await;
    let applied: usize = applied.into_iter().map(|a| a.unwrap().len()).sum();
    assert_eq!(applied, 11);
}

async fn a_schema_name_that_needs_quotes_works(mode: AccessMode) {
    let database = Database::new(mode).await;
    database.sql(r#"CREATE SCHEMA "Tower ""A"" $1""#).await;
    let store = Store::new(&Config {
        schema: r#"Tower "A" $1"#.into(),
        ..database.config()
    })
    .unwrap();
    store.verify().await.unwrap();
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    assert_eq!(
        database
            .value(r#"SELECT count(*) FROM "Tower ""A"" $1".tarana_base_stations"#)
            .await,
        "1"
    );
    assert_eq!(
        database
            .value("SELECT to_regclass('public.tarana_base_stations')")
            .await,
        "-"
    );
}

async fn an_unusable_schema_is_reported(mode: AccessMode) {
    let database = Database::new(mode).await;
    let store = Store::new(&Config {
        schema: "nowhere".into(),
        ..database.config()
    })
    .unwrap();
    let fault = store.verify().await.unwrap_err();
    assert_eq!(fault.reason, Reason::SchemaInvalid);
    assert!(
        fault.message.contains("spec.database.schema"),
        "{}",
        fault.message
    );

    let reader = Store::new(&Config {
        migrate: false,
        ..database.config()
    })
    .unwrap();
    let fault = reader.verify().await.unwrap_err();
    assert_eq!(fault.reason, Reason::SchemaOutdated);
    assert!(
        fault.message.contains("tarana-operator migrate"),
        "{}",
        fault.message
    );

    let store = database.store().await;
    reader.verify().await.unwrap();
    database
        .sql("UPDATE tarana_migrations SET checksum = 'edited' WHERE version = 1")
        .await;
    assert_eq!(store.verify().await.unwrap_err().reason, Reason::SchemaInvalid);
    database
        .sql("INSERT INTO tarana_migrations (version, description, checksum) VALUES (98, 'later', ''), (99, 'latest', '')")
        .await;
    let newer = store.verify().await.unwrap_err();
    assert_eq!(newer.reason, Reason::SchemaTooNew);
    assert!(newer.message.contains("is at version 99,"), "{newer}");
}
