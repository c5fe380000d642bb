//! Runs whose Fetch does not end by itself.

use serde_json::{Value, json};
use tarana_operator::api::sync::{Step, TaranaSync};

use super::environment::{TestEnvironment, of, step};
use super::servers;

/// Creates a run and waits until a search of it hangs.
pub async fn hang_in_fetch(env: &TestEnvironment, name: &str, spec: Value) -> TaranaSync {
    env.tcs.set_rules(vec![servers::hanging_search()]);
    env.sync(name, spec).await;
    let run = env
        .wait_for_sync(name, "fetches", |s| step(s) == Some(Step::Fetch))
        .await;
    env.tcs.wait_until_hanging(1).await;
    run
}

/// Lets requests hang for longer than a test lasts.
pub async fn without_timeout(env: &TestEnvironment) {
    let timeout = json!({"api": {"requestTimeoutSeconds": 300}});
    env.change_connection("default", timeout).await;
}

/// One run in Fetch, which hangs, and one that waits for it.
pub async fn fetching_and_waiting(env: &TestEnvironment, spec: Value) -> [TaranaSync; 2] {
    env.ready().await;
    without_timeout(env).await;
    let fetching = hang_in_fetch(env, "fetching", spec).await;
    env.sync("waiting", json!({})).await;
    let waiting = env
        .wait_for_sync("waiting", "waits", |s| of(s, "Reconciling").1 == "Queued")
        .await;
    [fetching, waiting]
}
