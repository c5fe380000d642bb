//! The resources of a connection.

use devenv::simulator::{Endpoint, Fault, Rule};
use kube::api::DeleteParams;
use serde_json::json;

use super::environment::{TestEnvironment, condition, wait_until};
use super::servers;

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_connection_closes_its_database_pool() {
    let env = TestEnvironment::new().await;
    env.run("first", json!({})).await;
    let others = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'tarana-operator'";
    assert!(
        env.number(others).await > 0,
        "the pool stays open while the connection exists"
    );
    let deleted = env
        .connections()
        .delete("default", &DeleteParams::default())
        .await;
    deleted.unwrap();
    wait_until("the pool is closed", || async {
        (env.number(others).await == 0).then_some(())
    })
    .await;
}

/// The transitions of a connection are Events: what a user who was not watching needs to know.
#[tokio::test(flavor = "multi_thread")]
async fn transitions_of_a_connection_are_published() {
    let env = TestEnvironment::new().await;
    let ready_with = async |reason: &str| {
        env.wait_for_connection("default", reason, |c| {
            condition(&c.status.clone().unwrap_or_default().conditions, "Ready").1 == reason
        })
        .await;
    };
    ready_with("Verified").await;
    env.secret("database", &json!({"url": "postgres://u:p@localhost:1"}))
        .await;
    ready_with("InvalidConfiguration").await;
    env.secret("database", &json!({"url": env.database_url})).await;
    ready_with("Verified").await;
    let nobody = format!("postgres://tarana:x@{}/none", servers::free_address());
    env.secret("database", &json!({ "url": nobody })).await;
    ready_with("DatabaseUnreachable").await;
    env.secret("database", &json!({"url": env.database_url})).await;
    ready_with("Verified").await;
    env.change_connection("default", json!({"suspend": true})).await;
    ready_with("Suspended").await;
    wait_until("the Events are published", || async {
        let mut events = env.events("default").await;
        events.sort();
        // An Event that repeats the reason of an earlier one is counted there.
        events.dedup();
        (events == ["DatabaseUnreachable", "Recovered", "Stalled", "Verified"]).then_some(())
    })
    .await;
}

/// The first probe still uses the former content of the Secret when it ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_corrected_during_the_first_probe_is_used() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.tcs
        .set_rules(vec![Rule::on(Endpoint::Login, Fault::Latency { ms: 3000 })]);
    env.create_secrets_and_connection().await;
    env.secret(
        "tcs",
        &json!({"username": servers::USERNAME, "password": "wrong"}),
    )
    .await;
    env.start_operator();
    wait_until("the first probe logs in", || async {
        let requests = env.tcs.requests();
        requests
            .iter()
            .any(|request| request.endpoint == Endpoint::Login)
            .then_some(())
    })
    .await;
    env.secret("tcs", &servers::credentials()).await;
    env.tcs.clear_rules();
    env.ready().await;
}
