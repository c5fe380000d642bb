//! Pure: the status of a connection after a probe.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::state::ConnectionState;
use crate::api::condition::{self, READY, RECONCILING, STALLED, whole_seconds};
use crate::api::connection::{TaranaConnection, TaranaConnectionStatus};
use crate::api::reason::Reason;
use crate::fault::Fault;
use crate::station::Listing;

/// What the next status shows of the probe and of the runs.
#[derive(Clone, Debug)]
pub struct StatusUpdate {
    /// Result of the probe.
    pub state: ConnectionState,
    /// Summary of a successful probe, the message of the Ready condition.
    pub summary: String,
    /// Name of the active run.
    pub active: Option<String>,
    /// When the last successful run committed, and the number of base stations that it read.
    pub last_success: Option<(Timestamp, i64)>,
    /// Until then the API asked not to be called.
    pub throttled_until: Option<Timestamp>,
    /// The listing in use, and since when if it replaces a better one; `None` if unknown.
    pub listing: Option<(Listing, Option<Timestamp>)>,
}

/// Builds the next status.
pub fn next_status(
    connection: &TaranaConnection,
    update: &StatusUpdate,
    now: Timestamp,
) -> TaranaConnectionStatus {
    let mut status = TaranaConnectionStatus {
        observed_generation: connection.metadata.generation,
        active_sync: update.active.clone(),
        throttled_until: update.throttled_until.map(|t| Time(whole_seconds(t))),
        ..connection.status.clone().unwrap_or_default()
    };
    let observed = connection.status.as_ref().and_then(|s| s.observed_generation);
    if let Some((listing, since)) = update.listing {
        status.listing = Some(listing.to_string());
        status.listing_since = since.map(|t| Time(whole_seconds(t)));
    } else if observed != connection.metadata.generation {
        // The spec has changed: a listing that was chosen for the old spec is dropped.
        (status.listing, status.listing_since) = (None, None);
    }
    if let Some((at, count)) = update.last_success {
        status.last_successful_sync_time = Some(Time(whole_seconds(at)));
        status.station_count = Some(count);
    }
    set_conditions(&mut status, connection, update, now);
    status
}

fn set_conditions(
    status: &mut TaranaConnectionStatus,
    connection: &TaranaConnection,
    update: &StatusUpdate,
    now: Timestamp,
) {
    let mut set = |type_: &str, value: bool, reason: Reason, message: &str| {
        condition::set(
            &mut status.conditions,
            type_,
            value,
            reason,
            message,
            connection.metadata.generation,
            whole_seconds(now),
        );
    };
    match &update.state {
        ConnectionState::Ready if connection.spec.suspend => {
            set(
                READY,
                false,
                Reason::Suspended,
                "verified, but spec.suspend is set: no new sync starts",
            );
            clear_abnormal(status);
        }
        ConnectionState::Ready => {
            set(READY, true, Reason::Verified, &update.summary);
            clear_abnormal(status);
        }
        ConnectionState::Rejected(why) | ConnectionState::Unverified(why) => {
            let (present, absent) = if why.is_permanent() {
                (STALLED, RECONCILING)
            } else {
                (RECONCILING, STALLED)
            };
            set(READY, false, why.reason, &why.message);
            set(present, true, why.reason, &why.message);
            condition::clear(&mut status.conditions, absent);
        }
        ConnectionState::Missing => {}
    }
}

fn clear_abnormal(status: &mut TaranaConnectionStatus) {
    condition::clear(&mut status.conditions, RECONCILING);
    condition::clear(&mut status.conditions, STALLED);
}

/// The state after a failed probe. A missing Secret or key may still be created: runs wait for it.
pub fn state_after(fault: Fault) -> ConnectionState {
    match fault.reason {
        Reason::SecretNotFound | Reason::SecretKeyMissing => ConnectionState::Unverified(fault),
        _ if fault.is_permanent() => ConnectionState::Rejected(fault),
        _ => ConnectionState::Unverified(fault),
    }
}
