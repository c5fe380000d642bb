//! The page of a run.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::links;
use super::query::RunsQuery;
use super::waterfall::{self, Waterfall};
use crate::admin::auth::Permission;
use crate::admin::clock;
use crate::admin::extract::PathParams;
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::records;
use crate::admin::requests::RunOptions;
use crate::admin::response::attempt::{AttemptResponse, AttemptState};
use crate::admin::response::sync::SyncResponse;
use crate::admin::runs::readable_run;
use crate::admin::state::{AdminState, SharedState};
use crate::admin::station_query::{ConnectionQuery, FilterQuery, PageQuery};
use crate::admin::ui::account::Account;
use crate::admin::ui::current_run::{CurrentRun, options, origin, state as run_state, summary};
use crate::admin::ui::page::{self, Layout};
use crate::admin::ui::page_params::PageParams;
use crate::admin::ui::stations::changes::StationChangeView;
use crate::admin::ui::stations::links as station_links;
use crate::admin::ui::words;
use crate::api::sync::TaranaSync;
use crate::store::{LoggedRun, Store};

/// Number of changes on a page.
const SHOWN_CHANGES: i64 = 100;
/// Number of errors on a page.
const SHOWN_ERRORS: usize = 100;

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    layout: Layout,
    /// The history that led here.
    back: String,
    /// This page.
    address: String,
    id: Uuid,
    namespace: String,
    connection: String,
    name: String,
    state: &'static str,
    options: String,
    origin: String,
    summary: String,
    /// What is known of an active run.
    current: Option<CurrentRun>,
    times: Vec<(&'static str, Timestamp, String)>,
    /// Milliseconds in words.
    duration: Option<String>,
    waterfall: Option<Waterfall>,
    /// Width of the drawing of a bar.
    bar_width: i64,
    attempts: Vec<AttemptView>,
    records: Records,
    actions: Actions,
}

struct AttemptView {
    number: i32,
    state: &'static str,
    ended: Option<(Timestamp, String)>,
    step: Option<&'static str>,
    message: Option<String>,
}

/// What the run left in the database.
struct Records {
    /// Why they cannot be read.
    problem: Option<String>,
    changes: Vec<LinkedChange>,
    /// Address of the next changes.
    next: Option<String>,
    /// Errors and notes that are not part of an attempt.
    errors: Vec<String>,
    /// Number of errors that are not shown.
    more_errors: usize,
}

/// A change with the address of its station.
struct LinkedChange {
    address: String,
    change: StationChangeView,
}

/// What a user may do with the run.
struct Actions {
    /// Identifies this page.
    key: Uuid,
    csrf_token: String,
    deletes: bool,
    /// Number of deletions that can be approved.
    approvable: Option<String>,
    rerun_requires: Option<String>,
    approve_requires: Option<String>,
    cancel_requires: Option<String>,
}

/// Shows a run. The query is that of the history that leads here. Requires `get` on the run.
pub async fn show(
    State(state): State<SharedState>,
    account: Account,
    PathParams(id): PathParams<Uuid>,
    PageParams(query): PageParams<RunsQuery>,
) -> Result<Response, Problem> {
    let caller = &account.caller;
    let readable = readable_run(&state, caller, id).await?;
    let (run, object) = (readable.run.clone(), readable.object.clone());
    let row = readable.row(&state, caller).await;
    let known = row.as_ref().ok().and_then(Option::as_ref);
    let attempts = records::attempts(object.as_deref(), known.map(|(_, row)| row));
    let defaults = &state.defaults;
    let connection = ConnectionQuery {
        namespace: run.namespace.clone(),
        connection: run.connection.clone(),
    };
    let page = RunPage {
        back: links::history(&RunsQuery {
            after: None,
            ..query.clone()
        }),
        address: links::run(id, &query, query.after),
        id,
        namespace: run
            .namespace
            .clone()
            .unwrap_or_else(|| defaults.namespace.clone()),
        connection: run
            .connection
            .clone()
            .unwrap_or_else(|| defaults.connection.clone()),
        name: run.describe(),
        state: run_state(&run),
        options: options(&run),
        origin: origin(&run),
        summary: summary(&run),
        current: (!run.is_final()).then(|| CurrentRun::new(&run, clock::now())),
        times: times(&run),
        duration: run
            .duration_ms
            .map(|ms| words::exact_duration(SignedDuration::from_millis(ms))),
        waterfall: Waterfall::new(
            run.created_at,
            run.completed_at.unwrap_or_else(clock::now),
            &attempts,
        ),
        bar_width: waterfall::WIDTH,
        records: Records::read(row, &run, &query).await,
        attempts: attempts.items.iter().map(AttemptView::from).collect(),
        actions: Actions::of(&state, &account, &run).await?,
        layout: Layout::new("Sync", Some(account)).of_connection(&state.defaults, &connection),
    };
    page::render(StatusCode::OK, page.layout.nonce, &page)
}

fn times(run: &SyncResponse) -> Vec<(&'static str, Timestamp, String)> {
    let times = [
        ("Requested", Some(run.created_at)),
        ("Started", run.started_at),
        ("Ended", run.completed_at),
    ];
    times
        .into_iter()
        .filter_map(|(name, time)| time.map(|time| (name, time, words::utc(time))))
        .collect()
}

impl From<&AttemptResponse> for AttemptView {
    fn from(attempt: &AttemptResponse) -> Self {
        Self {
            number: attempt.number,
            state: match attempt.state {
                AttemptState::Running => "Running",
                AttemptState::Completed => "Completed",
                AttemptState::Failed => "Failed",
                AttemptState::Cancelled => "Cancelled",
            },
            ended: attempt.ended_at.map(|time| (time, words::utc(time))),
            step: attempt.step,
            message: attempt.message.as_deref().map(words::sentence),
        }
    }
}

impl Records {
    /// What can be read. The page shows the rest of the run even if the database is unavailable.
    async fn read(
        row: Result<Option<(Store, LoggedRun)>, Problem>,
        run: &SyncResponse,
        query: &RunsQuery,
    ) -> Self {
        let records = match row {
            Ok(Some((store, row))) => Self::of_row(&store, &row, run, query).await,
            // The row is written when the run starts.
            Ok(None) => Ok(Self::empty(None)),
            Err(problem) => Err(problem),
        };
        records.unwrap_or_else(|problem| Self::empty(Some(words::sentence(&problem.detail()))))
    }

    fn empty(problem: Option<String>) -> Self {
        Self {
            problem,
            changes: Vec::new(),
            next: None,
            errors: Vec::new(),
            more_errors: 0,
        }
    }

    async fn of_row(
        store: &Store,
        row: &LoggedRun,
        run: &SyncResponse,
        query: &RunsQuery,
    ) -> Result<Self, Problem> {
        let after = query.after.unwrap_or_default().max(0);
        let changes = records::list_changes(store, run.id, after, SHOWN_CHANGES).await?;
        let filter = FilterQuery {
            namespace: run.namespace.clone(),
            connection: run.connection.clone(),
            ..FilterQuery::default()
        };
        let planned_deletion = if run.dry_run && run.withheld() == 0 {
            "Would be removed"
        } else {
            "No longer listed, but kept"
        };
        let linked = |change| {
            let change = StationChangeView::new(change, planned_deletion);
            LinkedChange {
                address: station_links::station(&change.serial, &filter, &PageQuery::default()),
                change,
            }
        };
        let errors: Vec<String> = row.notes().map(error_text).collect();
        Ok(Self {
            problem: None,
            changes: changes.items.into_iter().map(linked).collect(),
            next: changes.next.map(|after| links::run(run.id, query, Some(after))),
            more_errors: errors.len().saturating_sub(SHOWN_ERRORS),
            errors: errors.into_iter().take(SHOWN_ERRORS).collect(),
        })
    }
}

fn error_text(error: &Value) -> String {
    words::sentence(error["message"].as_str().unwrap_or("no details are recorded"))
}

impl Actions {
    async fn of(state: &AdminState, account: &Account, run: &SyncResponse) -> Result<Self, Problem> {
        // Rows of other programs have no namespace; a repetition of them is created in the default one.
        let namespace = run.namespace.as_deref().unwrap_or(&state.defaults.namespace);
        let mut missing = Vec::new();
        for verb in ["create", "approve", "patch"] {
            let permission = Permission::new(verb, TaranaSync::RESOURCE, Some(namespace));
            let is_allowed = state.authorizer.is_allowed(&account.caller, &permission).await?;
            missing.push((!is_allowed).then(|| permission.to_string()));
        }
        let [create, approve, cancel] = [0, 1, 2].map(|index| missing[index].take());
        let can_approve = run.is_final() && run.withheld() > 0 && !run.has_unproven_listing();
        Ok(Self {
            key: Uuid::new_v4(),
            csrf_token: account.session.csrf_token.clone(),
            deletes: RunOptions {
                dry_run: run.dry_run,
                delete_stale: run.delete_stale,
            }
            .deletes(),
            approvable: can_approve.then(|| words::number(run.withheld())),
            approve_requires: create.clone().or(approve),
            rerun_requires: create,
            cancel_requires: cancel,
        })
    }
}
