//! The confirmation of a sync that deletes stations: what the last dry run would have deleted.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::admin::clock;
use crate::admin::extract::QueryParams;
use crate::admin::problem::Problem;
use crate::admin::requests;
use crate::admin::state::SharedState;
use crate::admin::station_query::ConnectionQuery;
use crate::admin::stations::{authorized_store, connection_key};
use crate::admin::ui::account::Account;
use crate::admin::ui::address::of_connection;
use crate::admin::ui::page::{self, Layout};
use crate::admin::ui::return_path::{RUN_SCHEDULE, SCHEDULES, START, SYNC};
use crate::admin::ui::schedules::forms::changeable_schedule;
use crate::admin::ui::words;
use crate::store::{RunOrder, RunQuery, Store};

/// Number of stations that the page lists.
const SHOWN_DELETIONS: i64 = 20;
/// Number of ended runs among which the last dry run is searched.
const SEARCHED_RUNS: i64 = 100;

#[derive(Template)]
#[template(path = "confirm_sync.html")]
struct ConfirmationPage {
    layout: Layout,
    namespace: String,
    connection: String,
    csrf_token: String,
    /// Receives the form.
    action: &'static str,
    /// The schedule whose sync it is.
    schedule: Option<String>,
    back: String,
    /// What the last dry run would have deleted.
    planned: Option<Plan>,
}

struct Plan {
    ago: String,
    /// Number of stations that the vendor no longer listed.
    stale: String,
    /// How many of them the delete guard would have kept; `None` if none.
    withheld: Option<String>,
    shown: Vec<PlannedDeletion>,
    more: i64,
}

struct PlannedDeletion {
    serial: String,
    name: String,
}

/// Query of the confirmation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmationQuery {
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
    connection: Option<String>,
    /// Name of the schedule whose sync is requested. Default: none, a sync of the connection.
    schedule: Option<String>,
}

/// Shows the page. Requires `get` on the connection, and `create` on runs or, for a sync of a schedule, `patch` on schedules.
pub async fn show(
    State(state): State<SharedState>,
    account: Account,
    QueryParams(query): QueryParams<ConfirmationQuery>,
) -> Result<Response, Problem> {
    let (caller, defaults) = (&account.caller, &state.defaults);
    let schedule = query.schedule;
    let query = ConnectionQuery {
        namespace: query.namespace,
        connection: query.connection,
    };
    let (_, store) = authorized_store(&state, caller, &query).await?;
    let (namespace, connection) = connection_key(&state, &query);
    let (action, back) = if let Some(name) = &schedule {
        changeable_schedule(&state, caller, (namespace, name), connection).await?;
        (RUN_SCHEDULE, SCHEDULES)
    } else {
        requests::authorize_creation(&state, caller, (namespace, connection), false).await?;
        (SYNC, START)
    };
    let layout = Layout::new("Delete stale stations?", Some(account.clone()));
    let page = ConfirmationPage {
        planned: last_plan(&store, namespace, connection).await?,
        namespace: namespace.to_owned(),
        connection: connection.to_owned(),
        csrf_token: account.session.csrf_token.clone(),
        action,
        schedule,
        back: of_connection(back, defaults, &query),
        layout: layout.of_connection(defaults, &query),
    };
    page::render(StatusCode::OK, page.layout.nonce, &page)
}

/// Which stations the last dry run found to be stale.
async fn last_plan(store: &Store, namespace: &str, connection: &str) -> Result<Option<Plan>, Problem> {
    let query = RunQuery {
        namespace,
        connection,
        states: &["completed"],
        order: RunOrder::Newest,
        limit: SEARCHED_RUNS,
        ..RunQuery::default()
    };
    let failed = |fault| Problem::from_database(&fault);
    let runs = store.logged_runs(&query).await.map_err(failed)?;
    let Some(run) = runs.into_iter().find(|run| run.dry_run && run.delete_stale) else {
        return Ok(None);
    };
    let shown = store.deletions(run.id, SHOWN_DELETIONS).await.map_err(failed)?;
    let shown: Vec<PlannedDeletion> = shown
        .into_iter()
        .map(|change| PlannedDeletion {
            name: change
                .before
                .as_ref()
                .and_then(|row| row["site_name"].as_str())
                .unwrap_or_default()
                .to_owned(),
            serial: change.serial,
        })
        .collect();
    let withheld = run.counts.withheld;
    let stale = run.counts.deleted + withheld;
    let time = run.completed_at.unwrap_or(run.created_at);
    Ok(Some(Plan {
        ago: words::ago(clock::now().duration_since(time)),
        stale: words::number(stale),
        withheld: (withheld > 0).then(|| words::number(withheld)),
        more: stale - i64::try_from(shown.len()).unwrap_or_default(),
        shown,
    }))
}
