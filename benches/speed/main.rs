//! Measures every speed that this project promises and compares it with its limit. Exits with 1 if one exceeds its limit.
//!
//! `make bench`, or `cargo bench --bench speed -- [SECTION]…` (see the README of `benches/`). Control plane and PostgreSQL
//! are real and write to disk as in production, TCS is the simulator, and the operator is a release build with a service
//! account that has the chart's RBAC.

mod admin;
mod alternatives;
mod apply;
mod fetch;
mod in_flight;
mod machine;
mod many;
mod pages;
mod raw_copy;
mod report;
mod schedules;
mod servers;
mod shutdown;
mod small;
mod vendor_faults;
mod whole;

use devenv::{Postgres, PostgresSettings};

use report::Report;
use servers::Servers;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The sections, in the order in which they run.
const SECTIONS: [&str; 9] = [
    "apply",
    "fetch",
    "schedules",
    "many",
    "admin",
    "pages",
    "small",
    "whole",
    "faults",
];

#[tokio::main]
async fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sections: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if let Some(unknown) = sections.iter().find(|s| !SECTIONS.contains(&s.as_str())) {
        return Err(format!(
            "unknown section {unknown:?}; the sections are {}",
            SECTIONS.join(", ")
        )
        .into());
    }
    let is_selected = |section: &str| sections.is_empty() || sections.iter().any(|s| s == section);
    let postgres = Postgres::start_with(&PostgresSettings {
        durable: true,
        extra: Vec::new(),
    })
    .await?;
    machine::print(&postgres).await?;
    let mut report = Report::default();
    if is_selected("apply") {
        apply::measure(&postgres, &mut report).await?;
    }
    if is_selected("fetch") {
        fetch::measure(&mut report).await?;
        in_flight::measure(&mut report).await?;
    }
    if is_selected("schedules") {
        schedules::measure(&postgres, &mut report).await?;
    }
    if is_selected("many") {
        many::measure(&postgres).await?;
    }
    if is_selected("admin") {
        admin::measure(&postgres, &mut report).await?;
    }
    if is_selected("pages") {
        pages::measure(&postgres).await?;
    }
    if ["whole", "small", "faults"].into_iter().any(&is_selected) {
        let alternatives = alternatives::Alternatives::find(&mut report);
        let servers = Servers::start(&postgres).await?;
        if is_selected("small") {
            small::measure(&servers, &alternatives, &mut report).await?;
        }
        if is_selected("whole") {
            whole::measure(&servers, &alternatives, &mut report).await?;
        }
        if is_selected("faults") {
            vendor_faults::measure(&servers, &alternatives, &mut report).await?;
        }
    }
    report.finish()
}
