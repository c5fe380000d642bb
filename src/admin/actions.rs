//! Publishes what callers do as Kubernetes Events: the audit log of the API server names only the operator's `ServiceAccount`.

use std::num::NonZeroU32;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use super::auth::Caller;
use super::rate_limit::CallerRateLimiter;
use crate::fault::Reason;
use crate::notify::{EventSpec, Notifier};

/// Events that wait for the API server. What exceeds it is only logged.
const QUEUE_LENGTH: usize = 1024;
/// Denied actions per minute and caller that are published. A denial costs the caller nothing, but an Event costs the API server.
const DENIALS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Logs the actions of callers and queues their Events. A request does not wait for its Event, and a caller that closes the
/// connection does not prevent it.
#[derive(Debug)]
pub struct Actions {
    queue: mpsc::Sender<Publication>,
    denials: CallerRateLimiter,
}

/// An object and an Event about it.
type Publication = (ObjectReference, EventSpec);

/// Publishes the queued Events.
pub struct Publisher {
    queue: mpsc::Receiver<Publication>,
    notifier: Notifier,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

impl Actions {
    /// An empty queue, and its publisher, which must run.
    pub fn new(notifier: Notifier) -> (Self, Publisher) {
        let (sender, queue) = mpsc::channel(QUEUE_LENGTH);
        let actions = Self {
            queue: sender,
            denials: CallerRateLimiter::new(DENIALS_PER_MINUTE),
        };
        (actions, Publisher { queue, notifier })
    }

    /// The caller did this to the object, for example `requested the cancellation`.
    pub fn done(
        &self,
        caller: &Caller,
        reason: Reason,
        what: &str,
        object: &impl Resource<DynamicType = ()>,
    ) {
        let note = format!("{} {what} over the admin API", caller.name);
        self.publish(object.object_ref(&()), EventSpec::normal(reason, note));
    }

    /// The caller was denied an action. `message` names the caller and the missing permission. Without an object it is only logged.
    pub fn denied(&self, caller: &Caller, message: &str, object: Option<ObjectReference>) {
        if self.denials.check(&caller.name).is_err() {
            return;
        }
        let event = EventSpec::warning(
            Reason::ActionDenied,
            format!("denied over the admin API: {message}"),
        );
        if let Some(object) = object {
            self.publish(object, event);
        } else {
            tracing::info!(reason = %event.reason, "{}", event.note);
        }
    }

    fn publish(&self, object: ObjectReference, event: EventSpec) {
        let (kind, namespace, name) = (&object.kind, &object.namespace, &object.name);
        tracing::info!(reason = %event.reason, kind, namespace, name, "{}", event.note);
        if let Err(error) = self.queue.try_send((object, event)) {
            let why = match error {
                TrySendError::Full(_) => "too many wait for the Kubernetes API",
                TrySendError::Closed(_) => "the process is shutting down",
            };
            tracing::warn!("the Event of the last action is not published: {why}");
        }
    }
}

/// The options of a run that are set, for a message.
pub fn chosen_options(dry_run: bool, delete_stale: bool) -> String {
    let options = [(dry_run, "dryRun"), (delete_stale, "deleteStale")];
    let chosen: Vec<&str> = options
        .iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, name)| *name)
        .collect();
    if chosen.is_empty() {
        String::new()
    } else {
        format!(" ({})", chosen.join(", "))
    }
}

impl Publisher {
    /// Publishes until `closing` is true, and then what is still queued.
    pub async fn run(mut self, mut closing: watch::Receiver<bool>) {
        let mut is_open = true;
        loop {
            let publication = tokio::select! {
                biased;
                publication = self.queue.recv() => publication,
                // An error means that the server has ended.
                _ = closing.wait_for(|closing| *closing), if is_open => {
                    is_open = false;
                    self.queue.close();
                    continue;
                }
            };
            let Some((object, event)) = publication else {
                return;
            };
            self.notifier.publish(&object, &event).await;
        }
    }
}
