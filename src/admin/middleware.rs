//! The outermost middleware: access log, request id, timeout and security headers.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use tracing::Instrument;
use uuid::Uuid;

use super::problem::Problem;
use crate::trace::live;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Timeout until the response begins. The body may take longer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Security headers of every response that does not set its own.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        header::STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=31536000"),
    ),
];

/// Request extension that carries the caller's name to the access log once the caller is authenticated.
#[derive(Clone, Debug, Default)]
pub struct CallerName(Arc<OnceLock<String>>);

impl CallerName {
    /// Sets the name for the request with these extensions. Only the first call has an effect.
    pub fn set(extensions: &Extensions, name: &str) {
        if let Some(caller) = extensions.get::<Self>() {
            let _ = caller.0.set(name.to_owned());
        }
    }
}

/// Wraps every request. Hyper drops the handler of a client that closes the connection. A change runs to its end in a task of its own, so
/// that no caller can avoid its Event and its line in the access log.
pub async fn wrap(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return respond(request, next).await;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the task ends with the response, within its timeout"
    )]
    let change = tokio::spawn(respond(request, next));
    let failed = |error| Problem::internal("a request was aborted", &error).into_response();
    change.await.unwrap_or_else(failed)
}

/// The response. The access log holds the route, not the URI, because a URI may contain search terms.
async fn respond(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "-".to_owned());
    let caller = CallerName::default();
    request.extensions_mut().insert(caller.clone());
    let span = live::admin_request(&id);
    let result = timeout(RESPONSE_TIMEOUT, next.run(request).instrument(span.clone())).await;
    let timed_out = |_| {
        Problem::Unavailable(format!(
            "no response within {} s: try again",
            RESPONSE_TIMEOUT.as_secs()
        ))
        .into_response()
    };
    let mut response = result.unwrap_or_else(timed_out);
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    // Responses depend on the caller and the current state, so no cache may keep them.
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let caller = caller.0.get().map_or("-", String::as_str);
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(
        || tracing::info!(%method, route, status = response.status().as_u16(), ms, caller, "request completed"),
    );
    response
}

/// The caller's own request id, so that its log and ours can be correlated; a new one if it is missing, long or unusual.
fn request_id(headers: &HeaderMap) -> String {
    let is_plain = |id: &&str| {
        (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let sent = headers
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(is_plain);
    sent.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}
