//! Tells the world: Kubernetes Events (`events.k8s.io/v1`). An Event that cannot be published is logged and never
//! changes what it is about.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::fault::Reason;

/// The API server refuses a note of more than 1 kB.
const MAX_NOTE: usize = 1000;

/// A piece of news about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Why it is news.
    pub reason: Reason,
    /// Something a person may have to look at.
    pub warning: bool,
    /// For a person.
    pub note: String,
}

impl News {
    /// As it should be.
    pub fn normal(reason: Reason, note: impl Into<String>) -> Self {
        Self {
            reason,
            warning: false,
            note: note.into(),
        }
    }

    /// Not as it should be.
    pub fn warning(reason: Reason, note: impl Into<String>) -> Self {
        Self {
            reason,
            warning: true,
            note: note.into(),
        }
    }
}

/// Publishes news.
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
    /// `instance` tells which process it was, for example the pod's name.
    pub fn new(client: Client, instance: String) -> Self {
        let reporter = Reporter {
            controller: "tarana.dev/operator".to_owned(),
            instance: Some(instance),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Publishes one piece of news about `object`.
    pub async fn publish(&self, object: &ObjectReference, news: &News) {
        let mut note = news.note.clone();
        if note.len() > MAX_NOTE {
            note.truncate(note.floor_char_boundary(MAX_NOTE - '…'.len_utf8()));
            note.push('…');
        }
        let event = Event {
            type_: if news.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: news.reason.to_string(),
            note: Some(note),
            action: "Sync".to_owned(),
            secondary: None,
        };
        // A wire that broke is whole again the next moment; whatever lasts longer is logged, and nobody waits for it.
        for last in [false, true] {
            let Err(error) = self.recorder.publish(&event, object).await else {
                return;
            };
            tracing::warn!(reason = %news.reason, %error, last, "an Event could not be published");
        }
    }
}
