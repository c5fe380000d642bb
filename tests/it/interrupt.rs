//! Cancel and delete, during Fetch (a server that hangs) and during Apply (a table that is locked): ended within five
//! seconds, the table untouched, the log row closed.

use std::time::{Duration, Instant};

use serde_json::json;
use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::sync::{Phase, Step, TaranaSync};

use super::servers;
use super::world::{World, of, phase, step, until};

const SOON: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
enum How {
    Cancel,
    Delete,
}

/// Interrupts the run and checks its end.
async fn interrupt(w: &World, run: &TaranaSync, how: How) {
    let name = run.metadata.name.as_deref().unwrap();
    let since = Instant::now();
    match how {
        How::Cancel => {
            w.cancel(name).await;
            let end = w.finished(name).await;
            assert_eq!(
                (phase(&end), of(&end, "Finished").1.as_str()),
                (Phase::Cancelled, "Cancelled")
            );
            assert_eq!(w.events(name).await.last().map(String::as_str), Some("Cancelled"));
        }
        How::Delete => {
            w.delete(name).await;
            until("the object is gone", || async {
                w.syncs().get_opt(name).await.unwrap().is_none().then_some(())
            })
            .await;
        }
    }
    let took = since.elapsed();
    assert!(took < SOON, "ended after {took:?}");
    let row = w.log_row(run).await;
    assert_eq!(
        (&row["status"], &row["outcome"]),
        (&json!("failed"), &json!("cancelled"))
    );
    assert_eq!(w.number("select count(*) from tarana_base_stations").await, 0);
    assert_eq!(w.number("select count(*) from tarana_sync_changes").await, 0);
}

async fn during_fetch(how: How) {
    let w = World::new().await;
    w.tcs.script(vec![servers::hanging_search()]);
    w.sync("run", json!({})).await;
    let run = w
        .sync_when("run", "fetches", |s| step(s) == Some(Step::Fetch))
        .await;
    interrupt(&w, &run, how).await;
    w.tcs.clear();
    assert_eq!(phase(&w.run("next", json!({})).await), Phase::Completed);
}

async fn during_apply(how: How) {
    let w = World::new().await;
    w.ready().await;
    let holder = w.hold_table().await;
    w.sync("run", json!({})).await;
    let run = w
        .sync_when("run", "applies", |s| step(s) == Some(Step::Apply))
        .await;
    let since = Instant::now();
    match how {
        How::Cancel => w.cancel("run").await,
        How::Delete => w.delete("run").await,
    }
    until("the run has ended", || async {
        w.syncs()
            .get_opt("run")
            .await
            .unwrap()
            .is_none_or(|s| phase(&s) == Phase::Cancelled)
            .then_some(())
    })
    .await;
    assert!(since.elapsed() < SOON, "ended after {:?}", since.elapsed());
    drop(holder);
    let row = w.log_row(&run).await;
    assert_eq!(
        (&row["status"], &row["outcome"]),
        (&json!("failed"), &json!("cancelled"))
    );
    assert_eq!(w.number("select count(*) from tarana_base_stations").await, 0);
    assert_eq!(phase(&w.run("next", json!({})).await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_during_fetch() {
    during_fetch(How::Cancel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_during_fetch() {
    during_fetch(How::Delete).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_during_apply() {
    during_apply(How::Cancel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_during_apply() {
    during_apply(How::Delete).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_while_waiting() {
    let w = World::new().await;
    w.tcs.script(vec![servers::hanging_search()]);
    w.sync("first", json!({})).await;
    w.sync_when("first", "fetches", |s| step(s) == Some(Step::Fetch))
        .await;
    w.sync("second", json!({})).await;
    let second = w
        .sync_when("second", "waits", |s| of(s, "Reconciling").1 == "Queued")
        .await;
    interrupt(&w, &second, How::Cancel).await;
    let active = |c: &TaranaConnection| c.status.as_ref().and_then(|s| s.active_sync.clone());
    // The end of one that waited is no end of the one that runs.
    w.connection_when("default", "still names the first", |c| {
        active(c).as_deref() == Some("first")
    })
    .await;
}
