//! The page of the base stations: the state of a connection, and the table of its stations.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;

use super::state::Overview;
use crate::admin::problem::Problem;
use crate::admin::state::SharedState;
use crate::admin::stations::{list_stations, summarize};
use crate::admin::ui::account::Account;
use crate::admin::ui::address::of_connection;
use crate::admin::ui::page::{self, Layout, Section};
use crate::admin::ui::return_path::LIVE;
use crate::admin::ui::stations::params::ListParams;
use crate::admin::ui::stations::table::{StationSection, StationTable};

/// htmx sends the element that it replaces as `tag#id`.
const HTMX_TARGET: HeaderName = HeaderName::from_static("hx-target");
const TABLE_TARGET: &str = "div#station-table";

#[derive(Template)]
#[template(path = "base_stations.html")]
struct BaseStationsPage {
    layout: Layout,
    overview: Overview,
    /// Address of its live updates.
    live: String,
    station_section: StationSection,
}

/// Shows the page; only the table if htmx replaces it. Requires `get` on the connection, and for the whole page also `list` on runs and
/// schedules.
pub async fn show(
    State(state): State<SharedState>,
    account: Account,
    headers: HeaderMap,
    ListParams { filter, page }: ListParams,
) -> Result<Response, Problem> {
    let caller = account.caller.clone();
    let csrf_token = account.session.csrf_token.clone();
    let layout = Layout::new("Base stations", Some(account))
        .in_section(Section::BaseStations)
        .of_connection(&state.defaults, &filter.connection());
    let nonce = layout.nonce;
    let stations = list_stations(&state, &caller, &filter, &page).await?;
    let table = StationTable::new(nonce, &filter, &page, stations);
    let target = headers.get(HTMX_TARGET);
    if target.is_some_and(|target| target == TABLE_TARGET) {
        return page::render(StatusCode::OK, nonce, &table);
    }
    let connection = filter.connection();
    let summary = summarize(&state, &caller, &connection).await?;
    let page = BaseStationsPage {
        layout,
        overview: Overview::read(&state, &caller, &csrf_token, &connection, &summary).await?,
        live: of_connection(LIVE, &state.defaults, &connection),
        station_section: StationSection::new(nonce, &filter, &summary.markets, table),
    };
    page::render(StatusCode::OK, nonce, &page)
}
