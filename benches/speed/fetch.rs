//! Fetch, relative to pages × latency / requests in flight.

use std::time::{Duration, Instant};

use devenv::simulator::{self, Endpoint, Simulator};
use tarana_operator::station::Listing;
use tarana_operator::tarana::{Client, Config};

use crate::Result;
use crate::report::{self, Report};

/// Small, so that an incomplete last round of requests hardly matters.
const PAGE: u32 = 5;
/// Latency of each page, like a slow portal.
const LATENCY: Duration = Duration::from_millis(50);
const IN_FLIGHT: u32 = 4;
const DEVICES: usize = 718;
const ROUNDS: usize = 5;
const MAX_RATIO: f64 = 1.05;

/// Measures the best of several readings.
pub async fn measure(report: &mut Report) -> Result<()> {
    report::section("fetch");
    let tcs = Simulator::start(simulator::Config {
        latency: LATENCY,
        ..simulator::Config::with_base_nodes(DEVICES)
    })
    .await?;
    let client = client(&tcs, PAGE, IN_FLIGHT, Some(Listing::RegionSearch))?;
    client.verify().await?;
    read(&client).await?;
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let before = tcs.counters().requests_to(Endpoint::Search);
        let took = read(&client).await?;
        let pages = u32::try_from(tcs.counters().requests_to(Endpoint::Search) - before)?;
        best = best.min(took.as_secs_f64() / (LATENCY * pages / IN_FLIGHT).as_secs_f64());
    }
    report.limit("718 devices / (pages × 50 ms / 4)", (best, MAX_RATIO), 3, "");
    Ok(())
}

/// A client with this page size.
pub fn client(
    tcs: &Simulator,
    page_size: u32,
    max_in_flight: u32,
    listing: Option<Listing>,
) -> Result<Client> {
    Ok(Client::new(Config {
        base_url: tcs.url().to_owned(),
        username: tcs.config().username.clone(),
        password: tcs.config().password.clone().into(),
        ca_pem: None,
        operator_id: None,
        include_region_ids: Vec::new(),
        exclude_region_ids: Vec::new(),
        page_size,
        request_timeout: Duration::from_secs(30),
        requests_per_second: 1000,
        max_in_flight,
        count_connections: false,
        listing,
    })?)
}

/// Reads the whole fleet and returns the time.
pub async fn read(client: &Client) -> Result<Duration> {
    let begin = Instant::now();
    let fetched = client.fetch(&|_, _| {}).await?;
    let took = begin.elapsed();
    if fetched.len() != DEVICES {
        return Err(format!("{} devices", fetched.len()).into());
    }
    Ok(took)
}
