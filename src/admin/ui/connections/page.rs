//! The page of the connections.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::view::{ConnectionView, EntryView};
use crate::admin::clock;
use crate::admin::connections::listable_connections;
use crate::admin::problem::Problem;
use crate::admin::state::SharedState;
use crate::admin::station_query::ConnectionQuery;
use crate::admin::stations::connection_key;
use crate::admin::timeline::{TimelinePage, read_timeline};
use crate::admin::ui::account::Account;
use crate::admin::ui::address::{address, connection_pairs};
use crate::admin::ui::page::{self, Layout, Section};
use crate::admin::ui::page_params::PageParams;
use crate::admin::ui::return_path::CONNECTIONS;
use crate::admin::ui::words;

/// Number of entries of the timeline on a page.
const PAGE_SIZE: usize = 50;

/// Query of the page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionsQuery {
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
    connection: Option<String>,
    /// Cursor of the timeline.
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "connections.html")]
struct ConnectionsPage {
    layout: Layout,
    namespace: String,
    connection: String,
    connections: Vec<ConnectionView>,
    entries: Vec<EntryView>,
    /// Why the timeline cannot be read.
    problem: Option<String>,
    /// Whether suspensions are missing, because the operator may not list Events.
    lacks_events: bool,
    /// Address of the earlier entries.
    earlier: Option<String>,
    /// Address of the newest entries, if these are not the newest.
    newest: Option<String>,
}

/// Shows the connections that the user may list, and the timeline of one, which requires `get` on it and `list` on runs and schedules.
pub async fn show(
    State(state): State<SharedState>,
    account: Account,
    PageParams(query): PageParams<ConnectionsQuery>,
) -> Result<Response, Problem> {
    let caller = &account.caller;
    let cursor = query.cursor;
    let query = ConnectionQuery {
        namespace: query.namespace,
        connection: query.connection,
    };
    let key = connection_key(&state, &query);
    let listed = listable_connections(&state, caller).await?;
    let timeline = read_timeline(&state, caller, key, cursor.as_deref(), Ok(PAGE_SIZE)).await;
    let (timeline, problem) = match timeline {
        Ok(timeline) => (timeline, None),
        Err(Problem::Unavailable(detail)) => (TimelinePage::default(), Some(words::sentence(&detail))),
        // Whoever may list some other connection can still switch to it.
        Err(Problem::Forbidden(detail) | Problem::NotFound(detail)) if !listed.is_empty() => {
            (TimelinePage::default(), Some(words::sentence(&detail)))
        }
        Err(problem) => return Err(problem),
    };
    let pairs = connection_pairs(&state.defaults, &query);
    let earlier = |cursor: String| address(CONNECTIONS, &[pairs.clone(), vec![("cursor", cursor)]].concat());
    let now = clock::now();
    let page = ConnectionsPage {
        connections: listed
            .iter()
            .map(|connection| ConnectionView::new(connection, key, &state.defaults, now))
            .collect(),
        entries: timeline
            .items
            .into_iter()
            .map(|entry| EntryView::new(entry, &query, &state.defaults))
            .collect(),
        problem,
        lacks_events: !timeline.unread.is_empty(),
        earlier: timeline.next_cursor.map(earlier),
        newest: cursor.map(|_| address(CONNECTIONS, &pairs)),
        namespace: key.0.to_owned(),
        connection: key.1.to_owned(),
        layout: Layout::new("Connections", Some(account.clone()))
            .in_section(Section::Connections)
            .of_connection(&state.defaults, &query),
    };
    page::render(StatusCode::OK, page.layout.nonce, &page)
}
