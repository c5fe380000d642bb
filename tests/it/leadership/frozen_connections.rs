//! Every open connection to the API server is frozen, and new ones work. What users change is seen in less than a minute. Either nothing
//! gets through any more, or requests do and their responses do not.

use std::time::{Duration, Instant};

use devenv::proxy::{Moment, Target};
use kube::api::DeleteParams;
use serde_json::json;
use tarana_operator::api::sync::{Phase, Step, TaranaSync};

use crate::environment::{phase, step, wait_until};
use crate::expected_table::assert_table_matches_fleet;
use crate::operator_process::OperatorProcess;
use crate::proxied::Proxied;
use crate::servers;

/// What users may rely on. It takes half of that.
const BOUND: Duration = Duration::from_mins(1);

/// An operator with the default timeouts behind proxies, and a connection that is ready.
async fn start() -> (Proxied, OperatorProcess) {
    let proxied = Proxied::new(servers::tcs()).await;
    let operator = proxied.operator("one", &[]);
    proxied.connect(json!({})).await;
    proxied.env.ready().await;
    (proxied, operator)
}

/// Starts a run whose Fetch does not end by itself.
async fn start_in_fetch(proxied: &Proxied) {
    let env = &proxied.env;
    env.tcs.set_rules(vec![servers::hanging_search()]);
    env.sync("run", json!({})).await;
    env.wait_for_sync("run", "fetches", |s| step(s) == Some(Step::Fetch))
        .await;
    env.tcs.wait_until_hanging(1).await;
}

/// Prints and checks how long it took since the connections were frozen.
fn assert_soon(what: &str, frozen: Instant) {
    let elapsed = frozen.elapsed();
    eprintln!("connections are frozen, {what}: after {elapsed:.1?}");
    assert!(elapsed < BOUND, "{what}: {elapsed:?}");
}

/// Freezes the connections, cancels the run and waits for its end.
async fn cancel(proxied: &Proxied, requests_too: bool, what: &str) {
    proxied.api.freeze_open_connections(requests_too);
    let frozen = Instant::now();
    proxied.env.cancel("run").await;
    let is_final = |run: &TaranaSync| phase(run).is_final();
    let run = proxied.env.wait_for_sync("run", "is cancelled", is_final).await;
    assert_soon(what, frozen);
    assert_eq!(phase(&run), Phase::Cancelled);
}

async fn cancel_in_fetch(requests_too: bool) {
    let (proxied, _operator) = start().await;
    start_in_fetch(&proxied).await;
    cancel(&proxied, requests_too, "a cancel in Fetch").await;
}

async fn cancel_in_apply(requests_too: bool) {
    let (proxied, _operator) = start().await;
    let _lock = proxied.env.lock_table().await;
    proxied.env.sync("run", json!({})).await;
    let applies = |run: &TaranaSync| step(run) == Some(Step::Apply);
    proxied.env.wait_for_sync("run", "applies", applies).await;
    cancel(&proxied, requests_too, "a cancel in Apply").await;
}

async fn delete_in_fetch(requests_too: bool) {
    let (proxied, _operator) = start().await;
    start_in_fetch(&proxied).await;
    proxied.api.freeze_open_connections(requests_too);
    let frozen = Instant::now();
    let syncs = proxied.env.syncs();
    syncs.delete("run", &DeleteParams::default()).await.unwrap();
    wait_until("the run is deleted", || async {
        syncs.get_opt("run").await.unwrap().is_none().then_some(())
    })
    .await;
    assert_soon("a deletion in Fetch", frozen);
}

async fn create_run(requests_too: bool) {
    let (proxied, _operator) = start().await;
    proxied.api.freeze_open_connections(requests_too);
    let frozen = Instant::now();
    assert_eq!(phase(&proxied.env.run("run", json!({})).await), Phase::Completed);
    assert_soon("a new run", frozen);
    assert_table_matches_fleet(&proxied.env).await;
}

/// The transaction is committed, and the first status write after it gets no response.
async fn freeze_after_commit(requests_too: bool) {
    let (proxied, _operator) = start().await;
    let lock = proxied.env.lock_table().await;
    proxied.env.sync("run", json!({})).await;
    let applies = |run: &TaranaSync| step(run) == Some(Step::Apply);
    proxied.env.wait_for_sync("run", "applies", applies).await;
    proxied.interceptor.reset();
    let commit = Target::NthNamed(1, "COMMIT");
    proxied.interceptor.intercept(commit, Moment::After);
    drop(lock);
    proxied.interceptor.wait_until_intercepted().await;
    proxied.api.freeze_open_connections(requests_too);
    let frozen = Instant::now();
    proxied.interceptor.forward();
    let run = proxied.env.finished("run").await;
    assert_soon("the status after the commit", frozen);
    let status = run.status.clone().unwrap();
    assert_eq!(
        (status.phase, status.attempt),
        (Phase::Completed, 1),
        "{status:?}"
    );
    assert_table_matches_fleet(&proxied.env).await;
    let rows = "select count(*) from tarana_sync_logs";
    assert_eq!(proxied.env.number(rows).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_in_fetch_is_seen_while_open_connections_are_frozen() {
    tokio::join!(cancel_in_fetch(true), cancel_in_fetch(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_in_apply_is_seen_while_open_connections_are_frozen() {
    tokio::join!(cancel_in_apply(true), cancel_in_apply(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_seen_while_open_connections_are_frozen() {
    tokio::join!(delete_in_fetch(true), delete_in_fetch(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_is_seen_while_open_connections_are_frozen() {
    tokio::join!(create_run(true), create_run(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_once_if_connections_freeze_between_commit_and_status() {
    tokio::join!(freeze_after_commit(true), freeze_after_commit(false));
}
