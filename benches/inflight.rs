//! The limit that finds itself against the best that somebody could have set, on a server that takes eight at once.
//!
//! `cargo bench --bench inflight`. TCS is the simulator; each round reads the whole fleet once with every client, so that a
//! busy machine is unkind to all of them. Ends with an error where a figure passes its bound.

use std::time::{Duration, Instant};

use devenv::simulator::{self, Endpoint, Fault, Rule, Simulator};
use tarana_operator::tarana::{Client, Config};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const DEVICES: usize = 718;
const LATENCY: Duration = Duration::from_millis(50);
/// What the server takes at once.
const TAKES: usize = 8;
/// Limits that somebody might set; the server refuses none of them.
const FIXED: [u32; 5] = [2, 4, 6, 7, 8];
const CEILING: u32 = 64;
const ROUNDS: usize = 9;
/// Adaptive / best fixed, and refusals of a whole reading.
const MOST: f64 = 1.10;
const MOST_REFUSALS: u64 = 5;

#[tokio::main]
async fn main() -> Outcome<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tcs = Simulator::start(simulator::Config {
        latency: LATENCY,
        ..simulator::Config::of(DEVICES)
    })
    .await?;
    let overload = Fault::Overload {
        limit: TAKES,
        status: 429,
        retry_after: None,
    };
    tcs.script(vec![Rule::on(Endpoint::Any, overload)]);

    let adaptive = client(&tcs, CEILING)?;
    let first = read(&adaptive).await?;
    let refusals = tcs.counters().overloaded;
    let mut fixed = Vec::new();
    for ceiling in FIXED {
        let client = client(&tcs, ceiling)?;
        // Warm, like the other: session, shapes, and the limit at its ceiling.
        read(&client).await?;
        read(&client).await?;
        fixed.push((ceiling, client, Duration::MAX));
    }
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        best = best.min(read(&adaptive).await?);
        for (_, client, least) in &mut fixed {
            *least = read(client).await?.min(*least);
        }
    }
    let later = tcs.counters().overloaded - refusals;

    println!("{:<58} {:>10} {:>10}", "what", "measured", "at most");
    for (ceiling, _, least) in &fixed {
        line(
            &format!("{DEVICES} devices, {ceiling} in flight"),
            &format!("{} ms", least.as_millis()),
            "–",
        );
    }
    line(
        "in flight by itself, the first reading, login and all",
        &format!("{} ms", first.as_millis()),
        "–",
    );
    line(
        "in flight by itself, later",
        &format!("{} ms", best.as_millis()),
        "–",
    );
    let least = fixed
        .iter()
        .map(|(_, _, least)| *least)
        .min()
        .unwrap_or(Duration::MAX);
    let ratio = best.as_secs_f64() / least.as_secs_f64();
    line(
        "in flight by itself / the best fixed",
        &format!("{ratio:.3}"),
        &format!("{MOST:.2}"),
    );
    line(
        "refusals of the first reading",
        &refusals.to_string(),
        &MOST_REFUSALS.to_string(),
    );
    line(
        &format!("refusals of the {ROUNDS} later ones"),
        &later.to_string(),
        &MOST_REFUSALS.to_string(),
    );
    if ratio > MOST || refusals > MOST_REFUSALS || later > MOST_REFUSALS {
        return Err("a figure is past its bound".into());
    }
    Ok(())
}

fn client(tcs: &Simulator, max_in_flight: u32) -> Outcome<Client> {
    Ok(Client::new(Config {
        base_url: tcs.url().to_owned(),
        username: tcs.config().username.clone(),
        password: tcs.config().password.clone().into(),
        ca_pem: None,
        operator_id: None,
        include_region_ids: Vec::new(),
        exclude_region_ids: Vec::new(),
        page_size: 10,
        request_timeout: Duration::from_secs(30),
        requests_per_second: 1000,
        max_in_flight,
        count_connections: false,
        listing: None,
    })?)
}

/// One reading of the whole fleet, timed.
async fn read(client: &Client) -> Outcome<Duration> {
    let begin = Instant::now();
    let fetched = client.fetch(&|_, _| {}).await?;
    let took = begin.elapsed();
    if fetched.len() != DEVICES {
        return Err(format!("{} devices", fetched.len()).into());
    }
    Ok(took)
}

fn line(what: &str, measured: &str, most: &str) {
    println!("{what:<58} {measured:>10} {most:>10}");
}
