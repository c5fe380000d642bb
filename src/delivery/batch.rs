//! Delivers the events of one connection that are due.

use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::Resource;

use super::backoff;
use super::context::DeliveryContext;
use crate::api::connection::TaranaConnection;
use crate::connection::{ConnectionClients, Key, SinkReport};
use crate::fault::{Fault, Reason};
use crate::metrics::DeliveryOutcome;
use crate::notify::EventSpec;
use crate::store::{OutboxEvent, Redelivery};
use crate::webhook::{Event, NotDelivered, Sink};

/// Events of a batch, of which some are sent at the same time.
const BATCH: i64 = 20;
const CONCURRENCY: usize = 4;
/// Batches before other work of the connection is looked at again.
const MAX_BATCHES: usize = 50;
/// An event that a process took and did not report is due again after this time: longer than a batch takes, if every request times out.
const LEASE: Duration = Duration::from_mins(5);

/// Delivers what is due, and reports the result. Events that cannot be delivered stay in the outbox.
pub(super) async fn deliver_due_events(context: &DeliveryContext, key: &Key, connection: &TaranaConnection) {
    let Some(clients) = context.connections.verified_clients(connection) else {
        return;
    };
    if let Err(fault) = try_deliver(context, key, connection, &clients).await {
        tracing::warn!(%fault, "events could not be read or recorded, retrying");
    }
}

async fn try_deliver(
    context: &DeliveryContext,
    key: &Key,
    connection: &TaranaConnection,
    clients: &ConnectionClients,
) -> Result<(), Fault> {
    let status = connection.status.as_ref();
    let Some(since) = status.and_then(|status| status.event_sink_since.as_ref()) else {
        let (since, result) = (clients.store.now().await?, None);
        context.connections.report_sink(key, SinkReport { since, result });
        return Ok(());
    };
    let since = since.0;
    let sink = match context.sinks.get(connection).await {
        Ok(Some(sink)) => sink,
        Ok(None) => return Ok(()),
        Err(fault) => {
            report(context, key, connection, since, Err(fault)).await;
            return Ok(());
        }
    };
    for _ in 0..MAX_BATCHES {
        // Another replica may deliver them by now.
        if !context.lease.is_valid_now() {
            return Ok(());
        }
        let events = clients
            .store
            .take_due_events(clients.uid, since, BATCH, LEASE)
            .await?;
        if events.is_empty() {
            break;
        }
        let results: Vec<_> = stream::iter(events)
            .map(|event| deliver(context, key, connection, clients, &sink, event))
            .buffered(CONCURRENCY)
            .collect()
            .await;
        let mut last = Ok(());
        for result in results {
            last = result?;
        }
        report(context, key, connection, since, last).await;
    }
    let backlog = clients.store.outbox_backlog(clients.uid, since).await?;
    let metrics = &context.metrics.runs;
    metrics.observe_outbox(key.names(), backlog.events, backlog.oldest);
    Ok(())
}

/// Delivers one event and records the result. The outer error is one of the database; the inner one is that of the sink.
async fn deliver(
    context: &DeliveryContext,
    key: &Key,
    connection: &TaranaConnection,
    clients: &ConnectionClients,
    sink: &Sink,
    event: OutboxEvent,
) -> Result<Result<(), Fault>, Fault> {
    let metrics = &context.metrics.runs;
    let Err(failure) = sink.deliver(&cloud_event(key, &event), now()).await else {
        clients.store.event_delivered(event.id).await?;
        metrics.delivery(key.names(), DeliveryOutcome::Delivered);
        return Ok(Ok(()));
    };
    let NotDelivered { message, retry_after } = failure;
    let delay = backoff::delay(event.attempt, retry_after, event.id.unsigned_abs());
    tracing::warn!(trace_id = %event.run.simple(), kind = event.kind, deliveries = event.attempt, ?delay, "event not delivered: {message}");
    metrics.delivery(key.names(), DeliveryOutcome::Failed);
    let redelivery = clients
        .store
        .event_not_delivered(event.id, delay, &message)
        .await?;
    if redelivery == Redelivery::Abandoned {
        metrics.delivery(key.names(), DeliveryOutcome::Abandoned);
        let note = format!(
            "the event {} of run {} was given up after {} attempts: {message}",
            event.kind, event.run, event.attempt
        );
        publish(
            context,
            connection,
            &EventSpec::warning(Reason::EventAbandoned, note),
        )
        .await;
    }
    Ok(Err(Fault::new(Reason::EventNotDelivered, message)))
}

/// The event of the outbox as the sink gets it. Its id is the same whenever it is sent.
fn cloud_event(key: &Key, event: &OutboxEvent) -> Event {
    let end = event.kind.rsplit('.').next().unwrap_or_default();
    let id = format!("{}-{end}", event.run);
    Event::new(
        key.names(),
        &event.kind,
        id,
        event.created_at,
        event.payload.clone(),
    )
}

/// Reports a result, with an Event when the sink fails for the first time or works again.
async fn report(
    context: &DeliveryContext,
    key: &Key,
    connection: &TaranaConnection,
    since: Timestamp,
    result: Result<(), Fault>,
) {
    let former = context
        .connections
        .sink_report(key)
        .and_then(|report| report.result);
    match (&former, &result) {
        (None | Some(Ok(())), Err(fault)) => {
            let event = EventSpec::warning(fault.reason, fault.message.clone());
            publish(context, connection, &event).await;
        }
        (Some(Err(_)), Ok(())) => {
            let event = EventSpec::normal(Reason::EventsDelivered, "the event sink accepts events again");
            publish(context, connection, &event).await;
        }
        _ => {}
    }
    let result = Some(result);
    context.connections.report_sink(key, SinkReport { since, result });
}

async fn publish(context: &DeliveryContext, connection: &TaranaConnection, event: &EventSpec) {
    context.notifier.publish(&connection.object_ref(&()), event).await;
}

#[expect(clippy::disallowed_methods, reason = "the time of a signature")]
fn now() -> Timestamp {
    Timestamp::now()
}
