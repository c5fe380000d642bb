//! Sign-in and sign-out.

use std::net::SocketAddr;

use askama::Template;
use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::change_form::invalid_form;
use super::page::{self, Layout};
use super::return_path::{self, ReturnPath};
use super::words;
use crate::admin::auth::FETCH_SITE;
use crate::admin::extract::QueryParams;
use crate::admin::problem::Problem;
use crate::admin::sign_in::{begin_session, end_session};
use crate::admin::state::{AdminState, SharedState};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    layout: Layout,
    /// Why the sign-in failed.
    message: Option<String>,
    to: ReturnPath,
    /// Creates a token.
    command: Option<String>,
    accepts_supabase: bool,
}

/// Opens the sign-in page again, as a page of this host does.
#[derive(Template)]
#[template(path = "continue.html")]
struct ContinuePage {
    layout: Layout,
    address: String,
}

/// Query of the sign-in page.
#[derive(Debug, Deserialize)]
pub struct SignInQuery {
    /// The page to show afterwards.
    #[serde(default)]
    to: String,
}

/// The form of the sign-in page.
#[derive(Deserialize)]
pub struct SignInForm {
    token: String,
    #[serde(default)]
    to: String,
}

/// The form of the button to sign out.
#[derive(Deserialize)]
pub struct SignOutForm {
    csrf_token: Option<String>,
}

/// Shows the form. A user who is signed in goes to the page at once. A browser sends no cookie after a click on another site, such as a chat:
/// it is made to ask again.
pub async fn show(
    State(state): State<SharedState>,
    QueryParams(query): QueryParams<SignInQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.authorizer.sessions()?;
    let to = ReturnPath::new(&query.to);
    if headers.get(FETCH_SITE).is_some_and(|site| site == "cross-site") {
        let layout = Layout::new("Sign in", None);
        let address = return_path::sign_in(&to);
        let page = ContinuePage { layout, address };
        return page::render(StatusCode::OK, page.layout.nonce, &page);
    }
    if let Ok(Some(session)) = state.authorizer.session(&headers).await
        && state.authorizer.authenticate_session(&session).await.is_ok()
    {
        return Ok(Redirect::to(&to.to_string()).into_response());
    }
    form_page(&state, StatusCode::OK, to, None)
}

/// Begins a session and redirects to the page. If the token is not accepted, shows the form with the reason.
pub async fn submit(
    State(state): State<SharedState>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Result<Form<SignInForm>, FormRejection>,
) -> Result<Response, Problem> {
    let Form(form) = form.map_err(|rejection| invalid_form(rejection.status()))?;
    let to = ReturnPath::new(&form.to);
    match begin_session(&state, address, &headers, form.token.trim()).await {
        Ok((_, cookies)) => Ok((cookies, Redirect::to(&to.to_string())).into_response()),
        Err(problem @ (Problem::BadRequest(_) | Problem::Unauthenticated(_))) => form_page(
            &state,
            problem.status(),
            to,
            Some(words::sentence(&problem.detail())),
        ),
        Err(problem) => Err(problem),
    }
}

/// Ends the session and redirects to the sign-in page.
pub async fn sign_out(
    State(state): State<SharedState>,
    headers: HeaderMap,
    form: Result<Form<SignOutForm>, FormRejection>,
) -> Result<Response, Problem> {
    let token = form.ok().and_then(|Form(form)| form.csrf_token);
    let redirect = Redirect::to("/admin/sign-in");
    match end_session(&state, &Method::POST, &headers, token.as_deref()).await {
        Ok(cookies) => Ok((cookies, redirect).into_response()),
        // There is no session to end.
        Err(Problem::NotFound(_)) => Ok(redirect.into_response()),
        Err(problem) => Err(problem),
    }
}

fn form_page(
    state: &AdminState,
    status: StatusCode,
    to: ReturnPath,
    message: Option<String>,
) -> Result<Response, Problem> {
    let layout = Layout::new("Sign in", None);
    let nonce = layout.nonce;
    let page = SignInPage {
        layout,
        message,
        to,
        command: token_command(state),
        accepts_supabase: state.authorizer.accepts_supabase(),
    };
    page::render(status, nonce, &page)
}

/// The command that creates a token, if tokens of Kubernetes are accepted. Without a duration it would end after an hour.
pub fn token_command(state: &AdminState) -> Option<String> {
    let namespace = &state.defaults.namespace;
    let audience = state.authorizer.kubernetes()?.audience.as_ref();
    let audience = audience.map_or_else(String::new, |audience| format!(" \\\n  --audience {audience}"));
    Some(format!(
        "kubectl create token NAME \\\n  --namespace {namespace} \\\n  --duration 12h{audience}"
    ))
}
