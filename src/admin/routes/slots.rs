//! Routes of slots: those of a pattern, the next ones of a schedule, and what happened to the newest ones.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::CommonErrors;
use crate::admin::authorized::authorized_object;
use crate::admin::clock;
use crate::admin::extract::{Authenticated, PathParams, QueryParams, item_count};
use crate::admin::problem::Problem;
use crate::admin::response::schedule::SlotRecordResponse;
use crate::admin::response::slot::SlotResponse;
use crate::admin::slots::next_slots;
use crate::admin::state::SharedState;
use crate::api::schedule::TaranaSyncSchedule;
use crate::cron::{Cron, Preview};

const DEFAULT_COUNT: usize = 10;
const MAX_COUNT: usize = 100;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(preview))
        .routes(routes!(next))
        .routes(routes!(history))
}

/// Query of a preview.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct PreviewQuery {
    /// Cron pattern: minute, hour, day of month, month, day of week; or `@daily` and so on.
    #[param(example = "0 0 * * *")]
    schedule: String,
    /// IANA time zone of the pattern. Default: Etc/UTC.
    time_zone: Option<String>,
    /// Only slots after this time (RFC 3339). Default: now.
    after: Option<Timestamp>,
    /// Number of slots. Default 10.
    #[param(minimum = 1, maximum = 100)]
    count: Option<usize>,
}

/// Slots to come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Slots)]
struct SlotList {
    /// Empty if the pattern has none, for example on 30 February.
    items: Vec<SlotResponse>,
}

/// Returns the next slots of a pattern, as the operator computes them for a schedule. Requires no permission.
#[utoipa::path(get, path = "/api/v1/schedules/preview", tag = "schedules", params(PreviewQuery), responses((status = 200, body = SlotList), CommonErrors))]
async fn preview(
    Authenticated(_caller): Authenticated,
    QueryParams(query): QueryParams<PreviewQuery>,
) -> Result<Json<SlotList>, Problem> {
    let zone = query.time_zone.as_deref().unwrap_or("Etc/UTC");
    let cron = Cron::parse(&query.schedule, zone);
    let preview = Preview {
        cron: cron.map_err(|invalid| Problem::BadRequest(invalid.to_string()))?,
        after: query.after.unwrap_or_else(clock::now),
        count: Some(item_count("count", query.count, DEFAULT_COUNT, MAX_COUNT)?),
        until: None,
    };
    let slots = preview
        .slots()
        .map(|slot| SlotResponse::of_pattern(&preview.cron, slot));
    Ok(Json(SlotList {
        items: slots.collect(),
    }))
}

/// Query of the next slots.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NextQuery {
    /// Number of slots. Default 10.
    #[param(minimum = 1, maximum = 100)]
    count: Option<usize>,
}

/// The next slots of a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NextSlots)]
struct NextSlotList {
    /// Whether the schedule is suspended: then none of these slots starts a run.
    suspend: bool,
    /// Why the pattern or the time zone is invalid; absent if they are valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    invalid: Option<String>,
    /// Empty if the pattern is invalid or has no slot.
    items: Vec<SlotResponse>,
}

/// Returns the next slots of a schedule. Requires `get` on `taranasyncschedules`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/schedules/{name}/next", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path), NextQuery), responses((status = 200, body = NextSlotList), CommonErrors))]
async fn next(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
    QueryParams(query): QueryParams<NextQuery>,
) -> Result<Json<NextSlotList>, Problem> {
    let count = item_count("count", query.count, DEFAULT_COUNT, MAX_COUNT)?;
    let schedule =
        authorized_object::<TaranaSyncSchedule>(&state, &caller, "get", (&namespace, &name)).await?;
    let cron = Cron::parse(&schedule.spec.schedule, &schedule.spec.time_zone);
    let (items, invalid) = match cron {
        Ok(cron) => (next_slots(&schedule, &cron, clock::now(), count), None),
        Err(invalid) => (Vec::new(), Some(invalid.to_string())),
    };
    Ok(Json(NextSlotList {
        suspend: schedule.spec.suspend,
        invalid,
        items,
    }))
}

/// What happened to the newest slots, newest first, at most 20.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SlotHistory)]
struct SlotHistory {
    items: Vec<SlotRecordResponse>,
}

/// Returns what happened to the newest slots of a schedule. Requires `get` on `taranasyncschedules`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/schedules/{name}/slots", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 200, body = SlotHistory), CommonErrors))]
async fn history(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<Json<SlotHistory>, Problem> {
    let schedule =
        authorized_object::<TaranaSyncSchedule>(&state, &caller, "get", (&namespace, &name)).await?;
    let records = schedule.status.clone().unwrap_or_default().recent_slots;
    let items = records.into_iter().map(Into::into).collect();
    Ok(Json(SlotHistory { items }))
}
