//! A run during which the operator ends again and again is charged for it, and does not stop the others.

use serde_json::json;
use tarana_operator::api::sync::{Phase, Step, TaranaSync};

use super::environment::{TestEnvironment, of, phase, step};
use super::hanging_runs::without_timeout;
use super::operator_process::OperatorProcess;
use super::servers;

/// Starts an operator and waits until it works on the run, in this attempt and after so many interruptions. Kills it then.
async fn crash_in_fetch(env: &TestEnvironment, name: &str, interruptions: i32) {
    let mut operator = OperatorProcess::start(env, &format!("crash-{interruptions}"));
    env.wait_for_sync(name, "is in Fetch", |run| {
        step(run) == Some(Step::Fetch) && run.status.as_ref().unwrap().interruptions == interruptions
    })
    .await;
    operator.kill();
}

fn last_failure(run: &TaranaSync) -> (String, i32) {
    let failure = run
        .status
        .clone()
        .unwrap()
        .last_failure
        .unwrap_or_else(|| panic!("no failure: {run:?}"));
    (failure.reason, failure.attempt)
}

async fn with_hanging_vendor() -> TestEnvironment {
    let env = TestEnvironment::bare(servers::tcs()).await;
    env.tcs.set_rules(vec![servers::hanging_search()]);
    env.create_secrets_and_connection().await;
    without_timeout(&env).await;
    env
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_fails_when_the_operator_ends_twice_in_it() {
    let env = with_hanging_vendor().await;
    env.sync(
        "culprit",
        json!({"backoff": {"initialSeconds": 1, "maxSeconds": 1}}),
    )
    .await;
    crash_in_fetch(&env, "culprit", 0).await;
    crash_in_fetch(&env, "culprit", 1).await;
    let _operator = OperatorProcess::start(&env, "healthy");
    let charged = env
        .wait_for_sync("culprit", "is charged", |run| {
            run.status.as_ref().is_some_and(|s| s.last_failure.is_some())
        })
        .await;
    assert_eq!(last_failure(&charged), ("OperatorCrashed".to_owned(), 1));
    env.tcs.clear_rules();
    env.tcs.release_hanging();
    let end = env.finished("culprit").await;
    let status = end.status.clone().unwrap();
    assert_eq!(
        (phase(&end), status.attempt, status.interruptions),
        (Phase::Completed, 2, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_retries_ends_when_the_operator_ends_twice_in_it() {
    let env = with_hanging_vendor().await;
    env.sync("culprit", json!({"backoffLimit": 0})).await;
    crash_in_fetch(&env, "culprit", 0).await;
    crash_in_fetch(&env, "culprit", 1).await;
    let _operator = OperatorProcess::start(&env, "healthy");
    let end = env.finished("culprit").await;
    let (_, reason, message) = of(&end, "Finished");
    assert_eq!((phase(&end), reason.as_str()), (Phase::Failed, "OperatorCrashed"));
    assert!(message.contains("kubectl logs --previous"), "{message}");
    let row = env.log_row(&end).await;
    assert_eq!(
        (&row["status"], &row["reason"]),
        (&json!("failed"), &json!("OperatorCrashed"))
    );
}

/// Both were interrupted, and one of them did it: the other one completes, because they continue one at a time.
#[tokio::test(flavor = "multi_thread")]
async fn runs_that_were_interrupted_together_continue_one_at_a_time() {
    let env = with_hanging_vendor().await;
    env.connection("other", json!({"api": {"requestTimeoutSeconds": 300}}))
        .await;
    let retries = json!({"backoff": {"initialSeconds": 1, "maxSeconds": 1}});
    env.sync("first", retries.clone()).await;
    let mut other = retries;
    other["connectionRef"] = json!({"name": "other"});
    env.sync("second", other).await;
    for interruptions in 0..2 {
        let mut operator = OperatorProcess::start(&env, &format!("crash-{interruptions}"));
        for name in ["first", "second"] {
            env.wait_for_sync(name, "is in Fetch", |run| {
                step(run) == Some(Step::Fetch) && run.status.as_ref().unwrap().interruptions == interruptions
            })
            .await;
        }
        operator.kill();
    }
    let _operator = OperatorProcess::start(&env, "healthy");
    let is_fetching =
        |run: &TaranaSync| step(run) == Some(Step::Fetch) && run.status.as_ref().unwrap().attempt == 2;
    let waits = |run: &TaranaSync| of(run, "Reconciling").2.contains("one at a time");
    let mut names = ["first", "second"];
    let one = env
        .wait_for_sync(names[0], "fetches or waits", |run| is_fetching(run) || waits(run))
        .await;
    if waits(&one) {
        names.reverse();
    }
    env.wait_for_sync(names[0], "fetches", is_fetching).await;
    env.wait_for_sync(names[1], "waits", waits).await;
    env.tcs.clear_rules();
    env.tcs.release_hanging();
    for name in names {
        assert_eq!(phase(&env.finished(name).await), Phase::Completed, "{name}");
    }
}
