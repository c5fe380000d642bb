//! The series of the objects, computed from the watch caches, and those of the process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::ObjectRef;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::health::Health;
use super::schedules::ScheduleSeries;
use super::values::{flag, names, seconds};
use crate::api::condition::{self, READY};
use crate::api::connection::{TaranaConnection, TaranaConnectionStatus};
use crate::api::sync::{Phase, TaranaSync};
use crate::cluster::{Kind, Scope, WatchCache};
use crate::metrics::names::{
    BUILD_INFO, CONNECTION_LAST_SUCCESS, CONNECTION_READY, CONNECTION_SUSPENDED, CONNECTION_THROTTLED_UNTIL,
    INVALID_OBJECTS, LEADER, START_TIME, SYNC_ACTIVE_DEADLINE, SYNC_ACTIVE_START, SYNCS,
};
use crate::metrics::{RunMetrics, Sample, SeriesWriter};

/// Computes the series of the objects.
#[derive(Debug)]
pub(super) struct ObjectMetrics {
    health: Health,
    runs: RunMetrics,
    schedules: ScheduleSeries,
    started: Timestamp,
}

impl ObjectMetrics {
    /// The series of the objects that `health` watches. Those of `runs` end with their objects.
    pub fn new(health: Health, runs: RunMetrics) -> Self {
        Self {
            health,
            runs,
            schedules: ScheduleSeries::default(),
            started: now(),
        }
    }

    /// Removes what was counted for objects that are deleted.
    fn forget_deleted(&self) {
        let scopes = &self.health.scopes;
        if scopes.iter().any(|scope| !scope.unsynced().is_empty()) {
            return;
        }
        self.runs.retain(
            |namespace, name| exists(scopes, |scope| &scope.connections, namespace, name),
            |namespace, name| exists(scopes, |scope| &scope.schedules, namespace, name),
        );
    }

    fn write_process(&self, writer: &mut SeriesWriter<'_>) -> fmt::Result {
        let leads = self.health.leadership.silence().is_some();
        writer.write(&LEADER, [(vec![], flag(leads))])?;
        writer.write(&BUILD_INFO, [(vec![env!("CARGO_PKG_VERSION")], 1.0)])?;
        writer.write(&START_TIME, [(vec![], seconds(self.started))])?;
        let count = |number: fn(&Scope) -> usize| {
            let number = self.health.scopes.iter().map(number).sum::<usize>();
            f64::from(u32::try_from(number).unwrap_or(u32::MAX))
        };
        writer.write(
            &INVALID_OBJECTS,
            [
                (
                    vec!["TaranaConnection"],
                    count(|s| s.connections.invalid().borrow().len()),
                ),
                (vec!["TaranaSync"], count(|s| s.syncs.invalid().borrow().len())),
                (
                    vec!["TaranaSyncSchedule"],
                    count(|s| s.schedules.invalid().borrow().len()),
                ),
            ],
        )
    }
}

impl Collector for ObjectMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.forget_deleted();
        let mut writer = SeriesWriter::new(encoder);
        let scopes = &self.health.scopes;
        write_connections(&mut writer, &all(scopes, |scope| &scope.connections))?;
        write_runs(&mut writer, &all(scopes, |scope| &scope.syncs))?;
        let schedules = all(scopes, |scope| &scope.schedules);
        self.schedules.write(&mut writer, &schedules, now())?;
        self.write_process(&mut writer)
    }
}

fn write_connections(writer: &mut SeriesWriter<'_>, connections: &[Arc<TaranaConnection>]) -> fmt::Result {
    let ready = connections.iter().filter_map(|connection| {
        let conditions = &connection.status.as_ref()?.conditions;
        let ready = condition::find(conditions, READY)?;
        let [namespace, name] = names(connection.as_ref());
        Some((
            vec![namespace, name, ready.reason.as_str()],
            flag(ready.status == "True"),
        ))
    });
    writer.write(&CONNECTION_READY, ready)?;
    let suspended = connections.iter().map(|connection| {
        let labels = names(connection.as_ref()).to_vec();
        (labels, flag(connection.spec.suspend))
    });
    writer.write(&CONNECTION_SUSPENDED, suspended)?;
    let times = |time: fn(&TaranaConnectionStatus) -> Option<&Time>| {
        let times = connections.iter();
        times.filter_map(move |connection| {
            let at = time(connection.status.as_ref()?)?.0;
            Some((names(connection.as_ref()).to_vec(), seconds(at)))
        })
    };
    writer.write(
        &CONNECTION_THROTTLED_UNTIL,
        times(|status| status.throttled_until.as_ref()),
    )?;
    writer.write(
        &CONNECTION_LAST_SUCCESS,
        times(|status| status.last_successful_sync_time.as_ref()),
    )
}

fn write_runs(writer: &mut SeriesWriter<'_>, runs: &[Arc<TaranaSync>]) -> fmt::Result {
    let mut phases = BTreeMap::<_, u32>::new();
    let mut active = BTreeMap::<_, (Timestamp, Timestamp)>::new();
    for run in runs {
        let [namespace, _] = names(run.as_ref());
        let connection = (namespace, run.spec.connection_ref.name.as_str());
        let phase = run.status.as_ref().map(|s| s.phase).unwrap_or_default();
        *phases.entry((connection, phase.as_str())).or_default() += 1;
        let start = run.status.as_ref().and_then(|s| s.start_time.as_ref());
        if let Some(start) = start.filter(|_| phase == Phase::Running) {
            let limit = SignedDuration::from_secs(run.spec.active_deadline_seconds.into());
            let deadline = start.0.checked_add(limit).unwrap_or(Timestamp::MAX);
            let oldest = active.entry(connection).or_insert((start.0, deadline));
            *oldest = (*oldest).min((start.0, deadline));
        }
    }
    let phases = phases.iter();
    let phases =
        phases.map(|(((namespace, name), phase), n)| (vec![*namespace, *name, *phase], f64::from(*n)));
    writer.write(&SYNCS, phases)?;
    let times = |time: fn(&(Timestamp, Timestamp)) -> Timestamp| -> Vec<Sample<'_>> {
        let active = active.iter();
        active
            .map(|((namespace, name), times)| (vec![*namespace, *name], seconds(time(times))))
            .collect()
    };
    writer.write(&SYNC_ACTIVE_START, times(|(start, _)| *start))?;
    writer.write(&SYNC_ACTIVE_DEADLINE, times(|(_, deadline)| *deadline))
}

/// All objects of a kind.
fn all<K: Kind>(scopes: &[Scope], cache: fn(&Scope) -> &WatchCache<K>) -> Vec<Arc<K>> {
    let objects = scopes.iter().flat_map(|scope| cache(scope).reader().state());
    objects.collect()
}

fn exists<K: Kind>(
    scopes: &[Scope],
    cache: fn(&Scope) -> &WatchCache<K>,
    namespace: &str,
    name: &str,
) -> bool {
    let object = ObjectRef::new(name).within(namespace);
    scopes
        .iter()
        .any(|scope| cache(scope).reader().get(&object).is_some())
}

#[expect(clippy::disallowed_methods, reason = "the time of a scrape")]
fn now() -> Timestamp {
    Timestamp::now()
}
