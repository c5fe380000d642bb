//! The page of the base stations: totals, and how fresh they are.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;

use super::account::Account;
use super::page::{self, Layout};
use super::words;
use crate::admin::extract::QueryParams;
use crate::admin::problem::Problem;
use crate::admin::response::station::StationSummary;
use crate::admin::state::SharedState;
use crate::admin::stations::{ConnectionQuery, summarize};

#[derive(Template)]
#[template(path = "base_stations.html")]
struct BaseStationsPage {
    layout: Layout,
    stations: String,
    online: String,
    online_share: Option<String>,
    offline: String,
    connections: String,
    /// `None` before the first sync.
    freshness: Option<FreshnessInWords>,
}

struct FreshnessInWords {
    time: Timestamp,
    text: String,
    ago: String,
}

/// Shows the totals. Requires `get` on the connection (`taranaconnections`).
pub async fn show(
    State(state): State<SharedState>,
    account: Account,
    QueryParams(connection): QueryParams<ConnectionQuery>,
) -> Result<Response, Problem> {
    let summary = summarize(&state, &account.caller, &connection).await?;
    let mut layout = Layout::new("Base stations", Some(account));
    layout.is_base_stations = true;
    let nonce = layout.nonce;
    page::render(
        StatusCode::OK,
        nonce,
        &BaseStationsPage::new(layout, &summary, now()),
    )
}

impl BaseStationsPage {
    fn new(layout: Layout, summary: &StationSummary, now: Timestamp) -> Self {
        let totals = &summary.all;
        let freshness = summary.freshness.true_as_of.map(|time| FreshnessInWords {
            time,
            text: time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            ago: words::ago(now.duration_since(time)),
        });
        Self {
            layout,
            stations: words::number(totals.stations),
            online: words::number(totals.online),
            online_share: words::share(totals.online, totals.stations),
            offline: words::number(totals.stations - totals.online),
            connections: words::number(totals.active_connections),
            freshness,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a page shows how long ago something was"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
