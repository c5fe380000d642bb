//! Begins and ends browser sessions, for the API and the pages.

use std::net::SocketAddr;

use axum::http::{HeaderMap, Method};
use axum_extra::extract::cookie::PrivateCookieJar;

use super::auth::{Session, check_sign_in_site};
use super::problem::Problem;
use super::state::AdminState;

/// Signs in with a token. Returns the session and its cookie.
///
/// # Errors
/// Sessions are not enabled, another site sent the request, there were too many, or the token is not valid.
pub async fn begin_session(
    state: &AdminState,
    address: SocketAddr,
    headers: &HeaderMap,
    token: &str,
) -> Result<(Session, PrivateCookieJar), Problem> {
    let sessions = state.authorizer.sessions()?;
    check_sign_in_site(headers)?;
    state.sign_in_limiter.check(&address.ip().to_string())?;
    let (session, cookies) = sessions.begin(token)?;
    let caller = state.authorizer.authenticate_token(token).await?;
    tracing::info!(caller = caller.name, "signed in");
    Ok((session, cookies))
}

/// Ends the session of a request on all replicas. Returns what removes its cookie. `form_token` is as in [`Session::check_forgery`].
///
/// # Errors
/// The request has no session, another site may have sent it, or the Kubernetes API is unavailable.
pub async fn end_session(
    state: &AdminState,
    method: &Method,
    headers: &HeaderMap,
    form_token: Option<&str>,
) -> Result<PrivateCookieJar, Problem> {
    let sessions = state.authorizer.sessions()?;
    let session = state.authorizer.session(headers).await?;
    let session = session.ok_or_else(|| Problem::NotFound("the request has no session".to_owned()))?;
    session.check_forgery(method, headers, form_token)?;
    sessions.end(&session).await
}
