//! How Apply compares with a raw binary COPY of the same rows into a table of the same columns and indexes (X).
//!
//! `cargo bench --bench apply [-- ROWS]`, on a server of its own that writes to disk as in production, or on the database at
//! `DATABASE_URL`, which must be one that may be written: everything happens in a schema of its own, dropped at the end. The best of several rounds counts, of X as of the rest.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use devenv::{Postgres, Settings};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tarana_operator::station::{Change, Counts, Plan, Position, Row};
use tarana_operator::store::{Apply, Begun, Config, Opened, Run, Store, Trigger};
use uuid::Uuid;

const SCHEMA: &str = "tarana_bench";
const ROUNDS: usize = 5;

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
    let fleet: Vec<Row> = (0..rows).map(row).collect();
    let mut best: Vec<(&str, Duration)> = Vec::new();
    for _ in 0..ROUNDS {
        clear(admin).await?;
        sync(store, &fleet).await?;
        let copied = export(admin).await?;
        clear(admin).await?;
        keep(&mut best, "raw COPY (X)", raw(admin, &copied).await?);
        clear(admin).await?;
        keep(&mut best, "all new", timed(sync(store, &fleet)).await?);
        let written = written(admin).await?;
        keep(&mut best, "unchanged", timed(sync(store, &fleet)).await?);
        if self::written(admin).await? != written {
            return Err("a row was written though nothing changed".into());
        }
        keep(
            &mut best,
            "1 % changed",
            timed(sync(store, &drifted(&fleet, 100))).await?,
        );
        keep(
            &mut best,
            "all changed",
            timed(sync(store, &drifted(&fleet, 1))).await?,
        );
    }
    let x = best[0].1.as_secs_f64();
    println!("{rows} rows, best of {ROUNDS}");
    for (name, time) in best {
        println!(
            "{name:>14}  {:>8.1} ms  {:>5.2} X",
            time.as_secs_f64() * 1e3,
            time.as_secs_f64() / x
        );
    }
    Ok(())
}

fn keep(best: &mut Vec<(&'static str, Duration)>, name: &'static str, time: Duration) {
    match best.iter_mut().find(|(n, _)| *n == name) {
        Some((_, least)) => *least = time.min(*least),
        None => best.push((name, time)),
    }
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
    changes.extend(
        fleet
            .iter()
            .filter(|r| left.contains_key(&*r.serial))
            .cloned()
            .map(Change::Insert),
    );
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

/// The rows as a binary COPY gives them.
async fn export(admin: &mut PgConnection) -> Outcome<Vec<u8>> {
    use futures::TryStreamExt as _;
    let sql = format!(
        "COPY {SCHEMA}.tarana_base_stations ({}) TO STDOUT (FORMAT binary)",
        columns()
    );
    let pieces: Vec<_> = admin.copy_out_raw(&sql).await?.try_collect().await?;
    Ok(pieces.concat())
}

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
