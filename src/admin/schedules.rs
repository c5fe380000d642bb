//! What callers request of schedules: a run now, suspension and resumption, after authorization, with an Event.

use std::sync::Arc;

use serde_json::{Value, json};

use super::actions::chosen_options;
use super::auth::Caller;
use super::authorized::authorized_object;
use super::problem::Problem;
use super::state::AdminState;
use crate::admin::clock;
use crate::api::schedule::{TRIGGER_ANNOTATION, TaranaSyncSchedule, trigger_value};
use crate::fault::Reason;

/// Options of a run of a schedule. `None`: as in its template.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScheduledRunOptions {
    /// Only plan, and change nothing.
    pub dry_run: Option<bool>,
    /// Delete stale rows.
    pub delete_stale: Option<bool>,
}

/// Requests a run of a schedule (namespace and name) now, also while it is suspended.
pub async fn request_run(
    state: &AdminState,
    caller: &Arc<Caller>,
    key: (&str, &str),
    options: ScheduledRunOptions,
) -> Result<TaranaSyncSchedule, Problem> {
    let schedule = changeable(state, caller, key).await?;
    let template = &schedule.spec.template.spec;
    let options = [
        ("dryRun", options.dry_run, template.dry_run),
        ("deleteStale", options.delete_stale, template.delete_stale),
    ];
    // The annotation can only add an option.
    if let Some((option, ..)) = options
        .iter()
        .find(|(_, requested, template)| *requested == Some(false) && *template)
    {
        return Err(Problem::BadRequest(format!(
            "{option} cannot be false: the template of the schedule sets it; create a run with POST /api/v1/syncs instead"
        )));
    }
    let [dry_run, delete_stale] = options.map(|(_, requested, _)| requested.unwrap_or_default());
    let value = trigger_value(clock::now(), dry_run, delete_stale);
    let patch = json!({"metadata": {"annotations": {TRIGGER_ANNOTATION: value}}});
    let what = format!("requested a run{}", chosen_options(dry_run, delete_stale));
    change(state, caller, &schedule, patch, (Reason::RunRequested, &what)).await
}

/// Suspends a schedule. The reason replaces that of an earlier suspension.
pub async fn suspend(
    state: &AdminState,
    caller: &Arc<Caller>,
    key: (&str, &str),
    reason: Option<&str>,
) -> Result<TaranaSyncSchedule, Problem> {
    let schedule = changeable(state, caller, key).await?;
    let patch = json!({"spec": {"suspend": true, "suspendReason": reason}});
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let what = format!("suspended the schedule{reason}");
    change(state, caller, &schedule, patch, (Reason::SuspendRequested, &what)).await
}

/// Resumes a schedule, and removes the reason.
pub async fn resume(
    state: &AdminState,
    caller: &Arc<Caller>,
    key: (&str, &str),
) -> Result<TaranaSyncSchedule, Problem> {
    let schedule = changeable(state, caller, key).await?;
    let patch = json!({"spec": {"suspend": false, "suspendReason": null}});
    let what = "resumed the schedule";
    change(state, caller, &schedule, patch, (Reason::ResumeRequested, what)).await
}

async fn changeable(
    state: &AdminState,
    caller: &Arc<Caller>,
    key: (&str, &str),
) -> Result<Arc<TaranaSyncSchedule>, Problem> {
    authorized_object::<TaranaSyncSchedule>(state, caller, "patch", key).await
}

async fn change(
    state: &AdminState,
    caller: &Caller,
    schedule: &TaranaSyncSchedule,
    patch: Value,
    (reason, what): (Reason, &str),
) -> Result<TaranaSyncSchedule, Problem> {
    let schedule = state.objects.patch(schedule, patch).await?;
    state.actions.done(caller, reason, what, &schedule);
    Ok(schedule)
}
