//! Pure: which runs the history shows.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::admin::cursor;
use crate::admin::problem::Problem;
use crate::admin::response::sync::{SyncPhase, SyncTrigger};
use crate::admin::runs::RunFilter;
use crate::admin::station_query::ConnectionQuery;

/// Number of runs on a page.
pub const PAGE_SIZE: usize = 50;

/// Query of the history, and of a run that is opened from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RunsQuery {
    /// Namespace of the connection.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    pub namespace: Option<String>,
    /// Name of the connection.
    pub connection: Option<String>,
    /// Phase of the runs.
    pub phase: Option<SyncPhase>,
    /// Only runs that something else requested.
    pub not_trigger: Option<SyncTrigger>,
    /// Only runs that have ended on this day (UTC) or later.
    pub ended_from: Option<Date>,
    /// Only runs that have ended on this day (UTC) or earlier.
    pub ended_to: Option<Date>,
    /// Cursor of the page.
    pub cursor: Option<String>,
    /// Cursor of the newest run that the browser shows.
    pub newest: Option<String>,
    /// Changes of a run after this one are shown.
    pub after: Option<i32>,
}

impl RunsQuery {
    /// All runs of a connection.
    pub fn of_connection(namespace: Option<String>, connection: Option<String>) -> Self {
        Self {
            namespace,
            connection,
            ..Self::default()
        }
    }

    /// The connection whose runs are shown.
    pub fn connection(&self) -> ConnectionQuery {
        ConnectionQuery {
            namespace: self.namespace.clone(),
            connection: self.connection.clone(),
        }
    }

    /// Whether it selects some of the runs.
    pub fn is_filtered(&self) -> bool {
        let is_ended = self.ended_from.is_some() || self.ended_to.is_some();
        is_ended || self.phase.is_some() || self.not_trigger.is_some()
    }

    /// The same connection without filters.
    pub fn without_filters(&self) -> Self {
        Self::of_connection(self.namespace.clone(), self.connection.clone())
    }

    /// The filter, for the runs of this connection (namespace and name).
    pub fn filter(&self, (namespace, connection): (&str, &str)) -> Result<RunFilter, Problem> {
        let newest = RunFilter::newest_of((namespace, connection), PAGE_SIZE);
        let after = self.cursor.as_ref();
        let after = after.map(|cursor| cursor::decode(RunFilter::list_name(newest.order), cursor));
        let mut triggers = SyncTrigger::ALL.to_vec();
        triggers.retain(|type_| self.not_trigger != Some(*type_));
        let day_after = |day: Date| day.tomorrow().ok();
        Ok(RunFilter {
            phases: self.phase.into_iter().collect(),
            triggers,
            ended_from: midnight("endedFrom", self.ended_from)?,
            ended_before: midnight("endedTo", self.ended_to.and_then(day_after))?,
            after: after.transpose()?,
            ..newest
        })
    }
}

/// The beginning of a day in UTC.
fn midnight(name: &str, day: Option<Date>) -> Result<Option<Timestamp>, Problem> {
    let Some(day) = day else { return Ok(None) };
    let time = day.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp());
    match time.filter(|time| *time >= Timestamp::UNIX_EPOCH) {
        Some(time) => Ok(Some(time)),
        None => Err(Problem::BadRequest(format!(
            "{name}: must be a day from 1970 to 9999"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_days_in_utc() {
        let query = RunsQuery {
            ended_from: Some("2026-03-10".parse().unwrap()),
            ended_to: Some("2026-03-10".parse().unwrap()),
            not_trigger: Some(SyncTrigger::Schedule),
            ..RunsQuery::default()
        };
        let filter = query.filter(("ns", "c")).unwrap();
        assert_eq!(filter.ended_from.unwrap().to_string(), "2026-03-10T00:00:00Z");
        assert_eq!(filter.ended_before.unwrap().to_string(), "2026-03-11T00:00:00Z");
        assert_eq!(filter.triggers, [SyncTrigger::Manual, SyncTrigger::Api]);
        let early = RunsQuery {
            ended_from: Some("1969-12-31".parse().unwrap()),
            ..RunsQuery::default()
        };
        let problem = early.filter(("ns", "c")).unwrap_err();
        assert!(problem.detail().starts_with("endedFrom: "), "{problem:?}");
    }
}
