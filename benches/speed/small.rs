//! The fleet of a real operator, 718 devices: the duration of a run, and its writes to the API server.

use std::time::Duration;

use devenv::simulator::{self, Simulator};
use serde_json::json;
use tokio::time::sleep;

use crate::Result;
use crate::alternatives::Alternatives;
use crate::report::{self, Report, median};
use crate::servers::Servers;
use crate::whole::megabytes;

const LATENCY: Duration = Duration::from_millis(50);
const PAGE: u32 = 1000;
/// Odd, for the median.
const RUNS: usize = 9;
const MAX_SECONDS: f64 = 0.5;
const MAX_WRITES: f64 = 8.0;
/// How long the idle operator is observed.
const IDLE: Duration = Duration::from_secs(25);
/// The Event follows the end of a run.
const SETTLE: Duration = Duration::from_millis(700);

/// Measures without and with latency.
pub async fn measure(servers: &Servers<'_>, alternatives: &Alternatives, report: &mut Report) -> Result<()> {
    report::section("a whole sync, 718 devices");
    let tcs = Simulator::start(simulator::Config::default()).await?;
    servers.connect("small", &tcs, PAGE).await?;
    sleep(SETTLE).await;
    let (mut times, mut most) = (Vec::new(), 0);
    for n in 0..RUNS {
        let before = servers.writes()?;
        let ended = servers.run("small", &format!("small-{n}"), json!({})).await?;
        times.push(ended.seconds()?);
        sleep(SETTLE).await;
        most = most.max(servers.writes()? - before);
        tcs.drift(0.02);
    }
    report.limit(
        "operator, median of 9 that change 2 %",
        (median(times), MAX_SECONDS),
        3,
        " s",
    );
    let most = f64::from(u32::try_from(most)?);
    report.limit(
        "writes to the API server, maximum of these runs",
        (most, MAX_WRITES),
        0,
        "",
    );
    let before = servers.writes()?;
    sleep(IDLE).await;
    let idle = f64::from(u32::try_from(servers.writes()? - before)?);
    report.limit(
        "writes of the idle operator in 25 s, without leader election",
        (idle, 0.0),
        0,
        "",
    );
    measure_with_latency(servers, alternatives).await
}

/// Measures at 50 ms latency, with the alternatives.
async fn measure_with_latency(servers: &Servers<'_>, alternatives: &Alternatives) -> Result<()> {
    let tcs = Simulator::start(simulator::Config {
        latency: LATENCY,
        ..simulator::Config::default()
    })
    .await?;
    report::section("a whole sync, 718 devices at 50 ms: all new, unchanged, memory");
    let database = servers.connect("far", &tcs, PAGE).await?;
    let new = servers.run("far", "far-new", json!({})).await?.seconds()?;
    let same = servers.run("far", "far-same", json!({})).await?.seconds()?;
    let peak = megabytes(servers.operator.peak_memory()?);
    report::figure("operator", format!("{new:.2} s  {same:.2} s  {peak:.0} MB"));
    for program in alternatives.all() {
        let database = if program.schema == "public" {
            servers.postgres.create_database("copy").await?
        } else {
            database.clone()
        };
        crate::vendor_faults::create_tables(&database).await?;
        let new = alternatives.run(*program, &tcs, &database, &[]).await?;
        let same = alternatives.run(*program, &tcs, &database, &[]).await?;
        let peak = megabytes(new.peak_bytes.max(same.peak_bytes));
        let values = format!("{:.2} s  {:.2} s  {peak:.0} MB", new.seconds()?, same.seconds()?);
        report::figure(program.name, values);
    }
    Ok(())
}
