//! Many connections with one database, one vendor or one operator: what they share is bounded, and what is slow or dead affects
//! only its own users.

mod application;
mod crowd;
mod sessions;

use std::time::Instant;

use devenv::simulator::Simulator;
use serde_json::json;
use tarana_operator::api::sync::{Phase, TaranaSync};

use self::application::Application;
use self::crowd::{Crowd, SilentServer};
use super::environment::{TestEnvironment, of, phase};
use super::servers;

/// All connections become ready, and one run on each completes, all at once. The operator never has more sessions than it may, and the
/// application that uses the rest of the server gets the sessions that it asks for. Three sessions of a server are reserved, and one that was
/// closed is counted by the server a moment longer.
async fn share_one_server(connections: usize, max_connections: u32, of_application: u32) {
    let (allowed, limit) = (8, 4);
    let mut crowd = Crowd::new(connections, max_connections, (allowed, limit)).await;
    let application = Application::start(&crowd, of_application).await;
    let start = Instant::now();
    crowd.env.start_operator();
    crowd.wait_until_ready(|_| true).await;
    println!(
        "{connections} connections ready: {:.1} s",
        start.elapsed().as_secs_f64()
    );
    crowd.wait_until_no_session().await;

    crowd.env.tcs.set_rules(vec![servers::hanging_search()]);
    crowd.create_runs(|_| true).await;
    let waiting = connections - usize::from(limit);
    let messages = crowd.wait_for_limited(waiting).await;
    assert!(
        messages.iter().all(|m| m.contains("4 runs of this operator")
            && m.contains("--max-concurrent-syncs")
            || m.contains("have made no progress")),
        "{messages:?}"
    );
    assert_eq!(
        crowd.count(|run| phase(run) == Phase::Running).await,
        usize::from(limit)
    );
    assert!(crowd.env.tcs.hanging_calls() > 0);
    let start = Instant::now();
    crowd.env.tcs.clear_rules();
    crowd.env.tcs.release_hanging();
    crowd.wait_until_completed(|_| true).await;
    println!(
        "{connections} runs completed: {:.1} s",
        start.elapsed().as_secs_f64()
    );
    crowd.assert_few_writes().await;
    let most = application.stop().await;
    println!("most sessions of the operator: {most}");
    assert!(most <= i64::from(allowed), "the operator had {most} sessions");
    crowd.env.stop_operator().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_share_a_few_sessions_of_a_full_server() {
    share_one_server(30, 25, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn two_hundred_connections_share_a_few_sessions_of_a_full_server() {
    share_one_server(200, 100, 80).await;
}

/// A database that does not answer, and a vendor that does not, each with a part of the connections, which are created first.
async fn live_beside_the_dead(connections: usize) {
    let mut crowd = Crowd::new(connections, 30, (4, 4)).await;
    let dead = SilentServer::start().await;
    let (of_dead, of_silent) = (|n: usize| n % 10 < 3, |n: usize| (3..6).contains(&(n % 10)));
    crowd.move_to_database(&dead, of_dead).await;
    let silent = format!("http://{}", dead.address);
    crowd.move_to_vendor(&silent, of_silent).await;
    let start = Instant::now();
    crowd.env.start_operator();
    let healthy = move |n: usize| !of_dead(n) && !of_silent(n);
    crowd.wait_until_ready(healthy).await;
    println!(
        "healthy connections ready: {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    crowd.create_runs(|_| true).await;
    crowd.wait_until_completed(healthy).await;
    println!("their runs completed: {:.1} s", start.elapsed().as_secs_f64());
    crowd.wait_for_reasons(|n| n == 0, "DatabaseUnreachable").await;
    let of_others = crowd.count(|run| phase(run).is_final()).await;
    assert_eq!(of_others, (0..connections).filter(|n| healthy(*n)).count());
    crowd.env.kill_operator().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_database_and_a_silent_vendor_delay_no_other() {
    live_beside_the_dead(30).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn a_dead_database_and_a_silent_vendor_delay_none_of_two_hundred() {
    live_beside_the_dead(200).await;
}

/// Runs of one vendor have all slots when it falls silent. The runs of another one complete, and no more runs begin to hang.
#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_falls_silent_during_runs_delays_no_other() {
    let limit = 4;
    let mut crowd = Crowd::new(12, 30, (4, limit)).await;
    let other = Simulator::start(servers::tcs_with(20)).await.unwrap();
    let of_other = |n: usize| n >= 4;
    crowd.move_to_vendor(other.url(), of_other).await;
    crowd.env.start_operator();
    crowd.wait_until_ready(|_| true).await;
    other.set_rules(vec![servers::hanging_search()]);
    crowd.create_runs(of_other).await;
    other.wait_until_hanging(usize::from(limit)).await;
    crowd.create_runs(|n| !of_other(n)).await;
    crowd.wait_until_completed(|n| !of_other(n)).await;
    let has_started = |run: &TaranaSync| phase(run) == Phase::Running;
    assert_eq!(crowd.count(has_started).await, usize::from(limit));
    other.clear_rules();
    other.release_hanging();
    crowd.wait_until_completed(of_other).await;
    crowd.env.stop_operator().await;
}

/// Nothing needs a second session while it has one.
#[tokio::test(flavor = "multi_thread")]
async fn one_session_is_enough_for_everything() {
    let mut env = TestEnvironment::bare(servers::tcs_with(50)).await;
    env.limits = (1, 16);
    env.create_secrets_and_connection().await;
    env.connection("other", json!({"api": {"operatorId": null}}))
        .await;
    env.start_operator();
    env.ready().await;
    assert_eq!(phase(&env.run("first", json!({})).await), Phase::Completed);
    env.tcs.vanish(2);
    let lock = env.lock_table().await;
    for connection in ["default", "other"] {
        let spec = json!({"connectionRef": {"name": connection}, "deleteStale": true});
        env.sync(connection, spec).await;
    }
    for connection in ["default", "other"] {
        env.wait_for_sync(connection, "waits for the table", |s| {
            of(s, "Reconciling").1 == "DatabaseBusy"
        })
        .await;
    }
    // While they wait, others get the session.
    let dry = env.sync("dry", json!({"dryRun": true})).await;
    env.wait_for_sync("dry", "is queued", |s| of(s, "Reconciling").1 == "Queued")
        .await;
    assert_eq!(env.log_row(&dry).await["status"], "pending");
    drop(lock);
    for run in ["default", "other", "dry"] {
        let run = env.finished(run).await;
        assert_eq!(phase(&run), Phase::Completed, "{:?}", run.status);
    }
    let dry = env.finished("dry").await.status.unwrap().counts.unwrap();
    assert_eq!((dry.inserted, dry.updated, dry.deleted), (0, 0, 0));
    let rows = env.number("select count(*) from tarana_base_stations").await;
    assert_eq!(dry.unchanged, rows);
}
