//! Every speed that this project promises, as ratios of one run, each beside its limit; ends with 1 if one is missed.
//!
//! `make bench`, or `cargo bench --bench speed -- [SECTION]…` with `apply`, `fetch`, `schedules`, `whole`, `small` and `lies` (see the README of
//! `benches/`). Control plane and PostgreSQL are real and write to disk as in production, TCS is the simulator, the operator
//! is a release build under a service account with the chart's rights.

mod apply;
mod fetch;
mod in_flight;
mod lies;
mod machine;
mod others;
mod raw;
mod report;
mod schedules;
mod small;
mod stage;
mod whole;

use devenv::{Postgres, Settings};

use report::Report;
use stage::Stage;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |section: &str| asked.is_empty() || asked.iter().any(|a| a == section);
    let postgres = Postgres::start_with(&Settings {
        durable: true,
        extra: Vec::new(),
    })
    .await?;
    machine::tell(&postgres).await?;
    let mut report = Report::default();
    if wanted("apply") {
        apply::measure(&postgres, &mut report).await?;
    }
    if wanted("fetch") {
        fetch::measure(&mut report).await?;
        in_flight::measure(&mut report).await?;
    }
    if wanted("schedules") {
        schedules::measure(&postgres, &mut report).await?;
    }
    if ["whole", "small", "lies"].into_iter().any(&wanted) {
        let others = others::Others::find(&mut report);
        let stage = Stage::set(&postgres).await?;
        if wanted("small") {
            small::measure(&stage, &others, &mut report).await?;
        }
        if wanted("whole") {
            whole::measure(&stage, &others, &mut report).await?;
        }
        if wanted("lies") {
            lies::measure(&stage, &others, &mut report).await?;
        }
    }
    report.end()
}
