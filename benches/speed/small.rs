//! The fleet of a real operator, 718 devices: how soon a run ends, and what it costs the API server.

use std::time::Duration;

use devenv::simulator::{self, Simulator};
use serde_json::json;
use tokio::time::sleep;

use crate::Outcome;
use crate::others::Others;
use crate::report::{self, Report, median};
use crate::stage::Stage;
use crate::whole::mega;

const LATENCY: Duration = Duration::from_millis(50);
const PAGE: u32 = 1000;
/// Odd, for the median.
const RUNS: usize = 9;
const MOST_SECONDS: f64 = 0.5;
const MOST_WRITES: f64 = 8.0;
/// So long the operator has nothing to do but to look at its connections again.
const IDLE: Duration = Duration::from_secs(25);
/// After the end of a run there is still its Event to tell.
const SETTLE: Duration = Duration::from_millis(700);

/// Without latency and with it.
pub async fn measure(stage: &Stage<'_>, others: &Others, report: &mut Report) -> Outcome<()> {
    report::section("a whole sync, 718 devices");
    let tcs = Simulator::start(simulator::Config::default()).await?;
    stage.connect("small", &tcs, PAGE).await?;
    sleep(SETTLE).await;
    let (mut times, mut most) = (Vec::new(), 0);
    for n in 0..RUNS {
        let before = stage.writes()?;
        let ended = stage.run("small", &format!("small-{n}"), json!({})).await?;
        times.push(ended.seconds()?);
        sleep(SETTLE).await;
        most = most.max(stage.writes()? - before);
        tcs.drift(0.02);
    }
    report.held(
        "operator, median of 9 that change 2 %",
        (median(times), MOST_SECONDS),
        3,
        " s",
    );
    let most = f64::from(u32::try_from(most)?);
    report.held(
        "writes to the API server, the dearest of these runs",
        (most, MOST_WRITES),
        0,
        "",
    );
    let before = stage.writes()?;
    sleep(IDLE).await;
    let idle = f64::from(u32::try_from(stage.writes()? - before)?);
    report.held(
        "writes of the idle operator in 25 s, without leader election",
        (idle, 0.0),
        0,
        "",
    );
    far(stage, others).await
}

/// At 50 ms.
async fn far(stage: &Stage<'_>, others: &Others) -> Outcome<()> {
    let tcs = Simulator::start(simulator::Config {
        latency: LATENCY,
        ..simulator::Config::default()
    })
    .await?;
    report::section("a whole sync, 718 devices at 50 ms: all new, unchanged, memory");
    let database = stage.connect("far", &tcs, PAGE).await?;
    let new = stage.run("far", "far-new", json!({})).await?.seconds()?;
    let same = stage.run("far", "far-same", json!({})).await?.seconds()?;
    let peak = mega(stage.operator.peak_memory()?);
    report::told("operator", format!("{new:.2} s  {same:.2} s  {peak:.0} MB"));
    for program in others.all() {
        let database = if program.schema == "public" {
            stage.postgres.create_database("copy").await?
        } else {
            database.clone()
        };
        crate::lies::tables(&database).await?;
        let new = others.run(*program, &tcs, &database, &[]).await?;
        let same = others.run(*program, &tcs, &database, &[]).await?;
        let peak = mega(new.peak_bytes.max(same.peak_bytes));
        let told = format!("{:.2} s  {:.2} s  {peak:.0} MB", new.good()?, same.good()?);
        report::told(program.name, told);
    }
    Ok(())
}
