//! Many schedules: the time until all that are due in one minute have created their runs, and the cost of an idle operator.

use std::time::{Duration, Instant};

use devenv::Postgres;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::TaranaSync;
use tokio::time::sleep;

use crate::Result;
use crate::report::{self, Report};
use crate::servers::{CONCURRENCY, Servers, create_all};
use crate::whole::megabytes;

const SCHEDULES: usize = 1000;
/// Finished runs of each schedule.
const RUNS_PER_SCHEDULE: usize = 10;
/// Every tenth schedule is suspended, and its slots pass each minute.
const SUSPENDED: usize = 10;
const IDLE: Duration = Duration::from_secs(90);
const MAX_SECONDS: f64 = 30.0;
const MAX_MEMORY: f64 = 70.0;
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Includes the wait for the next minute.
const TIMEOUT: Duration = Duration::from_mins(3);

/// Starts an operator with these schedules, on a cluster of its own.
pub async fn measure(postgres: &Postgres, report: &mut Report) -> Result<()> {
    let servers = Servers::start_after(postgres, async |client| {
        let schedules = create(&client, "idle", |n| {
            let is_suspended = n.is_multiple_of(SUSPENDED);
            let pattern = if is_suspended { "* * * * *" } else { "0 0 29 2 *" };
            json!({"schedule": pattern, "suspend": is_suspended, "successfulSyncsHistoryLimit": RUNS_PER_SCHEDULE})
        });
        create_finished_runs(&client, &schedules.await?).await
    })
    .await?;
    let runs = SCHEDULES * RUNS_PER_SCHEDULE;
    report::section(&format!("{SCHEDULES} schedules, {runs} finished runs"));
    let client = servers.client().await?;
    wait_until_reconciled(&client).await?;
    let before = servers.writes()?;
    sleep(IDLE).await;
    let idle = f64::from(u32::try_from(servers.writes()? - before)?);
    report.limit("writes of the idle operator in 90 s", (idle, 0.0), 0, "");
    let peak = megabytes(servers.operator.peak_memory()?);
    report.limit("peak memory, including start", (peak, MAX_MEMORY), 0, " MB");
    let last = time_until_last_run(&client).await?;
    report.limit(
        "all due in one minute, until the last run",
        (last, MAX_SECONDS),
        1,
        " s",
    );
    Ok(())
}

/// Creates schedules. `spec` returns the spec of the nth.
async fn create(
    client: &Client,
    name: &str,
    spec: impl Fn(usize) -> Value,
) -> Result<Vec<TaranaSyncSchedule>> {
    let objects = (0..SCHEDULES).map(|n| {
        json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule",
               "metadata": {"name": format!("{name}-{n}")}, "spec": spec(n)})
    });
    create_all(client, objects).await
}

/// Creates the finished runs of these schedules.
async fn create_finished_runs(client: &Client, schedules: &[TaranaSyncSchedule]) -> Result<()> {
    let api: Api<TaranaSync> = Api::namespaced(client.clone(), "default");
    let status = status();
    let owned = schedules
        .iter()
        .flat_map(|schedule| (0..RUNS_PER_SCHEDULE).map(move |n| (schedule, n)));
    let created = stream::iter(owned).map(async |(schedule, n)| {
        let run = finished_run(schedule, n);
        api.create(&PostParams::default(), &serde_json::from_value(run.clone())?)
            .await?;
        let name = run["metadata"]["name"].as_str().unwrap_or_default();
        let patch = Patch::Merge(&status);
        let patched = api.patch_status(name, &PatchParams::default(), &patch).await;
        Ok::<_, Box<dyn std::error::Error>>(patched.map(drop)?)
    });
    created.buffer_unordered(CONCURRENCY).try_collect().await
}

/// The nth run of a schedule, as the operator creates it.
fn finished_run(schedule: &TaranaSyncSchedule, n: usize) -> Value {
    let name = schedule.name_any();
    let slot = format!("2026-01-01T00:{n:02}:00Z");
    let minutes = 29_453_760 + n;
    json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
        "metadata": {"name": format!("{name}-{minutes}"), "labels": {"tarana.dev/schedule": name},
                     "ownerReferences": [schedule.controller_owner_ref(&())]},
        "spec": {"trigger": {"type": "Schedule", "scheduledTime": slot}}})
}

fn status() -> Value {
    let message = "718 fetched, 0 new, 20 changed, 684 unchanged, 0 deleted, 0 withheld, 14 skipped";
    let condition = |type_: &str, status: &str, reason: &str| {
        json!({"type": type_, "status": status, "reason": reason, "message": message,
               "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:01Z"})
    };
    json!({"status": {
        "observedGeneration": 1, "phase": "Completed", "attempt": 1, "fence": 1, "durationMs": 96,
        "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:01Z",
        "counts": {"fetched": 718, "inserted": 0, "updated": 20, "unchanged": 684, "deleted": 0, "skipped": 14, "withheld": 0},
        "reading": {"listing": "RegionSearch", "proof": "Total"},
        "conditions": [condition("Ready", "True", "Completed"), condition("Finished", "True", "Completed"),
                       condition("DeletesWithheld", "False", "NothingWithheld")],
    }})
}

/// Waits until every schedule has a status.
async fn wait_until_reconciled(client: &Client) -> Result<()> {
    let api: Api<TaranaSyncSchedule> = Api::namespaced(client.clone(), "default");
    let begin = Instant::now();
    loop {
        let all = api.list(&ListParams::default()).await?.items;
        if all.iter().filter(|s| s.status.is_some()).count() >= SCHEDULES {
            // The Event follows the status.
            sleep(Duration::from_secs(2)).await;
            return Ok(());
        }
        if begin.elapsed() > TIMEOUT {
            return Err("the schedules were not reconciled in time".into());
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// The seconds from the start of a minute to the creation of the last of its runs.
async fn time_until_last_run(client: &Client) -> Result<f64> {
    let labels = json!({"metadata": {"labels": {"bench": "due"}}});
    create(
        client,
        "due",
        |_| json!({"schedule": "* * * * *", "template": labels}),
    )
    .await?;
    let api: Api<TaranaSync> = Api::namespaced(client.clone(), "default");
    let scheduled = ListParams::default().labels("bench=due");
    let begin = Instant::now();
    while begin.elapsed() < TIMEOUT {
        let runs = api.list_metadata(&scheduled).await?.items;
        // The first minute may be incomplete, because some schedules did not exist yet.
        let slot = runs
            .iter()
            .filter_map(|run| slot_of(run.metadata.name.as_deref()?))
            .max();
        let of_slot = runs
            .iter()
            .filter(|run| run.metadata.name.as_deref().and_then(slot_of) == slot);
        if let Some(slot) = slot.filter(|_| of_slot.count() >= SCHEDULES) {
            return Ok(since(slot));
        }
        sleep(POLL_INTERVAL).await;
    }
    Err("no minute had the runs of all schedules".into())
}

/// The minute in the name of a run, such as `due-17-29927460`.
fn slot_of(name: &str) -> Option<i64> {
    name.rsplit('-').next()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "measures the delay of the runs")]
fn since(slot: i64) -> f64 {
    let begin = Timestamp::from_second(slot * 60).unwrap_or_default();
    Timestamp::now().duration_since(begin).as_secs_f64()
}
