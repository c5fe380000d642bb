//! The history of the runs of a connection.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};

use super::chart::{self, Bars};
use super::links;
use super::query::{PAGE_SIZE, RunsQuery};
use crate::admin::auth::{Caller, Permission};
use crate::admin::cursor;
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::response::sync::{SyncPhase, SyncResponse, SyncTrigger};
use crate::admin::runs::{RunFilter, SyncPage, list_runs};
use crate::admin::state::{AdminState, SharedState};
use crate::admin::stations::connection_key;
use crate::admin::ui::account::Account;
use crate::admin::ui::address::Pair;
use crate::admin::ui::current_run::{options, origin, state as run_state, summary};
use crate::admin::ui::page::{self, Layout, Nonce, Section};
use crate::admin::ui::page_params::PageParams;
use crate::admin::ui::words;
use crate::api::sync::TaranaSync;

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    layout: Layout,
    namespace: String,
    connection: String,
    filters: Filters,
    /// Address without filters, if there are any.
    unfiltered: Option<String>,
    rows: Vec<RunRow>,
    bars: Vec<Bars>,
    chart_width: i64,
    /// Address of the older runs.
    older: Option<String>,
    /// Address of the newest runs, if these are not the newest.
    newest: Option<String>,
    /// Address that counts newer runs.
    newer: String,
}

struct Filters {
    hidden: Vec<Pair>,
    /// Values, and whether they are selected.
    phases: Vec<(&'static str, bool)>,
    excludes_scheduled: bool,
    ended_from: String,
    ended_to: String,
}

struct RunRow {
    address: String,
    state: &'static str,
    time: Timestamp,
    time_text: String,
    duration: Option<String>,
    summary: String,
    options: String,
    origin: String,
}

#[derive(Template)]
#[template(path = "newer_runs.html")]
struct NewerRuns {
    /// `None` if there are none.
    text: Option<String>,
    /// Address of the newest runs.
    address: String,
}

/// Shows the runs of a connection, newest first. Requires `list` on runs.
pub async fn show(
    State(state): State<SharedState>,
    account: Account,
    PageParams(query): PageParams<RunsQuery>,
) -> Result<Response, Problem> {
    let (filter, runs) = read(&state, &account.caller, &query).await?;
    let selected = query.connection();
    let (namespace, connection) = connection_key(&state, &selected);
    let first_page = RunsQuery {
        cursor: None,
        ..query.clone()
    };
    let older = runs.next_cursor.map(|cursor| RunsQuery {
        cursor: Some(cursor),
        ..query.clone()
    });
    let list = RunFilter::list_name(filter.order);
    let newest = runs
        .items
        .first()
        .map(|run| cursor::encode(list, filter.position_of(run)));
    let page = RunsPage {
        layout: Layout::new("Syncs", Some(account))
            .in_section(Section::Runs)
            .of_connection(&state.defaults, &selected),
        namespace: namespace.to_owned(),
        connection: connection.to_owned(),
        filters: Filters::new(&query),
        unfiltered: query
            .is_filtered()
            .then(|| links::history(&query.without_filters())),
        rows: runs.items.iter().map(|run| RunRow::new(run, &query)).collect(),
        bars: chart::bars(&runs.items),
        chart_width: i64::try_from(PAGE_SIZE).unwrap_or_default() * chart::STEP,
        older: older.map(|query| links::history(&query)),
        newest: query.cursor.as_ref().map(|_| links::history(&first_page)),
        newer: links::newer(&first_page, newest),
    };
    page::render(StatusCode::OK, page.layout.nonce, &page)
}

/// Counts the runs that are newer than the newest one that the browser shows. Requires `list` on runs.
pub async fn newer(
    State(state): State<SharedState>,
    account: Account,
    PageParams(query): PageParams<RunsQuery>,
) -> Result<Response, Problem> {
    let (filter, runs) = read(&state, &account.caller, &query).await?;
    let newest = query.newest.as_ref();
    let newest = newest.map(|cursor| cursor::decode(RunFilter::list_name(filter.order), cursor));
    let newest = newest.transpose()?;
    let positions = runs.items.iter().map(|run| filter.position_of(run));
    let count = positions
        .filter(|position| newest.is_none_or(|newest| *position > newest))
        .count();
    let text = match count {
        0 => None,
        1 => Some("1 new sync".to_owned()),
        PAGE_SIZE => Some(format!("{PAGE_SIZE} or more new syncs")),
        count => Some(format!("{count} new syncs")),
    };
    let fragment = NewerRuns {
        text,
        address: links::history(&query),
    };
    page::render(StatusCode::OK, Nonce::new(), &fragment)
}

async fn read(
    state: &AdminState,
    caller: &Arc<Caller>,
    query: &RunsQuery,
) -> Result<(RunFilter, SyncPage), Problem> {
    let connection = query.connection();
    let key = connection_key(state, &connection);
    let permission = Permission::new("list", TaranaSync::RESOURCE, Some(key.0));
    state.authorizer.authorize(caller, &permission).await?;
    state.objects.require_synced()?;
    let filter = query.filter(key)?;
    let runs = list_runs(state, &filter).await?;
    Ok((filter, runs))
}

impl Filters {
    fn new(query: &RunsQuery) -> Self {
        let phases = [
            SyncPhase::Pending,
            SyncPhase::Running,
            SyncPhase::Completed,
            SyncPhase::Failed,
            SyncPhase::Cancelled,
        ];
        let day = |day: Option<jiff::civil::Date>| day.map(|day| day.to_string()).unwrap_or_default();
        Self {
            hidden: links::connection_pairs(query),
            phases: phases
                .into_iter()
                .map(|phase| (links::phase_value(phase), query.phase == Some(phase)))
                .collect(),
            excludes_scheduled: query.not_trigger == Some(SyncTrigger::Schedule),
            ended_from: day(query.ended_from),
            ended_to: day(query.ended_to),
        }
    }
}

impl RunRow {
    fn new(run: &SyncResponse, query: &RunsQuery) -> Self {
        let time = run.completed_at.or(run.started_at).unwrap_or(run.created_at);
        Self {
            address: links::run(run.id, query, None),
            state: run_state(run),
            time,
            time_text: words::utc(time),
            duration: run
                .duration_ms
                .map(|ms| words::exact_duration(SignedDuration::from_millis(ms))),
            summary: summary(run),
            options: options(run),
            origin: origin(run),
        }
    }
}
