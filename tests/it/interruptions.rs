//! A run is cancelled or deleted during Fetch and during Apply. It ends while the server still hangs or the table is still
//! locked, the table is unchanged, and the log row is closed.

use serde_json::json;
use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::sync::{Phase, Step, TaranaSync};

use super::environment::{TestEnvironment, of, phase, step, wait_until};
use super::hanging_runs::{hang_in_fetch, without_timeout};

#[derive(Clone, Copy)]
enum Interruption {
    Cancel,
    Delete,
}

/// Interrupts the run in this attempt and waits for its end.
async fn interrupt(env: &TestEnvironment, run: &TaranaSync, interruption: Interruption, attempt: i64) {
    let name = run.metadata.name.as_deref().unwrap();
    match interruption {
        Interruption::Cancel => {
            env.cancel(name).await;
            let end = env.finished(name).await;
            assert_eq!(
                (phase(&end), of(&end, "Finished").1.as_str()),
                (Phase::Cancelled, "Cancelled")
            );
            assert_eq!(
                env.events(name).await.last().map(String::as_str),
                Some("Cancelled")
            );
        }
        Interruption::Delete => {
            env.delete(name).await;
            wait_until("the object is gone", || async {
                env.syncs().get_opt(name).await.unwrap().is_none().then_some(())
            })
            .await;
        }
    }
    assert_cancelled(env, run, attempt).await;
}

/// The log row is closed in this attempt, and nothing was written.
async fn assert_cancelled(env: &TestEnvironment, run: &TaranaSync, attempt: i64) {
    let row = env.log_row(run).await;
    assert_eq!(
        (&row["status"], &row["outcome"], &row["attempt"]),
        (&json!("failed"), &json!("cancelled"), &json!(attempt))
    );
    assert_eq!(env.number("select count(*) from tarana_base_stations").await, 0);
    assert_eq!(env.number("select count(*) from tarana_sync_changes").await, 0);
}

async fn during_fetch(interruption: Interruption) {
    let env = TestEnvironment::new().await;
    env.ready().await;
    // Longer than the test waits: only the interruption ends the fetch.
    without_timeout(&env).await;
    let run = hang_in_fetch(&env, "run", json!({})).await;
    interrupt(&env, &run, interruption, 1).await;
    env.tcs.clear_rules();
    assert_eq!(phase(&env.run("next", json!({})).await), Phase::Completed);
}

async fn during_apply(interruption: Interruption) {
    let env = TestEnvironment::new().await;
    env.ready().await;
    let lock = env.lock_table().await;
    env.sync("run", json!({})).await;
    let run = env
        .wait_for_sync("run", "applies", |s| step(s) == Some(Step::Apply))
        .await;
    match interruption {
        Interruption::Cancel => env.cancel("run").await,
        Interruption::Delete => env.delete("run").await,
    }
    wait_until("the run has ended", || async {
        env.syncs()
            .get_opt("run")
            .await
            .unwrap()
            .is_none_or(|s| phase(&s) == Phase::Cancelled)
            .then_some(())
    })
    .await;
    assert_cancelled(&env, &run, 1).await;
    drop(lock);
    assert_eq!(phase(&env.run("next", json!({})).await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_during_fetch() {
    during_fetch(Interruption::Cancel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_during_fetch() {
    during_fetch(Interruption::Delete).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_during_apply() {
    during_apply(Interruption::Cancel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_during_apply() {
    during_apply(Interruption::Delete).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_while_waiting() {
    let env = TestEnvironment::new().await;
    hang_in_fetch(&env, "first", json!({})).await;
    env.sync("second", json!({})).await;
    let second = env
        .wait_for_sync("second", "waits", |s| of(s, "Reconciling").1 == "Queued")
        .await;
    interrupt(&env, &second, Interruption::Cancel, 0).await;
    let active = |c: &TaranaConnection| c.status.as_ref().and_then(|s| s.active_sync.clone());
    // The end of the queued run does not affect the active one.
    env.wait_for_connection("default", "still names the first", |c| {
        active(c).as_deref() == Some("first")
    })
    .await;
}
