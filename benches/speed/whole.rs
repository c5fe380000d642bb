//! A whole sync of 100,000 devices, fetch and all, against X; the operator from object created to Completed, the others from
//! their first statement to their last.

use devenv::simulator::{self, FleetConfig, Simulator};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::Outcome;
use crate::others::Others;
use crate::raw::{Raw, script};
use crate::report::{self, Report, median};
use crate::stage::Stage;

const MANY: usize = 100_000;
/// Odd, for the median.
const ROUNDS: usize = 3;
const ALL_NEW: f64 = 2.6;
const LITTLE: f64 = 2.0;
const MEMORY_MB: f64 = 80.0;
/// What `connect` gives where nothing is said.
const PAGE: u32 = 1000;

/// In ratios of one round, of which the median counts.
pub async fn measure(stage: &Stage<'_>, others: &Others, report: &mut Report) -> Outcome<()> {
    let fleet = FleetConfig {
        remote_nodes: 0,
        ..simulator::Config::of(MANY).fleet
    };
    let tcs = Simulator::start(simulator::Config {
        fleet,
        ..simulator::Config::of(MANY)
    })
    .await?;
    let mut ratios: [Vec<f64>; 3] = Default::default();
    let (mut xs, mut database) = (Vec::new(), String::new());
    for round in 0..ROUNDS {
        let name = format!("large{round}");
        database = stage.connect(&name, &tcs, PAGE).await?;
        let mut admin = PgConnection::connect(&database).await?;
        let mut seconds = [0.0; 3];
        for (n, what) in ["new", "same", "drift"].into_iter().enumerate() {
            if what == "drift" {
                tcs.drift(0.01);
            }
            script(&mut admin, "CHECKPOINT").await?;
            let run = format!("{name}-{what}");
            seconds[n] = stage.run(&name, &run, json!({})).await?.seconds()?;
        }
        let x = Raw::of(&database, "public").await?.seconds().await?;
        xs.push(x);
        for (ratios, seconds) in ratios.iter_mut().zip(seconds) {
            ratios.push(seconds / x);
        }
    }
    let x = median(xs);
    report::section(&format!("a whole sync, {MANY} devices, median of {ROUNDS}"));
    report::told("raw COPY of the same rows (X)", format!("{:.0} ms", x * 1e3));
    let [new, same, drift] = ratios.map(median);
    report.held("operator, all new", (new, ALL_NEW), 2, " X");
    report.held("operator, unchanged", (same, LITTLE), 2, " X");
    report.held("operator, 1 % changed", (drift, LITTLE), 2, " X");
    let peak = mega(stage.operator.peak_memory()?);
    report.held("operator, memory at its highest", (peak, MEMORY_MB), 0, " MB");
    beside(&tcs, others, (&database, x)).await
}

/// The others in the same run, on the table that the operator made.
async fn beside(tcs: &Simulator, others: &Others, (database, x): (&str, f64)) -> Outcome<()> {
    let mut admin = PgConnection::connect(database).await?;
    for program in others.all() {
        let (mut new, mut same, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
        for _ in 0..program.rounds {
            script(&mut admin, "TRUNCATE tarana_base_stations; DROP SCHEMA IF EXISTS dlt CASCADE; DROP SCHEMA IF EXISTS dlt_staging CASCADE").await?;
            for times in [&mut new, &mut same] {
                script(&mut admin, "CHECKPOINT").await?;
                let told = others.run(*program, tcs, database, &[]).await?;
                times.push(told.good()? / x);
                peak = peak.max(mega(told.peak_bytes));
            }
        }
        let ratio = |times| format!("{:.1} X", median(times));
        report::told(&format!("{}, all new", program.name), ratio(new));
        report::told(&format!("{}, unchanged", program.name), ratio(same));
        report::told(
            &format!("{}, memory at its highest", program.name),
            format!("{peak:.0} MB"),
        );
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory, told in megabytes")]
pub fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
