//! One line in the log for each request, an id for it, an end to it, and what every answer says to a browser.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use tracing::Instrument;
use uuid::Uuid;

use super::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Until an answer begins. One that goes on for long, such as a stream, has begun by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every answer says. The page that is to come gets a policy of its own.
const SECURITY: [(HeaderName, HeaderValue); 6] = [
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

/// Who asked, once that is known.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<OnceLock<String>>);

impl Seen {
    /// It is this one.
    pub fn is(&self, name: &str) {
        let _ = self.0.set(name.to_owned());
    }
}

/// Around every request. What is logged is the route, not the address: that one may hold what somebody searched for.
pub async fn log(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = id_of(request.headers());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "-".to_owned());
    let seen = Seen::default();
    request.extensions_mut().insert(seen.clone());
    let span = tracing::info_span!("request", id);
    let answer = timeout(PATIENCE, next.run(request).instrument(span.clone())).await;
    let late = |_| {
        Problem::Unavailable(format!("no answer within {} s: try again", PATIENCE.as_secs())).into_response()
    };
    let mut response = answer.unwrap_or_else(late);
    for (name, value) in SECURITY {
        response.headers_mut().entry(name).or_insert(value);
    }
    // Nothing here is for a cache: it is about now, and for one caller.
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let caller = seen.0.get().map_or("-", String::as_str);
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(
        || tracing::info!(%method, route, status = response.status().as_u16(), ms, caller, "answered"),
    );
    response
}

/// The caller's own id, so that two logs can be laid side by side, if it is short and plain; else a new one.
fn id_of(headers: &HeaderMap) -> String {
    let plain = |id: &&str| {
        (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let given = headers
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(plain);
    given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}
