//! Bad input on the database side: each has its reason, names the remedy, and shows no secret.

use tarana_operator::fault::{Fault, Reason};
use tarana_operator::store::{Config, Store};

use crate::store_support::{ADMINS, Database, EXISTING, free_port};

async fn verify(config: Config) -> Fault {
    let fault = Store::new(&config).unwrap().verify().await.unwrap_err();
    assert!(!fault.message.contains("hunter2"), "{}", fault.message);
    fault
}

#[tokio::test]
async fn a_database_or_user_that_is_not_there_is_refused() {
    let database = Database::new().await;
    let config = |user: &str, name: &str| Config {
        url: format!("postgres://{user}:hunter2@127.0.0.1:{}/{name}", database.port),
        ..database.config("x")
    };
    let fault = verify(config("postgres", "nowhere")).await;
    assert_eq!(fault.reason, Reason::DatabaseRefused);
    assert!(
        fault.message.contains("\"nowhere\"") && fault.message.contains("spec.database.secretRef"),
        "{fault}"
    );
    let fault = verify(config("hunter2", &database.name)).await;
    assert_eq!(fault.reason, Reason::DatabaseRefused);
    assert!(fault.is_permanent());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let url = format!("postgres://u:hunter2@127.0.0.1:{}/d", free_port());
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

#[tokio::test]
async fn a_server_without_tls_does_not_satisfy_a_ca() {
    let database = Database::new().await;
    let fault = verify(Config {
        ca_pem: Some(b"rubbish".to_vec()),
        ..database.config("postgres")
    })
    .await;
    assert_eq!(fault.reason, Reason::DatabaseTlsFailed);
}

#[tokio::test]
async fn missing_rights_are_listed_with_their_grants() {
    let database = Database::supabase().await;
    database.store().await;
    let role = format!("weak_{}", database.name);
    database
        .sql(&format!(
            "CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};"
        ))
        .await;
    let fault = verify(database.config(&role)).await;
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing);
    // What the message says is what mends it.
    let remedy = fault.message.split_once("run: ").expect(&fault.message).1;
    assert!(
        remedy.contains("GRANT") && remedy.contains("CREATE POLICY"),
        "{remedy}"
    );
    database.sql(remedy).await;
    Store::new(&database.config(&role))
        .unwrap()
        .verify()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_role_that_cannot_read_the_books_or_change_a_table_is_told() {
    let database = Database::new().await;
    database.sql(ADMINS).await;
    database.sql(EXISTING).await;
    let role = format!("guest_{}", database.name);
    database
        .sql(&format!(
            "CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}"
        ))
        .await;
    let fault = verify(database.config(&role)).await;
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing);
    assert!(
        fault.message.contains("tarana_sync_logs") && fault.message.contains("migrate"),
        "{fault}"
    );
    assert_eq!(
        database.value("SELECT to_regclass('tarana_migrations')").await,
        "-",
        "nothing half done"
    );
}

#[tokio::test]
async fn a_table_that_lost_a_column_is_invalid() {
    let database = Database::new().await;
    let store = database.store().await;
    database
        .sql("ALTER TABLE tarana_base_stations DROP COLUMN band")
        .await;
    let fault = store.verify().await.unwrap_err();
    assert_eq!(fault.reason, Reason::SchemaInvalid);
    assert!(fault.message.contains("band"), "{fault}");
}
