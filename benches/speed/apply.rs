//! Apply, from open to COMMIT, relative to a raw binary COPY of the same rows into a table with the same columns and indexes (X).
//!
//! Each round measures X and all cases. The result is the median of the ratios.

use std::collections::HashMap;
use std::time::Instant;

use devenv::Postgres;
use sqlx::{Connection as _, PgConnection};
use tarana_operator::station::{Change, Plan, Position, Row, RunCounts};
use tarana_operator::store::{Apply, BeginApply, Config, OpenResult, RunInfo, Store, Trigger};
use uuid::Uuid;

use crate::Result;
use crate::raw_copy::{RawCopy, script};
use crate::report::{self, Report, median};

const ROWS: u32 = 100_000;
/// Odd, for the median.
const ROUNDS: usize = 5;
/// The cases and their limits in X.
const CASES: [(&str, Option<f64>); 4] = [
    ("all new", Some(1.6)),
    ("unchanged", Some(0.4)),
    ("1 % changed", None),
    ("all changed", None),
];

/// Uses a database of its own.
pub async fn measure(postgres: &Postgres, report: &mut Report) -> Result<()> {
    let url = postgres.create_database("apply").await?;
    let mut admin = PgConnection::connect(&url).await?;
    let store = Store::new(&Config {
        url: url.clone(),
        ca_pem: None,
        schema: "public".into(),
        migrate: true,
    })?;
    store.verify().await?;
    let mut fleet: Vec<Row> = (0..ROWS).map(row).collect();
    // By serial number, like the operator's plans.
    fleet.sort_unstable_by(|a, b| a.serial.cmp(&b.serial));
    sync(&store, fleet.clone()).await?;
    let mut raw = RawCopy::of(&url, "public").await?;
    let (mut xs, mut times): (Vec<f64>, [Vec<f64>; CASES.len()]) = Default::default();
    for _ in 0..ROUNDS {
        xs.push(raw.seconds().await?);
        for (case, seconds) in times.iter_mut().zip(round(&mut admin, &store, &fleet).await?) {
            case.push(seconds);
        }
    }
    report::section(&format!("apply, {ROWS} rows, median of {ROUNDS}"));
    report::figure("raw COPY (X)", format!("{:.0} ms", median(xs.clone()) * 1e3));
    for ((name, limit), case) in CASES.into_iter().zip(&times) {
        let ratio = median(case.iter().zip(&xs).map(|(time, x)| time / x).collect());
        match limit {
            Some(limit) => report.limit(name, (ratio, limit), 2, " X"),
            None => report::figure(name, format!("{ratio:.2} X")),
        }
    }
    Ok(())
}

/// The seconds of each case.
async fn round(admin: &mut PgConnection, store: &Store, fleet: &[Row]) -> Result<[f64; CASES.len()]> {
    let clear = "TRUNCATE tarana_base_stations, tarana_sync_logs CASCADE";
    script(admin, clear).await?;
    script(admin, "CHECKPOINT").await?;
    let new = timed(sync(store, fleet.to_vec())).await?;
    let before = newest_version(admin).await?;
    let unchanged = timed(sync(store, fleet.to_vec())).await?;
    if newest_version(admin).await? != before {
        return Err("a row was written although nothing changed".into());
    }
    let (some, all) = (drifted(fleet, 100), drifted(fleet, 1));
    let some = timed(sync(store, some)).await?;
    let all = timed(sync(store, all)).await?;
    Ok([new, unchanged, some, all])
}

async fn timed(work: impl Future<Output = Result<()>>) -> Result<f64> {
    let begin = Instant::now();
    work.await?;
    Ok(begin.elapsed().as_secs_f64())
}

/// One run from open to COMMIT, with a simple comparison.
async fn sync(store: &Store, fleet: Vec<Row>) -> Result<()> {
    let run = run();
    let OpenResult::Opened(fence) = store.open(&run, 1, |_| Vec::new()).await? else {
        return Err("not opened".into());
    };
    let BeginApply::Started(mut apply) = store.begin_apply(run.id, fence, &|_| ()).await? else {
        return Err("already closed".into());
    };
    let plan = plan(&mut apply, fleet).await?;
    apply.finish(&plan, false, &[]).await?;
    Ok(())
}

async fn plan(apply: &mut Apply, fleet: Vec<Row>) -> Result<Plan> {
    let places: HashMap<_, _> = fleet
        .iter()
        .enumerate()
        .map(|(n, r)| (r.serial.clone(), n))
        .collect();
    let mut left: Vec<_> = fleet.into_iter().map(Some).collect();
    let mut changes = Vec::new();
    apply
        .read_rows(|before| {
            let after = places.get(&before.serial).and_then(|n| left[*n].take());
            if let Some(after) = after.filter(|after| *after != before) {
                changes.push(Change::Update {
                    before: Box::new(before),
                    after: Box::new(after),
                });
            }
        })
        .await?;
    let updated = i64::try_from(changes.len())?;
    changes.extend(left.into_iter().flatten().map(Change::Insert));
    let inserted = i64::try_from(changes.len())? - updated;
    Ok(Plan {
        changes,
        counts: RunCounts {
            inserted,
            updated,
            ..RunCounts::default()
        },
        ..Plan::default()
    })
}

/// The newest transaction that wrote a row.
async fn newest_version(admin: &mut PgConnection) -> Result<String> {
    let sql = "SELECT max(xmin::text::bigint)::text FROM tarana_base_stations";
    Ok(sqlx::query_scalar(sql).fetch_one(admin).await?)
}

fn drifted(fleet: &[Row], every: usize) -> Vec<Row> {
    let mut fleet = fleet.to_vec();
    for row in fleet.iter_mut().step_by(every) {
        row.active_connections = row.active_connections.map(|n| n + 1);
        row.device_status = Some(0);
    }
    fleet
}

fn run() -> RunInfo {
    RunInfo {
        id: Uuid::new_v4(),
        namespace: "bench".into(),
        name: "bench".into(),
        connection: "bench".into(),
        connection_uid: Uuid::nil(),
        cluster_uid: None,
        trigger: Trigger::Manual,
        triggered_by: None,
        actor: String::new(),
        dry_run: false,
        delete_stale: false,
    }
}

/// A row like those of a real fleet. Serial numbers are unordered, as in listings.
fn row(i: u32) -> Row {
    let scattered = i.wrapping_mul(2_654_435_761);
    let place = i64::from(scattered % 10_000_000);
    let number = i32::try_from(i).unwrap_or_default();
    Row {
        serial: format!("S134F{scattered:010}").into(),
        hostname: format!("X{i}-BN-{}", 45 + 90 * (i % 4)).into(),
        site_name: format!("Fictional Reservoir {}", i / 2).into(),
        active_connections: Some(number % 40),
        market: Some(["JHB Gauteng", "Western Cape", "KwaZulu-Natal"][i as usize % 3].into()),
        position: Position {
            lat_e6: -34_400_000 + place,
            lng_e6: 16_900_000 + place,
        },
        region: Some("South Africa".into()),
        height_cm: Some(100_000 + i32::try_from(place % 90_000).unwrap_or_default()),
        azimuth_cdeg: Some(4_500 + 9_000 * (number % 4)),
        band: Some("5ghz".into()),
        device_status: Some(1),
        region_id: Some(1073),
        market_id: Some(9602),
        site_id: Some(94_901 + number / 2),
        cell_id: Some(95_301 + number / 2),
        sector_id: Some(90_501 + number),
        cell_name: Some(format!("X{i}").into()),
        sector_name: Some(format!("X{i}-BN-{}", 45 + 90 * (i % 4)).into()),
    }
}
