//! The forms that start and cancel a sync.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use uuid::Uuid;

use crate::admin::create::CreatedUnlessActive;
use crate::admin::problem::Problem;
use crate::admin::requests::{self, Cancellation, RunOptions};
use crate::admin::state::{AdminState, SharedState};
use crate::admin::station_query::ConnectionQuery;
use crate::admin::stations::connection_key;
use crate::admin::ui::address::of_connection;
use crate::admin::ui::change_form::ChangeForm;
use crate::admin::ui::return_path::{START, SYNC};

/// The form to start a sync.
#[derive(Debug, Deserialize)]
pub struct SyncFields {
    namespace: String,
    connection: String,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    delete_stale: bool,
    /// Whether the deletions were confirmed.
    #[serde(default)]
    confirmed: bool,
}

/// The form to cancel a sync.
#[derive(Debug, Deserialize)]
pub struct CancelFields {
    namespace: String,
    connection: String,
    id: Uuid,
}

/// Starts a sync and returns to the page. If it deletes stations, redirects to the confirmation first, because the button Back of a browser
/// would not show the answer to a form again. Requires `create` on runs.
pub async fn sync(
    State(state): State<SharedState>,
    ChangeForm { account, fields }: ChangeForm<SyncFields>,
) -> Result<Response, Problem> {
    let query = ConnectionQuery::named(&fields.namespace, &fields.connection)?;
    let options = RunOptions {
        dry_run: fields.dry_run,
        delete_stale: fields.delete_stale,
    };
    if options.deletes() && !fields.confirmed {
        return Ok(Redirect::to(&of_connection(SYNC, &state.defaults, &query)).into_response());
    }
    let key = connection_key(&state, &query);
    match requests::create_run_unless_active(&state, &account.caller, key, options).await? {
        CreatedUnlessActive::Created(_) => Ok(back(&state, &query)),
        CreatedUnlessActive::Active(_) => Err(Problem::Conflict(
            "a sync is already under way: wait for its end, or cancel it".to_owned(),
        )),
    }
}

/// Cancels a sync and returns to the page. Requires `get` and `patch` on runs.
pub async fn cancel(
    State(state): State<SharedState>,
    ChangeForm { account, fields }: ChangeForm<CancelFields>,
) -> Result<Response, Problem> {
    let query = ConnectionQuery::named(&fields.namespace, &fields.connection)?;
    match requests::cancel_run(&state, &account.caller, fields.id).await? {
        // It ended before the click: the page shows how.
        Cancellation::Requested(_) | Cancellation::Ended(_) => Ok(back(&state, &query)),
    }
}

/// Shows the page again. A reload then does not send the form again.
fn back(state: &AdminState, query: &ConnectionQuery) -> Response {
    Redirect::to(&of_connection(START, &state.defaults, query)).into_response()
}
