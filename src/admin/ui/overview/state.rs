//! The state of a connection: what needs attention, the current, last and next sync, and the totals of its stations.

use std::sync::Arc;

use askama::Template;
use jiff::Timestamp;
use uuid::Uuid;

use super::attention::{Attention, Facts, RelatedPage, attention};
use crate::admin::auth::{Caller, Permission};
use crate::admin::clock;
use crate::admin::create::active_run;
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::response::station::StationSummary;
use crate::admin::response::sync::{SyncPhase, SyncResponse};
use crate::admin::runs::{RunFilter, list_runs};
use crate::admin::slots::next_slots;
use crate::admin::state::AdminState;
use crate::admin::station_query::ConnectionQuery;
use crate::admin::stations::connection_key;
use crate::admin::ui::address::of_connection;
use crate::admin::ui::current_run::{CurrentRun, LastRun};
use crate::admin::ui::return_path::{CONNECTIONS, SCHEDULES};
use crate::admin::ui::runs::links;
use crate::admin::ui::runs::query::RunsQuery;
use crate::admin::ui::words;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;
use crate::cron::Cron;

/// Number of ended runs that are read.
const ENDED_RUNS: usize = 10;

/// The part of the page that live updates replace.
#[derive(Template)]
#[template(path = "overview.html")]
pub struct Overview {
    pub namespace: String,
    pub connection: String,
    pub csrf_token: String,
    /// Selects the runs of this connection.
    pub runs: RunsQuery,
    /// Address of the schedules.
    pub schedules: String,
    /// Address of the connection's own page.
    pub connection_page: String,
    pub attention: Vec<Attention>,
    /// The active run.
    pub current: Option<CurrentRun>,
    /// The run that ended last.
    pub last: Option<LastRun>,
    pub next: Option<NextSlot>,
    /// What the caller lacks to start a sync; `None` if nothing.
    pub sync_requires: Option<String>,
    /// What the caller lacks to cancel one.
    pub cancel_requires: Option<String>,
    pub totals: Totals,
}

/// The next slot of the schedules that are not suspended.
pub struct NextSlot {
    pub schedule: String,
    pub time: Timestamp,
    pub text: String,
    pub ahead: String,
}

/// Counts of the stations, and how fresh they are.
pub struct Totals {
    pub stations: String,
    pub online: String,
    pub online_share: Option<String>,
    pub offline: String,
    pub connections: String,
    /// `None` before the first sync.
    pub freshness: Option<FreshnessInWords>,
}

pub struct FreshnessInWords {
    pub time: Timestamp,
    pub text: String,
    pub ago: String,
}

impl Overview {
    /// Reads the state. Requires `list` on runs and schedules in the namespace of the connection, whose summary the caller may read.
    pub async fn read(
        state: &AdminState,
        caller: &Arc<Caller>,
        csrf_token: &str,
        query: &ConnectionQuery,
        summary: &StationSummary,
    ) -> Result<Self, Problem> {
        let (namespace, name) = connection_key(state, query);
        let lists = [TaranaSync::RESOURCE, TaranaSyncSchedule::RESOURCE];
        let lists = lists.map(|resource| Permission::new("list", resource, Some(namespace)));
        state.authorizer.authorize_all(caller, &lists).await?;
        let not_found = || Problem::NotFound(format!("there is no TaranaConnection {name}"));
        let connection = state.objects.get::<TaranaConnection>(namespace, name);
        let connection = connection.ok_or_else(not_found)?;
        let runs = state.objects.syncs_of(namespace, name);
        let schedules = state.objects.schedules_of(namespace, name);
        let schedules: Vec<&TaranaSyncSchedule> = schedules.iter().map(|schedule| &**schedule).collect();
        let ended = ended_runs(state, namespace, name).await?;
        let now = clock::now();
        let facts = Facts {
            connection: &connection,
            schedules: &schedules,
            ended: &ended,
            true_as_of: summary.freshness.true_as_of,
            now,
        };
        let current = active_run(&runs).map(|sync| SyncResponse::from(&*sync));
        Ok(Self {
            namespace: namespace.to_owned(),
            connection: name.to_owned(),
            csrf_token: csrf_token.to_owned(),
            runs: RunsQuery::of_connection(query.namespace.clone(), query.connection.clone()),
            schedules: of_connection(SCHEDULES, &state.defaults, query),
            connection_page: of_connection(CONNECTIONS, &state.defaults, query),
            attention: attention(&facts),
            current: current.map(|run| CurrentRun::new(&run, now)),
            last: ended.first().map(|run| LastRun::new(run, now)),
            next: next_slot(&schedules, now),
            sync_requires: missing(state, caller, "create", namespace).await?,
            cancel_requires: missing(state, caller, "patch", namespace).await?,
            totals: Totals::new(summary, now),
        })
    }

    /// Address of the history of the runs.
    fn history_link(&self) -> String {
        links::history(&self.runs)
    }

    /// Address and text of a link to a page about something that needs attention.
    fn related(&self, page: &RelatedPage) -> (String, &'static str) {
        match page {
            RelatedPage::Run(id) => (self.run_link(id), "Open this sync"),
            RelatedPage::Schedules => (self.schedules.clone(), "Open the schedules"),
            RelatedPage::Connection => (self.connection_page.clone(), "Open the connection"),
        }
    }

    /// Address of a run.
    fn run_link(&self, id: &Uuid) -> String {
        links::run(*id, &self.runs, None)
    }
}

/// The permission for runs that the caller lacks; `None` if the caller has it.
async fn missing(
    state: &AdminState,
    caller: &Arc<Caller>,
    verb: &'static str,
    namespace: &str,
) -> Result<Option<String>, Problem> {
    let permission = Permission::new(verb, TaranaSync::RESOURCE, Some(namespace));
    let is_allowed = state.authorizer.is_allowed(caller, &permission).await?;
    Ok((!is_allowed).then(|| permission.to_string()))
}

/// The newest runs that have ended, last ended first. The order of the list, by creation, is the same except for runs of one second.
async fn ended_runs(
    state: &AdminState,
    namespace: &str,
    connection: &str,
) -> Result<Vec<SyncResponse>, Problem> {
    let filter = RunFilter {
        phases: vec![SyncPhase::Completed, SyncPhase::Failed, SyncPhase::Cancelled],
        ..RunFilter::newest_of((namespace, connection), ENDED_RUNS)
    };
    let mut runs = list_runs(state, &filter).await?.items;
    runs.sort_by_key(|run| std::cmp::Reverse(run.completed_at));
    Ok(runs)
}

fn next_slot(schedules: &[&TaranaSyncSchedule], now: Timestamp) -> Option<NextSlot> {
    let slots = schedules.iter().filter(|schedule| !schedule.spec.suspend);
    let slots = slots.filter_map(|schedule| {
        let cron = Cron::parse(&schedule.spec.schedule, &schedule.spec.time_zone).ok()?;
        let slot = next_slots(schedule, &cron, now, 1).into_iter().next()?;
        Some((slot.starts_at.unwrap_or(slot.at), schedule))
    });
    let (time, schedule) = slots.min_by_key(|(time, _)| *time)?;
    Some(NextSlot {
        schedule: schedule.metadata.name.clone().unwrap_or_default(),
        time,
        text: words::utc(time),
        ahead: words::ahead(time.duration_since(now)),
    })
}

impl Totals {
    fn new(summary: &StationSummary, now: Timestamp) -> Self {
        let totals = &summary.all;
        let freshness = summary.freshness.true_as_of.map(|time| FreshnessInWords {
            time,
            text: words::utc(time),
            ago: words::ago(now.duration_since(time)),
        });
        Self {
            stations: words::number(totals.stations),
            online: words::number(totals.online),
            online_share: words::share(totals.online, totals.stations),
            offline: words::number(totals.stations - totals.online),
            connections: words::number(totals.active_connections),
            freshness,
        }
    }
}
