//! The forms of a schedule: run now, suspend, resume. Each returns to the page of the schedules.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::admin::auth::Caller;
use crate::admin::authorized::authorized_object;
use crate::admin::problem::Problem;
use crate::admin::requests::RunOptions;
use crate::admin::schedules::{self, ScheduledRunOptions};
use crate::admin::state::{AdminState, SharedState};
use crate::admin::station_query::ConnectionQuery;
use crate::admin::ui::address::{address, connection_pairs, of_connection};
use crate::admin::ui::change_form::ChangeForm;
use crate::admin::ui::return_path::{SCHEDULES, SYNC};
use crate::api::schedule::TaranaSyncSchedule;

/// The form to run a schedule now.
#[derive(Debug, Deserialize)]
pub struct RunFields {
    namespace: String,
    connection: String,
    schedule: String,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    delete_stale: bool,
    /// Whether the deletions were confirmed.
    #[serde(default)]
    confirmed: bool,
}

/// The form to suspend a schedule.
#[derive(Debug, Deserialize)]
pub struct SuspendFields {
    namespace: String,
    connection: String,
    schedule: String,
    reason: String,
}

/// The form to resume a schedule.
#[derive(Debug, Deserialize)]
pub struct ResumeFields {
    namespace: String,
    connection: String,
    schedule: String,
}

/// Requests a run of a schedule. If it deletes stations, redirects to the confirmation first. Requires `patch` on schedules.
pub async fn run(
    State(state): State<SharedState>,
    ChangeForm { account, fields }: ChangeForm<RunFields>,
) -> Result<Response, Problem> {
    let query = ConnectionQuery::named(&fields.namespace, &fields.connection)?;
    let key = (fields.namespace.as_str(), fields.schedule.as_str());
    let schedule = changeable_schedule(&state, &account.caller, key, &fields.connection).await?;
    let template = &schedule.spec.template.spec;
    let effective = RunOptions {
        dry_run: fields.dry_run || template.dry_run,
        delete_stale: fields.delete_stale || template.delete_stale,
    };
    if effective.deletes() && !fields.confirmed {
        let mut pairs = connection_pairs(&state.defaults, &query);
        pairs.push(("schedule", fields.schedule));
        return Ok(Redirect::to(&address(SYNC, &pairs)).into_response());
    }
    let options = ScheduledRunOptions {
        dry_run: fields.dry_run.then_some(true),
        delete_stale: fields.delete_stale.then_some(true),
    };
    schedules::request_run(&state, &account.caller, key, options).await?;
    Ok(back(&state, &query))
}

/// Suspends a schedule. Requires `patch` on schedules.
pub async fn suspend(
    State(state): State<SharedState>,
    ChangeForm { account, fields }: ChangeForm<SuspendFields>,
) -> Result<Response, Problem> {
    let reason = fields.reason.trim();
    if reason.is_empty() {
        return Err(Problem::BadRequest(
            "reason: say why the schedule is suspended, for whoever wonders".to_owned(),
        ));
    }
    let query = ConnectionQuery::named(&fields.namespace, &fields.connection)?;
    let key = (fields.namespace.as_str(), fields.schedule.as_str());
    schedules::suspend(&state, &account.caller, key, Some(reason)).await?;
    Ok(back(&state, &query))
}

/// Resumes a schedule. Requires `patch` on schedules.
pub async fn resume(
    State(state): State<SharedState>,
    ChangeForm { account, fields }: ChangeForm<ResumeFields>,
) -> Result<Response, Problem> {
    let query = ConnectionQuery::named(&fields.namespace, &fields.connection)?;
    let key = (fields.namespace.as_str(), fields.schedule.as_str());
    schedules::resume(&state, &account.caller, key).await?;
    Ok(back(&state, &query))
}

/// The schedule, if the caller may change it and its syncs are of this connection: a confirmation shows what the last dry run of the
/// connection found.
pub async fn changeable_schedule(
    state: &AdminState,
    caller: &Arc<Caller>,
    key: (&str, &str),
    connection: &str,
) -> Result<Arc<TaranaSyncSchedule>, Problem> {
    let schedule = authorized_object::<TaranaSyncSchedule>(state, caller, "patch", key).await?;
    if schedule.spec.template.spec.connection_ref.name != connection {
        return Err(Problem::Conflict(format!(
            "the schedule {} starts syncs of another connection: open the schedules of that one",
            key.1
        )));
    }
    Ok(schedule)
}

/// Shows the page again. A reload then does not send the form again.
fn back(state: &AdminState, query: &ConnectionQuery) -> Response {
    Redirect::to(&of_connection(SCHEDULES, &state.defaults, query)).into_response()
}
