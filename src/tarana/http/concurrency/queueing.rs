//! Pure: estimates from response times how many of the requests in flight only queue on the server.

use std::collections::BTreeMap;
use std::time::Duration;

/// Request kinds that are measured; further kinds are ignored.
const MAX_KINDS: usize = 8;
/// Weights of a new measurement in the moving averages.
const BASELINE_WEIGHT: f64 = 1.0 / 8.0;
const SLOWDOWN_WEIGHT: f64 = 1.0 / 16.0;

/// How much longer answers take with many requests in flight than with few.
#[derive(Clone, Debug, Default)]
pub(super) struct QueueingEstimate {
    /// Seconds that a request of a kind takes with few in flight. A shorter time replaces it, a longer one is averaged in.
    baseline: BTreeMap<Box<str>, f64>,
    /// Current response time as a multiple of the baseline.
    slowdown: Option<f64>,
}

impl QueueingEstimate {
    /// Records one response time, measured with few or many requests in flight.
    pub(super) fn record(&mut self, kind: &str, took: Duration, few: bool) {
        let took = took.as_secs_f64().max(1e-6);
        let has_room = self.baseline.len() < MAX_KINDS;
        let ratio = match self.baseline.get_mut(kind) {
            Some(baseline) => {
                let ratio = took / *baseline;
                if few {
                    *baseline = if took < *baseline {
                        took
                    } else {
                        *baseline + (took - *baseline) * BASELINE_WEIGHT
                    };
                }
                ratio
            }
            // A time without a baseline says nothing.
            None if few && has_room => {
                self.baseline.insert(kind.into(), took);
                1.0
            }
            None => return,
        };
        // Bounds the influence of a single outlier.
        let ratio = ratio.clamp(1.0, 10.0);
        let slowdown = self.slowdown.unwrap_or(1.0);
        self.slowdown = Some(slowdown + (ratio - slowdown) * SLOWDOWN_WEIGHT);
    }

    /// How many of `in_flight` requests are queued.
    pub(super) fn queued_requests(&self, in_flight: u32) -> u32 {
        let slowdown = self.slowdown.unwrap_or(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a u32"
        )]
        let queued = (f64::from(in_flight) * (1.0 - 1.0 / slowdown)) as u32;
        queued
    }
}
