//! The operator's clock is wrong, or steps: what is measured is measured by a clock that does not step, and times of other machines are
//! never compared with it.

use std::path::Path;

use devenv::FakeClock;
use devenv::simulator::Endpoint;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::sync::Phase;

use super::environment::{TestEnvironment, condition, of, phase, wait_until};
use super::operator_process::OperatorProcess;
use super::proxied::Proxied;
use super::servers;

const DAY: i64 = 24 * 60 * 60;

async fn new_clock(env: &TestEnvironment) -> FakeClock {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-clock", env.namespace));
    std::fs::create_dir_all(&folder).unwrap();
    FakeClock::new(&folder).await.unwrap()
}

fn as_variables<'a>(variables: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

/// An environment whose operator is a process with a clock that is ahead by this many seconds.
async fn with_clock(seconds: i64) -> (TestEnvironment, OperatorProcess) {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let clock = new_clock(&env).await;
    clock.set(seconds).unwrap();
    let operator = OperatorProcess::start_with(&env, "wrong-clock", &as_variables(&clock.variables()));
    env.create_secrets_and_connection().await;
    (env, operator)
}

/// How far the clock of the operator is from the real time, in seconds, according to what it wrote.
async fn offset_of(env: &TestEnvironment, name: &str) -> i64 {
    let run = env.syncs().get(name).await.unwrap();
    let created = run.metadata.creation_timestamp.unwrap().0;
    let started = run.status.unwrap().start_time.unwrap().0;
    started.duration_since(created).as_secs()
}

/// A run, one that is rejected by the vendor at first, and one that is deleted after its time to live.
async fn assert_works(env: &TestEnvironment, seconds: i64) {
    env.ready().await;
    let run = env.run("plain", json!({})).await;
    assert_eq!(phase(&run), Phase::Completed);
    let offset = offset_of(env, "plain").await;
    assert!((offset - seconds).abs() < 60, "the clock is {offset} s ahead");
    env.tcs.set_rules(vec![servers::failing_search().times(4)]);
    let retried = json!({"backoff": {"initialSeconds": 1, "maxSeconds": 1}, "ttlSecondsAfterFinished": 1});
    env.sync("retried", retried).await;
    wait_until("the run is deleted after its time to live", || async {
        env.syncs()
            .get_opt("retried")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    let rows = "select count(*) from tarana_sync_logs where status = 'completed' and completed_at between now() - interval '5 minutes' and now()
                and duration_ms between 0 and 120000";
    assert_eq!(
        env.number(rows).await,
        2,
        "the times of the rows are those of the database"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_300_seconds_behind() {
    let (env, _operator) = with_clock(-300).await;
    assert_works(&env, -300).await;
}

/// Less a day: the certificate of the API server is valid for a year.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_a_year_ahead() {
    let (env, _operator) = with_clock(364 * DAY).await;
    assert_works(&env, 364 * DAY).await;
}

/// Whether a probe is newer than a run is not decided by the clock of the API server, which is ahead.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_behind_does_not_flood_the_vendor() {
    let (env, _operator) = with_clock(-300).await;
    env.ready().await;
    env.tcs.set_credentials(servers::USERNAME, "another password");
    env.tcs.expire_sessions(true);
    env.sync("refused", json!({"backoffLimit": 0})).await;
    let refused = env.finished("refused").await;
    assert_eq!(of(&refused, "Finished").1, "AuthenticationFailed");
    let logins = env.tcs.counters().requests_to(Endpoint::Login);
    env.sync("next", json!({})).await;
    let next = env.finished("next").await;
    assert_eq!(of(&next, "Finished").1, "AuthenticationFailed");
    assert_eq!(
        env.tcs.counters().requests_to(Endpoint::Login),
        logins,
        "no login is repeated"
    );
}

/// The next probe of a connection that failed is due after some seconds, not a day later.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_back_a_day_after_a_failed_probe() {
    let proxied = Proxied::new(servers::tcs()).await;
    let env = &proxied.env;
    let clock = new_clock(env).await;
    let _operator = proxied.operator("wrong-clock", &as_variables(&clock.variables()));
    proxied.connect(json!({})).await;
    env.ready().await;
    proxied.db.set_unreachable(true);
    env.sync(
        "waits",
        json!({"backoffLimit": 100, "backoff": {"initialSeconds": 1, "maxSeconds": 1}}),
    )
    .await;
    env.wait_for_connection("default", "is not ready", |c| {
        ready_reason(c) == "DatabaseUnreachable"
    })
    .await;
    let before = transition(env, "default").await;
    clock.set(-DAY).unwrap();
    // The status of a new connection shows which time the operator reads, a second later at most.
    let mut number = 0;
    while before
        .duration_since(first_transition(env, number).await)
        .as_secs()
        < DAY / 2
    {
        number += 1;
    }
    proxied.db.set_unreachable(false);
    env.ready().await;
    assert_eq!(phase(&env.finished("waits").await), Phase::Completed);
}

/// When a new connection got its first condition, by the operator's clock.
async fn first_transition(env: &TestEnvironment, number: u32) -> Timestamp {
    let name = format!("new-{number}");
    let secret = json!({"database": {"secretRef": {"name": "missing"}}});
    env.connection(&name, secret).await;
    env.wait_for_connection(&name, "lacks its Secret", |c| ready_reason(c) == "SecretNotFound")
        .await;
    transition(env, &name).await
}

fn ready_reason(connection: &TaranaConnection) -> String {
    condition(&connection.status.clone().unwrap_or_default().conditions, "Ready").1
}

/// When the condition `Ready` of a connection changed, by the operator's clock.
async fn transition(env: &TestEnvironment, name: &str) -> Timestamp {
    let connection = env.connections().get(name).await.unwrap();
    let conditions = connection.status.unwrap().conditions;
    let ready = conditions.into_iter().find(|c| c.type_ == "Ready").unwrap();
    ready.last_transition_time.0
}
