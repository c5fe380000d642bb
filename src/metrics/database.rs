//! Database transactions.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::histogram::{Durations, observe, of_requests};
use super::names::{DATABASE_CONNECT_FAILURES, DATABASE_EXPIRED_ROWS, DATABASE_TRANSACTION_DURATION};
use super::registration::register;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionOutcome {
    /// The server confirmed the commit.
    Committed,
    /// It was rolled back on purpose.
    RolledBack,
    /// It was dropped: a statement failed, a timeout passed or the caller was aborted.
    Aborted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabels {
    table: &'static str,
}

/// Counts transactions, and rows that expire.
#[derive(Clone, Debug)]
pub struct DatabaseMetrics {
    durations: Durations<OutcomeLabels>,
    connect_failures: Counter,
    expired_rows: Family<TableLabels, Counter>,
}

impl Default for DatabaseMetrics {
    fn default() -> Self {
        Self {
            durations: Family::new_with_constructor(of_requests),
            connect_failures: Counter::default(),
            expired_rows: Family::default(),
        }
    }
}

impl DatabaseMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        register(registry, &DATABASE_TRANSACTION_DURATION, &self.durations);
        register(registry, &DATABASE_CONNECT_FAILURES, &self.connect_failures);
        register(registry, &DATABASE_EXPIRED_ROWS, &self.expired_rows);
    }

    /// Counts a transaction that has ended.
    pub fn transaction(&self, outcome: TransactionOutcome, duration: Duration) {
        let outcome = match outcome {
            TransactionOutcome::Committed => "committed",
            TransactionOutcome::RolledBack => "rolled_back",
            TransactionOutcome::Aborted => "aborted",
        };
        observe(&self.durations, &OutcomeLabels { outcome }, duration);
    }

    /// Counts rows of a table that were deleted by their age.
    pub fn expired(&self, table: &'static str, rows: u64) {
        self.expired_rows
            .get_or_create(&TableLabels { table })
            .inc_by(rows);
    }

    /// Counts a transaction that could not begin.
    pub fn connect_failed(&self) {
        self.connect_failures.inc();
    }
}
