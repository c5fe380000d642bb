//! Sends a test event to the sink of a connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use serde_json::json;
use uuid::Uuid;

use super::auth::Caller;
use super::authorized::authorized_object;
use super::clock::now;
use super::problem::Problem;
use super::state::AdminState;
use crate::api::connection::TaranaConnection;
use crate::connection::sink_config;
use crate::fault::{Fault, Reason};
use crate::webhook::{Event, NotDelivered, Sink};

/// The type of a test event.
const TEST_EVENT: &str = "tarana/test";

/// A test event and what became of it.
#[derive(Debug)]
pub struct SinkTest {
    /// Id of the event.
    pub id: String,
    /// Whether the sink accepted it.
    pub result: Result<(), NotDelivered>,
    /// Time until the answer.
    pub duration: Duration,
}

/// Sends a test event once. Requires `update` on the connection, whose Event names the caller.
pub async fn send_test_event(
    state: &AdminState,
    caller: &Arc<Caller>,
    (namespace, name): (&str, &str),
) -> Result<SinkTest, Problem> {
    let connection =
        authorized_object::<TaranaConnection>(state, caller, "update", (namespace, name)).await?;
    state.sink_test_limiter.check(&caller.name)?;
    let config = sink_config(state.objects.client(), &connection).await;
    let Some(config) = config.map_err(unusable)? else {
        return Err(Problem::Conflict(format!(
            "TaranaConnection {name} has no event sink: set spec.eventSink"
        )));
    };
    let sink = Sink::new(&config, &state.sink_addresses).map_err(unusable)?;
    state.actions.done(
        caller,
        Reason::TestEventSent,
        "sent a test event to the event sink",
        connection.as_ref(),
    );
    let (id, began) = (Uuid::new_v4().to_string(), Instant::now());
    let data = json!({"connection": connection.name_any()});
    let event = Event::new((namespace, name), TEST_EVENT, id.clone(), now(), data);
    let result = sink.deliver(&event, now()).await;
    Ok(SinkTest {
        id,
        result,
        duration: began.elapsed(),
    })
}

fn unusable(fault: Fault) -> Problem {
    match fault.reason {
        Reason::KubernetesUnavailable => Problem::Unavailable(fault.message),
        _ => Problem::Unprocessable(fault.message),
    }
}
