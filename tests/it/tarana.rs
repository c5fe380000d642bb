//! The client of TCS against the simulator.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails fails its test"
)]

mod completeness;
mod configuration;
mod fallback;
mod in_flight;
mod limits;
mod listings;
mod records;
mod refusals;
mod sessions;

use std::collections::BTreeSet;
use std::time::Duration;

use devenv::simulator::{Config as World, Fault as Trouble, Rule, Simulator};
use tarana_operator::fault::{Fault, Reason};
use tarana_operator::station::{Fetched, Listing};
use tarana_operator::tarana::{Client, Config};

async fn simulator(world: World) -> Simulator {
    // Another test of this process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Simulator::start(world).await.unwrap()
}

/// A configuration whose limits do not slow a test down.
fn config(sim: &Simulator) -> Config {
    Config {
        base_url: sim.url().to_owned(),
        username: sim.config().username.clone(),
        password: sim.config().password.as_str().into(),
        ca_pem: None,
        operator_id: None,
        include_region_ids: vec![],
        exclude_region_ids: vec![],
        page_size: 10,
        request_timeout: Duration::from_secs(20),
        requests_per_second: 10_000,
        max_in_flight: 4,
        listing: Some(Listing::RegionSearch),
        count_connections: false,
    }
}

async fn fetch(client: &Client) -> Result<Fetched, Fault> {
    client.fetch(&|_, _| ()).await
}

/// Fetches 60 base nodes under these rules.
async fn under(rules: Vec<Rule>) -> (Simulator, Result<Fetched, Fault>) {
    let sim = simulator(World::with_base_nodes(60)).await;
    sim.set_rules(rules);
    let outcome = fetch(&Client::new(config(&sim)).unwrap()).await;
    (sim, outcome)
}

/// The reason of the fault of a fetch under this rule.
async fn reason(rule: Rule) -> Reason {
    let (_sim, outcome) = under(vec![rule.clone()]).await;
    outcome
        .map(|fetched| fetched.len())
        .expect_err(&format!("{rule:?}"))
        .reason
}

fn search(trouble: Trouble) -> Rule {
    Rule::on(devenv::simulator::Endpoint::Search, trouble)
}

/// Asserts that every base node of the simulator was read once.
#[track_caller]
fn assert_whole(sim: &Simulator, fetched: &Fetched) {
    let truth: BTreeSet<String> = sim
        .base_nodes()
        .iter()
        .map(|row| row.serial.to_string())
        .collect();
    let read: BTreeSet<String> = fetched.stations.iter().map(|s| s.serial.to_string()).collect();
    assert_eq!(read, truth);
    assert_eq!(fetched.stations.len(), truth.len(), "a serial repeats");
}
