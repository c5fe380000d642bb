//! Pure: what has happened so far, for the line a minute and for the report.

use std::collections::BTreeMap;
use std::time::Duration;

use super::batch::{Batch, Meddling};
use super::judge::Finding;
use super::play::Played;
use super::verdict::End;

/// Something that may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it was found, since the start.
    pub at: Duration,
    /// Which run it is about.
    pub run: String,
    /// What.
    pub what: String,
}

/// One look at the operator and its surroundings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) pid: u32,
    pub(super) age: Duration,
    /// Bytes.
    pub(super) resident: u64,
    pub(super) highest: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
    /// The operator's connections to PostgreSQL; the database's size and that of the change rows, in bytes; log rows.
    pub(super) connections: i64,
    pub(super) database: i64,
    pub(super) changes: i64,
    pub(super) logs: i64,
    pub(super) syncs: usize,
    pub(super) events: usize,
    /// The soak's own memory, with the simulator in it.
    pub(super) own: u64,
}

/// Everything that is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    pub(super) runs: usize,
    pub(super) batches: usize,
    /// By end, `Failed: ApiChanged`.
    pub(super) ends: BTreeMap<String, usize>,
    pub(super) dry_runs: usize,
    /// What users did with runs.
    pub(super) meddled: BTreeMap<&'static str, usize>,
    /// The vendor's faults that hit, by kind.
    pub(super) faults: BTreeMap<String, u64>,
    /// What the world did.
    pub(super) blows: BTreeMap<&'static str, usize>,
    /// How often the fleet changed while a run read it.
    pub(super) midway: usize,
    /// How operators ended that nobody had told to.
    pub(super) fell: BTreeMap<String, usize>,
    pub(super) takeovers: usize,
    pub(super) rotations: usize,
    pub(super) processes: usize,
    pub(super) compared: u64,
    pub(super) differing: u64,
    pub(super) settled: u64,
    /// Of completed runs that were no dry ones.
    pub(super) took: Vec<Duration>,
    pub(super) slowest: (Duration, String),
    pub(super) samples: Vec<Sample>,
    pub(super) violations: Vec<Violation>,
}

impl Board {
    pub(super) fn violate(&mut self, at: Duration, run: &str, what: String) {
        self.violations.push(Violation {
            at,
            run: run.to_owned(),
            what,
        });
    }

    /// Counts a batch that is over.
    pub(super) fn count(&mut self, at: Duration, batch: &Batch, played: &Played, finding: Finding) {
        self.batches += 1;
        for (asked, ended) in played.asked.iter().zip(&finding.ended) {
            self.runs += 1;
            self.dry_runs += usize::from(ended.dry_run);
            *self.ends.entry(word(&ended.end)).or_default() += 1;
            if ended.took > self.slowest.0 {
                self.slowest = (ended.took, asked.name.clone());
            }
            if ended.end == End::Completed && !ended.dry_run {
                self.took.push(ended.took);
            }
            match asked.wish.meddling {
                Meddling::Let => {}
                Meddling::Cancel => *self.meddled.entry("cancel").or_default() += 1,
                Meddling::Delete => *self.meddled.entry("delete").or_default() += 1,
            }
        }
        for (kind, times) in &played.fired {
            *self.faults.entry(kind.clone()).or_default() += u64::from(*times);
        }
        if let Some((_, blow)) = batch.blow {
            *self.blows.entry(blow.name()).or_default() += 1;
        }
        self.midway += usize::from(played.fleets.len() > 1);
        for fell in &played.fell {
            // The status alone: the log has the rest.
            let how = fell.lines().next().unwrap_or_default().to_owned();
            *self.fell.entry(how).or_default() += 1;
        }
        self.compared += finding.compared;
        self.differing += finding.differing;
        self.settled += finding.settled;
        let wrong = finding.wrong.into_iter();
        let on_the_way = played.wrong.iter().map(|what| ("-".to_owned(), what.clone()));
        for (run, what) in wrong.chain(on_the_way) {
            self.violate(at, &run, what);
        }
    }

    pub(super) fn all_faults(&self) -> u64 {
        self.faults.values().sum()
    }

    pub(super) fn all_blows(&self) -> usize {
        self.blows.values().sum()
    }

    pub(super) fn median(&self) -> Duration {
        let mut took = self.took.clone();
        took.sort();
        took.get(took.len() / 2).copied().unwrap_or_default()
    }

    /// Samples of the process that lived longest.
    pub(super) fn longest_lived(&self) -> Vec<Sample> {
        let oldest = self.samples.iter().max_by_key(|sample| sample.age);
        let of = |pid| {
            self.samples
                .iter()
                .filter(move |sample| sample.pid == pid)
                .copied()
        };
        oldest.map_or_else(Vec::new, |oldest| of(oldest.pid).collect())
    }
}

fn word(end: &End) -> String {
    match end {
        End::Completed => "Completed".to_owned(),
        End::Failed(reason) => format!("Failed: {reason}"),
        End::Cancelled => "Cancelled".to_owned(),
        End::Unseen => "deleted before anybody saw it".to_owned(),
        End::Open => "not ended".to_owned(),
    }
}
