//! Serves the file of the tiles behind the map.

use std::io::ErrorKind;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tower_http::services::ServeFile;

use crate::admin::map_tiles::MapTiles;
use crate::admin::problem::Problem;
use crate::admin::state::SharedState;
use crate::admin::ui::account::Account;

/// Returns the file, or the range of it that is requested. Requires a session.
pub async fn serve(
    State(state): State<SharedState>,
    _account: Account,
    request: Request,
) -> Result<Response, Problem> {
    let file = state.map_tiles.as_ref().and_then(MapTiles::file);
    let file = file.ok_or_else(|| {
        Problem::NotFound("the map has no file of tiles: start the operator with --map-tile-file".to_owned())
    })?;
    let response = ServeFile::new(file.path()).try_call(request).await;
    match response {
        Ok(response) => Ok(response.map(Body::new)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Problem::NotFound(
            "the file of tiles is missing: restore the file of --map-tile-file".to_owned(),
        )),
        Err(error) => Err(Problem::internal("the file of tiles cannot be read", &error)),
    }
}
