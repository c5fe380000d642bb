//! Publishes Kubernetes Events (`events.k8s.io/v1`). An Event that cannot be published is logged and has no other effect.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::fault::{Reason, truncate};

/// The API server rejects a note of more than 1 kB.
const MAX_NOTE_BYTES: usize = 1000;

/// The content of an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// Reason of the Event.
    pub reason: Reason,
    /// Whether its type is `Warning` instead of `Normal`.
    pub warning: bool,
    /// Message.
    pub note: String,
}

impl EventSpec {
    /// An Event of type `Normal`.
    pub fn normal(reason: Reason, note: impl Into<String>) -> Self {
        Self {
            reason,
            warning: false,
            note: note.into(),
        }
    }

    /// An Event of type `Warning`.
    pub fn warning(reason: Reason, note: impl Into<String>) -> Self {
        Self {
            reason,
            warning: true,
            note: note.into(),
        }
    }
}

/// Publishes Events.
#[derive(Clone)]
pub struct Notifier {
    recorder: Recorder,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

impl Notifier {
    /// `instance` identifies this process, for example by the name of its pod.
    pub fn new(client: Client, instance: String) -> Self {
        let reporter = Reporter {
            controller: "tarana.dev/operator".to_owned(),
            instance: Some(instance),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Publishes an Event about `object`.
    pub async fn publish(&self, object: &ObjectReference, spec: &EventSpec) {
        let note = truncate(&spec.note, MAX_NOTE_BYTES).into_owned();
        let event = Event {
            type_: if spec.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: spec.reason.to_string(),
            note: Some(note),
            action: "Sync".to_owned(),
            secondary: None,
        };
        // One retry covers a broken connection. A longer outage is logged, and the Event is lost.
        for last in [false, true] {
            let Err(error) = self.recorder.publish(&event, object).await else {
                return;
            };
            tracing::warn!(reason = %spec.reason, %error, last, "an Event could not be published");
        }
    }
}
