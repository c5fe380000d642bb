//! What a role sees: rows that row-level security hides, functions by its own search path, and tables of the same names elsewhere.

use tarana_operator::fault::Reason;
use tarana_operator::station::Change;
use tarana_operator::store::{Config, Store};

use crate::store_support::{AccessMode, Database, perform, row, run, tests_with_mode};

tests_with_mode!(
    direct,
    Direct,
    policies_that_hide_rows_are_reported,
    triggers_use_the_path_of_the_role,
    tables_of_the_path_of_the_role_are_never_used
);
tests_with_mode!(
    pgbouncer,
    PgBouncer,
    policies_that_hide_rows_are_reported,
    triggers_use_the_path_of_the_role,
    tables_of_the_path_of_the_role_are_never_used
);

/// A role with all privileges on tables of another owner, and its name.
async fn subject(database: &Database) -> (Config, String) {
    let config = database
        .role("GRANT ALL ON ALL TABLES IN SCHEMA public TO ROLE; GRANT USAGE ON SCHEMA public TO ROLE")
        .await;
    let name = format!("role_{}", database.address_and_name().1);
    let config = Config {
        migrate: false,
        ..config
    };
    (config, name)
}

/// D13: what is hidden is not updated, not deleted, and inserted twice.
async fn policies_that_hide_rows_are_reported(mode: AccessMode) {
    let database = Database::new(mode).await;
    database.store().await;
    let (config, role) = subject(&database).await;
    let store = Store::new(&config).unwrap();
    for table in [
        "tarana_base_stations",
        "tarana_sync_logs",
        "tarana_sync_change_batches",
        "tarana_sync_outbox",
        "tarana_migrations",
    ] {
        let sql = format!(
            "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY all_rows ON {table} TO {role} USING (true)"
        );
        database.sql(&sql).await;
    }
    database
        .sql("DROP POLICY \"Base stations are public\" ON tarana_base_stations")
        .await;
    store.verify_access().await.unwrap();
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    for (table, hide) in [
        (
            "tarana_base_stations",
            "ALTER POLICY all_rows ON tarana_base_stations USING (region_id = 7) WITH CHECK (true)",
        ),
        (
            "tarana_sync_logs",
            "ALTER POLICY all_rows ON tarana_sync_logs USING (current_user = 'somebody else')",
        ),
        (
            "tarana_base_stations",
            "CREATE POLICY \"only mine\" ON tarana_base_stations AS RESTRICTIVE USING (market = 'mine')",
        ),
    ] {
        database.sql(hide).await;
        let fault = store.verify_access().await.expect_err(hide);
        assert_eq!(fault.reason, Reason::DatabaseRightsMissing, "{fault}");
        assert!(
            fault.message.contains("row-level security") && fault.message.contains(table),
            "{fault}"
        );
        let remedy = fault.message.split_once("run: ").expect(&fault.message).1;
        database.sql(remedy).await;
        store
            .verify_access()
            .await
            .unwrap_or_else(|fault| panic!("{hide}: {fault}"));
    }
    let shown = "ALTER POLICY all_rows ON tarana_sync_outbox USING (current_user = 'ROLE')";
    database.sql(&format!("ALTER ROLE {role} NOBYPASSRLS")).await;
    database
        .sql("DROP POLICY \"only mine\" ON tarana_base_stations")
        .await;
    database.sql(&shown.replace("ROLE", &role)).await;
    store.verify_access().await.unwrap();
}

/// D7: a function of an extension, as psql of the same role finds it. Temporary tables are found last.
async fn triggers_use_the_path_of_the_role(mode: AccessMode) {
    let database = Database::new(mode).await;
    database.store().await;
    let (config, role) = subject(&database).await;
    database
        .sql(&format!(
            "CREATE SCHEMA \"Extensions\"; GRANT USAGE ON SCHEMA \"Extensions\" TO {role};
             CREATE FUNCTION \"Extensions\".point_of(float8) RETURNS text LANGUAGE sql AS $$ SELECT current_setting('search_path') $$;
             CREATE FUNCTION add_point() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.market = point_of(1); RETURN new; END $$;
             CREATE TRIGGER add_point BEFORE INSERT ON tarana_base_stations FOR EACH ROW EXECUTE FUNCTION add_point();
             CREATE POLICY p ON tarana_base_stations TO {role} USING (true); CREATE POLICY p ON tarana_sync_logs TO {role} USING (true);
             ALTER ROLE {role} SET search_path = pg_temp, \"$user\", public, \"Extensions\", missing"
        ))
        .await;
    let store = Store::new(&config).unwrap();
    store.verify_access().await.unwrap();
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    assert_eq!(
        database.value("SELECT market FROM tarana_base_stations").await,
        "public, public, \"Extensions\", pg_temp"
    );
}

/// The path of the role leads to the tables of another deployment.
async fn tables_of_the_path_of_the_role_are_never_used(mode: AccessMode) {
    let database = Database::new(mode).await;
    database.store().await;
    database.sql("CREATE SCHEMA towers").await;
    let config = Config {
        schema: "towers".into(),
        ..database.config()
    };
    let store = Store::new(&config).unwrap();
    store.verify().await.unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'towers'";
    assert_eq!(
        database.value(tables).await,
        "5",
        "they are created beside the others"
    );
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    database.sql("DROP TABLE towers.tarana_sync_outbox").await;
    let fault = store.verify_access().await.unwrap_err();
    assert_eq!(fault.reason, Reason::SchemaInvalid, "{fault}");
    assert!(fault.message.contains("tarana_sync_outbox (missing)"), "{fault}");
    let fault = store.register(&run()).await.unwrap_err();
    assert_eq!(fault.reason, Reason::SchemaInvalid, "{fault}");
    database.sql("DROP SCHEMA towers CASCADE").await;
    for fault in [
        store.verify().await.unwrap_err(),
        store.verify_access().await.unwrap_err(),
        store.register(&run()).await.unwrap_err(),
        store.closed_row(run().id).await.unwrap_err(),
    ] {
        assert_eq!(fault.reason, Reason::SchemaInvalid, "{fault}");
    }
    let rows = "SELECT (SELECT count(*) FROM tarana_sync_logs) + (SELECT count(*) FROM tarana_base_stations)";
    assert_eq!(database.value(rows).await, "0");
}
