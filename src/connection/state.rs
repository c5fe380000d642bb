//! Pure: whether a connection may be used.

use std::time::Duration;

use crate::fault::{Fault, Reason};

/// Whether a connection may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// The object does not exist.
    Missing,
    /// It has not been probed yet, or the probe failed with a fault for which runs wait: a transient one, or a missing Secret
    /// or key.
    Unverified(Fault),
    /// The probe failed with any other permanent fault.
    Rejected(Fault),
    /// The probe succeeded.
    Ready,
}

/// How soon a run checks whether the probe has ended. The end of a probe that leaves the object as it was triggers nothing.
const PROBE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Whether a fault that a run met says something about its connection that a probe would find as well.
pub fn concerns_connection(fault: &Fault) -> bool {
    matches!(
        fault.reason,
        Reason::DatabaseUnreachable
            | Reason::DatabaseRefused
            | Reason::DatabaseRightsMissing
            | Reason::DatabaseTlsFailed
            | Reason::DatabaseError
            | Reason::SchemaInvalid
            | Reason::SchemaOutdated
            | Reason::SchemaTooNew
            | Reason::AuthenticationFailed
            | Reason::AuthenticationChallenge
            | Reason::ApiTlsFailed
            | Reason::OperatorIdUnknown
            | Reason::RegionNotFound
            | Reason::NoRegions
    )
}

/// The fault before the first probe.
pub(super) fn being_verified() -> Fault {
    Fault::new(Reason::Verifying, "the connection is being verified").retry_after(PROBE_CHECK_INTERVAL)
}
