//! Reports the state of a watch: counts its failures, logs when it starts failing or fails for another cause and when it works again,
//! and keeps the cause for readiness probes.

use std::time::Duration;

use kube::runtime::watcher::{DefaultBackoff, Error};
use tokio::sync::watch;

use crate::metrics::KubernetesMetrics;

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
    metrics: KubernetesMetrics,
    /// Why it fails, for users.
    problem: watch::Sender<Option<String>>,
}

impl WatchHealth {
    pub fn new(
        resource: String,
        namespace: Option<&str>,
        metrics: KubernetesMetrics,
        problem: watch::Sender<Option<String>>,
    ) -> Self {
        let place = namespace.map_or_else(|| "all namespaces".to_owned(), |ns| format!("namespace {ns}"));
        Self {
            resource,
            place,
            failing: None,
            backoff: DefaultBackoff::default(),
            metrics,
            problem,
        }
    }

    /// A listing begins.
    pub fn listing(&self) {
        self.metrics.relisted(&self.resource);
    }

    pub fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// The watch works.
    pub fn succeeded(&mut self) {
        if self.failing.take().is_some() {
            self.backoff = DefaultBackoff::default();
            self.problem.send_replace(None);
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
        self.metrics.watch_failed(&self.resource);
        if self.failing.replace(status) != Some(status) {
            let (resource, place) = (&self.resource, &self.place);
            let problem = match status {
                404 => format!("the API server does not serve {resource}: install its CRD"),
                403 => format!("the operator may not list and watch {resource}, grant it both: {message}"),
                _ => format!("the watch failed: {message}"),
            };
            tracing::warn!(resource, place, status, "{problem}; retrying");
            self.problem.send_replace(Some(problem));
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
    use super::{Duration, Error, KubernetesMetrics, MAX_DELAY, NOT_SERVED_DELAY, WatchHealth, watch};
    use kube::core::Status;

    fn failure(code: u16) -> Error {
        let mut status = Status::failure("no", "Because");
        status.code = code;
        Error::WatchError(Box::new(status))
    }

    #[test]
    fn a_missing_crd_is_requested_again_soon_and_any_other_failure_ever_more_slowly() {
        let (problem, seen) = watch::channel(None);
        let resource = "taranasyncs.tarana.dev".to_owned();
        let mut health = WatchHealth::new(resource, None, KubernetesMetrics::default(), problem);
        assert!(!health.is_failing());
        assert_eq!(health.failed(&failure(410)), Duration::ZERO);
        assert!(!health.is_failing(), "a compacted version is no failure");
        assert_eq!(health.failed(&failure(404)), NOT_SERVED_DELAY);
        let shown = || seen.borrow().clone().unwrap_or_default();
        assert!(shown().ends_with("install its CRD"), "{}", shown());
        let delays: Vec<_> = (0..10).map(|_| health.failed(&failure(500))).collect();
        assert!(health.is_failing() && delays.iter().all(|d| *d > Duration::ZERO && *d <= MAX_DELAY));
        assert_eq!(delays.last(), Some(&MAX_DELAY));
        health.succeeded();
        assert!(!health.is_failing() && seen.borrow().is_none());
    }
}
