//! Pure: connections and what happened to them, in words.

use jiff::Timestamp;

use crate::admin::defaults::Defaults;
use crate::admin::response;
use crate::admin::response::connection::ConnectionResponse;
use crate::admin::response::timeline::{TimelineEntry, TimelineKind, TimelineType};
use crate::admin::station_query::ConnectionQuery;
use crate::admin::ui::address::of_connection;
use crate::admin::ui::return_path::{SCHEDULES, START};
use crate::admin::ui::runs::links;
use crate::admin::ui::runs::query::RunsQuery;
use crate::admin::ui::words;
use crate::api::condition;
use crate::api::connection::TaranaConnection;

/// A connection of the list.
#[derive(Clone, Debug)]
pub struct ConnectionView {
    pub namespace: String,
    pub name: String,
    /// Address of its base stations.
    pub address: String,
    /// Whether the timeline is that of this connection.
    pub is_selected: bool,
    /// `Ready`, `Suspended`, `Not ready` or `Unknown`.
    pub state: &'static str,
    /// The class of the badge.
    pub state_class: &'static str,
    /// Why it is not ready.
    pub reason: Option<String>,
    pub api_url: String,
    pub stations: Option<String>,
    /// When the last completed sync was committed.
    pub last_sync: Option<(Timestamp, String, String)>,
    /// Until when the vendor asked for no requests.
    pub throttled_until: Option<(Timestamp, String)>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct EntryView {
    pub title: &'static str,
    pub class: &'static str,
    pub time: Timestamp,
    pub text: String,
    pub message: String,
    pub actor: Option<String>,
    /// What it is about.
    pub object: String,
    /// Address of the page of the object.
    pub address: Option<String>,
}

impl ConnectionView {
    /// The connection at this moment. `selected` has namespace and name of the one whose timeline is shown.
    pub fn new(
        connection: &TaranaConnection,
        selected: (&str, &str),
        defaults: &Defaults,
        now: Timestamp,
    ) -> Self {
        let connection = ConnectionResponse::from(connection);
        let query = ConnectionQuery {
            namespace: Some(connection.namespace.clone()),
            connection: Some(connection.name.clone()),
        };
        let ready = response::find_condition(&connection.conditions, condition::READY);
        let (state, state_class) = match ready.map(|ready| ready.status.as_str()) {
            _ if connection.suspend => ("Suspended", "suspended"),
            Some("True") => ("Ready", "active"),
            Some("False") => ("Not ready", "blocked"),
            _ => ("Unknown", "unknown"),
        };
        let reason = ready.filter(|ready| ready.status != "True" && !connection.suspend);
        let with_ago = |time: Timestamp| (time, words::utc(time), words::ago(now.duration_since(time)));
        let throttled = connection.throttled_until.filter(|until| *until > now);
        Self {
            address: of_connection(START, defaults, &query),
            is_selected: selected == (connection.namespace.as_str(), connection.name.as_str()),
            state,
            state_class,
            reason: reason.map(|ready| words::sentence(&ready.message)),
            stations: connection.station_count.map(words::number),
            last_sync: connection.last_successful_sync_at.map(with_ago),
            throttled_until: throttled.map(|until| (until, words::utc(until))),
            api_url: connection.api_url,
            namespace: connection.namespace,
            name: connection.name,
        }
    }
}

impl EntryView {
    /// An entry of the timeline of this connection.
    pub fn new(entry: TimelineEntry, query: &ConnectionQuery, defaults: &Defaults) -> Self {
        let (title, class) = match entry.type_ {
            TimelineType::SyncStarted => ("Sync started", "started"),
            TimelineType::SyncCompleted => ("Sync completed", "completed"),
            TimelineType::SyncFailed => ("Sync failed", "failed"),
            TimelineType::SyncCancelled => ("Sync cancelled", "cancelled"),
            TimelineType::DeletesApproved => ("Deletions approved", "withheld"),
            TimelineType::ScheduleSuspended => ("Schedule suspended", "suspended"),
            TimelineType::ScheduleResumed => ("Schedule resumed", "active"),
            TimelineType::Created => ("Created", "started"),
            TimelineType::SpecChanged => ("Configuration changed", "started"),
        };
        let name = entry.object.name.as_deref().unwrap_or("without a name");
        let runs = RunsQuery::of_connection(query.namespace.clone(), query.connection.clone());
        let (object, address) = match entry.object.kind {
            TimelineKind::Connection => (format!("connection {name}"), None),
            TimelineKind::Schedule => (
                format!("schedule {name}"),
                Some(of_connection(SCHEDULES, defaults, query)),
            ),
            TimelineKind::Sync => (
                format!("sync {name}"),
                Some(links::run(entry.object.id, &runs, None)),
            ),
        };
        Self {
            title,
            class,
            time: entry.time,
            text: words::utc(entry.time),
            // The title says it.
            message: match entry.type_ {
                TimelineType::Created => String::new(),
                _ => words::sentence(&entry.message),
            },
            actor: entry.actor.filter(|actor| !actor.is_empty()),
            object,
            address,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_state_of_a_connection_is_shown_with_its_reason() {
        let defaults = Defaults {
            namespace: "coverage".to_owned(),
            connection: "default".to_owned(),
        };
        let view = |suspend: bool, status: &Value| {
            let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaConnection",
                "metadata": {"name": "east", "namespace": "coverage"},
                "spec": {"suspend": suspend, "api": {"url": "https://a", "credentialsSecretRef": {"name": "a"}}, "database": {"secretRef": {"name": "b"}}},
                "status": status});
            let connection = serde_json::from_value(object).unwrap();
            let now = "2026-03-10T12:00:00Z".parse().unwrap();
            ConnectionView::new(&connection, ("coverage", "east"), &defaults, now)
        };
        let ready = |status: &str| {
            json!({"type": "Ready", "status": status, "reason": "R", "message": "the password is wrong",
                "lastTransitionTime": "2026-03-10T04:01:00Z"})
        };
        for (suspend, conditions, state, reason) in [
            (false, json!([ready("True")]), "Ready", None),
            (
                false,
                json!([ready("False")]),
                "Not ready",
                Some("The password is wrong."),
            ),
            (false, json!([]), "Unknown", None),
            (true, json!([ready("False")]), "Suspended", None),
        ] {
            let view = view(suspend, &json!({"conditions": conditions}));
            assert_eq!((view.state, view.reason.as_deref()), (state, reason));
        }
        let status = json!({"conditions": [], "stationCount": 1250, "lastSuccessfulSyncTime": "2026-03-10T10:00:00Z",
            "throttledUntil": "2026-03-10T11:59:59Z"});
        let view = view(false, &status);
        assert_eq!(view.stations.as_deref(), Some("1,250"));
        let (_, text, ago) = view.last_sync.unwrap();
        assert_eq!((text.as_str(), ago.as_str()), ("2026-03-10 10:00 UTC", "2 h ago"));
        assert_eq!(view.throttled_until, None, "the pause is over");
        assert!(view.is_selected);
        assert_eq!(
            view.address,
            format!("{START}?namespace=coverage&connection=east")
        );
    }
}
