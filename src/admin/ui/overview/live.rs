//! Live updates of the overview, as server-sent events that htmx swaps into the page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::unfold;
use futures::{Stream, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::state::Overview;
use crate::admin::auth::Permission;
use crate::admin::extract::QueryParams;
use crate::admin::kind::ApiKind;
use crate::admin::live::{EventStream, Selection, Sources};
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::state::SharedState;
use crate::admin::station_query::ConnectionQuery;
use crate::admin::stations::{connection_key, summarize};
use crate::admin::ui::account::Account;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;

/// An event, because htmx hides comments from the page, which measures the silence.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often the overview is rendered if nothing changes, because it says how long ago things were.
const RENDER_INTERVAL: Duration = Duration::from_secs(30);
/// After a change, so that many changes are one update.
const CHANGE_INTERVAL: Duration = Duration::from_millis(250);
/// Between two updates, because each reads the counts of the table.
const MIN_INTERVAL: Duration = Duration::from_secs(2);
/// Maximum number of changes that are one update.
const MAX_CHANGES: usize = 256;

/// Streams the overview of a connection whenever it has changed. Ends with the session, and with the permission to watch.
pub async fn stream(
    State(state): State<SharedState>,
    account: Account,
    QueryParams(query): QueryParams<ConnectionQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (namespace, _) = connection_key(&state, &query);
    let resources = [
        (TaranaSync::NAME, TaranaSync::RESOURCE),
        (TaranaSyncSchedule::NAME, TaranaSyncSchedule::RESOURCE),
        (TaranaConnection::NAME, TaranaConnection::RESOURCE),
    ];
    let permissions = resources.map(|(_, resource)| Permission::new("watch", resource, Some(namespace)));
    state
        .authorizer
        .authorize_all(&account.caller, &permissions)
        .await?;
    let selection = Selection {
        namespace: Some(namespace.to_owned()),
        kinds: resources.map(|(kind, _)| kind).to_vec(),
        permissions: permissions.to_vec(),
    };
    let sources = Sources {
        objects: Arc::clone(&state.objects),
        authorizer: Arc::clone(&state.authorizer),
        streams: Arc::clone(&state.streams),
    };
    let changes = EventStream::new(sources, &account.caller.name, selection, &headers, None)?.into_events();
    let heartbeat = KeepAlive::new()
        .interval(HEARTBEAT)
        .event(Event::default().event("heartbeat"));
    let mut response = Sse::new(overviews(state, account, query, changes))
        .keep_alive(heartbeat)
        .into_response();
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The overview, each time that it differs from the one before, until `changes` ends.
fn overviews<E: Send + 'static>(
    state: SharedState,
    account: Account,
    query: ConnectionQuery,
    changes: impl Stream<Item = E> + Send + 'static,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    let changes = Box::pin(changes.ready_chunks(MAX_CHANGES));
    // The first update is sent after the first change, whose snapshot is at once.
    let rendered = None;
    unfold(
        (changes, String::new(), rendered),
        move |(mut changes, mut sent, mut rendered)| {
            let (state, account, query) = (Arc::clone(&state), account.clone(), query.clone());
            async move {
                loop {
                    if let Ok(None) = timeout(RENDER_INTERVAL, changes.next()).await {
                        return None;
                    }
                    let earliest = rendered.map_or(Instant::now(), |rendered| rendered + MIN_INTERVAL);
                    sleep_until(earliest.max(Instant::now() + CHANGE_INTERVAL)).await;
                    rendered = Some(Instant::now());
                    let event = match render(&state, &account, &query).await {
                        Ok(html) if html == sent => continue,
                        Ok(html) => {
                            sent = html;
                            Event::default().data(&sent)
                        }
                        // The stream ends, and the browser learns the reason from its next request.
                        Err(Problem::Unauthenticated(_) | Problem::Forbidden(_) | Problem::NotFound(_)) => {
                            return None;
                        }
                        Err(_) => {
                            // What is sent next replaces what the page shows, even if it is the same.
                            sent.clear();
                            Event::default().event("unavailable")
                        }
                    };
                    return Some((Ok(event), (changes, sent, rendered)));
                }
            }
        },
    )
}

/// The HTML of the overview.
async fn render(state: &SharedState, account: &Account, query: &ConnectionQuery) -> Result<String, Problem> {
    let csrf_token = &account.session.csrf_token;
    let summary = summarize(state, &account.caller, query).await?;
    let overview = Overview::read(state, &account.caller, csrf_token, query, &summary).await?;
    let html = overview.render();
    let html = html.map_err(|error| Problem::internal("the overview cannot be rendered", &error))?;
    // A carriage return would end a line of the event.
    Ok(html.replace('\r', " "))
}
