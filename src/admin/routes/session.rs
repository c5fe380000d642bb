//! Routes of browser sessions: sign in, sign out.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::{CommonErrors, WriteErrors};
use crate::admin::auth::Session;
use crate::admin::extract::JsonBody;
use crate::admin::problem::Problem;
use crate::admin::sign_in::{begin_session, end_session};
use crate::admin::state::SharedState;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(sign_in, sign_out))
}

/// The token of the caller.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// As in `Authorization: Bearer`.
    #[schema(max_length = 2600)]
    token: String,
}

/// A browser session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionResponse {
    /// When it ends. It ends earlier if its token does.
    expires_at: Timestamp,
    /// What a change has to send along as the header `X-CSRF-Token`.
    csrf_token: String,
}

impl From<Session> for SessionResponse {
    fn from(session: Session) -> Self {
        Self {
            expires_at: session.expires_at,
            csrf_token: session.csrf_token,
        }
    }
}

/// Signs in with a token: sets an encrypted cookie that authenticates requests of this browser like the token. Changes also need the
/// header `X-CSRF-Token` and must come from a page of this host. Requires no permission.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = SignIn, security(()), responses(
    (status = 201, body = SessionResponse, headers(("Set-Cookie" = String))), CommonErrors, WriteErrors))]
async fn sign_in(
    State(state): State<SharedState>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<SignIn>,
) -> Result<Response, Problem> {
    let (session, cookies) = begin_session(&state, address, &headers, &request.token).await?;
    let session = SessionResponse::from(session);
    Ok((StatusCode::CREATED, cookies, Json(session)).into_response())
}

/// Signs out: ends the session on all replicas and removes its cookie. Requires no permission.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", security(()), responses(
    (status = 204, description = "The session has ended"), CommonErrors, WriteErrors))]
async fn sign_out(State(state): State<SharedState>, headers: HeaderMap) -> Result<Response, Problem> {
    let cookies = end_session(&state, &Method::DELETE, &headers, None).await?;
    Ok((StatusCode::NO_CONTENT, cookies).into_response())
}
