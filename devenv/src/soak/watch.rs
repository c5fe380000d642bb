//! Samples the operator and its surroundings, and prints a line a minute.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::interval;

use super::Shared;
use super::board::Sample;
use super::crew::Leading;
use super::gauge::{Held, held};
use super::plan::Plan;
use super::report::progress;
use super::stage::Stage;

const MINUTE: u64 = 60;

/// For as long as it is not dropped.
pub(super) async fn watch(plan: &Plan, stage: &Stage, leading: &Leading, shared: &Shared) -> Infallible {
    let mut ticks = interval(Duration::from_secs(plan.pace.sample));
    let mut minute = 0;
    let mut last = Sample::default();
    loop {
        ticks.tick().await;
        let at = shared.elapsed();
        let is_minute = at.as_secs() / MINUTE > minute;
        // What the servers are asked for costs them something: once a minute is enough in a long soak.
        if is_minute || last.logs == 0 || plan.pace.sample == 1 {
            last = surroundings(stage, last).await;
        }
        if let Some((pid, since)) = leading.now()
            && let Ok(process) = held(pid)
        {
            let own = held(std::process::id()).unwrap_or_default().resident;
            last = of(last, process, own);
            let sample = Sample {
                at,
                pid,
                age: since.elapsed(),
                ..last
            };
            // Before the first run it holds nothing yet.
            let mut board = shared.board();
            if board.runs > 0 {
                board.samples.push(sample);
            }
        }
        if is_minute {
            minute = at.as_secs() / MINUTE;
            println!("{}", progress(at, &shared.board()));
        }
    }
}

fn of(last: Sample, process: Held, own: u64) -> Sample {
    Sample {
        resident: process.resident,
        highest: process.highest,
        descriptors: process.descriptors,
        threads: process.threads,
        own,
        ..last
    }
}

/// What cannot be asked now is as it was.
async fn surroundings(stage: &Stage, last: Sample) -> Sample {
    let (extent, syncs, events) =
        tokio::join!(stage.table.extent(), stage.cluster.runs(), stage.cluster.events());
    let mut now = last;
    if let Ok(extent) = extent {
        now.connections = extent.connections;
        now.database = extent.bytes;
        now.changes = extent.changes_bytes;
        now.logs = extent.logs;
    }
    now.syncs = syncs.map_or(last.syncs, |runs| runs.len());
    now.events = events.unwrap_or(last.events);
    now
}
