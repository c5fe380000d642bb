//! Pure: what a soak is asked for.

use std::path::PathBuf;
use std::time::Duration;

/// How long, how large, and with which program.
#[derive(Clone, Debug)]
pub struct Plan {
    /// No batch begins after this long.
    pub duration: Duration,
    /// Nor after so many runs.
    pub runs: Option<usize>,
    /// Base nodes at the start.
    pub devices: usize,
    /// Decides fleet, drifts, faults, blows and their order.
    pub seed: u64,
    /// The operator, in its release build where memory is to be told.
    pub program: PathBuf,
    /// Where logs, samples and the report go. It is emptied first.
    pub folder: PathBuf,
    /// The size of its steps.
    pub pace: Pace,
}

/// How long things take: a soak of an hour and a test of half a minute differ in nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// A part of the fleet that changes between two runs, at most.
    pub drift: f64,
    /// Blows and meddling come so late after a run was asked for, at most.
    pub within: Duration,
    /// How long something is away or stands still, at most.
    pub away: Duration,
    /// The pause between two batches, at most.
    pub pause: Duration,
    /// `activeDeadlineSeconds`.
    pub deadline: i64,
    /// `requestTimeoutSeconds`.
    pub timeout: i64,
    /// So many batches of a hundred let a second operator take over, which takes the 15 s of a Lease.
    pub takeovers: usize,
    /// Seconds between two samples.
    pub sample: u64,
}

impl Pace {
    /// For an hour of 100,000 devices.
    pub const LONG: Self = Self {
        drift: 0.01,
        within: Duration::from_millis(3500),
        away: Duration::from_secs(8),
        pause: Duration::from_millis(2500),
        deadline: 90,
        timeout: 5,
        takeovers: 4,
        sample: 5,
    };
    /// For half a minute of a few hundred.
    pub const SHORT: Self = Self {
        drift: 0.05,
        within: Duration::from_millis(300),
        away: Duration::from_millis(1500),
        pause: Duration::from_millis(50),
        deadline: 45,
        timeout: 2,
        takeovers: 0,
        sample: 1,
    };
}

impl Plan {
    /// Whether nothing may happen to the operator's process now, so that a leak would be seen: the long middle of a long soak.
    pub fn is_calm(&self, elapsed: Duration) -> bool {
        let part = elapsed.as_secs_f64() / self.duration.as_secs_f64();
        self.duration >= Duration::from_mins(4) && (0.28..0.70).contains(&part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_twenty_minutes_without_a_kill() {
        let plan = Plan {
            duration: Duration::from_hours(1),
            runs: None,
            devices: 1,
            seed: 1,
            program: PathBuf::new(),
            folder: PathBuf::new(),
            pace: Pace::LONG,
        };
        let calm = (0..60).filter(|minute| plan.is_calm(Duration::from_mins(*minute)));
        assert!(calm.count() >= 21);
        assert!(!plan.is_calm(Duration::ZERO) && !plan.is_calm(Duration::from_mins(59)));
    }
}
