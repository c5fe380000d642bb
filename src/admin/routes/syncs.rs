//! Routes that read runs: list, get.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::errors::CommonErrors;
use crate::admin::auth::Permission;
use crate::admin::authorized::authorized_object;
use crate::admin::cursor;
use crate::admin::extract::{Authenticated, PathParams, QueryParams, item_count};
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::response::sync::{SyncPhase, SyncResponse, SyncTrigger};
use crate::admin::runs::{self, RunFilter, SyncPage};
use crate::admin::state::SharedState;
use crate::api::sync::TaranaSync;
use crate::store::RunOrder;

const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 500;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(by_id))
        .routes(routes!(by_name))
}

/// Query of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Namespace. Default: all, which requires the permission to list in all namespaces.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
    /// Name of the connection.
    connection: Option<String>,
    /// Phase.
    phase: Option<SyncPhase>,
    /// Name of the schedule. Once their objects are deleted, only the runs of its slots are found, not those that were requested.
    schedule: Option<String>,
    /// Type of the trigger. Once its object is deleted, a run of type Api is one of type Manual.
    trigger: Option<SyncTrigger>,
    /// Only runs whose trigger has another type.
    not_trigger: Option<SyncTrigger>,
    /// Only runs that have ended at this time or later (RFC 3339).
    ended_from: Option<Timestamp>,
    /// Only runs that have ended before this time (RFC 3339).
    ended_before: Option<Timestamp>,
    /// `newest` (default) or `duration`: runs that have a duration, longest first.
    #[serde(default)]
    sort: Sort,
    /// `nextCursor` of the previous page, which has the same `sort`.
    cursor: Option<String>,
    /// Page size. Default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// Order of the list.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum Sort {
    /// By creation, newest first.
    #[default]
    Newest,
    /// By duration, longest first.
    Duration,
}

/// Lists runs, including those whose objects are deleted. Requires `list` on `taranasyncs`.
#[utoipa::path(get, path = "/api/v1/syncs", tag = "syncs", params(ListQuery), responses((status = 200, body = SyncPage), CommonErrors))]
async fn list(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<SyncPage>, Problem> {
    let permission = Permission::new("list", TaranaSync::RESOURCE, query.namespace.as_deref());
    state.authorizer.authorize(&caller, &permission).await?;
    let limit = item_count("limit", query.limit, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)?;
    for (name, time) in [
        ("endedFrom", query.ended_from),
        ("endedBefore", query.ended_before),
    ] {
        if time.is_some_and(|time| time < Timestamp::UNIX_EPOCH) {
            return Err(Problem::BadRequest(format!("{name}: must not be before 1970")));
        }
    }
    if query.schedule.as_ref().is_some_and(|name| name.contains('\0')) {
        return Err(Problem::BadRequest("schedule: must not contain NUL".to_owned()));
    }
    state.objects.require_synced()?;
    let order = match query.sort {
        Sort::Newest => RunOrder::Newest,
        Sort::Duration => RunOrder::Longest,
    };
    let mut triggers = SyncTrigger::ALL.to_vec();
    triggers.retain(|type_| query.trigger.is_none_or(|t| t == *type_) && query.not_trigger != Some(*type_));
    let after = query
        .cursor
        .map(|cursor| cursor::decode(RunFilter::list_name(order), &cursor));
    let filter = RunFilter {
        namespace: query.namespace,
        connection: query.connection,
        phases: query.phase.into_iter().collect(),
        schedule: query.schedule,
        triggers,
        ended_from: query.ended_from,
        ended_before: query.ended_before,
        order,
        after: after.transpose()?,
        limit,
    };
    Ok(Json(runs::list_runs(&state, &filter).await?))
}

/// Returns a run. Requires `get` on `taranasyncs` in its namespace; otherwise 404.
#[utoipa::path(get, path = "/api/v1/syncs/{id}", tag = "syncs", params(("id" = Uuid, Path, description = "Uid of the object")), responses((status = 200, body = SyncResponse), CommonErrors))]
async fn by_id(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams(id): PathParams<Uuid>,
) -> Result<Json<SyncResponse>, Problem> {
    let readable = runs::readable_run(&state, &caller, id).await?;
    Ok(Json(readable.run))
}

/// Returns a run whose object exists. Requires `get` on `taranasyncs`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/syncs/{name}", tag = "syncs", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 200, body = SyncResponse), CommonErrors))]
async fn by_name(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<Json<SyncResponse>, Problem> {
    let sync = authorized_object::<TaranaSync>(&state, &caller, "get", (&namespace, &name)).await?;
    Ok(Json(SyncResponse::from(&*sync)))
}
