//! Pure: the status of a connection after a probe.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::sink_report::{self, SinkReport};
use super::state::ConnectionState;
use super::warnings::{self, Warnings};
use crate::api::condition::{self, READY, RECONCILING, STALLED, whole_seconds};
use crate::api::connection::{TaranaConnection, TaranaConnectionStatus};
use crate::fault::{Class, Fault, Reason};
use crate::notify::EventSpec;
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
    /// What is known of the event sink.
    pub sink: Option<SinkReport>,
    /// What to warn of.
    pub warnings: Warnings,
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
    sink_report::update_status(&mut status, connection, update.sink.as_ref(), now);
    warnings::update_status(&mut status, connection, &update.warnings, now);
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
            let is_stalled = why.is_permanent() || matches!(update.state, ConnectionState::Rejected(_));
            let (present, absent) = if is_stalled {
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

/// The Event of a transition: verified, recovered, or no longer usable.
pub fn transition_event(
    before: Option<&TaranaConnectionStatus>,
    after: &TaranaConnectionStatus,
) -> Option<EventSpec> {
    let find = |conditions| condition::find(conditions, READY).map(|c| (c.reason.clone(), c.message.clone()));
    let before_reason = before.and_then(|s| find(&s.conditions)).map(|(reason, _)| reason);
    let (reason, message) = find(&after.conditions)?;
    if before_reason.as_ref() == Some(&reason) {
        return None;
    }
    let is_usable = |reason: &str| {
        [Reason::Verified, Reason::Suspended]
            .iter()
            .any(|usable| usable.as_str() == reason)
    };
    let was_usable = before_reason.as_deref().is_some_and(is_usable);
    let was_unknown = before_reason.is_none_or(|r| r == Reason::Verifying.as_str());
    if is_usable(&reason) {
        return match (was_usable, was_unknown) {
            // Suspended or resumed by a change of the spec, which its author knows.
            (true, _) => None,
            (false, true) => Some(EventSpec::normal(Reason::Verified, message)),
            (false, false) => Some(EventSpec::normal(Reason::Recovered, message)),
        };
    }
    if condition::is_true(&after.conditions, STALLED) {
        return Some(EventSpec::warning(
            Reason::Stalled,
            format!("{reason}: {message}"),
        ));
    }
    let fault = Reason::parse(&reason).filter(|reason| *reason != Reason::Verifying)?;
    Some(EventSpec::warning(fault, message))
}

/// Failed probes in a row after which a doubtful fault counts as permanent.
const PERSISTENT_PROBES: u32 = 4;

/// Whether no retry is expected to help after this number of failed probes in a row.
pub fn persists(fault: &Fault, failures: u32) -> bool {
    match fault.class() {
        Class::Permanent => true,
        Class::Doubtful => failures >= PERSISTENT_PROBES,
        Class::Transient => false,
    }
}

/// The state after this number of failed probes in a row. A missing Secret or key may still be created: runs wait for it.
pub fn state_after(fault: Fault, failures: u32) -> ConnectionState {
    match fault.reason {
        Reason::SecretNotFound | Reason::SecretKeyMissing => ConnectionState::Unverified(fault),
        _ if persists(&fault, failures) => ConnectionState::Rejected(fault),
        _ => ConnectionState::Unverified(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(suspend: bool, state: ConnectionState) -> TaranaConnectionStatus {
        let mut connection: TaranaConnection = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "default", "generation": 1},
            "spec": {"api": {"url": "https://tcs", "credentialsSecretRef": {"name": "tcs"}}, "database": {"secretRef": {"name": "db"}}},
        }))
        .unwrap();
        connection.spec.suspend = suspend;
        let update = StatusUpdate {
            state,
            summary: "fine".into(),
            active: None,
            last_success: None,
            throttled_until: None,
            sink: None,
            warnings: Warnings::default(),
            listing: None,
        };
        next_status(&connection, &update, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_transition_is_one_event_and_a_repetition_is_none() {
        let failed = |reason| status(false, state_after(Fault::new(reason, "no"), 1));
        let ready = status(false, ConnectionState::Ready);
        let suspended = status(true, ConnectionState::Ready);
        let verifying = failed(Reason::Verifying);
        let unreachable = failed(Reason::ApiUnreachable);
        let (refused, invalid) = (
            failed(Reason::AuthenticationFailed),
            failed(Reason::InvalidConfiguration),
        );
        for (before, after, event) in [
            (None, &ready, Some((Reason::Verified, false))),
            (None, &verifying, None),
            (Some(&verifying), &ready, Some((Reason::Verified, false))),
            (Some(&verifying), &refused, Some((Reason::Stalled, true))),
            (Some(&ready), &ready, None),
            (Some(&ready), &suspended, None),
            (Some(&suspended), &ready, None),
            (Some(&ready), &unreachable, Some((Reason::ApiUnreachable, true))),
            (Some(&unreachable), &unreachable, None),
            (Some(&unreachable), &ready, Some((Reason::Recovered, false))),
            (Some(&refused), &invalid, Some((Reason::Stalled, true))),
            (Some(&refused), &suspended, Some((Reason::Recovered, false))),
            (Some(&ready), &verifying, None),
        ] {
            let found = transition_event(before, after).map(|e| (e.reason, e.warning));
            assert_eq!(found, event, "{before:?} → {after:?}");
        }
    }
}
