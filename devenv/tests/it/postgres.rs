//! Databases for tests, and what they are on.

use devenv::{Postgres, Settings};
use sqlx::{AssertSqlSafe, Connection, PgConnection, query, query_scalar};

async fn text(url: &str, statement: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let text = query_scalar(AssertSqlSafe(statement.to_owned()))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    text
}

#[tokio::test]
async fn databases_of_one_name_are_apart_and_can_be_removed() {
    let server = Postgres::shared().await.unwrap();
    let first = server.create_database("apart").await.unwrap();
    let second = server.create_database("apart").await.unwrap();
    let mut connection = PgConnection::connect(&first).await.unwrap();
    query("CREATE TABLE mine (id int)")
        .execute(&mut connection)
        .await
        .unwrap();
    let elsewhere = text(&second, "SELECT coalesce(to_regclass('mine')::text, 'absent')").await;
    assert_eq!(elsewhere, "absent");
    server.drop_database(&first).await.unwrap();
    assert!(PgConnection::connect(&first).await.is_err());
    server.drop_database(&second).await.unwrap();
}

#[tokio::test]
async fn names_are_only_names() {
    let server = Postgres::shared().await.unwrap();
    let url = server.create_database("a \"quoted\" näme").await.unwrap();
    assert!(
        text(&url, "SELECT current_database()::text")
            .await
            .starts_with("a \"quoted\" näme_")
    );
    server.drop_database(&url).await.unwrap();
}

#[tokio::test]
async fn settings_are_as_asked() {
    let settings = Settings {
        durable: true,
        extra: vec![("work_mem".into(), "8MB".into())],
    };
    let server = Postgres::start_with(&settings).await.unwrap();
    let show = "SELECT current_setting('fsync') || current_setting('work_mem') || current_setting('max_connections')";
    assert_eq!(text(server.url(), show).await, "on8MB300");
    let quick = Postgres::start_with(&Settings::default()).await.unwrap();
    assert_eq!(text(quick.url(), "SELECT current_setting('fsync')").await, "off");
    server.check().unwrap();
}

#[tokio::test]
async fn postgis_is_there_when_asked_for() {
    let server = Postgres::shared().await.unwrap();
    server.install_postgis().await.unwrap();
    let url = server.create_database("map").await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    query("CREATE EXTENSION postgis")
        .execute(&mut connection)
        .await
        .unwrap();
    let point = "SELECT ST_AsText(ST_SetSRID(ST_MakePoint(28, -26), 4326)::geography)";
    assert_eq!(text(&url, point).await, "POINT(28 -26)");
    connection.close().await.unwrap();
    server.drop_database(&url).await.unwrap();
}
