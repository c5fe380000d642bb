//! Errors in the configuration of the database: each has its reason, names the remedy, and shows no secret.

use tarana_operator::fault::{Fault, Reason};
use tarana_operator::store::{Config, Store};

use crate::store_support::{ADMINS, AccessMode, Database, EXISTING, tests_with_owner_modes};

tests_with_owner_modes! {
    a_missing_database_or_user_is_rejected,
    missing_privileges_are_listed_with_their_grants,
    a_role_that_may_not_migrate_is_reported,
    a_table_without_a_column_is_invalid,
}

async fn verify(config: Config) -> Fault {
    let fault = Store::new(&config).unwrap().verify().await.unwrap_err();
    assert!(!fault.message.contains("hunter2"), "{}", fault.message);
    fault
}

async fn a_missing_database_or_user_is_rejected(mode: AccessMode) {
    let database = Database::new(mode).await;
    let mut nowhere = database.config();
    let (server, _) = nowhere.url.rsplit_once('/').unwrap();
    nowhere.url = format!("{server}/nowhere");
    let fault = verify(nowhere).await;
    assert_eq!(fault.reason, Reason::DatabaseRefused, "{fault}");
    assert!(
        fault.message.contains("\"nowhere\"") && fault.message.contains("spec.database.secretRef"),
        "{fault}"
    );
    for user in ["hunter2", "postgres"] {
        let fault = verify(database.config_of(Some((user, "hunter2")))).await;
        assert_eq!(fault.reason, Reason::DatabaseRefused, "{fault}");
        assert!(fault.is_permanent());
    }
}

#[tokio::test]
async fn a_missing_server_is_unreachable() {
    let port = devenv::free_port().unwrap();
    let url = format!("postgres://u:hunter2@127.0.0.1:{port}/d");
    let fault = verify(Config {
        url,
        ca_pem: None,
        schema: "public".into(),
        migrate: true,
    })
    .await;
    assert_eq!(fault.reason, Reason::DatabaseUnreachable);
    assert!(!fault.is_permanent());
    assert!(fault.message.contains("127.0.0.1"), "{fault}");
}

async fn missing_privileges_are_listed_with_their_grants(mode: AccessMode) {
    let database = Database::supabase(mode).await;
    database.store().await;
    let role = database
        .role("GRANT SELECT ON ALL TABLES IN SCHEMA public TO ROLE")
        .await;
    let fault = verify(role.clone()).await;
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing);
    // The statements in the message are the remedy.
    let remedy = fault.message.split_once("run: ").expect(&fault.message).1;
    assert!(
        remedy.contains("GRANT") && remedy.contains("CREATE POLICY"),
        "{remedy}"
    );
    database.sql(remedy).await;
    Store::new(&role).unwrap().verify().await.unwrap();
}

async fn a_role_that_may_not_migrate_is_reported(mode: AccessMode) {
    let database = Database::new(mode).await;
    database.sql(ADMINS).await;
    database.sql(EXISTING).await;
    let role = database.role("GRANT CREATE ON SCHEMA public TO ROLE").await;
    let fault = verify(role).await;
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing);
    assert!(
        fault.message.contains("tarana_sync_logs") && fault.message.contains("migrate"),
        "{fault}"
    );
    assert_eq!(
        database.value("SELECT to_regclass('tarana_migrations')").await,
        "-",
        "nothing was created"
    );
}

async fn a_table_without_a_column_is_invalid(mode: AccessMode) {
    let database = Database::new(mode).await;
    let store = database.store().await;
    database
        .sql("ALTER TABLE tarana_base_stations DROP COLUMN band")
        .await;
    let fault = store.verify().await.unwrap_err();
    assert_eq!(fault.reason, Reason::SchemaInvalid);
    assert!(fault.message.contains("band"), "{fault}");
}
