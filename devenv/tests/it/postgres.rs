//! PostgreSQL servers and the databases in them.

use devenv::{Postgres, PostgresSettings};
use sqlx::{AssertSqlSafe, Connection, PgConnection, query, query_scalar};

async fn query_text(url: &str, statement: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let text = query_scalar(AssertSqlSafe(statement.to_owned()))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    text
}

#[tokio::test]
async fn databases_with_the_same_name_are_separate_and_can_be_dropped() {
    let server = Postgres::shared().await.unwrap();
    let first = server.create_database("apart").await.unwrap();
    let second = server.create_database("apart").await.unwrap();
    let mut connection = PgConnection::connect(&first).await.unwrap();
    query("CREATE TABLE mine (id int)")
        .execute(&mut connection)
        .await
        .unwrap();
    let in_second = query_text(&second, "SELECT coalesce(to_regclass('mine')::text, 'absent')").await;
    assert_eq!(in_second, "absent");
    server.drop_database(&first).await.unwrap();
    assert!(PgConnection::connect(&first).await.is_err());
    server.drop_database(&second).await.unwrap();
}

#[tokio::test]
async fn database_names_are_quoted() {
    let server = Postgres::shared().await.unwrap();
    let url = server.create_database("a \"quoted\" näme").await.unwrap();
    assert!(
        query_text(&url, "SELECT current_database()::text")
            .await
            .starts_with("a \"quoted\" näme_")
    );
    server.drop_database(&url).await.unwrap();
}

#[tokio::test]
async fn settings_are_applied() {
    let settings = PostgresSettings {
        durable: true,
        extra: vec![("work_mem".into(), "8MB".into())],
    };
    let server = Postgres::start_with(&settings).await.unwrap();
    let show = "SELECT current_setting('fsync') || current_setting('work_mem') || current_setting('max_connections')";
    assert_eq!(query_text(server.url(), show).await, "on8MB300");
    let fast = Postgres::start_with(&PostgresSettings::default()).await.unwrap();
    assert_eq!(
        query_text(fast.url(), "SELECT current_setting('fsync')").await,
        "off"
    );
    server.check_running().unwrap();
}

#[tokio::test]
async fn postgis_can_be_installed() {
    let server = Postgres::shared().await.unwrap();
    server.install_postgis().await.unwrap();
    let url = server.create_database("map").await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    query("CREATE EXTENSION postgis")
        .execute(&mut connection)
        .await
        .unwrap();
    let point = "SELECT ST_AsText(ST_SetSRID(ST_MakePoint(28, -26), 4326)::geography)";
    assert_eq!(query_text(&url, point).await, "POINT(28 -26)");
    connection.close().await.unwrap();
    server.drop_database(&url).await.unwrap();
}
