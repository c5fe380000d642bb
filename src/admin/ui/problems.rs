//! Shows a problem as a page. Without a session, redirects to the sign-in page.

use std::time::Duration;

use askama::Template;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tokio::time::timeout;

use super::account::{Account, KnownAccount};
use super::address::{Pair, given};
use super::page::{self, Layout};
use super::return_path::{self, ReturnPath};
use super::words;
use crate::admin::problem::Problem;

/// Timeout of a page. Shorter than that of all routes, whose response is not a page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);
/// htmx sends this header with its requests.
const HTMX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
/// htmx navigates to the path in this header of a response.
const HTMX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    layout: Layout,
    detail: String,
    remedy: Option<&'static str>,
    /// Address of the page that may work later.
    retry: Option<ReturnPath>,
}

/// Calls a page, and renders its problem if it has one.
pub async fn render(mut request: Request, next: Next) -> Response {
    let account = KnownAccount::default();
    request.extensions_mut().insert(account.clone());
    let is_htmx = request.headers().contains_key(HTMX_REQUEST);
    let path = request.uri().path_and_query().map(PathAndQuery::as_str);
    let path = path.filter(|_| request.method() == Method::GET && !is_htmx);
    let connection = selected_connection(request.uri().query().unwrap_or_default());
    let sign_in = return_path::sign_in(&ReturnPath::new(path.unwrap_or_default()));
    let retry_path = path
        .map(ReturnPath::new)
        .filter(|kept| Some(kept.to_string().as_str()) == path);
    let timed_out = |_| {
        let seconds = PAGE_TIMEOUT.as_secs();
        Problem::Unavailable(format!("no response within {seconds} s")).into_response()
    };
    let response = timeout(PAGE_TIMEOUT, next.run(request))
        .await
        .unwrap_or_else(timed_out);
    match response.extensions().get::<Problem>() {
        None => response,
        Some(Problem::Unauthenticated(_)) if is_htmx => redirect_htmx(&sign_in),
        Some(Problem::Unauthenticated(_)) => Redirect::to(&sign_in).into_response(),
        Some(problem) => {
            let retry = retry_path.filter(|_| problem.is_temporary());
            let page = problem_page(problem, account.get(), connection, retry);
            if is_htmx { replace_content(page) } else { page }
        }
    }
}

/// htmx would show the sign-in page in a part of the page if the response were a redirect. A stream of server-sent events only sees the status.
fn redirect_htmx(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(path) => (StatusCode::UNAUTHORIZED, [(HTMX_REDIRECT, path)]).into_response(),
        Err(error) => Problem::internal("a redirect is invalid", &error).into_response(),
    }
}

/// htmx would show the page of a problem in place of the part that it requested.
fn replace_content(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        ("hx-retarget", "#content"),
        ("hx-reselect", "#content"),
        ("hx-reswap", "outerHTML"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// The parameters of the connection in a query, which may be invalid.
fn selected_connection(query: &str) -> Vec<Pair> {
    #[derive(Default, Deserialize)]
    struct Selected {
        namespace: Option<String>,
        connection: Option<String>,
    }
    let selected: Selected = serde_urlencoded::from_str(query).unwrap_or_default();
    given([
        ("namespace", selected.namespace),
        ("connection", selected.connection),
    ])
}

fn problem_page(
    problem: &Problem,
    account: Option<Account>,
    connection: Vec<Pair>,
    retry: Option<ReturnPath>,
) -> Response {
    let (title, remedy) = match problem {
        Problem::Forbidden(_) => (
            "Permission missing",
            Some(
                "Ask an administrator of the cluster for a role with this permission, such as the viewer role of the Helm chart.",
            ),
        ),
        Problem::NoSessions => (
            "Sign-in is not set up",
            Some(
                "Show this page to the administrator of the operator. The stations and their syncs are not affected.",
            ),
        ),
        Problem::NotFound(_) => ("Not found", None),
        Problem::MethodNotAllowed(_) => ("Nothing to show", None),
        Problem::Unavailable(_) => (
            "Not available right now",
            Some(
                "Try again in a few seconds. If the problem persists, tell the administrator what it says above.",
            ),
        ),
        Problem::TooManyRequests { .. } => ("Too many requests", None),
        Problem::Internal => ("Internal error", None),
        Problem::Conflict(_) => ("Not possible now", None),
        _ => ("Invalid request", None),
    };
    let layout = Layout::new(title, account).with_connection(connection);
    let nonce = layout.nonce;
    let detail = match problem {
        // It begins with the name of the user.
        Problem::Forbidden(detail) => detail.clone(),
        _ => words::sentence(&problem.detail()),
    };
    let page = ProblemPage {
        layout,
        detail,
        remedy,
        retry,
    };
    let rendered = page::render(problem.status(), nonce, &page);
    let mut response = rendered.unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().extend(problem.header());
    response
}
