//! Histograms of durations by label.

use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

/// Durations by a label set, in seconds.
pub(super) type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// Observes one duration.
pub(super) fn observe<L>(durations: &Durations<L>, labels: &L, duration: Duration)
where
    L: Clone + std::hash::Hash + Eq,
{
    durations.get_or_create(labels).observe(duration.as_secs_f64());
}

/// Of a request or a transaction: milliseconds to a minute.
pub(super) fn of_requests() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    ])
}

/// Of a run, a step or a reconcile: a tenth of a second to an hour.
pub(super) fn of_runs() -> Histogram {
    Histogram::new([
        0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
    ])
}
