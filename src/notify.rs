//! Publishes Kubernetes Events (`events.k8s.io/v1`). An Event that cannot be published is logged and has no other effect.
//!
//! Events with the same object, reason and note are one Event object with a count. kube's `Recorder` ignores the note: it would
//! count a new message as a repetition of the first one, and the new message would not appear anywhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Api, Client, Resource};
use serde_json::json;

use crate::fault::{Reason, truncate};

/// The API server rejects a note of more than 1 kB.
const MAX_NOTE_BYTES: usize = 1000;
const CONTROLLER: &str = "tarana.dev/operator";
/// An Event that is repeated within this time is counted. Later it is a new Event.
const SERIES_WINDOW: SignedDuration = SignedDuration::from_mins(6);

/// The content of an Event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSpec {
    /// Reason of the Event.
    pub reason: Reason,
    /// Whether its type is `Warning` instead of `Normal`.
    pub warning: bool,
    /// Message.
    pub note: String,
    /// Another object that it is about.
    pub related: Option<ObjectReference>,
}

impl EventSpec {
    /// An Event of type `Normal`.
    pub fn normal(reason: Reason, note: impl Into<String>) -> Self {
        Self {
            reason,
            warning: false,
            note: note.into(),
            related: None,
        }
    }

    /// An Event of type `Warning`.
    pub fn warning(reason: Reason, note: impl Into<String>) -> Self {
        Self {
            warning: true,
            ..Self::normal(reason, note)
        }
    }

    /// The same Event, which is also about this object.
    #[must_use]
    pub fn with_related(mut self, object: &impl Resource<DynamicType = ()>) -> Self {
        self.related = Some(object.object_ref(&()));
        self
    }
}

/// Maximum length of the name of an object.
const MAX_NAME_BYTES: usize = 253;

/// Publishes Events.
#[derive(Clone)]
pub struct Notifier {
    client: Client,
    instance: String,
    /// What was published within the `SERIES_WINDOW`.
    published: Arc<Mutex<HashMap<SeriesKey, Series>>>,
}

/// Events with the same key are one object.
#[derive(Clone, PartialEq, Eq, Hash)]
struct SeriesKey {
    namespace: Option<String>,
    uid: Option<String>,
    reason: Reason,
    note: String,
}

/// An Event object.
#[derive(Clone)]
struct Series {
    name: String,
    count: i32,
    last_observed: Timestamp,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

impl Notifier {
    /// `instance` identifies this process, for example by the name of its pod.
    pub fn new(client: Client, instance: String) -> Self {
        Self {
            client,
            instance,
            published: Arc::default(),
        }
    }

    /// Publishes an Event about `object`.
    pub async fn publish(&self, object: &ObjectReference, spec: &EventSpec) {
        // One retry covers a broken connection. A longer outage is logged, and the Event is lost.
        for last in [false, true] {
            let Err(error) = self.try_publish(object, spec).await else {
                return;
            };
            tracing::warn!(reason = %spec.reason, %error, last, "an Event could not be published");
        }
    }

    /// Increments the count of the Event, or creates it.
    async fn try_publish(&self, object: &ObjectReference, spec: &EventSpec) -> Result<(), kube::Error> {
        let now = now();
        let key = SeriesKey {
            namespace: object.namespace.clone(),
            uid: object.uid.clone(),
            reason: spec.reason,
            note: truncate(&spec.note, MAX_NOTE_BYTES).into_owned(),
        };
        let namespace = object.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        if let Some(mut series) = self.repeated(&key, now) {
            series.count = series.count.saturating_add(1);
            series.last_observed = now;
            let patch = json!({"series": {"count": series.count, "lastObservedTime": MicroTime(now)}});
            let patched = api
                .patch(&series.name, &PatchParams::default(), &Patch::Merge(patch))
                .await;
            match patched {
                // Somebody deleted it.
                Err(kube::Error::Api(e)) if e.code == 404 => {}
                patched => {
                    patched?;
                    self.lock().insert(key, series);
                    return Ok(());
                }
            }
        }
        let event = self.event(object, spec, &key.note, now);
        let created = api.create(&PostParams::default(), &event).await?;
        let series = Series {
            name: created.metadata.name.unwrap_or_default(),
            count: 1,
            last_observed: now,
        };
        self.lock().insert(key, series);
        Ok(())
    }

    /// The Event object, if this Event was published shortly before.
    fn repeated(&self, key: &SeriesKey, now: Timestamp) -> Option<Series> {
        let mut published = self.lock();
        published.retain(|_, series| now.duration_since(series.last_observed) < SERIES_WINDOW);
        published.get(key).cloned()
    }

    fn event(&self, object: &ObjectReference, spec: &EventSpec, note: &str, now: Timestamp) -> Event {
        let name = object.name.as_deref().unwrap_or("tarana");
        let type_ = if spec.warning { "Warning" } else { "Normal" };
        Event {
            metadata: ObjectMeta {
                namespace: object.namespace.clone(),
                name: Some(event_name(name, now)),
                ..ObjectMeta::default()
            },
            type_: Some(type_.to_owned()),
            reason: Some(spec.reason.to_string()),
            note: Some(note.to_owned()),
            action: Some("Sync".to_owned()),
            regarding: Some(object.clone()),
            related: spec.related.clone(),
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SeriesKey, Series>> {
        // No code panics in the middle of a change, so the map behind a poisoned lock is valid.
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of an Event about the object with this name. A long one is cut: the suffix makes it unique.
fn event_name(object: &str, now: Timestamp) -> String {
    let suffix = format!(".{:x}", now.as_nanosecond());
    let kept = object.get(..MAX_NAME_BYTES - suffix.len()).unwrap_or(object);
    // Each part of a name ends with a letter or digit.
    format!("{}{suffix}", kept.trim_end_matches(['-', '.']))
}

#[expect(clippy::disallowed_methods, reason = "the time of an Event")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_is_valid_however_long_that_of_its_object_is() {
        let now = Timestamp::UNIX_EPOCH + k8s_openapi::jiff::SignedDuration::from_nanos(0xabc);
        assert_eq!(event_name("run", now), "run.abc");
        let longest = "r".repeat(253);
        assert_eq!(event_name(&longest, now).len(), 253);
        let cut_at_dash = format!("{}-.{}", "r".repeat(247), "r".repeat(4));
        assert_eq!(event_name(&cut_at_dash, now), format!("{}.abc", "r".repeat(247)));
    }
}
