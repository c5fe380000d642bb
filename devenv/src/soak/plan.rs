//! Pure: the parameters of a soak test.

use std::path::PathBuf;
use std::time::Duration;

/// Duration, size and program of a soak test.
#[derive(Clone, Debug)]
pub struct Plan {
    /// No batch starts after this time.
    pub duration: Duration,
    /// No batch starts after this many runs.
    pub runs: Option<usize>,
    /// Base nodes at the start.
    pub devices: usize,
    /// Determines fleet, drift, faults, disruptions and their order.
    pub seed: u64,
    /// The operator's program; the release build for realistic memory figures.
    pub program: PathBuf,
    /// The folder for logs, samples and report. It is emptied first.
    pub folder: PathBuf,
    /// Durations and rates.
    pub pace: Pace,
}

/// Durations and rates: the only difference between an hour-long soak test and the short one of `make test`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// The maximum fraction of the fleet that drifts between two runs.
    pub drift: f64,
    /// Disruptions and user actions happen within this time after the creation of the runs.
    pub action_window: Duration,
    /// The maximum duration of an outage or a stopped process.
    pub max_outage: Duration,
    /// The maximum pause between two batches.
    pub pause: Duration,
    /// `activeDeadlineSeconds`.
    pub deadline: i64,
    /// `requestTimeoutSeconds`.
    pub timeout: i64,
    /// By how much the operators' clock may be ahead or behind. It is less than the grace period of a TTL.
    pub max_clock_offset: Duration,
    /// The percentage of batches with a takeover, which takes at least the 15 s of a Lease.
    pub takeover_percent: usize,
    /// Seconds between two samples.
    pub sample_seconds: u64,
}

impl Pace {
    /// For an hour of 100,000 devices.
    pub const LONG: Self = Self {
        drift: 0.01,
        action_window: Duration::from_millis(3500),
        max_outage: Duration::from_secs(8),
        pause: Duration::from_millis(2500),
        deadline: 90,
        timeout: 5,
        max_clock_offset: Duration::from_secs(40),
        takeover_percent: 4,
        sample_seconds: 5,
    };
    /// For half a minute of a few hundred.
    pub const SHORT: Self = Self {
        drift: 0.05,
        action_window: Duration::from_millis(300),
        max_outage: Duration::from_millis(1500),
        pause: Duration::from_millis(50),
        deadline: 45,
        timeout: 2,
        max_clock_offset: Duration::from_secs(10),
        takeover_percent: 0,
        sample_seconds: 1,
    };
}

impl Plan {
    /// Whether this is the time in which nothing may end the operator's process, so that a leak shows: the middle of a long soak test.
    pub fn is_leak_window(&self, elapsed: Duration) -> bool {
        let part = elapsed.as_secs_f64() / self.duration.as_secs_f64();
        self.duration >= Duration::from_mins(4) && (0.28..0.70).contains(&part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leak_window_of_an_hour_lasts_over_twenty_minutes() {
        let plan = Plan {
            duration: Duration::from_hours(1),
            runs: None,
            devices: 1,
            seed: 1,
            program: PathBuf::new(),
            folder: PathBuf::new(),
            pace: Pace::LONG,
        };
        let window = (0..60).filter(|minute| plan.is_leak_window(Duration::from_mins(*minute)));
        assert!(window.count() >= 21);
        assert!(!plan.is_leak_window(Duration::ZERO) && !plan.is_leak_window(Duration::from_mins(59)));
    }
}
