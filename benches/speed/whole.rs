//! A complete sync of 100,000 devices, relative to X. The operator is measured from the creation of the object to Completed,
//! the alternatives from their first statement to their last.

use devenv::simulator::{self, FleetConfig, Simulator};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::Result;
use crate::alternatives::Alternatives;
use crate::raw_copy::{RawCopy, script};
use crate::report::{self, Report, median};
use crate::servers::Servers;

const DEVICES: usize = 100_000;
/// Odd, for the median.
const ROUNDS: usize = 3;
const ALL_NEW: f64 = 3.2;
const FEW_CHANGES: f64 = 2.0;
const MEMORY_MB: f64 = 90.0;
const PAGE: u32 = 1000;

/// Measures the ratios of each round and reports their median.
pub async fn measure(servers: &Servers<'_>, alternatives: &Alternatives, report: &mut Report) -> Result<()> {
    let fleet = FleetConfig {
        remote_nodes: 0,
        ..simulator::Config::with_base_nodes(DEVICES).fleet
    };
    let tcs = Simulator::start(simulator::Config {
        fleet,
        ..simulator::Config::with_base_nodes(DEVICES)
    })
    .await?;
    let mut ratios: [Vec<f64>; 3] = Default::default();
    let (mut xs, mut database) = (Vec::new(), String::new());
    for round in 0..ROUNDS {
        let name = format!("large{round}");
        database = servers.connect(&name, &tcs, PAGE).await?;
        let mut admin = PgConnection::connect(&database).await?;
        let mut seconds = [0.0; 3];
        for (n, what) in ["new", "same", "drift"].into_iter().enumerate() {
            if what == "drift" {
                tcs.drift(0.01);
            }
            script(&mut admin, "CHECKPOINT").await?;
            let run = format!("{name}-{what}");
            seconds[n] = servers.run(&name, &run, json!({})).await?.seconds()?;
        }
        let x = RawCopy::of(&database, "public").await?.seconds().await?;
        xs.push(x);
        for (ratios, seconds) in ratios.iter_mut().zip(seconds) {
            ratios.push(seconds / x);
        }
    }
    let x = median(xs);
    report::section(&format!("a whole sync, {DEVICES} devices, median of {ROUNDS}"));
    report::figure("raw COPY of the same rows (X)", format!("{:.0} ms", x * 1e3));
    let [new, same, drift] = ratios.map(median);
    report.limit("operator, all new", (new, ALL_NEW), 2, " X");
    report.limit("operator, unchanged", (same, FEW_CHANGES), 2, " X");
    report.limit("operator, 1 % changed", (drift, FEW_CHANGES), 2, " X");
    let peak = megabytes(servers.operator.peak_memory()?);
    report.limit("operator, peak memory", (peak, MEMORY_MB), 0, " MB");
    measure_alternatives(&tcs, alternatives, (&database, x)).await
}

/// Measures the alternatives on the table that the operator created.
async fn measure_alternatives(
    tcs: &Simulator,
    alternatives: &Alternatives,
    (database, x): (&str, f64),
) -> Result<()> {
    let mut admin = PgConnection::connect(database).await?;
    for program in alternatives.all() {
        let (mut new, mut same, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
        for _ in 0..program.rounds {
            script(&mut admin, "TRUNCATE tarana_base_stations; DROP SCHEMA IF EXISTS dlt CASCADE; DROP SCHEMA IF EXISTS dlt_staging CASCADE").await?;
            for times in [&mut new, &mut same] {
                script(&mut admin, "CHECKPOINT").await?;
                let result = alternatives.run(*program, tcs, database, &[]).await?;
                times.push(result.seconds()? / x);
                peak = peak.max(megabytes(result.peak_bytes));
            }
        }
        let ratio = |times| format!("{:.1} X", median(times));
        report::figure(&format!("{}, all new", program.name), ratio(new));
        report::figure(&format!("{}, unchanged", program.name), ratio(same));
        report::figure(&format!("{}, peak memory", program.name), format!("{peak:.0} MB"));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "bytes as megabytes")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
