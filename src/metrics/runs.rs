//! Runs of connections and slots of schedules.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::histogram::{Durations, observe, of_runs};
use super::names::{
    CONNECTION_LAST_RUN, CONNECTION_LAST_RUN_WITHHELD, CONNECTION_STATIONS, EVENT_DELIVERIES, Metric,
    OUTBOX_EVENTS, OUTBOX_OLDEST, SCHEDULE_SLOTS, SYNC_ATTEMPT_FAILURES, SYNC_DURATION,
    SYNC_FENCING_REJECTIONS, SYNC_HEARTBEAT, SYNC_RECORDS, SYNC_RUNS, SYNC_SLOTS, SYNC_STEP_DURATION,
};
use super::registration::register;
use super::writer::SeriesWriter;
use crate::fault::Reason;

/// Namespace and name of an object.
type Name = (String, String);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SlotLabels {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    step: &'static str,
    outcome: &'static str,
}

/// What the database says of a connection's runs and of its table.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TableState {
    /// When the last run ended, in epoch seconds; `None` if there was none.
    pub last_run: Option<i64>,
    /// Deletes that were withheld in the last successful run.
    pub withheld: i64,
    /// Rows whose station is online.
    pub online: i64,
    /// The other rows.
    pub offline: i64,
}

/// The series of one connection.
#[derive(Debug, Default)]
struct ConnectionSeries {
    /// By trigger and outcome.
    runs: BTreeMap<(&'static str, &'static str), u64>,
    failures: BTreeMap<Reason, u64>,
    records: BTreeMap<&'static str, u64>,
    /// When the log row of the active run was last written, in epoch seconds.
    heartbeat: Option<f64>,
    table: Option<TableState>,
    deliveries: BTreeMap<DeliveryOutcome, u64>,
    outbox: Option<OutboxState>,
}

/// The events that are not delivered yet.
#[derive(Clone, Copy, Debug)]
struct OutboxState {
    events: i64,
    oldest: Duration,
}

/// What became of an attempt to deliver an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryOutcome {
    /// The sink accepted the event.
    Delivered,
    /// It did not.
    Failed,
    /// It did not for so long that the event was given up.
    Abandoned,
}

impl DeliveryOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Counts runs, attempts, records and slots. The series of an object end with it, see [`Self::retain`].
#[derive(Clone, Debug)]
pub struct RunMetrics {
    durations: Durations<OutcomeLabels>,
    steps: Durations<StepLabels>,
    fencing_rejections: Counter,
    slots: Family<SlotLabels, Gauge>,
    objects: Arc<Objects>,
}

#[derive(Debug, Default)]
struct Objects {
    connections: Mutex<BTreeMap<Name, ConnectionSeries>>,
    /// The number of slots of a schedule by outcome.
    schedules: Mutex<BTreeMap<Name, BTreeMap<&'static str, u64>>>,
}

impl Default for RunMetrics {
    fn default() -> Self {
        Self {
            durations: Family::new_with_constructor(of_runs),
            steps: Family::new_with_constructor(of_runs),
            fencing_rejections: Counter::default(),
            slots: Family::default(),
            objects: Arc::default(),
        }
    }
}

impl RunMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &SYNC_DURATION, &self.durations);
        register(registry, &SYNC_STEP_DURATION, &self.steps);
        register(registry, &SYNC_FENCING_REJECTIONS, &self.fencing_rejections);
        register(registry, &SYNC_SLOTS, &self.slots);
        registry.register_collector(Box::new(Arc::clone(&self.objects)));
    }

    /// Counts a run that has ended. `records` are the stations by result.
    pub fn run_ended(
        &self,
        (namespace, connection): (&str, &str),
        (trigger, outcome): (&'static str, &'static str),
        duration: Option<Duration>,
        records: &[(&'static str, i64)],
    ) {
        if let Some(duration) = duration {
            observe(&self.durations, &OutcomeLabels { outcome }, duration);
        }
        self.with_connection((namespace, connection), |series| {
            series.heartbeat = None;
            *series.runs.entry((trigger, outcome)).or_default() += 1;
            for (result, number) in records {
                let number = u64::try_from(*number).unwrap_or_default();
                *series.records.entry(result).or_default() += number;
            }
        });
    }

    /// Counts a failed attempt.
    pub fn attempt_failed(&self, connection: (&str, &str), reason: Reason) {
        self.with_connection(connection, |series| {
            *series.failures.entry(reason).or_default() += 1;
        });
    }

    /// Observes the duration of a step.
    pub fn step_ended(&self, step: &'static str, failed: bool, duration: Duration) {
        let outcome = if failed { "failed" } else { "succeeded" };
        observe(&self.steps, &StepLabels { step, outcome }, duration);
    }

    /// How many runs have a slot, and how many wait for one.
    pub fn slots(&self, taken: usize, waiting: usize) {
        for (state, number) in [("taken", taken), ("waiting", waiting)] {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            self.slots.get_or_create(&SlotLabels { state }).set(number);
        }
    }

    /// Counts a write that a fence rejected.
    pub fn fenced(&self) {
        self.fencing_rejections.inc();
    }

    /// Records that the log row of the active run was written at this time, in epoch seconds.
    pub fn heartbeat(&self, connection: (&str, &str), time: f64) {
        self.with_connection(connection, |series| series.heartbeat = Some(time));
    }

    /// Records what the database says of a connection.
    pub fn observe_table(&self, connection: (&str, &str), table: TableState) {
        self.with_connection(connection, |series| series.table = Some(table));
    }

    /// Counts an attempt to deliver an event.
    pub fn delivery(&self, connection: (&str, &str), outcome: DeliveryOutcome) {
        self.with_connection(connection, |series| {
            *series.deliveries.entry(outcome).or_default() += 1;
        });
    }

    /// Records the events of a connection that are not delivered yet, and the age of the oldest.
    pub fn observe_outbox(&self, connection: (&str, &str), events: i64, oldest: Duration) {
        self.with_connection(connection, |series| {
            series.outbox = Some(OutboxState { events, oldest });
        });
    }

    /// Exposes a schedule's counters from the beginning, so that the first slot is an increase.
    pub fn schedule_seen(&self, (namespace, schedule): (&str, &str), outcomes: &[&'static str]) {
        let mut schedules = lock(&self.objects.schedules);
        let slots = schedules
            .entry((namespace.to_owned(), schedule.to_owned()))
            .or_default();
        for outcome in outcomes {
            slots.entry(outcome).or_default();
        }
    }

    /// Counts a slot of a schedule.
    pub fn slot_handled(&self, (namespace, schedule): (&str, &str), outcome: &'static str) {
        let mut schedules = lock(&self.objects.schedules);
        let slots = schedules
            .entry((namespace.to_owned(), schedule.to_owned()))
            .or_default();
        *slots.entry(outcome).or_default() += 1;
    }

    /// Removes the series of objects that do not exist. The functions get namespace and name.
    pub fn retain(
        &self,
        is_connection: impl Fn(&str, &str) -> bool,
        is_schedule: impl Fn(&str, &str) -> bool,
    ) {
        lock(&self.objects.connections).retain(|(namespace, name), _| is_connection(namespace, name));
        lock(&self.objects.schedules).retain(|(namespace, name), _| is_schedule(namespace, name));
    }

    /// Removes what is true only while this process leads, as soon as the result is dropped. The counters stay, since they only count
    /// its own work.
    #[must_use]
    pub fn lead(&self) -> Leading<'_> {
        Leading(self)
    }

    fn with_connection(
        &self,
        (namespace, connection): (&str, &str),
        change: impl FnOnce(&mut ConnectionSeries),
    ) {
        let mut connections = lock(&self.objects.connections);
        change(
            connections
                .entry((namespace.to_owned(), connection.to_owned()))
                .or_default(),
        );
    }
}

/// Lasts as long as this process leads.
#[derive(Debug)]
pub struct Leading<'a>(&'a RunMetrics);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        for series in lock(&self.0.objects.connections).values_mut() {
            (series.heartbeat, series.table, series.outbox) = (None, None, None);
        }
    }
}

impl Collector for Objects {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = SeriesWriter::new(encoder);
        let connections = lock(&self.connections);
        write_counters(&mut writer, &SYNC_RUNS, &connections, |series| {
            let runs = series.runs.iter();
            runs.map(|((trigger, outcome), n)| (vec![*trigger, *outcome], *n))
                .collect()
        })?;
        write_counters(&mut writer, &SYNC_ATTEMPT_FAILURES, &connections, |series| {
            let failures = series.failures.iter();
            failures.map(|(reason, n)| (vec![reason.as_str()], *n)).collect()
        })?;
        write_counters(&mut writer, &SYNC_RECORDS, &connections, |series| {
            series
                .records
                .iter()
                .map(|(result, n)| (vec![*result], *n))
                .collect()
        })?;
        write_counters(&mut writer, &EVENT_DELIVERIES, &connections, |series| {
            let deliveries = series.deliveries.iter();
            deliveries
                .map(|(outcome, n)| (vec![outcome.as_str()], *n))
                .collect()
        })?;
        let events = |series: &ConnectionSeries| Some(number(series.outbox?.events));
        write_gauge(&mut writer, &OUTBOX_EVENTS, &connections, events)?;
        let oldest = |series: &ConnectionSeries| Some(series.outbox?.oldest.as_secs_f64());
        write_gauge(&mut writer, &OUTBOX_OLDEST, &connections, oldest)?;
        write_gauge(&mut writer, &SYNC_HEARTBEAT, &connections, |series| {
            series.heartbeat
        })?;
        let last_run = |series: &ConnectionSeries| Some(number(series.table?.last_run?));
        write_gauge(&mut writer, &CONNECTION_LAST_RUN, &connections, last_run)?;
        let withheld = |series: &ConnectionSeries| Some(number(series.table?.withheld));
        write_gauge(&mut writer, &CONNECTION_LAST_RUN_WITHHELD, &connections, withheld)?;
        let stations = connections.iter().filter_map(|(name, s)| Some((name, s.table?)));
        let stations = stations.flat_map(|((namespace, name), table)| {
            [("online", table.online), ("offline", table.offline)]
                .map(|(status, n)| (vec![namespace.as_str(), name, status], number(n)))
        });
        writer.write(&CONNECTION_STATIONS, stations)?;
        let schedules = lock(&self.schedules);
        let slots = schedules.iter().flat_map(|((namespace, name), slots)| {
            slots
                .iter()
                .map(|(outcome, n)| (vec![namespace.as_str(), name, outcome], count(*n)))
        });
        writer.write(&SCHEDULE_SLOTS, slots)
    }
}

/// A value of each connection that has one.
fn write_gauge(
    writer: &mut SeriesWriter<'_>,
    metric: &Metric,
    connections: &BTreeMap<Name, ConnectionSeries>,
    value: impl Fn(&ConnectionSeries) -> Option<f64>,
) -> fmt::Result {
    let samples = connections
        .iter()
        .filter_map(|((namespace, name), series)| Some((vec![namespace.as_str(), name], value(series)?)));
    writer.write(metric, samples)
}

/// Counters of each connection, with the values of their other labels.
fn write_counters(
    writer: &mut SeriesWriter<'_>,
    metric: &Metric,
    connections: &BTreeMap<Name, ConnectionSeries>,
    counters: impl Fn(&ConnectionSeries) -> Vec<(Vec<&'static str>, u64)>,
) -> fmt::Result {
    let samples = connections.iter().flat_map(|((namespace, name), series)| {
        counters(series).into_iter().map(move |(labels, n)| {
            let names = [namespace.as_str(), name];
            (names.into_iter().chain(labels).collect(), count(n))
        })
    });
    writer.write(metric, samples)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn number(n: i64) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
fn count(n: u64) -> f64 {
    n as f64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it changes the map, so a poisoned lock still guards a consistent one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
