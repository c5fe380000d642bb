//! How Apply compares with a raw binary COPY of the same rows into a table of the same columns and indexes (X).
//!
//! `cargo bench --bench apply [-- ROWS]`, on a server of its own that writes to disk as in production, or on the database at
//! `DATABASE_URL`, which must be one that may be written: everything happens in a schema of its own, dropped at the end.
//! Each round measures X and the rest one after the other; what counts is the median of the rounds' ratios. Ends with 1
//! and a line that says so if one is above its limit.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use devenv::{Postgres, Settings};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tarana_operator::station::{Change, Counts, Plan, Position, Row};
use tarana_operator::store::{Apply, Begun, Config, Opened, Run, Store, Trigger};
use uuid::Uuid;

const SCHEMA: &str = "tarana_bench";
/// Odd, for the median.
const ROUNDS: usize = 7;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let rows = std::env::args()
        .skip(1)
        .find_map(|a| a.parse().ok())
        .unwrap_or(100_000);
    let (url, server) = database().await?;
    let mut admin = PgConnection::connect(&url).await?;
    script(
        &mut admin,
        &format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}"),
    )
    .await?;
    let store = Store::new(&Config {
        url,
        ca_pem: None,
        schema: SCHEMA.into(),
        migrate: true,
    })?;
    store.verify().await?;
    let done = measure(&mut admin, &store, rows).await;
    script(&mut admin, &format!("DROP SCHEMA {SCHEMA} CASCADE")).await?;
    drop(server);
    done
}

/// The database at `DATABASE_URL`, or a server of our own that lives as long as the second value.
async fn database() -> Outcome<(String, Option<Postgres>)> {
    #[expect(clippy::disallowed_methods, reason = "a bench is its own composition root")]
    if let Ok(url) = std::env::var("DATABASE_URL") {
        return Ok((url, None));
    }
    let server = Postgres::start_with(&Settings {
        durable: true,
        extra: Vec::new(),
    })
    .await?;
    Ok((server.create_database("bench").await?, Some(server)))
}

async fn measure(admin: &mut PgConnection, store: &Store, rows: u32) -> Outcome<()> {
    let mut fleet: Vec<Row> = (0..rows).map(row).collect();
    // In the order of the serials, as the operator's plans have them.
    fleet.sort_unstable_by(|a, b| a.serial.cmp(&b.serial));
    let mut times: [Vec<f64>; CASES.len()] = Default::default();
    for _ in 0..ROUNDS {
        for (case, time) in times.iter_mut().zip(round(admin, store, &fleet).await?) {
            case.push(time.as_secs_f64());
        }
    }
    println!("{}", circumstances(admin, rows).await?);
    let mut exceeded = Vec::new();
    for ((name, limit), case) in CASES.iter().zip(&times) {
        let ratios = sorted(case.iter().zip(&times[0]).map(|(time, x)| time / x));
        let (ratio, least, most) = (ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
        let ms = sorted(case.iter().copied())[ROUNDS / 2] * 1e3;
        let at_most = limit.map_or(String::new(), |l| format!(", limit {l:.2} X"));
        println!("{name:>14}  {ms:>8.1} ms  {ratio:>5.2} X  ({least:.2} to {most:.2}{at_most})");
        if limit.is_some_and(|l| ratio > l) {
            exceeded.push(*name);
        }
    }
    if exceeded.is_empty() {
        return Ok(());
    }
    Err(format!("slower than its limit: {}", exceeded.join(", ")).into())
}

/// What is measured, and how many X it may take.
const CASES: [(&str, Option<f64>); 5] = [
    ("raw COPY (X)", None),
    ("all new", Some(1.5)),
    ("unchanged", Some(0.4)),
    ("1 % changed", None),
    ("all changed", None),
];

/// One time for each case.
async fn round(admin: &mut PgConnection, store: &Store, fleet: &[Row]) -> Outcome<[Duration; CASES.len()]> {
    clear(admin).await?;
    sync(store, fleet).await?;
    let copied = export(admin).await?;
    clear(admin).await?;
    let x = raw(admin, &copied).await?;
    clear(admin).await?;
    let new = timed(sync(store, fleet)).await?;
    let before = written(admin).await?;
    let unchanged = timed(sync(store, fleet)).await?;
    if written(admin).await? != before {
        return Err("a row was written though nothing changed".into());
    }
    let (some, all) = (drifted(fleet, 100), drifted(fleet, 1));
    let some = timed(sync(store, &some)).await?;
    let all = timed(sync(store, &all)).await?;
    Ok([x, new, unchanged, some, all])
}

fn sorted(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// Where and with what this was measured, and the command that repeats it.
async fn circumstances(admin: &mut PgConnection, rows: u32) -> Outcome<String> {
    let server: String = sqlx::query_scalar("SHOW server_version").fetch_one(admin).await?;
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find(|l| l.starts_with("model name"));
    let model = model
        .and_then(|l| l.split_once(": "))
        .map_or("unknown processor", |(_, m)| m);
    let cores = std::thread::available_parallelism()?;
    let rustc = std::process::Command::new("rustc").arg("--version").output();
    let rustc = rustc.map_or_else(
        |_| "rustc".into(),
        |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
    );
    Ok(format!(
        "{rows} rows, median of {ROUNDS} rounds (least to most); {cores} cores, {model}; PostgreSQL {server}; {rustc}\n\
         cargo bench --bench apply -- {rows}"
    ))
}

async fn timed(work: impl Future<Output = Outcome<()>>) -> Outcome<Duration> {
    let begin = Instant::now();
    work.await?;
    Ok(begin.elapsed())
}

/// One run from opening to commit, with the simplest comparison that is right.
async fn sync(store: &Store, fleet: &[Row]) -> Outcome<()> {
    let run = run();
    let Opened::Fence(fence) = store.open(&run, 1).await? else {
        return Err("not opened".into());
    };
    let Begun::Apply(mut apply) = store.begin_apply(run.id, fence).await? else {
        return Err("ended".into());
    };
    let plan = plan(&mut apply, fleet).await?;
    apply.finish(&plan, false).await?;
    Ok(())
}

async fn plan(apply: &mut Apply, fleet: &[Row]) -> Outcome<Plan> {
    let mut left: HashMap<&str, &Row> = fleet.iter().map(|r| (&*r.serial, r)).collect();
    let mut changes = Vec::new();
    apply
        .rows(|before| match left.remove(&*before.serial) {
            Some(after) if *after != before => {
                changes.push(Change::Update {
                    before: Box::new(before),
                    after: Box::new(after.clone()),
                });
            }
            _ => {}
        })
        .await?;
    let updated = i64::try_from(changes.len())?;
    let new = fleet.iter().filter(|r| left.contains_key(&*r.serial));
    changes.extend(new.cloned().map(Change::Insert));
    let inserted = i64::try_from(changes.len())? - updated;
    Ok(Plan {
        changes,
        counts: Counts {
            inserted,
            updated,
            ..Counts::default()
        },
        ..Plan::default()
    })
}

fn columns() -> &'static str {
    "serial_number, hostname, site_name, active_connections, market, lat, lng, region, height_m, azimuth_deg, band,
     device_status, region_id, market_id, site_id, cell_id, sector_id, cell_name, sector_name"
}

/// The rows as a binary COPY gives them, in the order of the listing, which is not that of the serials.
async fn export(admin: &mut PgConnection) -> Outcome<Vec<u8>> {
    use futures::TryStreamExt as _;
    let sql = format!(
        "COPY (SELECT {} FROM {SCHEMA}.tarana_base_stations ORDER BY sector_id) TO STDOUT (FORMAT binary)",
        columns()
    );
    let pieces: Vec<_> = admin.copy_out_raw(&sql).await?.try_collect().await?;
    Ok(pieces.concat())
}

/// X.
async fn raw(admin: &mut PgConnection, data: &[u8]) -> Outcome<Duration> {
    let sql = format!(
        "COPY {SCHEMA}.tarana_base_stations ({}) FROM STDIN (FORMAT binary)",
        columns()
    );
    let begin = Instant::now();
    let mut copy = admin.copy_in_raw(&sql).await?;
    for piece in data.chunks(128 * 1024) {
        copy.send(piece).await?;
    }
    copy.finish().await?;
    Ok(begin.elapsed())
}

async fn clear(admin: &mut PgConnection) -> Outcome<()> {
    script(
        admin,
        &format!("TRUNCATE {SCHEMA}.tarana_base_stations, {SCHEMA}.tarana_sync_logs CASCADE"),
    )
    .await?;
    script(admin, "CHECKPOINT").await
}

/// Anything that any statement ever wrote to the table, as the rows themselves tell.
async fn written(admin: &mut PgConnection) -> Outcome<String> {
    let sql = format!("SELECT max(xmin::text::bigint)::text FROM {SCHEMA}.tarana_base_stations");
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(admin).await?)
}

async fn script(admin: &mut PgConnection, sql: &str) -> Outcome<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(admin)
        .await?;
    Ok(())
}

fn drifted(fleet: &[Row], every: usize) -> Vec<Row> {
    let mut fleet = fleet.to_vec();
    for row in fleet.iter_mut().step_by(every) {
        row.active_connections = row.active_connections.map(|n| n + 1);
        row.device_status = Some(0);
    }
    fleet
}

fn run() -> Run {
    Run {
        id: Uuid::new_v4(),
        namespace: "bench".into(),
        name: "bench".into(),
        connection: "bench".into(),
        connection_uid: Uuid::nil(),
        trigger: Trigger::Manual,
        triggered_by: None,
        actor: String::new(),
        dry_run: false,
        delete_stale: false,
    }
}

/// The shape of a real fleet; serials in no order, as listings have them.
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
        height_cm: Some(100_000 + place % 90_000),
        azimuth_cdeg: Some(4_500 + 9_000 * i64::from(i % 4)),
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
