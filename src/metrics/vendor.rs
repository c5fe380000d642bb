//! Requests to the vendor's API.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::histogram::{Durations, observe, of_requests};
use super::names::{VENDOR_PAUSES, VENDOR_REQUEST_DURATION, VENDOR_REQUESTS, VENDOR_RESPONSE_BYTES};
use super::registration::register;
use crate::fault::Reason;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    class: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabels {
    class: &'static str,
}

/// Counts requests by class.
#[derive(Clone, Debug)]
pub struct VendorMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Durations<ClassLabels>,
    bytes: Family<ClassLabels, Counter>,
    pauses: Counter,
}

impl Default for VendorMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(of_requests),
            bytes: Family::default(),
            pauses: Counter::default(),
        }
    }
}

impl VendorMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &VENDOR_REQUESTS, &self.requests);
        register(registry, &VENDOR_REQUEST_DURATION, &self.durations);
        register(registry, &VENDOR_RESPONSE_BYTES, &self.bytes);
        register(registry, &VENDOR_PAUSES, &self.pauses);
    }

    /// Counts a request; `failure` is why it failed.
    pub fn request(&self, class: &'static str, failure: Option<Reason>, duration: Duration) {
        observe(&self.durations, &ClassLabels { class }, duration);
        let outcome = failure.map_or("ok", Reason::as_str);
        self.requests
            .get_or_create(&RequestLabels { class, outcome })
            .inc();
    }

    /// Counts the bytes of a body.
    pub fn received(&self, class: &'static str, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes.get_or_create(&ClassLabels { class }).inc_by(bytes);
    }

    /// Counts a pause that the API asked for.
    pub fn paused(&self) {
        self.pauses.inc();
    }
}
