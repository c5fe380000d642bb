//! The page of the schedules of a connection.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::view::ScheduleView;
use crate::admin::auth::{Caller, Permission};
use crate::admin::clock;
use crate::admin::kind::sort_by_name;
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::response::sync::{SyncResponse, SyncTrigger};
use crate::admin::runs::{RunFilter, list_runs};
use crate::admin::state::{AdminState, SharedState};
use crate::admin::station_query::ConnectionQuery;
use crate::admin::stations::connection_key;
use crate::admin::ui::account::Account;
use crate::admin::ui::page::{self, Layout, Section};
use crate::admin::ui::page_params::PageParams;
use crate::admin::ui::words;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::{TaranaSync, TriggerType};

/// Number of newest runs of the schedules among which those of their slots are searched.
const SEARCHED_RUNS: usize = 200;

#[derive(Template)]
#[template(path = "schedules.html")]
struct SchedulesPage {
    layout: Layout,
    namespace: String,
    connection: String,
    csrf_token: String,
    /// The permission for changes that the caller lacks; `None` if nothing.
    requires: Option<String>,
    schedules: Vec<ScheduleView>,
    /// Why the runs of the slots cannot be shown.
    problem: Option<String>,
}

/// Shows the schedules of a connection. Requires `get` on the connection, and `list` on schedules and runs.
pub async fn show(
    State(state): State<SharedState>,
    account: Account,
    PageParams(query): PageParams<ConnectionQuery>,
) -> Result<Response, Problem> {
    let caller = &account.caller;
    let (namespace, connection) = connection_key(&state, &query);
    authorize(&state, caller, (namespace, connection)).await?;
    let patch = Permission::new("patch", TaranaSyncSchedule::RESOURCE, Some(namespace));
    let may_change = state.authorizer.is_allowed(caller, &patch).await?;
    let mut schedules = state.objects.schedules_of(namespace, connection);
    sort_by_name(&mut schedules);
    // One query for all schedules, because each of them may wait for a database that is unavailable.
    let (runs, problem) = match read_runs(&state, (namespace, connection)).await {
        Ok(runs) => (runs, None),
        Err(unavailable) => (
            cached_runs(&state, (namespace, connection)),
            Some(words::sentence(&unavailable.detail())),
        ),
    };
    let now = clock::now();
    let views = schedules
        .iter()
        .map(|schedule| ScheduleView::new(schedule, &runs, &query, now));
    let views = views.collect();
    let page = SchedulesPage {
        namespace: namespace.to_owned(),
        connection: connection.to_owned(),
        csrf_token: account.session.csrf_token.clone(),
        requires: (!may_change).then(|| patch.to_string()),
        schedules: views,
        problem,
        layout: Layout::new("Schedules", Some(account.clone()))
            .in_section(Section::Schedules)
            .of_connection(&state.defaults, &query),
    };
    page::render(StatusCode::OK, page.layout.nonce, &page)
}

async fn authorize(
    state: &AdminState,
    caller: &Arc<Caller>,
    (namespace, connection): (&str, &str),
) -> Result<(), Problem> {
    let get = Permission::new("get", TaranaConnection::RESOURCE, Some(namespace)).on(connection);
    state.authorizer.authorize(caller, &get).await?;
    let lists = [TaranaSyncSchedule::RESOURCE, TaranaSync::RESOURCE];
    let lists = lists.map(|resource| Permission::new("list", resource, Some(namespace)));
    state.authorizer.authorize_all(caller, &lists).await?;
    state.objects.require_synced()
}

/// The newest runs of the schedules of a connection (namespace and name) by their names.
async fn read_runs(state: &AdminState, key: (&str, &str)) -> Result<HashMap<String, SyncResponse>, Problem> {
    let filter = RunFilter {
        triggers: vec![SyncTrigger::Schedule],
        ..RunFilter::newest_of(key, SEARCHED_RUNS)
    };
    Ok(by_name(list_runs(state, &filter).await?.items))
}

/// Those whose objects exist.
fn cached_runs(state: &AdminState, (namespace, connection): (&str, &str)) -> HashMap<String, SyncResponse> {
    let runs = state.objects.syncs_of(namespace, connection);
    let scheduled = runs
        .iter()
        .filter(|sync| sync.spec.trigger.type_ == TriggerType::Schedule);
    by_name(scheduled.map(|sync| SyncResponse::from(&**sync)))
}

fn by_name(runs: impl IntoIterator<Item = SyncResponse>) -> HashMap<String, SyncResponse> {
    let named = |run: SyncResponse| Some((run.name.clone()?, run));
    runs.into_iter().filter_map(named).collect()
}
