//! Registers metrics under their listed names.

use prometheus_client::registry::{self, Registry};

use super::names::Metric;

/// Registers a metric with its listed name and meaning.
pub(super) fn register(registry: &mut Registry, metric: &Metric, family: &(impl registry::Metric + Clone)) {
    registry.register(metric.name, metric.help, family.clone());
}
