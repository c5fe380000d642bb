//! Every open connection to the API server is frozen, and new ones work. What users change is seen all the same. Either nothing gets through
//! any more, or requests do and their responses do not.

use std::time::Instant;

use devenv::proxy::{Moment, Target};
use futures::future::join_all;
use serde_json::json;
use sqlx::PgConnection;
use tarana_operator::api::sync::{Phase, Step, TaranaSync};

use crate::environment::{phase, step, wait_until};
use crate::expected_table::assert_table_matches_fleet;
use crate::hanging_runs::hang_in_fetch;
use crate::operator_process::OperatorProcess;
use crate::proxied::Proxied;
use crate::servers;

/// What a user changes while the connections are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Cancel,
    Delete,
    /// A new run.
    Create,
}

const CHANGES: [Change; 3] = [Change::Cancel, Change::Delete, Change::Create];

/// Where the run is then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fetch,
    Apply,
    /// The transaction is committed, and the status does not say so yet.
    Committed,
}

/// An operator with the default timeouts behind proxies, and a connection that is ready.
async fn start() -> (Proxied, OperatorProcess) {
    let proxied = Proxied::new(servers::tcs()).await;
    let operator = proxied.operator("one", &[]);
    proxied.connect(json!({})).await;
    proxied.env.ready().await;
    (proxied, operator)
}

/// Starts a run and waits until it is in this stage. Returns what keeps it there.
async fn start_run(proxied: &Proxied, stage: Stage) -> Option<PgConnection> {
    let env = &proxied.env;
    if stage == Stage::Fetch {
        hang_in_fetch(env, "run", json!({})).await;
        return None;
    }
    let lock = env.lock_table().await;
    env.sync("run", json!({})).await;
    env.wait_for_sync("run", "applies", |run| step(run) == Some(Step::Apply))
        .await;
    if stage == Stage::Apply {
        return Some(lock);
    }
    proxied.interceptor.reset();
    let commit = Target::NthNamed(1, "COMMIT");
    proxied.interceptor.intercept(commit, Moment::After);
    drop(lock);
    proxied.interceptor.wait_until_intercepted().await;
    None
}

/// Waits until the operator has done what the change asks for. What keeps the run in its stage is released for a new run, which waits.
async fn wait_until_done(proxied: &Proxied, change: Change, stage: Stage, lock: Option<PgConnection>) {
    let env = &proxied.env;
    let expected = if stage == Stage::Committed || change == Change::Create {
        Phase::Completed
    } else {
        Phase::Cancelled
    };
    if change == Change::Create {
        env.wait_for_sync("new", "is seen", |run| run.status.is_some())
            .await;
        env.tcs.clear_rules();
        env.tcs.release_hanging();
        drop(lock);
        assert_eq!(phase(&env.finished("new").await), Phase::Completed);
    }
    if change == Change::Delete {
        wait_until("the run is deleted", || async {
            env.syncs().get_opt("run").await.unwrap().is_none().then_some(())
        })
        .await;
    } else {
        let run: TaranaSync = env.finished("run").await;
        let status = run.status.clone().unwrap();
        assert_eq!((status.phase, status.attempt), (expected, 1), "{status:?}");
    }
    let expected = if expected == Phase::Completed {
        "completed"
    } else {
        "cancelled"
    };
    let row = "select count(*) from tarana_sync_logs where name = 'run' and completed_at is not null and outcome = $1";
    let rows: i64 = sqlx::query_scalar(row)
        .bind(expected)
        .fetch_one(&env.db)
        .await
        .unwrap();
    assert_eq!(rows, 1, "the row of the run is {expected}");
}

async fn change_while_frozen(stage: Stage, change: Change, requests_too: bool) {
    let (proxied, _operator) = start().await;
    let lock = start_run(&proxied, stage).await;
    proxied.api.freeze_open_connections(requests_too);
    let frozen = Instant::now();
    match change {
        Change::Cancel => proxied.env.cancel("run").await,
        Change::Delete => proxied.env.delete("run").await,
        Change::Create => drop(proxied.env.sync("new", json!({})).await),
    }
    if stage == Stage::Committed {
        proxied.interceptor.forward();
    }
    wait_until_done(&proxied, change, stage, lock).await;
    eprintln!(
        "connections are frozen (requests too: {requests_too}), {change:?} in {stage:?}: done after {:.1?}",
        frozen.elapsed()
    );
    if stage == Stage::Committed || change == Change::Create {
        assert_table_matches_fleet(&proxied.env).await;
    }
}

async fn change_in(stage: Stage) {
    let cases = CHANGES
        .into_iter()
        .flat_map(|change| [(change, true), (change, false)]);
    join_all(cases.map(|(change, requests_too)| change_while_frozen(stage, change, requests_too))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_in_fetch_are_seen_while_open_connections_are_frozen() {
    change_in(Stage::Fetch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_in_apply_are_seen_while_open_connections_are_frozen() {
    change_in(Stage::Apply).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_between_commit_and_status_are_seen_while_open_connections_are_frozen() {
    change_in(Stage::Committed).await;
}
