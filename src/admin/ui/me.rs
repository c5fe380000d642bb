//! The page of the signed-in user: groups, rights and session.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;

use super::account::Account;
use super::page::{self, Layout};
use super::sign_in::token_command;
use super::words;
use crate::admin::clock;
use crate::admin::problem::Problem;
use crate::admin::rights::{ActionResponse, list_actions};
use crate::admin::state::SharedState;

#[derive(Template)]
#[template(path = "me.html")]
struct MePage {
    layout: Layout,
    user: String,
    groups: Vec<String>,
    namespace: String,
    rights: Vec<Right>,
    expires_at: Timestamp,
    expires_text: String,
    expires_ahead: String,
    csrf_token: String,
    /// Creates a token.
    command: Option<String>,
}

struct Right {
    action: &'static str,
    is_allowed: bool,
    requires: String,
}

/// Shows who is signed in, and what the user may do. Requires no permission.
pub async fn show(State(state): State<SharedState>, account: Account) -> Result<Response, Problem> {
    let namespace = &state.defaults.namespace;
    let actions = list_actions(&state, &account.caller, namespace).await?;
    let session = &account.session;
    let page = MePage {
        user: account.user.clone(),
        groups: account.caller.groups().to_vec(),
        namespace: namespace.clone(),
        rights: actions.into_iter().map(Right::from).collect(),
        expires_at: session.expires_at,
        expires_text: words::utc(session.expires_at),
        expires_ahead: words::ahead(session.expires_at.duration_since(clock::now())),
        csrf_token: session.csrf_token.clone(),
        command: token_command(&state),
        layout: Layout::new("Signed in", Some(account.clone())),
    };
    page::render(StatusCode::OK, page.layout.nonce, &page)
}

impl From<ActionResponse> for Right {
    fn from(action: ActionResponse) -> Self {
        Self {
            action: match action.action {
                "listSyncs" => "See the syncs",
                "getSync" => "Open a sync",
                "watchSyncs" => "See syncs live",
                "createSync" => "Start a sync",
                "cancelSync" => "Cancel a sync",
                "approveDeletes" => "Approve withheld deletions",
                "listSchedules" => "See the schedules",
                "changeSchedule" => "Run, suspend and resume schedules",
                "listConnections" => "See the connections",
                "readStations" => "See the base stations",
                other => other,
            },
            is_allowed: action.allowed,
            requires: action.requires,
        }
    }
}
