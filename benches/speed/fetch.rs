//! Fetch against what pages, latency and requests in flight allow.

use std::time::{Duration, Instant};

use devenv::simulator::{self, Endpoint, Simulator};
use tarana_operator::station::Listing;
use tarana_operator::tarana::{Client, Config};

use crate::Outcome;
use crate::report::{self, Report};

/// Small enough that it hardly matters how many places stand empty in the last round.
const PAGE: u32 = 5;
/// Of each page, so many at once: what a slow portal gives.
const LATENCY: Duration = Duration::from_millis(50);
const IN_FLIGHT: u32 = 4;
const DEVICES: usize = 718;
const ROUNDS: usize = 5;
const MOST: f64 = 1.05;

/// The best of some readings.
pub async fn measure(report: &mut Report) -> Outcome<()> {
    report::section("fetch");
    let tcs = Simulator::start(simulator::Config {
        latency: LATENCY,
        ..simulator::Config::of(DEVICES)
    })
    .await?;
    let client = client(&tcs, PAGE, IN_FLIGHT, Some(Listing::RegionSearch))?;
    client.verify().await?;
    read(&client).await?;
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let before = tcs.counters().of(Endpoint::Search);
        let took = read(&client).await?;
        let pages = u32::try_from(tcs.counters().of(Endpoint::Search) - before)?;
        best = best.min(took.as_secs_f64() / (LATENCY * pages / IN_FLIGHT).as_secs_f64());
    }
    report.held("718 devices / (pages × 50 ms / 4)", (best, MOST), 3, "");
    Ok(())
}

/// A client that asks for pages of this size.
pub fn client(
    tcs: &Simulator,
    page_size: u32,
    max_in_flight: u32,
    listing: Option<Listing>,
) -> Outcome<Client> {
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

/// One reading of the whole fleet, timed.
pub async fn read(client: &Client) -> Outcome<Duration> {
    let begin = Instant::now();
    let fetched = client.fetch(&|_, _| {}).await?;
    let took = begin.elapsed();
    if fetched.len() != DEVICES {
        return Err(format!("{} devices", fetched.len()).into());
    }
    Ok(took)
}
