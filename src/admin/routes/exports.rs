//! Routes that export the stations of a connection's table: CSV, GeoJSON, KML. Each is streamed from one snapshot.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream::unfold;
use tokio::sync::mpsc;
use tokio::time::timeout;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::CommonErrors;
use crate::admin::extract::{Authenticated, QueryParams};
use crate::admin::problem::Problem;
use crate::admin::response::geojson::{GEOJSON_END, GEOJSON_START, geojson_feature};
use crate::admin::response::kml::{KML_END, KML_START, kml_placemark};
use crate::admin::response::station::{CSV_HEADER, csv_line};
use crate::admin::state::SharedState;
use crate::admin::station_query::FilterQuery;
use crate::admin::stations::authorized_store;
use crate::store::{StationExport, StationRow, Store};

/// How long a client may take to read a chunk.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(csv))
        .routes(routes!(geojson))
        .routes(routes!(kml))
}

/// Exports the matching stations as CSV (RFC 4180, UTF-8), sorted by serial number, in the state of one moment. A field that a spreadsheet
/// would execute as a formula starts with an apostrophe. If the database fails in the middle, the connection is closed before the
/// end of the response. Two exports of a connection can be in progress. Requires `get` on the connection (`taranaconnections`).
#[utoipa::path(get, path = "/api/v1/stations.csv", tag = "stations", params(FilterQuery), responses(
    (status = 200, body = String, content_type = "text/csv"), CommonErrors))]
async fn csv(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<FilterQuery>,
) -> Result<Response, Problem> {
    let (_, store) = authorized_store(&state, &caller, &query.connection()).await?;
    export(&store, &query, CSV).await
}

/// Exports the matching stations as GeoJSON (RFC 7946), sorted by serial number, in the state of one moment: a `FeatureCollection` of points
/// with the fields of a station as their properties. The geometry of a station without a position is `null`. If the database fails
/// in the middle, the document is cut off, which is invalid JSON, and the connection is closed. Two exports of a connection can be
/// in progress. Requires `get` on the connection (`taranaconnections`).
#[utoipa::path(get, path = "/api/v1/stations.geojson", tag = "stations", params(FilterQuery), responses(
    (status = 200, body = Object, content_type = "application/geo+json"), CommonErrors))]
async fn geojson(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<FilterQuery>,
) -> Result<Response, Problem> {
    let (_, store) = authorized_store(&state, &caller, &query.connection()).await?;
    export(&store, &query, GEOJSON).await
}

/// Exports the matching stations as KML 2.2, sorted by serial number, in the state of one moment: a placemark with the fields of a
/// station as its extended data, colored by status. A station without a position is a placemark without a point. If the database
/// fails in the middle, the document is cut off, which is invalid XML, and the connection is closed. Two exports of a connection
/// can be in progress. Requires `get` on the connection (`taranaconnections`).
#[utoipa::path(get, path = "/api/v1/stations.kml", tag = "stations", params(FilterQuery), responses(
    (status = 200, body = String, content_type = "application/vnd.google-earth.kml+xml"), CommonErrors))]
async fn kml(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<FilterQuery>,
) -> Result<Response, Problem> {
    let (_, store) = authorized_store(&state, &caller, &query.connection()).await?;
    export(&store, &query, KML).await
}

/// How stations become a document.
#[derive(Clone, Copy)]
struct Format {
    content_type: &'static str,
    disposition: &'static str,
    start: &'static str,
    separator: &'static str,
    end: &'static str,
    item: fn(StationRow) -> Result<String, serde_json::Error>,
}

const CSV: Format = Format {
    content_type: "text/csv; charset=utf-8",
    disposition: "attachment; filename=\"stations.csv\"",
    start: CSV_HEADER,
    separator: "",
    end: "",
    item: |row| Ok(csv_line(&row)),
};

const GEOJSON: Format = Format {
    content_type: "application/geo+json",
    disposition: "attachment; filename=\"stations.geojson\"",
    start: GEOJSON_START,
    separator: ",\n",
    end: GEOJSON_END,
    item: geojson_feature,
};

const KML: Format = Format {
    content_type: "application/vnd.google-earth.kml+xml",
    disposition: "attachment; filename=\"stations.kml\"",
    start: KML_START,
    separator: "",
    end: KML_END,
    item: |row| Ok(kml_placemark(&row)),
};

impl Format {
    /// The text of a chunk: of the first one with the start of the document, of an empty one its end.
    fn text(&self, rows: Vec<StationRow>, is_first: bool) -> Result<String, Interrupted> {
        let is_last = rows.is_empty();
        let mut text = if is_first { self.start } else { "" }.to_owned();
        for (index, row) in rows.into_iter().enumerate() {
            if index > 0 || !is_first {
                text.push_str(self.separator);
            }
            text.push_str(&(self.item)(row).map_err(|_| Interrupted)?);
        }
        if is_last {
            text.push_str(self.end);
        }
        Ok(text)
    }
}

/// An export was aborted. So is the response, so that the client sees that it is incomplete.
#[derive(Debug, thiserror::Error)]
#[error("the database failed during the export, or the client was too slow")]
struct Interrupted;

/// Streams the stations. Its memory is bounded by a chunk.
async fn export(store: &Store, query: &FilterQuery, format: Format) -> Result<Response, Problem> {
    let unavailable = |fault| Problem::from_database(&fault);
    let busy = || {
        Problem::Unavailable(
            "two exports of this connection are in progress: try again when one has ended".to_owned(),
        )
    };
    let mut export = store
        .begin_export(&query.filter()?)
        .await
        .map_err(unavailable)?
        .ok_or_else(busy)?;
    // The first chunk is read before the response starts, so that a database error still becomes an error response.
    let first = export.next_chunk().await.map_err(unavailable)?;
    let (sender, receiver) = mpsc::channel(1);
    #[expect(
        clippy::disallowed_methods,
        reason = "the task ends with its receiver, which the response owns, or when the client does not read"
    )]
    tokio::spawn(async move {
        if let Err(error) = send_chunks(export, first, format, &sender).await {
            // Without it, the response would end as if it were complete. The connections of the database are free by now.
            let _ = sender.send(Err(error)).await;
        }
    });
    let chunks = unfold(receiver, async |mut receiver| {
        let chunk = receiver.recv().await?;
        Some((chunk, receiver))
    });
    let headers = [
        (header::CONTENT_TYPE, format.content_type),
        (header::CONTENT_DISPOSITION, format.disposition),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// Sends the document chunk by chunk. Hyper does not poll a response whose client does not read, so the timeout for that is here: until
/// then, the export holds a connection of the pool.
async fn send_chunks(
    mut export: StationExport,
    first: Vec<StationRow>,
    format: Format,
    sender: &mpsc::Sender<Result<Bytes, Interrupted>>,
) -> Result<(), Interrupted> {
    let (mut rows, mut is_first) = (first, true);
    loop {
        let is_last = rows.is_empty();
        let text = format.text(rows, is_first)?;
        let sent = timeout(READ_TIMEOUT, sender.send(Ok(Bytes::from(text)))).await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::info!("an export was aborted: its client has gone or does not read");
            return Err(Interrupted);
        }
        if is_last {
            return Ok(());
        }
        rows = export.next_chunk().await.map_err(|fault| {
            tracing::warn!(%fault, "an export was aborted");
            Interrupted
        })?;
        is_first = false;
    }
}
