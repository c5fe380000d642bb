//! Connections that write the same regions of one table from the data of different accounts.

use devenv::simulator::Simulator;
use serde_json::{Value, json};
use tarana_operator::api::sync::Phase;

use super::environment::{TestEnvironment, phase};
use super::operator_process::OperatorProcess;
use super::servers;

const CONDITION: &str = "RegionsOverlap";

/// Waits until the condition of the connection is there, and names this other one, or is not there.
async fn wait_for(env: &TestEnvironment, name: &str, other: Option<&str>) -> String {
    let named = other.map(|other| format!("{}/{other}", env.namespace));
    wait_for_key(env, name, named.as_deref()).await
}

/// The same with the namespace of the other connection: `namespace/name`.
async fn wait_for_key(env: &TestEnvironment, name: &str, other: Option<&str>) -> String {
    let is_so = |found: &(String, String, String)| match other {
        Some(named) => found.0 == "True" && found.2.contains(named),
        None => found.0.is_empty(),
    };
    let what = format!("{CONDITION} names {other:?}");
    let connection = env
        .wait_for_connection(name, &what, |c| {
            is_so(&find(&json!(c.status.as_ref().map(|s| &s.conditions))))
        })
        .await;
    find(&json!(connection.status.map(|s| s.conditions))).2
}

/// Status, reason and message of the condition; empty if it is absent.
fn find(conditions: &Value) -> (String, String, String) {
    let all = conditions.as_array().cloned().unwrap_or_default();
    let found = all
        .into_iter()
        .find(|c| c["type"] == CONDITION)
        .unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"), text("message"))
}

async fn count_events(env: &TestEnvironment, name: &str) -> usize {
    let events = env.events(name).await;
    events.iter().filter(|reason| *reason == CONDITION).count()
}

async fn both_told(env: &TestEnvironment) {
    wait_for(env, "default", Some("other")).await;
    wait_for(env, "other", Some("default")).await;
}

async fn none_told(env: &TestEnvironment) {
    wait_for(env, "default", None).await;
    wait_for(env, "other", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_two_accounts_on_one_region_are_both_told() {
    let mut env = TestEnvironment::new().await;
    let other = Simulator::start(servers::tcs_with(20)).await.unwrap();
    // One account may have several connections.
    env.connection("same", json!({})).await;
    env.connection("other", json!({"api": {"url": other.url()}}))
        .await;
    let message = wait_for(&env, "other", Some("default")).await;
    for part in [
        "/same",
        "South Africa (1073)",
        "public.tarana_base_stations",
        "excludeRegionIds",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains("http"), "{message}");
    both_told(&env).await;
    let same = wait_for(&env, "same", Some("other")).await;
    assert!(!same.contains("default"), "{same}");

    // A restart says nothing new.
    env.stop_operator().await;
    env.start_operator();
    for connection in ["default", "other", "same"] {
        let run = env
            .run(connection, json!({"connectionRef": {"name": connection}}))
            .await;
        assert_eq!(phase(&run), Phase::Completed, "{:?}", run.status);
        assert_eq!(count_events(&env, connection).await, 1, "{connection}");
    }
    both_told(&env).await;

    env.change_connection("other", json!({"suspend": true})).await;
    none_told(&env).await;
    env.change_connection("other", json!({"suspend": false})).await;
    both_told(&env).await;

    sqlx::raw_sql("create schema apart")
        .execute(&env.db)
        .await
        .unwrap();
    env.change_connection("other", json!({"database": {"schema": "apart"}}))
        .await;
    none_told(&env).await;
    env.change_connection("other", json!({"database": {"schema": "public"}}))
        .await;
    both_told(&env).await;

    env.delete_connection("same").await;
    let regions = servers::region_ids();
    let (first, rest) = regions.split_at(1);
    env.change_connection("other", json!({"api": {"includeRegionIds": first}}))
        .await;
    env.change_connection("default", json!({"api": {"includeRegionIds": rest}}))
        .await;
    none_told(&env).await;
    env.change_connection("default", json!({"api": {"includeRegionIds": regions}}))
        .await;
    let message = wait_for(&env, "default", Some("other")).await;
    assert!(message.contains("region(s) South Africa (1073) of"), "{message}");

    env.delete_connection("other").await;
    wait_for(&env, "default", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_two_namespaces_are_told_when_the_database_of_one_changes() {
    let one = TestEnvironment::bare(servers::tcs_with(20)).await;
    let two = TestEnvironment::bare(servers::tcs_with(20)).await;
    let both = format!("{},{}", one.namespace, two.namespace);
    let _operator = OperatorProcess::start_with(&one, "both", &[("TARANA_WATCH_NAMESPACES", &both)]);
    for env in [&one, &two] {
        env.create_secrets_and_connection().await;
    }
    for env in [&one, &two] {
        env.ready().await;
        wait_for(env, "default", None).await;
    }
    two.secret("database", &json!({"url": one.database_url})).await;
    for (env, other) in [(&one, &two), (&two, &one)] {
        let other = format!("{}/default", other.namespace);
        wait_for_key(env, "default", Some(&other)).await;
    }
    two.secret("database", &json!({"url": two.database_url})).await;
    for env in [&one, &two] {
        wait_for(env, "default", None).await;
    }
}
