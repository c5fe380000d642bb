//! Logs the state of a watch: once when it starts failing or fails for another cause, and once when it works again.

use std::time::Duration;

use kube::runtime::watcher::{DefaultBackoff, Error};

/// Delay before a resource that the API server does not serve is requested again, so that a CRD is found soon after it is
/// installed.
const NOT_SERVED_DELAY: Duration = Duration::from_secs(2);
/// Longest delay before a failed watch is retried.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// The state of one watch.
pub(super) struct WatchHealth {
    /// `plural.group` of the resource.
    resource: String,
    /// Namespace, or all namespaces, for messages.
    place: String,
    /// Why it fails: the HTTP status, 0 for any other cause.
    failing: Option<u16>,
    backoff: DefaultBackoff,
}

impl WatchHealth {
    pub fn new(resource: String, namespace: Option<&str>) -> Self {
        let place = namespace.map_or_else(|| "all namespaces".to_owned(), |ns| format!("namespace {ns}"));
        Self {
            resource,
            place,
            failing: None,
            backoff: DefaultBackoff::default(),
        }
    }

    pub fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// The watch works.
    pub fn succeeded(&mut self) {
        if self.failing.take().is_some() {
            self.backoff = DefaultBackoff::default();
            tracing::info!(
                resource = self.resource,
                place = self.place,
                "the watch works again"
            );
        }
    }

    /// The watch failed. Returns the delay before it is retried.
    pub fn failed(&mut self, error: &Error) -> Duration {
        let (status, message) = explain(error);
        // The version was compacted: the next listing continues.
        if status == 410 && matches!(error, Error::WatchError(_)) {
            return Duration::ZERO;
        }
        if self.failing.replace(status) != Some(status) {
            let (resource, place) = (&self.resource, &self.place);
            match status {
                404 => tracing::warn!(
                    resource,
                    place,
                    status,
                    "the API server does not serve {resource}: install its CRD; waiting for it"
                ),
                403 => tracing::warn!(
                    resource,
                    place,
                    status,
                    "the operator may not list and watch {resource}, grant it both: {message}; retrying"
                ),
                _ => tracing::warn!(resource, place, status, "the watch failed: {message}; retrying"),
            }
        }
        if status == 404 {
            return NOT_SERVED_DELAY;
        }
        self.backoff
            .next()
            .map_or(MAX_DELAY, |delay| delay.min(MAX_DELAY))
    }
}

/// The HTTP status of a failure, 0 if it has none, and its message.
fn explain(error: &Error) -> (u16, String) {
    match error {
        Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status))
        | Error::WatchError(status) => (status.code, status.message.clone()),
        other => (0, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Error, MAX_DELAY, NOT_SERVED_DELAY, WatchHealth};
    use kube::core::Status;

    fn failure(code: u16) -> Error {
        let mut status = Status::failure("no", "Because");
        status.code = code;
        Error::WatchError(Box::new(status))
    }

    #[test]
    fn a_missing_crd_is_requested_again_soon_and_any_other_failure_ever_more_slowly() {
        let mut health = WatchHealth::new("taranasyncs.tarana.dev".into(), None);
        assert!(!health.is_failing());
        assert_eq!(health.failed(&failure(410)), Duration::ZERO);
        assert!(!health.is_failing(), "a compacted version is no failure");
        assert_eq!(health.failed(&failure(404)), NOT_SERVED_DELAY);
        let delays: Vec<_> = (0..10).map(|_| health.failed(&failure(500))).collect();
        assert!(health.is_failing() && delays.iter().all(|d| *d > Duration::ZERO && *d <= MAX_DELAY));
        assert_eq!(delays.last(), Some(&MAX_DELAY));
        health.succeeded();
        assert!(!health.is_failing());
    }
}
