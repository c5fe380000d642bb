#![doc = include_str!("README.md")]

mod database;
mod histogram;
mod kubernetes;
pub mod names;
mod reconciles;
mod registration;
mod runs;
mod vendor;
mod writer;

use std::fmt;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

pub use self::database::{DatabaseMetrics, TransactionOutcome};
pub use self::kubernetes::{KubernetesMetrics, RequestLabels};
pub use self::reconciles::ReconcileMetrics;
pub use self::runs::{DeliveryOutcome, Leading, RunMetrics, TableState};
pub use self::vendor::VendorMetrics;
pub use self::writer::{Sample, SeriesWriter};

/// All metrics that are counted as things happen. Clones share the counters.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Requests to the Kubernetes API.
    pub kubernetes: KubernetesMetrics,
    /// Requests to the vendor's API.
    pub vendor: VendorMetrics,
    /// Database transactions.
    pub database: DatabaseMetrics,
    /// Reconciles.
    pub reconciles: ReconcileMetrics,
    /// Runs and slots.
    pub runs: RunMetrics,
}

impl Metrics {
    /// A registry with these metrics.
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        self.kubernetes.register(&mut registry);
        self.vendor.register(&mut registry);
        self.database.register(&mut registry);
        self.reconciles.register(&mut registry);
        self.runs.register(&mut registry);
        registry
    }
}

/// The formats in which metrics are exposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, 0.0.4.
    Text,
}

impl Exposition {
    /// The format for the value of an `Accept` header. Prometheus names those that it accepts, best first.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// The value of the header `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => prometheus_text::CONTENT_TYPE,
        }
    }

    /// All metrics of a registry.
    ///
    /// # Errors
    /// If a collector fails.
    pub fn encode(self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut body = String::new();
        match self {
            Self::OpenMetrics => text::encode(&mut body, registry)?,
            Self::Text => prometheus_text::encode(&mut body, registry)?,
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Exposition, Metrics};
    use crate::fault::Reason;

    #[test]
    fn both_formats_are_served() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4";
        assert_eq!(Exposition::accepted(prometheus), Exposition::OpenMetrics);
        assert_eq!(Exposition::accepted("*/*"), Exposition::Text);
        let metrics = Metrics::default();
        metrics.vendor.request("page", None, Duration::from_millis(30));
        let registry = metrics.registry();
        let open = Exposition::OpenMetrics.encode(&registry).unwrap();
        assert!(open.contains("# TYPE tarana_vendor_requests counter\n") && open.ends_with("# EOF\n"));
        let text = Exposition::Text.encode(&registry).unwrap();
        assert!(text.contains("# TYPE tarana_vendor_requests_total counter\n"));
        assert!(text.contains("tarana_vendor_requests_total{class=\"page\",outcome=\"ok\"} 1\n"));
    }

    #[test]
    fn series_end_with_their_object() {
        let metrics = Metrics::default();
        for name in ["a", "b"] {
            let connection = ("ns", name);
            metrics.runs.run_ended(
                connection,
                ("Manual", "Completed"),
                Some(Duration::from_secs(1)),
                &[("fetched", 7)],
            );
            metrics.runs.attempt_failed(connection, Reason::ApiUnreachable);
            metrics.runs.slot_handled(("ns", name), "Ran");
        }
        let registry = metrics.registry();
        let text = || Exposition::Text.encode(&registry).unwrap();
        let records = "tarana_sync_records_total{namespace=\"ns\",connection=\"b\",result=\"fetched\"} 7";
        assert!(text().contains(records), "{}", text());
        metrics.runs.retain(|_, name| name == "a", |_, name| name == "a");
        let left = text();
        assert!(
            !left.contains("\"b\"") && left.contains("connection=\"a\"") && left.contains("schedule=\"a\"")
        );
    }

    #[test]
    fn a_former_leader_does_not_expose_what_it_knew() {
        let metrics = Metrics::default();
        let leading = metrics.runs.lead();
        metrics.runs.heartbeat(("ns", "a"), 5.0);
        metrics
            .runs
            .observe_table(("ns", "a"), super::TableState::default());
        let registry = metrics.registry();
        let text = || Exposition::Text.encode(&registry).unwrap();
        assert!(text().contains("tarana_connection_stations{"));
        drop(leading);
        assert!(!text().contains("namespace="), "{}", text());
    }
}
