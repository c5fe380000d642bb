//! Reconciles of the controllers.

use std::future::Future;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::histogram::{Durations, observe, of_runs};
use super::names::{RECONCILE_DURATION, RECONCILES};
use super::registration::register;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

/// Counts reconciles by kind.
#[derive(Clone, Debug)]
pub struct ReconcileMetrics {
    reconciles: Family<OutcomeLabels, Counter>,
    durations: Durations<KindLabels>,
}

impl Default for ReconcileMetrics {
    fn default() -> Self {
        Self {
            reconciles: Family::default(),
            durations: Family::new_with_constructor(of_runs),
        }
    }
}

impl ReconcileMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &RECONCILES, &self.reconciles);
        register(registry, &RECONCILE_DURATION, &self.durations);
    }

    /// Awaits a reconcile and counts it. `failure` names the outcome of an error. One that is dropped is not counted.
    pub async fn measure<T, E>(
        &self,
        kind: &'static str,
        failure: fn(&E) -> &'static str,
        reconcile: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let began = Instant::now();
        let result = reconcile.await;
        let outcome = result.as_ref().map_or_else(failure, |_| "success");
        self.reconciles
            .get_or_create(&OutcomeLabels { kind, outcome })
            .inc();
        observe(&self.durations, &KindLabels { kind }, began.elapsed());
        result
    }
}
