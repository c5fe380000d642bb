//! The forms that repeat a run, or approve the deletions that it withheld.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use uuid::Uuid;

use super::links;
use super::query::RunsQuery;
use crate::admin::create::Created;
use crate::admin::objects::object_id;
use crate::admin::problem::Problem;
use crate::admin::repeat;
use crate::admin::state::SharedState;
use crate::admin::ui::change_form::ChangeForm;

/// The form that approves the deletions of a run.
#[derive(Debug, Deserialize)]
pub struct ApproveFields {
    id: Uuid,
}

/// The form that repeats a run.
#[derive(Debug, Deserialize)]
pub struct RerunFields {
    id: Uuid,
    /// Identifies the page with the form, so that a second click returns the run of the first.
    key: Uuid,
}

/// Creates a run like another one, and shows it. Requires `get` and `create` on runs.
pub async fn rerun(
    State(state): State<SharedState>,
    ChangeForm { account, fields }: ChangeForm<RerunFields>,
) -> Result<Response, Problem> {
    let key = format!("page-{}", fields.key);
    let created = repeat::rerun(&state, &account.caller, fields.id, Ok(Some(&key))).await?;
    Ok(redirect_to(&created))
}

/// Creates a run that deletes what another one withheld, and shows it. Requires `get`, `create` and `approve` on runs.
pub async fn approve(
    State(state): State<SharedState>,
    ChangeForm { account, fields }: ChangeForm<ApproveFields>,
) -> Result<Response, Problem> {
    let created = repeat::approve(&state, &account.caller, fields.id, Ok(None)).await?;
    Ok(redirect_to(&created))
}

fn redirect_to(created: &Created) -> Response {
    let (Created::New(sync) | Created::Existing(sync)) = created;
    let query = RunsQuery::of_connection(
        sync.metadata.namespace.clone(),
        Some(sync.spec.connection_ref.name.clone()),
    );
    Redirect::to(&links::run(object_id(&**sync), &query, None)).into_response()
}
