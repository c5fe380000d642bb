//! Many schedules: how soon all of one minute have their runs, and what an operator costs that has nothing to do.

use std::time::{Duration, Instant};

use devenv::Postgres;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::TaranaSync;
use tokio::time::sleep;

use crate::Outcome;
use crate::report::{self, Report};
use crate::stage::Stage;
use crate::whole::mega;

const SCHEDULES: usize = 1000;
const FINISHED: usize = 10_000;
/// Requests of ours at once.
const AT_ONCE: usize = 16;
const IDLE: Duration = Duration::from_secs(90);
const MOST_SECONDS: f64 = 30.0;
const MOST_MEMORY: f64 = 60.0;
/// Between two looks at how many runs there are.
const LOOK: Duration = Duration::from_millis(200);
/// A minute has to begin first.
const PATIENCE: Duration = Duration::from_mins(3);

/// An operator that starts among them, on a cluster of its own.
pub async fn measure(postgres: &Postgres, report: &mut Report) -> Outcome<()> {
    let stage = Stage::set_after(postgres, async |client| {
        create(&client, "idle", "0 0 29 2 *").await?;
        finished(&client).await
    })
    .await?;
    report::section(&format!("{SCHEDULES} schedules, {FINISHED} finished runs"));
    let client = stage.client().await?;
    until_told(&client).await?;
    let before = stage.writes()?;
    sleep(IDLE).await;
    let idle = f64::from(u32::try_from(stage.writes()? - before)?);
    report.held("writes of the idle operator in 90 s", (idle, 0.0), 0, "");
    let peak = mega(stage.operator.peak_memory()?);
    report.held(
        "its memory at its highest, start included",
        (peak, MOST_MEMORY),
        0,
        " MB",
    );
    let last = all_of_a_minute(&client).await?;
    report.held(
        "all due in one minute, the last of their runs after",
        (last, MOST_SECONDS),
        1,
        " s",
    );
    Ok(())
}

async fn create(client: &Client, name: &str, pattern: &str) -> Outcome<()> {
    let api: Api<TaranaSyncSchedule> = Api::namespaced(client.clone(), "default");
    let objects = (0..SCHEDULES).map(|n| {
        json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule",
               "metadata": {"name": format!("{name}-{n}")}, "spec": {"schedule": pattern}})
    });
    let created = stream::iter(objects).map(async |object| {
        let object = serde_json::from_value(object)?;
        Ok::<_, Box<dyn std::error::Error>>(api.create(&PostParams::default(), &object).await.map(drop)?)
    });
    created.buffer_unordered(AT_ONCE).try_collect().await
}

/// Runs as a year of them would lie there.
async fn finished(client: &Client) -> Outcome<()> {
    let api: Api<TaranaSync> = Api::namespaced(client.clone(), "default");
    let status = status();
    let created = stream::iter(0..FINISHED).map(async |n| {
        let name = format!("finished-{n}");
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": {"name": name}, "spec": {}});
        api.create(&PostParams::default(), &serde_json::from_value(object)?)
            .await?;
        let patch = Patch::Merge(&status);
        let patched = api.patch_status(&name, &PatchParams::default(), &patch).await;
        Ok::<_, Box<dyn std::error::Error>>(patched.map(drop)?)
    });
    created.buffer_unordered(AT_ONCE).try_collect().await
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

/// Every schedule has its first status.
async fn until_told(client: &Client) -> Outcome<()> {
    let api: Api<TaranaSyncSchedule> = Api::namespaced(client.clone(), "default");
    let begin = Instant::now();
    loop {
        let all = api.list(&ListParams::default()).await?.items;
        if all.iter().filter(|s| s.status.is_some()).count() >= SCHEDULES {
            // What follows the last status: its Event.
            sleep(Duration::from_secs(2)).await;
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            return Err("the schedules were not looked at".into());
        }
        sleep(LOOK).await;
    }
}

/// Seconds from the beginning of a minute to the creation of the last of its runs.
async fn all_of_a_minute(client: &Client) -> Outcome<f64> {
    create(client, "due", "* * * * *").await?;
    let api: Api<TaranaSync> = Api::namespaced(client.clone(), "default");
    let scheduled = ListParams::default().fields("spec.trigger.type=Schedule");
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let runs = api.list_metadata(&scheduled).await?.items;
        // Those of a minute in which some schedules were not there yet are not all.
        let slot = runs
            .iter()
            .filter_map(|run| slot_of(run.metadata.name.as_deref()?))
            .max();
        let of_it = runs
            .iter()
            .filter(|run| run.metadata.name.as_deref().and_then(slot_of) == slot);
        if let Some(slot) = slot.filter(|_| of_it.count() >= SCHEDULES) {
            return Ok(since(slot));
        }
        sleep(LOOK).await;
    }
    Err("a minute's runs never were complete".into())
}

/// `due-17-29927460`: the minute.
fn slot_of(name: &str) -> Option<i64> {
    name.rsplit('-').next()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "how late it is")]
fn since(slot: i64) -> f64 {
    let begin = Timestamp::from_second(slot * 60).unwrap_or_default();
    Timestamp::now().duration_since(begin).as_secs_f64()
}
