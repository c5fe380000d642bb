//! The page of a station: its fields and its history.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use uuid::Uuid;

use super::changes::StationChangeView;
use super::links as station_links;
use super::params::ListParams;
use crate::admin::extract::PathParams;
use crate::admin::problem::Problem;
use crate::admin::response::station::{StationDetail, StationResponse};
use crate::admin::state::SharedState;
use crate::admin::stations::find_station;
use crate::admin::ui::account::Account;
use crate::admin::ui::page::{self, Layout};
use crate::admin::ui::runs::links;
use crate::admin::ui::runs::query::RunsQuery;
use crate::admin::ui::words;

#[derive(Template)]
#[template(path = "station.html")]
struct StationPage {
    layout: Layout,
    serial: String,
    /// The table that led here.
    back: String,
    /// Selects the runs of the connection.
    runs: RunsQuery,
    /// `None` if the station was deleted.
    station: Option<StationResponse>,
    /// Names and values of the fields, as far as they have one.
    fields: Vec<(&'static str, String)>,
    changed: Option<(Timestamp, String)>,
    history: Vec<StationChangeView>,
}

/// Shows a station. The query is that of the table that leads here. Requires `get` on the connection (`taranaconnections`).
pub async fn show(
    State(state): State<SharedState>,
    account: Account,
    PathParams(serial): PathParams<String>,
    ListParams { filter, page }: ListParams,
) -> Result<Response, Problem> {
    let detail = find_station(&state, &account.caller, &serial, &filter.connection()).await?;
    let layout = Layout::new("Base station", Some(account));
    let layout = layout.of_connection(&state.defaults, &filter.connection());
    let back = station_links::table(&filter, &page);
    let runs = RunsQuery::of_connection(filter.namespace.clone(), filter.connection.clone());
    let page = StationPage::new(layout, serial, back, runs, detail);
    page::render(StatusCode::OK, page.layout.nonce, &page)
}

impl StationPage {
    fn new(layout: Layout, serial: String, back: String, runs: RunsQuery, detail: StationDetail) -> Self {
        let StationDetail { station, changes, .. } = detail;
        let changed = station.as_ref().and_then(|station| station.last_updated);
        Self {
            layout,
            serial,
            back,
            runs,
            fields: station.as_ref().map(fields).unwrap_or_default(),
            changed: changed.map(|time| (time, words::utc(time))),
            station,
            history: changes
                .into_iter()
                .map(|change| StationChangeView::new(change, "No longer listed"))
                .collect(),
        }
    }

    /// Address of a run.
    fn run_link(&self, id: &Uuid) -> String {
        links::run(*id, &self.runs, None)
    }
}

fn fields(station: &StationResponse) -> Vec<(&'static str, String)> {
    let number =
        |value: Option<f64>, unit: &str| value.map(|value| format!("{value}{unit}")).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let connections = station.active_connections;
    let fields = [
        (
            "Active connections",
            connections.map(|n| words::number(n.into())).unwrap_or_default(),
        ),
        ("Site", station.site_name.clone()),
        ("Host name", station.hostname.clone()),
        ("Cell", text(&station.cell_name)),
        ("Sector", text(&station.sector_name)),
        ("Market", text(&station.market)),
        ("Region", text(&station.region)),
        ("Band", text(&station.band)),
        ("Azimuth", number(station.azimuth_deg, "°")),
        ("Height above sea level", number(station.height_m, " m")),
        ("Latitude", format!("{}°", station.lat)),
        ("Longitude", format!("{}°", station.lng)),
    ];
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}
