//! The memory of the image's program, and its writes to the API server while it has nothing to do. The README of the repository has the figures.

use std::time::{Duration, Instant};

use devenv::simulator::Config;
use devenv::{ControlPlane, audit};
use serde_json::json;
use tarana_operator::api::sync::Phase;
use tokio::time::sleep;

use super::buildah::Image;
use super::container::{self, Container, megabytes};
use super::finished_runs;
use crate::environment::{TestEnvironment, phase};
use crate::operator_process::OperatorProcess;
use crate::servers;

const DEVICES: usize = 100_000;
const FINISHED_RUNS: usize = 10_000;
/// How long memory and writes of an idle operator are observed.
const IDLE: Duration = Duration::from_mins(10);
/// After a sync, the memory that it needed is given back within this time.
const RETURN_TIME: Duration = Duration::from_mins(1);
/// Megabytes: half as much again as is promised, because a busy machine keeps more pages in flight.
const MAX_PEAK: f64 = 120.0;
const MAX_AFTER_SYNC: f64 = 60.0;
const MAX_WITH_FINISHED_RUNS: f64 = 90.0;

/// Starts a container, waits until it is ready, and prints how long that took. Returns it with the id of its program.
async fn start(env: &TestEnvironment, plane: &ControlPlane, image: &Image) -> (OperatorProcess, u32) {
    let container = Container::create(image, None).await;
    let kubeconfig = container.add(plane.kubeconfig());
    let address = servers::free_address().to_string();
    let variables = [("TARANA_METRICS_LISTEN", address.as_str())];
    let begin = Instant::now();
    let process = OperatorProcess::start_command(env, "image", container.command(), &kubeconfig, &variables);
    servers::wait_until_ready(&format!("http://{address}")).await;
    println!("image: ready after {:.2} s", begin.elapsed().as_secs_f64());
    let program = container::program_of(process.pid()).await;
    (process, program)
}

/// Prints the resident memory, now and at most so far, and returns both in megabytes.
fn report(what: &str, program: u32) -> (f64, f64) {
    let (now, peak) = (megabytes(program, "VmRSS"), megabytes(program, "VmHWM"));
    println!("image: {what}: {now:.1} MB, peak {peak:.1} MB");
    (now, peak)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn memory_for_100000_devices_is_given_back() {
    let image = Image::build("memory", &container::built_files()).await;
    let env = TestEnvironment::bare(Config {
        fleet: Config::with_base_nodes(DEVICES).fleet,
        ..servers::tcs()
    })
    .await;
    let (process, program) = start(&env, servers::plane().await, &image).await;
    env.create_secrets_and_connection().await;
    env.ready().await;
    report("one connection", program);

    for (name, most) in [("all-new", MAX_PEAK), ("unchanged", MAX_PEAK)] {
        let begin = Instant::now();
        let run = env.run(name, json!({})).await;
        assert_eq!(phase(&run), Phase::Completed, "{}", process.log_text());
        println!("image: {name} took {:.2} s", begin.elapsed().as_secs_f64());
        let (_, peak) = report(name, program);
        assert!(peak < most, "{name}: {peak} MB");
        sleep(RETURN_TIME).await;
        let (now, _) = report(&format!("{name}, a minute later"), program);
        assert!(now < MAX_AFTER_SYNC, "a minute after {name}: {now} MB");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn an_idle_operator_with_10000_finished_runs_writes_nothing() {
    let image = Image::build("idle", &container::built_files()).await;
    let plane = ControlPlane::start().await.unwrap();
    servers::install_crds(&plane).await;
    let env = TestEnvironment::on(&plane).await;
    finished_runs::create(&env, FINISHED_RUNS).await;
    let (_process, program) = start(&env, &plane, &image).await;
    env.create_secrets_and_connection().await;
    env.ready().await;
    // The run is the last thing that the operator writes about, so that all earlier writes are complete.
    env.run("last", json!({})).await;
    report("10,000 finished runs", program);

    let before = writes(&plane);
    assert!(
        !before.is_empty(),
        "the audit log has the writes about the last run"
    );
    sleep(IDLE).await;
    let written = writes(&plane).split_off(before.len());
    assert!(written.is_empty(), "an idle operator wrote: {written:?}");
    let (now, _) = report("10,000 finished runs, after 10 idle minutes", program);
    assert!(now < MAX_WITH_FINISHED_RUNS, "{now} MB");
}

/// The operator's writes to the API server so far.
fn writes(plane: &ControlPlane) -> Vec<audit::Entry> {
    let mut entries = audit::read(plane.audit_log()).unwrap();
    entries.retain(|entry| entry.is_write() && entry.user_agent.starts_with("tarana-operator/"));
    entries
}
