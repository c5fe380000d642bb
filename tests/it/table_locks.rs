//! Another session has locked the table of stations, or some of its rows. The run says who it is, other writers get the table in the
//! meantime, and the listing is not read again.

use devenv::simulator::Endpoint;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tarana_operator::api::sync::Phase;

use super::environment::{TestEnvironment, of, phase};
use super::expected_table;

/// A session with this name in a transaction that has executed these statements.
async fn holder(env: &TestEnvironment, name: &str, sql: &str) -> PgConnection {
    let mut session = PgConnection::connect(&env.database_url).await.unwrap();
    let begin = format!("set application_name to '{name}'; begin; {sql}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(begin))
        .execute(&mut session)
        .await
        .unwrap();
    session
}

async fn pid(session: &mut PgConnection) -> i32 {
    sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(session)
        .await
        .unwrap()
}

/// Waits until the run says that this session holds the lock.
async fn wait_for_holder(env: &TestEnvironment, run: &str, session: &mut PgConnection, name: &str) {
    let session = format!("session {} ({name:?})", pid(session).await);
    env.wait_for_sync(run, "names the session", |s| {
        let (_, reason, message) = of(s, "Reconciling");
        reason == "DatabaseBusy" && message.contains(&session) && message.contains("transaction began")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_the_table_names_the_session_and_lets_others_write() {
    let env = TestEnvironment::new().await;
    assert_eq!(phase(&env.run("first", json!({})).await), Phase::Completed);
    let update = "update tarana_base_stations set market_id = market_id where id = (select min(id::text)::uuid from tarana_base_stations)";
    let mut session = holder(&env, "editor", update).await;
    env.sync("run", json!({})).await;
    wait_for_holder(&env, "run", &mut session, "editor").await;
    // Writers of other rows are not held up by the run that waits.
    for _ in 0..20 {
        sqlx::raw_sql(
            "set lock_timeout to '30s';
             update tarana_base_stations set market_id = market_id where id = (select max(id::text)::uuid from tarana_base_stations)",
        )
        .execute(&env.db)
        .await
        .unwrap();
    }
    sqlx::raw_sql("commit").execute(&mut session).await.unwrap();
    let ended = env.finished("run").await;
    assert_eq!(
        (phase(&ended), ended.status.unwrap().attempt),
        (Phase::Completed, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_a_row_names_the_session_and_keeps_its_listing() {
    let env = TestEnvironment::new().await;
    assert_eq!(phase(&env.run("first", json!({})).await), Phase::Completed);
    let serial = env.tcs.base_nodes()[0].serial.to_string();
    env.tcs
        .edit(&serial, |device| device["hostName"] = json!("RENAMED"));
    let select = format!("select from tarana_base_stations where serial_number = '{serial}' for update");
    let mut session = holder(&env, "reviewer", &select).await;
    let before = env.tcs.counters().requests_to(Endpoint::Search);
    let whole = {
        env.sync("dry", json!({"dryRun": true})).await;
        env.finished("dry").await;
        env.tcs.counters().requests_to(Endpoint::Search) - before
    };
    env.sync("run", json!({})).await;
    wait_for_holder(&env, "run", &mut session, "reviewer").await;
    sqlx::raw_sql("commit").execute(&mut session).await.unwrap();
    let ended = env.finished("run").await;
    assert_eq!(
        (phase(&ended), ended.status.unwrap().attempt),
        (Phase::Completed, 1)
    );
    let requests = env.tcs.counters().requests_to(Endpoint::Search) - before;
    assert_eq!(requests, 2 * whole, "the listing was read once");
    expected_table::assert_table_matches_fleet(&env).await;
}
