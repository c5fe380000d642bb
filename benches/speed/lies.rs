//! What a listing that lies does to each table, with stale deletion on.

use std::collections::BTreeSet;

use devenv::simulator::{self, Endpoint, Fault, Rule, Simulator};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tarana_operator::api::sync::Phase;
use tarana_operator::store::{Config, Store};

use crate::Outcome;
use crate::others::{Others, Program};
use crate::report::{self, Report};
use crate::stage::Stage;

/// Rows on a page, and the page of the largest region that lies, every time it is asked for.
const PAGE: u32 = 50;
const REGION: i64 = 1073;
const AT: usize = 200;

fn lies() -> [(&'static str, Fault); 3] {
    let repeat = Fault::RepeatRows {
        rows: 1,
        different: false,
    };
    [
        ("a dropped row", Fault::DropRows { rows: 1 }),
        ("a repeated row", repeat),
        ("an empty page midway", Fault::EmptyPage),
    ]
}

/// How many towers that stand were deleted, and what was told.
pub async fn measure(stage: &Stage<'_>, others: &Others, report: &mut Report) -> Outcome<()> {
    let tcs = Simulator::start(simulator::Config::default()).await?;
    report::section("718 devices, stale deletion on: standing towers deleted, what it told");
    for (n, (lie, fault)) in lies().into_iter().enumerate() {
        let rule = Rule::on(Endpoint::Search, fault).region(REGION).offset(AT);
        let name = format!("lies{n}");
        let database = stage.connect(&name, &tcs, PAGE).await?;
        stage
            .run(&name, &format!("{name}-calm"), json!({}))
            .await?
            .seconds()?;
        let before = serials(&database, "public").await?;
        tcs.script(vec![rule.clone()]);
        let spec = json!({"deleteStale": true, "backoffLimit": 0});
        let ended = stage.run(&name, &format!("{name}-lie"), spec).await?;
        let lost = before.difference(&serials(&database, "public").await?).count();
        tcs.clear();
        let told = if ended.status.phase == Phase::Completed {
            "completed"
        } else {
            "failed"
        };
        report.held(
            &format!("{lie}: operator ({told})"),
            (f64::from(u32::try_from(lost)?), 0.0),
            0,
            "",
        );
        for program in others.all() {
            let told = other(stage, others, *program, (&tcs, &rule)).await?;
            report::told(&format!("{lie}: {}", program.name), told);
        }
    }
    Ok(())
}

async fn other(
    stage: &Stage<'_>,
    others: &Others,
    program: Program,
    (tcs, rule): (&Simulator, &Rule),
) -> Outcome<String> {
    let database = stage.postgres.create_database("lies").await?;
    tables(&database).await?;
    let page = PAGE.to_string();
    let arguments = ["--page-size", &page, "--delete-stale"];
    others.run(program, tcs, &database, &arguments).await?.good()?;
    let before = serials(&database, program.schema).await?;
    tcs.script(vec![rule.clone()]);
    let told = others.run(program, tcs, &database, &arguments).await?;
    tcs.clear();
    let lost = before
        .difference(&serials(&database, program.schema).await?)
        .count();
    Ok(format!("{lost}, {}", told.outcome))
}

/// The operator's tables, for programs that write to them.
pub async fn tables(database: &str) -> Outcome<()> {
    let store = Store::new(&Config {
        url: database.to_owned(),
        ca_pem: None,
        schema: "public".into(),
        migrate: true,
    })?;
    Ok(store.verify().await?)
}

async fn serials(database: &str, schema: &str) -> Outcome<BTreeSet<String>> {
    let mut admin = PgConnection::connect(database).await?;
    let sql = format!("SELECT serial_number FROM {schema}.tarana_base_stations");
    let serials: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(&mut admin)
        .await?;
    Ok(serials.into_iter().collect())
}
