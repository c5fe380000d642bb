//! Two replicas with leader election. The leader is killed or paused during a run, and the other one continues it. A paused leader that is
//! resumed steps down and changes nothing.

use std::time::Instant;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::environment::{TestEnvironment, wait_until};
use super::hanging_runs::hang_in_fetch;
use super::operator_process::OperatorProcess;
use super::servers;
use super::two_operators::{HELD, HOLD, assert_completed_once};

/// The log of a replica that continues the attempt of another one.
pub const RESUMED: &str = "resumed=true";
pub const LEADING: &str = " leading";
pub const STEPPED_DOWN: &str = "leadership lost: all work was stopped";

/// The identity in the Lease.
pub async fn leader(env: &TestEnvironment) -> Option<String> {
    let api: Api<Lease> = Api::namespaced(env.client.clone(), &env.namespace);
    let lease = api.get_opt("tarana-operator").await.unwrap()?;
    lease.spec?.holder_identity.filter(|holder| !holder.is_empty())
}

/// Environment variables of a replica.
pub fn with_election(env: &TestEnvironment) -> [(&'static str, &str); 2] {
    [
        ("TARANA_LEADER_ELECT", "true"),
        ("TARANA_LEASE_NAMESPACE", env.namespace.as_str()),
    ]
}

fn start_replica(env: &TestEnvironment, name: &str) -> OperatorProcess {
    OperatorProcess::start_with(env, name, &with_election(env))
}

/// A leader and a standby, with a connection that is ready.
pub async fn start() -> (TestEnvironment, OperatorProcess, OperatorProcess) {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let first = start_replica(&env, "first");
    wait_until("the first replica leads", || async { leader(&env).await }).await;
    let second = start_replica(&env, "second");
    second.wait_for_log("waiting for leadership", 1).await;
    env.create_secrets_and_connection().await;
    env.ready().await;
    (env, first, second)
}

/// Starts a run, which is held before the last statement of Apply.
pub async fn hold_apply(env: &TestEnvironment) {
    sqlx::raw_sql(HOLD).execute(&env.db).await.unwrap();
    env.sync("run", json!({})).await;
    wait_until("the transaction is held", || async {
        (env.number(HELD).await == 1).then_some(())
    })
    .await;
}

/// Waits until the second replica continues the run, and prints how long this took.
async fn report_takeover(env: &TestEnvironment, second: &OperatorProcess, what: &str, since: Instant) {
    second.wait_for_log(RESUMED, 1).await;
    eprintln!(
        "{what}: the other replica continued the run after {:.1?}",
        since.elapsed()
    );
    assert_eq!(leader(env).await.as_deref(), Some("second"));
}

/// Everything that the run wrote: the stations, with the transaction that wrote each row, the log row and the outbox; and the version of
/// the object.
pub async fn written(env: &TestEnvironment) -> (String, String) {
    let rows = "select concat_ws(E'\\n',
        (select string_agg(xmin || ' ' || to_jsonb(t)::text, E'\\n' order by serial_number) from tarana_base_stations t),
        (select string_agg(xmin || ' ' || to_jsonb(t)::text, E'\\n' order by id) from tarana_sync_logs t),
        (select string_agg(xmin || ' ' || to_jsonb(t)::text, E'\\n' order by id) from tarana_sync_outbox t))";
    let rows: String = sqlx::query_scalar(rows).fetch_one(&env.db).await.unwrap();
    let run = env.syncs().get("run").await.unwrap();
    (rows, run.resource_version().unwrap())
}

/// The run completed in its first attempt, and one transaction wrote all rows.
pub async fn assert_written_once(env: &TestEnvironment) {
    assert_completed_once(env, "run").await;
    let transactions = "select count(distinct xmin::text) from tarana_base_stations";
    assert_eq!(env.number(transactions).await, 1);
}

/// Resumes the first replica after the run has ended. It steps down without a change.
async fn resume_and_compare(env: &TestEnvironment, first: &mut OperatorProcess) {
    let before = written(env).await;
    first.resume();
    first.wait_for_log(STEPPED_DOWN, 1).await;
    assert_eq!(written(env).await, before);
    assert_written_once(env).await;
    assert!(first.is_running(), "{}", first.log_text());
    assert_eq!(leader(env).await.as_deref(), Some("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_of_a_leader_that_is_killed_in_apply_is_completed_once() {
    let (env, mut first, second) = start().await;
    hold_apply(&env).await;
    let killed = Instant::now();
    first.kill();
    sqlx::raw_sql("delete from hold").execute(&env.db).await.unwrap();
    report_takeover(&env, &second, "killed in Apply", killed).await;
    assert_written_once(&env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_paused_in_fetch_steps_down_without_a_change() {
    let (env, mut first, second) = start().await;
    hang_in_fetch(&env, "run", json!({})).await;
    let paused = Instant::now();
    first.pause().await;
    env.tcs.clear_rules();
    report_takeover(&env, &second, "paused in Fetch", paused).await;
    assert_written_once(&env).await;
    resume_and_compare(&env, &mut first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_paused_in_apply_steps_down_without_a_change() {
    let (env, mut first, second) = start().await;
    hold_apply(&env).await;
    let paused = Instant::now();
    first.pause().await;
    // The transaction of the first replica is open. It locks the log row until the server ends it.
    sqlx::raw_sql("delete from hold").execute(&env.db).await.unwrap();
    env.finished("run").await;
    report_takeover(&env, &second, "paused in Apply", paused).await;
    assert_written_once(&env).await;
    resume_and_compare(&env, &mut first).await;
}
