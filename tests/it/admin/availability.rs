//! The admin API of several replicas: while another one leads, during a change of the leader, and at shutdown.

use futures::future::join_all;
use serde_json::{Value, json};

use super::client::AdminClient;
use crate::environment::{PATIENCE, TestEnvironment, wait_until};
use crate::operator_process::OperatorProcess;
use crate::servers;
use crate::two_replicas::leader;

const STREAMS: usize = 50;

/// A replica with leader election. Returns it with the URL of its admin API.
async fn start_replica(env: &TestEnvironment, name: &str) -> (OperatorProcess, String) {
    let address = servers::free_address().to_string();
    let variables = [
        ("TARANA_ADMIN_LISTEN", address.as_str()),
        ("TARANA_ADMIN_NAMESPACE", &env.namespace),
        ("TARANA_LEADER_ELECT", "true"),
        ("TARANA_LEASE_NAMESPACE", &env.namespace),
    ];
    let process = OperatorProcess::start_with(env, name, &variables);
    let url = format!("http://{address}");
    servers::wait_until_ready(&url).await;
    (process, url)
}

/// The overview that the replica returns.
async fn overview(admin: &AdminClient) -> Value {
    let response = admin.get(&admin.viewer, "/api/admin/tarana/sync/status").await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_serves_the_status_also_during_a_change_of_the_leader() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let (mut leading, leading_url) = start_replica(&env, "first").await;
    wait_until("the first replica leads", || async { leader(&env).await }).await;
    let (_standby, standby_url) = start_replica(&env, "second").await;
    env.create_secrets_and_connection().await;
    env.ready().await;
    env.run("before", json!({})).await;
    let mut admin = AdminClient::new(env, leading_url).await;
    let by_leader = overview(&admin).await;
    admin.url = standby_url;
    let by_standby = wait_until("the standby has the end of the run", || async {
        let overview = overview(&admin).await;
        overview["current"].is_null().then_some(overview)
    })
    .await;
    assert_eq!(by_leader["recent"], by_standby["recent"]);

    leading.kill();
    assert_eq!(
        leader(&admin.env).await.as_deref(),
        Some("first"),
        "nobody leads yet"
    );
    assert_eq!(overview(&admin).await["recent"], by_leader["recent"]);
    let triggered = admin
        .post(&admin.editor, "/api/admin/tarana/sync", &json!({}))
        .await;
    assert_eq!(triggered.status, 202, "{triggered:?}");
    let id = triggered.json()["sync_log_id"].as_str().unwrap().to_owned();
    wait_until("the standby leads and executes the run", || async {
        let path = format!("/api/v1/syncs/{id}");
        let run = admin.get(&admin.viewer, &path).await.json();
        (run["phase"] == "Completed").then_some(())
    })
    .await;
    assert_eq!(leader(&admin.env).await.as_deref(), Some("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_delay_neither_the_release_of_the_lease_nor_the_end_of_the_process() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let (mut process, url) = start_replica(&env, "only").await;
    wait_until("the replica leads", || async { leader(&env).await }).await;
    let admin = AdminClient::new(env, url).await;
    let path = format!("/api/v1/events?namespace={}", admin.env.namespace);
    let open = (0..STREAMS).map(|_| admin.request("GET", &path).bearer_auth(&admin.viewer).send());
    let streams: Vec<_> = join_all(open).await.into_iter().map(Result::unwrap).collect();
    assert!(streams.iter().all(|stream| stream.status() == 200));
    assert!(process.terminate().await, "{}", process.log_text());
    assert_eq!(leader(&admin.env).await, None, "the Lease is released");
    for stream in streams {
        let rest = tokio::time::timeout(PATIENCE, stream.text()).await;
        rest.expect("an end").expect("a clean end");
    }
}
