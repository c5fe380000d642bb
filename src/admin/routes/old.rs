//! The two routes of the function that this replaces, shape for shape. They are about one connection, the operator's default.

use axum::Json;
use axum::extract::State as FromState;
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::admin::objects::{Shown, id_of};
use crate::admin::problem::Problem;
use crate::admin::read::{Body, Params};
use crate::admin::start::{self, Only, TIME_TO_LIVE};
use crate::admin::view::old::Row;
use crate::admin::who::{Authenticated, Right};
use crate::admin::{Admin, App, listing};
use crate::api::connection::TaranaConnection;
use crate::api::sync::{ConnectionRef, TaranaSync, TaranaSyncSpec};
use crate::store::Wanted;

/// Rows under `recent`.
const RECENT: i64 = 5;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sync))
        .routes(routes!(status))
        .layer(map_response(in_the_old_shape))
}

/// What a refused or failed request of these two routes is answered with.
#[derive(Debug, Serialize, ToSchema)]
struct Failed {
    /// Always false.
    success: bool,
    /// What is wrong, and what to do.
    error: String,
}

/// What these routes may answer instead.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "stands in the document alone")]
enum Refusals {
    /// What was asked makes no sense.
    #[response(status = 400)]
    Malformed(Failed),
    /// There is no token, or it is nobody's.
    #[response(status = 401)]
    Unauthenticated(Failed),
    /// The caller lacks the right, which is named.
    #[response(status = 403)]
    Forbidden(Failed),
    /// What is needed is away: the Kubernetes API or the database.
    #[response(status = 503)]
    Unavailable(Failed),
}

async fn in_the_old_shape(response: Response) -> Response {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else {
        return response;
    };
    let failed = Failed {
        success: false,
        error: problem.detail(),
    };
    let mut old = (problem.status(), Json(failed)).into_response();
    old.headers_mut().extend(problem.headers());
    old
}

/// What the run is to do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Options {
    /// Plan, and change nothing.
    dry_run: bool,
    /// Delete rows of stations that are gone.
    delete_stale: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct Triggered {
    /// Always true.
    success: bool,
    /// The id of its row, and the uid of its object.
    sync_log_id: Uuid,
    message: String,
    options: Options,
}

#[derive(Debug, Serialize, ToSchema)]
struct Busy {
    /// Always false.
    success: bool,
    error: String,
    /// The run that is under way.
    active_sync: Row,
}

/// Starts a run, unless one is pending or running. Needs `create` on `taranasyncs`.
#[utoipa::path(post, path = "/api/admin/tarana/sync", tag = "the function's routes", request_body = Options, responses(
    (status = 202, body = Triggered), (status = 409, body = Busy, description = "A run is under way"),
    (status = 413, body = Failed), (status = 415, body = Failed), (status = 422, body = Failed), (status = 429, body = Failed), Refusals))]
async fn sync(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Body(options): Body<Options>,
) -> Result<Response, Problem> {
    let (namespace, connection) = (&app.defaults.namespace, &app.defaults.connection);
    app.access
        .may(
            &caller,
            &Right::new("create", TaranaSync::RESOURCE, Some(namespace)),
        )
        .await?;
    app.limits.trigger(&caller.name)?;
    app.objects.known()?;
    let spec = TaranaSyncSpec {
        connection_ref: ConnectionRef {
            name: connection.clone(),
        },
        dry_run: options.dry_run,
        delete_stale: options.delete_stale,
        ttl_seconds_after_finished: Some(TIME_TO_LIVE),
        trigger: start::trigger(&caller),
        ..TaranaSyncSpec::default()
    };
    Ok(match start::start_only(&app.objects, namespace, spec).await? {
        Only::Started(sync) => {
            let triggered = Triggered {
                success: true,
                sync_log_id: id_of(&sync),
                message: "Tarana sync has been queued".to_owned(),
                options,
            };
            (StatusCode::ACCEPTED, Json(triggered)).into_response()
        }
        Only::Busy(sync) => {
            let busy = Busy {
                success: false,
                error: "A sync is already under way".to_owned(),
                active_sync: Row::from(&*sync),
            };
            (StatusCode::CONFLICT, Json(busy)).into_response()
        }
    })
}

/// Which run.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// This one; without it, the current one and the newest five.
    id: Option<Uuid>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Status {
    /// Always true.
    success: bool,
    data: Data,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Data {
    /// Where no run was asked for.
    Overview {
        /// The run that is pending or running.
        #[schema(required)]
        current: Option<Row>,
        /// The newest five, newest first.
        recent: Vec<Row>,
    },
    /// The run that was asked for.
    One(Row),
}

/// What is under way and what was. Needs `list` on `taranasyncs`, for one run `get`.
#[utoipa::path(get, path = "/api/admin/tarana/sync/status", tag = "the function's routes", params(Which), responses(
    (status = 200, body = Status), (status = 404, body = Failed, description = "There is no such run"), Refusals))]
async fn status(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Params(which): Params<Which>,
) -> Result<Json<Status>, Problem> {
    let verb = if which.id.is_some() { "get" } else { "list" };
    let right = Right::new(verb, TaranaSync::RESOURCE, Some(&app.defaults.namespace));
    app.access.may(&caller, &right).await?;
    app.objects.known()?;
    let data = match which.id {
        Some(id) => Data::One(one(&app, id).await?),
        None => overview(&app).await?,
    };
    Ok(Json(Status { success: true, data }))
}

fn connection(app: &Admin) -> Result<std::sync::Arc<TaranaConnection>, Problem> {
    let (namespace, name) = (&app.defaults.namespace, &app.defaults.connection);
    let missing = || {
        Problem::Unavailable(format!(
            "there is no TaranaConnection {name} in namespace {namespace}"
        ))
    };
    app.objects.get(namespace, name).ok_or_else(missing)
}

async fn overview(app: &Admin) -> Result<Data, Problem> {
    let (namespace, name) = (&app.defaults.namespace, &app.defaults.connection);
    let runs = app
        .objects
        .all::<TaranaSync>(Some(namespace), |sync| sync.spec.connection_ref.name == *name);
    let active = start::under_way(&runs);
    let store = app.databases.of(&*connection(app)?).await?;
    let wanted = Wanted {
        namespace,
        connection: name,
        most: RECENT,
        ..Wanted::default()
    };
    let rows = store
        .runs(&wanted)
        .await
        .map_err(|fault| Problem::of_database(&fault))?;
    let mut recent: Vec<Row> = rows.into_iter().map(Row::from).collect();
    let Some(active) = active else {
        return Ok(Data::Overview {
            current: None,
            recent,
        });
    };
    let mut current = recent.iter().find(|row| row.id() == id_of(&active)).cloned();
    if current.is_none() {
        // Not among the newest, or not written yet.
        let row = store
            .run(id_of(&active))
            .await
            .map_err(|fault| Problem::of_database(&fault))?;
        current = row.map(Row::from).or_else(|| Some(Row::from(&*active)));
    }
    let progress = active.status.as_ref().and_then(|status| status.progress);
    if let (Some(current), Some(progress)) = (&mut current, progress) {
        current.at_least(progress.current);
    }
    if let Some(current) = &current
        && recent.iter().all(|row| row.id() != current.id())
        && recent.len() < usize::try_from(RECENT).unwrap_or_default()
    {
        recent.insert(0, current.clone());
    }
    Ok(Data::Overview { current, recent })
}

async fn one(app: &Admin, id: Uuid) -> Result<Row, Problem> {
    let row = listing::row(app, id, &[connection(app)?]).await?;
    if let Some((_, row)) = row {
        return Ok(Row::from(row));
    }
    let here = |sync: &TaranaSync| sync.metadata.namespace.as_ref() == Some(&app.defaults.namespace);
    let sync = app.objects.run(id).await.filter(|sync| here(sync));
    let missing = || Problem::NotFound("there is no sync with this id".to_owned());
    sync.map(|sync| Row::from(&*sync)).ok_or_else(missing)
}
