//! Samples the operator and its servers, and prints the progress line.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::interval;

use super::Shared;
use super::operators::LeaderProcess;
use super::plan::Plan;
use super::process_stats::{ProcessStats, read_process_stats};
use super::report::progress;
use super::statistics::Sample;
use super::testbed::Testbed;

const MINUTE: u64 = 60;

/// Samples until it is dropped.
pub(super) async fn sample(
    plan: &Plan,
    testbed: &Testbed,
    leader: &LeaderProcess,
    shared: &Shared,
) -> Infallible {
    let mut ticks = interval(Duration::from_secs(plan.pace.sample_seconds));
    let mut minute = 0;
    let mut last = Sample::default();
    loop {
        ticks.tick().await;
        let at = shared.elapsed();
        let is_minute = at.as_secs() / MINUTE > minute;
        // Queries load the servers: once a minute is enough in a long soak test.
        if is_minute || last.logs == 0 || plan.pace.sample_seconds == 1 {
            last = sample_servers(testbed, last).await;
        }
        if let Some((pid, started_at)) = leader.get()
            && let Ok(process) = read_process_stats(pid)
        {
            let own_resident = read_process_stats(std::process::id())
                .unwrap_or_default()
                .resident;
            last = with_process(last, process, own_resident);
            let sample = Sample {
                at,
                pid,
                age: started_at.elapsed(),
                ..last
            };
            // Ignore samples before the first run.
            let mut statistics = shared.statistics();
            if statistics.runs > 0 {
                statistics.samples.push(sample);
            }
        }
        if is_minute {
            minute = at.as_secs() / MINUTE;
            println!("{}", progress(at, &shared.statistics()));
        }
    }
}

fn with_process(last: Sample, process: ProcessStats, own_resident: u64) -> Sample {
    Sample {
        resident: process.resident,
        peak: process.peak,
        descriptors: process.descriptors,
        threads: process.threads,
        own_resident,
        ..last
    }
}

/// Samples the servers. A failed query keeps the previous value.
async fn sample_servers(testbed: &Testbed, last: Sample) -> Sample {
    let (size, syncs, events) = tokio::join!(
        testbed.database.size(),
        testbed.api.list_runs(),
        testbed.api.count_events()
    );
    let mut now = last;
    if let Ok(size) = size {
        now.connections = size.connections;
        now.database = size.bytes;
        now.changes = size.changes_bytes;
        now.logs = size.logs;
    }
    now.syncs = syncs.map_or(last.syncs, |runs| runs.len());
    now.events = events.unwrap_or(last.events);
    now
}
