//! Requests to the Kubernetes API.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::histogram::{Durations, observe, of_requests};
use super::names::{KUBERNETES_REQUEST_DURATION, KUBERNETES_REQUESTS, WATCH_ERRORS, WATCH_RELISTS};
use super::registration::register;

/// What a request does: the verb of the API, and the resource with its subresource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: &'static str,
    /// For example `taranasyncs` or `taranasyncs/status`; the path of anything else.
    pub resource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResponseLabels {
    verb: &'static str,
    resource: String,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResourceLabels {
    resource: String,
}

/// Counts requests and the failures of watches.
#[derive(Clone, Debug)]
pub struct KubernetesMetrics {
    requests: Family<ResponseLabels, Counter>,
    durations: Durations<RequestLabels>,
    watch_errors: Family<ResourceLabels, Counter>,
    watch_relists: Family<ResourceLabels, Counter>,
}

impl Default for KubernetesMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(of_requests),
            watch_errors: Family::default(),
            watch_relists: Family::default(),
        }
    }
}

impl KubernetesMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &KUBERNETES_REQUESTS, &self.requests);
        register(registry, &KUBERNETES_REQUEST_DURATION, &self.durations);
        register(registry, &WATCH_ERRORS, &self.watch_errors);
        register(registry, &WATCH_RELISTS, &self.watch_relists);
    }

    /// Counts a request. `status` is the code of the response, `None` without one.
    pub fn request(&self, labels: RequestLabels, status: Option<u16>, duration: Duration) {
        observe(&self.durations, &labels, duration);
        let RequestLabels { verb, resource } = labels;
        let status = status.map_or_else(|| "error".to_owned(), |code| code.to_string());
        self.requests
            .get_or_create(&ResponseLabels {
                verb,
                resource,
                status,
            })
            .inc();
    }

    /// Counts a failure of the watch of a resource, such as `taranasyncs.tarana.dev`.
    pub fn watch_failed(&self, resource: &str) {
        let resource = resource.to_owned();
        self.watch_errors
            .get_or_create(&ResourceLabels { resource })
            .inc();
    }

    /// Counts a listing by the watch of a resource.
    pub fn relisted(&self, resource: &str) {
        let resource = resource.to_owned();
        self.watch_relists
            .get_or_create(&ResourceLabels { resource })
            .inc();
    }
}

impl RequestLabels {
    /// The labels of a request by its method, path and query. Names of objects and namespaces are dropped.
    pub fn of(method: &str, path: &str, query: &str) -> Self {
        let segments: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let after_version = match segments.first() {
            Some(&"api") => 2,
            Some(&"apis") => 3,
            _ => return Self::other(method, path),
        };
        let Some(mut rest) = segments.get(after_version..).filter(|rest| !rest.is_empty()) else {
            return Self::other(method, path);
        };
        if rest.len() > 2 && rest[0] == "namespaces" {
            rest = &rest[2..];
        }
        let has_name = rest.len() > 1;
        let is_watch = query
            .split('&')
            .any(|pair| pair == "watch=true" || pair == "watch=1");
        let resource = match rest {
            [resource, _, subresource, ..] => format!("{resource}/{subresource}"),
            _ => rest[0].to_owned(),
        };
        let verb = match (method, has_name) {
            ("GET", _) if is_watch => "watch",
            ("GET", true) => "get",
            ("GET", false) => "list",
            ("DELETE", false) => "deletecollection",
            _ => verb_of(method),
        };
        Self { verb, resource }
    }

    fn other(method: &str, path: &str) -> Self {
        let verb = if method == "GET" { "get" } else { verb_of(method) };
        let resource = path.to_owned();
        Self { verb, resource }
    }
}

fn verb_of(method: &str) -> &'static str {
    match method {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::RequestLabels;

    #[test]
    fn a_request_is_classified_without_names() {
        for (method, path, query, verb, resource) in [
            (
                "GET",
                "/apis/tarana.dev/v1alpha1/taranasyncs",
                "",
                "list",
                "taranasyncs",
            ),
            (
                "GET",
                "/apis/tarana.dev/v1alpha1/namespaces/ns/taranasyncs",
                "watch=true&resourceVersion=7",
                "watch",
                "taranasyncs",
            ),
            (
                "PUT",
                "/apis/tarana.dev/v1alpha1/namespaces/ns/taranasyncs/night/status",
                "",
                "update",
                "taranasyncs/status",
            ),
            ("GET", "/api/v1/namespaces/ns/secrets/login", "", "get", "secrets"),
            ("GET", "/api/v1/namespaces/kube-system", "", "get", "namespaces"),
            ("GET", "/api/v1/namespaces", "limit=5", "list", "namespaces"),
            (
                "POST",
                "/apis/events.k8s.io/v1/namespaces/ns/events",
                "",
                "create",
                "events",
            ),
            (
                "DELETE",
                "/apis/tarana.dev/v1alpha1/namespaces/ns/taranasyncs",
                "",
                "deletecollection",
                "taranasyncs",
            ),
            ("GET", "/version", "", "get", "/version"),
            (
                "GET",
                "/apis/tarana.dev/v1alpha1",
                "",
                "get",
                "/apis/tarana.dev/v1alpha1",
            ),
        ] {
            let labels = RequestLabels::of(method, path, query);
            assert_eq!(
                (labels.verb, labels.resource.as_str()),
                (verb, resource),
                "{method} {path}"
            );
        }
    }
}
