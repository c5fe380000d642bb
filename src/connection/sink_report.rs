//! Pure: what is known of the event sink of a connection.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;

use crate::api::condition::{self, EVENT_SINK_READY, whole_seconds};
use crate::api::connection::{TaranaConnection, TaranaConnectionStatus};
use crate::api::reason::Reason;
use crate::fault::Fault;

/// What the delivery reports of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkReport {
    /// The time of the database when the sink was first seen.
    pub since: Timestamp,
    /// Whether it accepted the newest event; `None` if it has not received one.
    pub result: Option<Result<(), Fault>>,
}

/// Adds to a status what is known of the sink. Without a sink, nothing is left of an earlier one.
pub(super) fn update_status(
    status: &mut TaranaConnectionStatus,
    connection: &TaranaConnection,
    report: Option<&SinkReport>,
    now: Timestamp,
) {
    if connection.spec.event_sink.is_none() {
        status.event_sink_since = None;
        condition::clear(&mut status.conditions, EVENT_SINK_READY);
        return;
    }
    let Some(report) = report else { return };
    if status.event_sink_since.is_none() {
        status.event_sink_since = Some(MicroTime(report.since));
    }
    let (ready, reason, message) = match &report.result {
        None if condition::find(&status.conditions, EVENT_SINK_READY).is_some() => return,
        None => (
            true,
            Reason::NoEventYet,
            "no event was sent to the sink yet".to_owned(),
        ),
        Some(Ok(())) => (
            true,
            Reason::EventsDelivered,
            "the newest event was accepted".to_owned(),
        ),
        Some(Err(fault)) => (false, fault.reason, fault.message.clone()),
    };
    condition::set(
        &mut status.conditions,
        EVENT_SINK_READY,
        ready,
        reason,
        &message,
        connection.metadata.generation,
        whole_seconds(now),
    );
}
