//! Bad input on the database side: each has its reason, names the remedy, and shows no secret.

use tarana_operator::fault::{Fault, Reason};
use tarana_operator::store::{Config, Store};

use crate::store_support::{ADMINS, Database, EXISTING, Way, every_owners_way};

every_owners_way! {
    a_database_or_user_that_is_not_there_is_refused,
    missing_rights_are_listed_with_their_grants,
    a_role_that_cannot_read_the_books_or_change_a_table_is_told,
    a_table_that_lost_a_column_is_invalid,
}

async fn verify(config: Config) -> Fault {
    let fault = Store::new(&config).unwrap().verify().await.unwrap_err();
    assert!(!fault.message.contains("hunter2"), "{}", fault.message);
    fault
}

async fn a_database_or_user_that_is_not_there_is_refused(way: Way) {
    let database = Database::new(way).await;
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
async fn a_server_that_is_not_there_is_unreachable() {
    // Nobody listens on a port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
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

async fn missing_rights_are_listed_with_their_grants(way: Way) {
    let database = Database::supabase(way).await;
    database.store().await;
    let role = database
        .role("GRANT SELECT ON ALL TABLES IN SCHEMA public TO ROLE")
        .await;
    let fault = verify(role.clone()).await;
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing);
    // What the message says is what mends it.
    let remedy = fault.message.split_once("run: ").expect(&fault.message).1;
    assert!(
        remedy.contains("GRANT") && remedy.contains("CREATE POLICY"),
        "{remedy}"
    );
    database.sql(remedy).await;
    Store::new(&role).unwrap().verify().await.unwrap();
}

async fn a_role_that_cannot_read_the_books_or_change_a_table_is_told(way: Way) {
    let database = Database::new(way).await;
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
        "nothing half done"
    );
}

async fn a_table_that_lost_a_column_is_invalid(way: Way) {
    let database = Database::new(way).await;
    let store = database.store().await;
    database
        .sql("ALTER TABLE tarana_base_stations DROP COLUMN band")
        .await;
    let fault = store.verify().await.unwrap_err();
    assert_eq!(fault.reason, Reason::SchemaInvalid);
    assert!(fault.message.contains("band"), "{fault}");
}
