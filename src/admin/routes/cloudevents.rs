//! The route that accepts `CloudEvents`.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::{CommonErrors, WriteErrors};
use crate::admin::actions::chosen_options;
use crate::admin::auth::Caller;
use crate::admin::cloud_event::{self, Command, RequestedData};
use crate::admin::create::{self, Created, DEFAULT_TTL_SECONDS};
use crate::admin::extract::{Authenticated, read_body};
use crate::admin::problem::Problem;
use crate::admin::requests::{self, Cancellation, RunRequest};
use crate::admin::response::sync::SyncResponse;
use crate::admin::state::{AdminState, SharedState};
use crate::api::sync::{ConnectionRef, TaranaSyncSpec, Trigger};
use crate::fault::Reason;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(accept))
}

/// An event in structured mode.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only the OpenAPI document uses it")]
struct CloudEvent {
    /// Always 1.0.
    specversion: String,
    /// `tarana/sync.requested` or `tarana/sync.cancelled`.
    #[schema(rename = "type")]
    type_: String,
    /// The sender. Together with the id it identifies the event.
    source: String,
    /// The same id of the same source is the same event: sent again, it returns the same run.
    id: String,
    data: EventData,
}

/// Data of an event.
#[derive(ToSchema)]
#[schema(as = CloudEventData)]
#[serde(untagged)]
#[expect(dead_code, reason = "only the OpenAPI document uses it")]
enum EventData {
    Requested(cloud_event::RequestedData),
    Cancelled(cloud_event::CancelledData),
}

/// Accepts a `CloudEvent` 1.0, in structured mode, or in binary mode with the attributes as headers. `tarana/sync.requested` creates a
/// run on the default connection and requires `create` on `taranasyncs`; `tarana/sync.cancelled` requires `get` and `patch`.
#[utoipa::path(post, path = "/api/v1/cloudevents", tag = "syncs",
    request_body(content((CloudEvent = "application/cloudevents+json"), (EventData = "application/json"))),
    params(("ce-specversion" = Option<String>, Header, description = "Binary mode: 1.0"),
           ("ce-type" = Option<String>, Header, description = "Binary mode: type of the event"),
           ("ce-source" = Option<String>, Header, description = "Binary mode: source of the event"),
           ("ce-id" = Option<String>, Header, description = "Binary mode: id of the event")),
    responses(
        (status = 200, body = SyncResponse, description = "This event was accepted before, or the run to cancel has already ended"),
        (status = 202, body = SyncResponse, description = "The run was created, or its cancellation was requested"),
        CommonErrors, WriteErrors))]
async fn accept(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    request: Request,
) -> Result<(StatusCode, Json<SyncResponse>), Problem> {
    let (parts, body) = request.into_parts();
    let event = cloud_event::parse(&parts.headers, &read_body(body).await?)?;
    let (status, run) = match event.command {
        Command::Cancel(data) => match requests::cancel_run(&state, &caller, data.sync_log_id).await? {
            Cancellation::Requested(run) => (StatusCode::ACCEPTED, run),
            Cancellation::Ended(run) => (StatusCode::OK, run),
        },
        Command::Request(data) => {
            let what = chosen_options(data.options.dry_run, data.options.delete_stale);
            let what = format!("created this run{what} with a CloudEvent");
            let request = RunRequest {
                namespace: &state.defaults.namespace,
                reason: Reason::SyncRequested,
                what: &what,
            };
            let spec = spec(&state, &caller, &data);
            match requests::create_run(&state, &caller, request, Ok(Some(&event.key)), spec).await? {
                Created::New(sync) => (StatusCode::ACCEPTED, SyncResponse::from(&*sync)),
                Created::Existing(sync) => (StatusCode::OK, SyncResponse::from(&*sync)),
            }
        }
    };
    Ok((status, Json(run)))
}

fn spec(state: &AdminState, caller: &Caller, data: &RequestedData) -> TaranaSyncSpec {
    let trigger = create::trigger(caller);
    TaranaSyncSpec {
        connection_ref: ConnectionRef {
            name: state.defaults.connection.clone(),
        },
        dry_run: data.options.dry_run,
        delete_stale: data.options.delete_stale,
        ttl_seconds_after_finished: Some(DEFAULT_TTL_SECONDS),
        trigger: Trigger {
            // A caller that is a user of the application cannot name another one.
            admin_user_id: trigger.admin_user_id.or(data.admin_user_id),
            ..trigger
        },
        ..TaranaSyncSpec::default()
    }
}
