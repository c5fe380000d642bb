//! The leader cannot reach the API server, but everything else. It stops by its own clock before the other replica works.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tarana_operator::api::sync::Phase;

use crate::environment::{TestEnvironment, phase, wait_until};
use crate::expected_table::assert_table_matches_fleet;
use crate::hanging_runs::hang_in_fetch;
use crate::operator_process::OperatorProcess;
use crate::proxied::Proxied;
use crate::servers;
use crate::two_operators::assert_completed;
use crate::two_replicas::{LEADING, RESUMED, STEPPED_DOWN, leader, with_election, written};

const LONG_PARTITION: Duration = Duration::from_secs(90);
/// Logged when the API server answers again.
const HEALED: &str = "the Lease can be read and written again";
/// The sessions of all operators.
const SESSIONS: &str = "select coalesce(array_agg(pid), '{}') from pg_stat_activity
    where datname = current_database() and application_name = 'tarana-operator'";

async fn sessions(env: &TestEnvironment) -> Vec<i32> {
    sqlx::query_scalar(SESSIONS).fetch_one(&env.db).await.unwrap()
}

/// When this text was first logged.
fn logged_at(operator: &OperatorProcess, text: &str) -> Timestamp {
    let log = operator.log_text();
    let line = log.lines().find(|line| line.contains(text));
    let line = line.unwrap_or_else(|| panic!("{text:?} is not logged: {log}"));
    let time = line.split_whitespace().next().unwrap_or_default();
    time.parse().unwrap_or_else(|e| panic!("{e}: {line}"))
}

/// A leader that reaches the API server through a proxy, and a standby that does not.
async fn start() -> (Proxied, OperatorProcess, OperatorProcess) {
    let proxied = Proxied::new(servers::tcs()).await;
    let env = &proxied.env;
    let first = proxied.operator("first", &with_election(env));
    wait_until("the first replica leads", || async { leader(env).await }).await;
    let second = OperatorProcess::start_with(env, "second", &with_election(env));
    second.wait_for_log("waiting for leadership", 1).await;
    proxied.connect(json!({})).await;
    env.ready().await;
    (proxied, first, second)
}

/// The sessions at the vendor that were used, in the order of their first requests. None is used again after another one was.
fn vendor_sessions(env: &TestEnvironment) -> Vec<String> {
    let mut sessions: Vec<String> = Vec::new();
    for token in env.tcs.requests().into_iter().filter_map(|r| r.access_token) {
        if sessions.last() != Some(&token) {
            assert!(!sessions.contains(&token), "both replicas send requests in turns");
            sessions.push(token);
        }
    }
    sessions
}

fn assert_stopped_before(first: &OperatorProcess, second: &OperatorProcess, what: &str) {
    let (lost, leading) = (logged_at(first, STEPPED_DOWN), logged_at(second, LEADING));
    eprintln!(
        "{what}: the first stopped {:#} before the second led",
        leading - lost
    );
    assert!(lost < leading, "both worked: until {lost}, from {leading}");
}

/// Cuts the leader off in Fetch, while another run is queued: its connections are refused, or frozen. They work again after the second replica
/// has completed both runs, and after `hold`, in which the second replica has one run after the other.
async fn partition_the_leader(refused: bool, hold: Duration) {
    let (proxied, mut first, second) = start().await;
    let (env, what) = (&proxied.env, if refused { "refused" } else { "frozen" });
    hang_in_fetch(env, "run", json!({})).await;
    let sessions_of_first = sessions(env).await;
    assert!(!sessions_of_first.is_empty());
    assert_eq!(vendor_sessions(env).len(), 1);
    let cut = |on| {
        if refused {
            proxied.api.set_unreachable(on);
        } else {
            proxied.api.set_frozen(on);
        }
    };
    cut(true);
    let began = Instant::now();
    env.tcs.clear_rules();
    // The first replica does not see it.
    env.sync("queued", json!({})).await;
    second.wait_for_log(RESUMED, 1).await;
    eprintln!(
        "{what}: the other replica continued the run after {:.1?}",
        began.elapsed()
    );
    assert_stopped_before(&first, &second, what);
    wait_until("the sessions of the first replica are closed", || async {
        let open = sessions(env).await;
        let is_open = sessions_of_first.iter().any(|pid| open.contains(pid));
        (!is_open).then_some(())
    })
    .await;
    for name in ["run", "queued"] {
        let run = env.finished(name).await;
        assert_eq!(phase(&run), Phase::Completed, "{:?}", run.status);
        assert_completed(env, &run).await;
    }
    let mut runs = 2;
    while began.elapsed() < hold {
        runs += 1;
        assert_completed(env, &env.run(&format!("run-{runs}"), json!({})).await).await;
    }
    assert_table_matches_fleet(env).await;
    assert_eq!(env.number("select count(*) from tarana_sync_logs").await, runs);
    // Each replica has logged in once, and the first one sent nothing since the second one did.
    assert_eq!(vendor_sessions(env).len(), 2);
    let before = (written(env).await, env.tcs.requests().len());
    proxied.interceptor.reset();
    cut(false);
    first.wait_for_log(HEALED, 1).await;
    let writes = proxied.interceptor.recorded();
    let is_of_lease = |write: &String| write.contains(" leases");
    assert!(writes.iter().all(is_of_lease), "{writes:?}");
    assert_eq!(first.count_in_log(LEADING), 1);
    assert_eq!(leader(env).await.as_deref(), Some("second"));
    let after = (written(env).await, env.tcs.requests().len());
    assert_eq!(after, before, "the first replica changed or requested something");
    assert!(first.is_running(), "{}", first.log_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_requests_hang_stops_before_another_one_works() {
    partition_the_leader(false, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_connections_are_refused_stops_before_another_one_works() {
    partition_the_leader(true, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn a_leader_that_is_cut_off_for_90_seconds_changes_nothing() {
    tokio::join!(
        partition_the_leader(false, LONG_PARTITION),
        partition_the_leader(true, LONG_PARTITION)
    );
}

/// Everyone is cut off: nobody works, and the leader continues when the API server is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_a_successor_leads_again() {
    let proxied = Proxied::new(servers::tcs()).await;
    let env = &proxied.env;
    let first = proxied.operator("first", &with_election(env));
    proxied.connect(json!({})).await;
    env.ready().await;
    proxied.api.set_unreachable(true);
    first.wait_for_log(STEPPED_DOWN, 1).await;
    env.sync("run", json!({})).await;
    proxied.api.set_unreachable(false);
    assert_completed(env, &env.finished("run").await).await;
    assert_eq!(first.count_in_log(LEADING), 2);
}
