//! A leader that stops releases the Lease, and the other replica, which watches it, leads at once. `two_replicas` kills and pauses it.

use std::time::Instant;

use serde_json::json;

use crate::environment::TestEnvironment;
use crate::hanging_runs::hang_in_fetch;
use crate::operator_process::OperatorProcess;
use crate::two_replicas::{LEADING, RESUMED, assert_written_once, hold_apply, leader, start};

/// Logged by a leader that stops.
const RELEASED: &str = "the Lease is released";

/// Terminates the leader and waits until the other replica leads.
async fn hand_over(env: &TestEnvironment, first: &mut OperatorProcess, second: &OperatorProcess, what: &str) {
    let began = Instant::now();
    assert!(first.terminate().await, "{}", first.log_text());
    let ended = began.elapsed();
    second.wait_for_log(LEADING, 1).await;
    let elapsed = began.elapsed();
    eprintln!("SIGTERM {what}: ended after {ended:.1?}, the other replica leads after {elapsed:.1?}");
    assert_eq!(leader(env).await.as_deref(), Some("second"));
    // The other one did not have to wait until the lease expired.
    assert_eq!(first.count_in_log(RELEASED), 1, "{}", first.log_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_terminated_hands_over_at_once() {
    let (env, mut first, second) = start().await;
    hand_over(&env, &mut first, &second, "while idle").await;
    env.run("run", json!({})).await;
    assert_written_once(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_terminated_in_fetch_hands_over_at_once() {
    let (env, mut first, second) = start().await;
    hang_in_fetch(&env, "run", json!({})).await;
    env.tcs.clear_rules();
    hand_over(&env, &mut first, &second, "in Fetch").await;
    second.wait_for_log(RESUMED, 1).await;
    assert_written_once(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_terminated_in_apply_hands_over_at_once() {
    let (env, mut first, second) = start().await;
    hold_apply(&env).await;
    hand_over(&env, &mut first, &second, "in Apply").await;
    sqlx::raw_sql("delete from hold").execute(&env.db).await.unwrap();
    second.wait_for_log(RESUMED, 1).await;
    assert_written_once(&env).await;
}
