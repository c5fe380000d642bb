//! The stations that each program deletes after a fault in the listing, with stale deletion on.

use std::collections::BTreeSet;

use devenv::simulator::{self, Endpoint, Fault, Rule, Simulator};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tarana_operator::api::sync::Phase;
use tarana_operator::store::{Config, Store};

use crate::Result;
use crate::alternatives::{Alternatives, Program};
use crate::report::{self, Report};
use crate::servers::Servers;

/// Page size.
const PAGE: u32 = 50;
/// The region and the offset of the faulty page.
const REGION: i64 = 1073;
const OFFSET: usize = 200;

fn faults() -> [(&'static str, Fault); 3] {
    let repeat = Fault::RepeatRows {
        rows: 1,
        different: false,
    };
    [
        ("a dropped row", Fault::DropRows { rows: 1 }),
        ("a repeated row", repeat),
        ("an empty page in the middle", Fault::EmptyPage),
    ]
}

/// Counts deleted stations that exist.
pub async fn measure(servers: &Servers<'_>, alternatives: &Alternatives, report: &mut Report) -> Result<()> {
    let tcs = Simulator::start(simulator::Config::default()).await?;
    report::section("718 devices, stale deletion on: existing stations deleted, outcome");
    for (n, (fault_name, fault)) in faults().into_iter().enumerate() {
        let rule = Rule::on(Endpoint::Search, fault).region(REGION).offset(OFFSET);
        let name = format!("faults{n}");
        let database = servers.connect(&name, &tcs, PAGE).await?;
        servers
            .run(&name, &format!("{name}-fill"), json!({}))
            .await?
            .seconds()?;
        let before = serials(&database, "public").await?;
        tcs.set_rules(vec![rule.clone()]);
        let spec = json!({"deleteStale": true, "backoffLimit": 0});
        let ended = servers.run(&name, &format!("{name}-faulty"), spec).await?;
        let lost = before.difference(&serials(&database, "public").await?).count();
        tcs.clear_rules();
        let outcome = if ended.status.phase == Phase::Completed {
            "completed"
        } else {
            "failed"
        };
        report.limit(
            &format!("{fault_name}: operator ({outcome})"),
            (f64::from(u32::try_from(lost)?), 0.0),
            0,
            "",
        );
        for program in alternatives.all() {
            let result = measure_alternative(servers, alternatives, *program, (&tcs, &rule)).await?;
            report::figure(&format!("{fault_name}: {}", program.name), result);
        }
    }
    Ok(())
}

async fn measure_alternative(
    servers: &Servers<'_>,
    alternatives: &Alternatives,
    program: Program,
    (tcs, rule): (&Simulator, &Rule),
) -> Result<String> {
    let database = servers.postgres.create_database("faults").await?;
    create_tables(&database).await?;
    let page = PAGE.to_string();
    let arguments = ["--page-size", &page, "--delete-stale"];
    alternatives
        .run(program, tcs, &database, &arguments)
        .await?
        .seconds()?;
    let before = serials(&database, program.schema).await?;
    tcs.set_rules(vec![rule.clone()]);
    let result = alternatives.run(program, tcs, &database, &arguments).await?;
    tcs.clear_rules();
    let lost = before
        .difference(&serials(&database, program.schema).await?)
        .count();
    Ok(format!("{lost}, {}", result.outcome))
}

/// Creates the operator's tables for programs that write to them.
pub async fn create_tables(database: &str) -> Result<()> {
    let store = Store::new(&Config {
        url: database.to_owned(),
        ca_pem: None,
        schema: "public".into(),
        migrate: true,
    })?;
    Ok(store.verify().await?)
}

async fn serials(database: &str, schema: &str) -> Result<BTreeSet<String>> {
    let mut admin = PgConnection::connect(database).await?;
    let sql = format!("SELECT serial_number FROM {schema}.tarana_base_stations");
    let serials: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(&mut admin)
        .await?;
    Ok(serials.into_iter().collect())
}
