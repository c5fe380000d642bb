//! What is counted of a run.

use std::time::{Duration, Instant};

use super::clock::now;
use super::record::Record;
use super::run::SyncRun;
use super::status::RunResult;
use crate::api::sync::{Phase, Step};
use crate::connection::Key;

impl Record<'_> {
    /// Records that the log row was written.
    pub(super) fn count_heartbeat(&self) {
        let now = now().as_duration().as_secs_f64();
        let connection = Key::of_run(&self.sync);
        self.context.metrics.runs.heartbeat(connection.names(), now);
    }
}

impl SyncRun<'_> {
    /// Observes a step that has ended.
    pub(super) fn step_measured(&self, step: Step, failed: bool, began: Instant) {
        let metrics = &self.context.metrics.runs;
        metrics.step_ended(step.as_str(), failed, began.elapsed());
        self.record.count_heartbeat();
    }

    /// Counts the end.
    pub(super) fn count_end(&self, result: &RunResult) {
        let spec = &self.sync().spec;
        let counts = result
            .counts
            .filter(|_| result.phase == Phase::Completed && !spec.dry_run);
        let records = counts.map_or_else(Vec::new, |counts| {
            vec![
                ("fetched", counts.fetched),
                ("inserted", counts.inserted),
                ("updated", counts.updated),
                ("unchanged", counts.unchanged),
                ("deleted", counts.deleted),
                ("skipped", counts.skipped),
                ("withheld", counts.withheld),
            ]
        });
        let duration = result.duration_ms.and_then(|ms| u64::try_from(ms).ok());
        self.context.metrics.runs.run_ended(
            self.connection.names(),
            (spec.trigger.type_.as_str(), result.phase.as_str()),
            duration.map(Duration::from_millis),
            &records,
        );
    }
}
