//! Pure: whether a connection may be used.

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

/// The fault before the first probe.
pub(super) fn being_verified() -> Fault {
    Fault::new(Reason::ConnectionNotReady, "the connection is being verified")
}
