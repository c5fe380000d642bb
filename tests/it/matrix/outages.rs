//! One of the three servers is unreachable, or accepts connections and does not respond, for longer than the operator's
//! timeouts: while no run is active, during Fetch, and during Apply. The operator keeps running, reports the fault, and
//! continues by itself.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use sqlx::PgConnection;
use tarana_operator::api::sync::{Phase, Step};

use crate::environment::{condition, phase, step, wait_until};
use crate::expected_table::assert_table_matches_fleet;
use crate::operator_process::OperatorProcess;
use crate::proxied::Proxied;
use crate::servers;

/// Short timeouts, and a probe every two seconds.
const VARIABLES: [(&str, &str); 2] = [
    ("TARANA_KUBERNETES_TIMEOUT_SECONDS", "2"),
    ("TARANA_RESYNC_SECONDS", "2"),
];
/// Exceeds the timeouts of the API server (2 s), of TCS (5 s), and of the database's connection pool (12 s).
const DURATION: Duration = Duration::from_secs(15);
/// Exceeds the 40 seconds that the operator waits for a response of the database.
const DATABASE_HANG: Duration = Duration::from_secs(50);

#[derive(Clone, Copy, Debug)]
enum Server {
    Kubernetes,
    Database,
    Tcs,
}

#[derive(Clone, Copy, Debug)]
enum Outage {
    Unreachable,
    Hung,
}

/// What the operator does when the outage begins.
#[derive(Clone, Copy, Debug)]
enum Activity {
    Idle,
    Fetch,
    Apply,
}

impl Outage {
    fn set(self, server: Server, proxied: &Proxied, on: bool) {
        match (self, server) {
            (Self::Unreachable, Server::Kubernetes) => proxied.api.set_unreachable(on),
            (Self::Unreachable, Server::Database) => proxied.db.set_unreachable(on),
            (Self::Unreachable, Server::Tcs) => proxied.tcs.set_unreachable(on),
            (Self::Hung, Server::Kubernetes) => proxied.api.set_frozen(on),
            (Self::Hung, Server::Database) => proxied.db.set_frozen(on),
            (Self::Hung, Server::Tcs) => proxied.tcs.set_frozen(on),
        }
    }

    fn duration(self, server: Server) -> Duration {
        match (self, server) {
            (Self::Hung, Server::Database) => DATABASE_HANG,
            _ => DURATION,
        }
    }
}

/// One outage in an environment of its own.
async fn test_outage(server: Server, outage: Outage, activity: Activity) {
    let proxied = Proxied::new(servers::tcs()).await;
    let mut operator = proxied.operator("one", &VARIABLES);
    proxied
        .connect(json!({"api": {"requestTimeoutSeconds": 5}}))
        .await;
    proxied.env.ready().await;
    let lock = start_run(&proxied, activity).await;
    let log_length = operator.log_text().len();
    outage.set(server, &proxied, true);
    let end_of_outage = tokio::time::sleep(outage.duration(server));
    if matches!(activity, Activity::Idle) {
        proxied.env.sync("run", json!({})).await;
    }
    tokio::join!(
        end_of_outage,
        wait_until_reported(&proxied, server, &operator, log_length)
    );
    let case = format!("{server:?} {outage:?} {activity:?}");
    assert!(operator.is_running(), "{case}: {}", operator.log_text());
    proxied.env.tcs.clear_rules();
    proxied.env.tcs.release_hanging();
    drop(lock);
    outage.set(server, &proxied, false);
    assert_recovered(&proxied).await;
    assert!(operator.is_running(), "{case}: {}", operator.log_text());
}

/// Brings a run into this step. In Apply it waits for the table lock that is returned.
async fn start_run(proxied: &Proxied, activity: Activity) -> Option<PgConnection> {
    let env = &proxied.env;
    match activity {
        Activity::Idle => None,
        Activity::Fetch => {
            env.tcs.set_rules(vec![servers::hanging_search()]);
            env.sync("run", json!({})).await;
            env.tcs.wait_until_hanging(1).await;
            None
        }
        Activity::Apply => {
            let lock = env.lock_table().await;
            env.sync("run", json!({})).await;
            env.wait_for_sync("run", "applies", |s| step(s) == Some(Step::Apply))
                .await;
            Some(lock)
        }
    }
}

/// The operator reports the outage in the connection's condition or, if the API server is affected, in its log.
async fn wait_until_reported(
    proxied: &Proxied,
    server: Server,
    operator: &OperatorProcess,
    log_length: usize,
) {
    let expected = match server {
        Server::Kubernetes => {
            wait_until("the operator logs a warning", || async {
                operator.log_text()[log_length..].contains("WARN").then_some(())
            })
            .await;
            return;
        }
        Server::Database => "DatabaseUnreachable",
        Server::Tcs => "ApiUnreachable",
    };
    proxied
        .env
        .wait_for_connection("default", &format!("is not ready: {expected}"), |c| {
            let (ready, reason, _) = condition(&c.status.clone().unwrap_or_default().conditions, "Ready");
            (ready.as_str(), reason.as_str()) == ("False", expected)
        })
        .await;
}

/// The connection becomes ready and the run completes, once.
async fn assert_recovered(proxied: &Proxied) {
    let env = &proxied.env;
    env.ready().await;
    let run = env.finished("run").await;
    assert_eq!(phase(&run), Phase::Completed, "{:?}", run.status);
    assert_table_matches_fleet(env).await;
    for (rows, count) in [
        (
            "select count(*) from tarana_sync_logs where status = 'completed'",
            1,
        ),
        ("select count(*) from tarana_sync_logs", 1),
        ("select count(*) from tarana_sync_outbox", 2),
    ] {
        assert_eq!(env.number(rows).await, count, "{rows}");
    }
}

async fn test_outages(outage: Outage, servers: &[Server]) {
    let cases = servers.iter().flat_map(|server| {
        [Activity::Idle, Activity::Fetch, Activity::Apply].map(|activity| (*server, activity))
    });
    join_all(cases.map(|(server, activity)| test_outage(server, outage, activity))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_continues_after_a_server_was_unreachable() {
    let all = [Server::Kubernetes, Server::Database, Server::Tcs];
    test_outages(Outage::Unreachable, &all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_continues_after_a_server_hung() {
    test_outages(Outage::Hung, &[Server::Kubernetes, Server::Tcs]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn work_continues_after_the_database_hung() {
    test_outages(Outage::Hung, &[Server::Database]).await;
}
