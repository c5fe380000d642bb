//! Pure: addresses of the history and of runs. They keep its filters.

use uuid::Uuid;

use super::query::RunsQuery;
use crate::admin::response::sync::{SyncPhase, SyncTrigger};
use crate::admin::ui::address::{Pair, address, given};
use crate::admin::ui::return_path::RUNS;

/// The history.
pub fn history(query: &RunsQuery) -> String {
    let cursor = given([("cursor", query.cursor.clone())]);
    address(RUNS, &[filter_pairs(query), cursor].concat())
}

/// How many runs are newer than the newest one that is shown.
pub fn newer(query: &RunsQuery, newest: Option<String>) -> String {
    let newest = given([("newest", newest)]);
    address(
        "/admin/coverage/newer-runs",
        &[filter_pairs(query), newest].concat(),
    )
}

/// A run, with its changes after this one. Its page leads back to the same history.
pub fn run(id: Uuid, query: &RunsQuery, after: Option<i32>) -> String {
    let rest = given([
        ("cursor", query.cursor.clone()),
        ("after", after.map(|after| after.to_string())),
    ]);
    address(&format!("{RUNS}/{id}"), &[filter_pairs(query), rest].concat())
}

/// The parameters that select the connection.
pub fn connection_pairs(query: &RunsQuery) -> Vec<Pair> {
    given([
        ("namespace", query.namespace.clone()),
        ("connection", query.connection.clone()),
    ])
}

fn filter_pairs(query: &RunsQuery) -> Vec<Pair> {
    let filters = given([
        ("phase", query.phase.map(phase_value).map(str::to_owned)),
        (
            "notTrigger",
            query.not_trigger.map(trigger_value).map(str::to_owned),
        ),
        ("endedFrom", query.ended_from.map(|day| day.to_string())),
        ("endedTo", query.ended_to.map(|day| day.to_string())),
    ]);
    [connection_pairs(query), filters].concat()
}

/// A phase as a parameter.
pub fn phase_value(phase: SyncPhase) -> &'static str {
    match phase {
        SyncPhase::Pending => "Pending",
        SyncPhase::Running => "Running",
        SyncPhase::Completed => "Completed",
        SyncPhase::Failed => "Failed",
        SyncPhase::Cancelled => "Cancelled",
    }
}

/// A type of trigger as a parameter.
fn trigger_value(trigger: SyncTrigger) -> &'static str {
    match trigger {
        SyncTrigger::Manual => "Manual",
        SyncTrigger::Api => "Api",
        SyncTrigger::Schedule => "Schedule",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_keeps_the_filters_of_its_history() {
        assert_eq!(history(&RunsQuery::default()), RUNS);
        let query = RunsQuery {
            connection: Some("east&west".to_owned()),
            phase: Some(SyncPhase::Failed),
            not_trigger: Some(SyncTrigger::Schedule),
            ended_from: Some("2026-03-10".parse().unwrap()),
            cursor: Some("abc".to_owned()),
            ..RunsQuery::default()
        };
        let pairs = "connection=east%26west&phase=Failed&notTrigger=Schedule&endedFrom=2026%2D03%2D10";
        assert_eq!(history(&query), format!("{RUNS}?{pairs}&cursor=abc"));
        assert_eq!(
            run(Uuid::nil(), &query, Some(100)),
            format!("{RUNS}/{}?{pairs}&cursor=abc&after=100", Uuid::nil())
        );
        assert_eq!(
            newer(&query, Some("def".to_owned())),
            format!("/admin/coverage/newer-runs?{pairs}&newest=def")
        );
    }
}
