//! One request, from the gate to the data of its answer. Everything that this operator says to the vendor goes through
//! [`Wire::send`].
//!
//! Nothing of a body, a cookie or a credential gets into a fault or a log line from here.

use std::fmt;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url, redirect};
use serde_json::value::RawValue;

use super::again::Again;
use super::config::{Config, invalid};
use super::envelope;
use super::limits::{Held, Limits};
use super::{broken, refusal, retry_after};
use crate::fault::{Fault, Reason};

/// Largest answer that is read; a page of 5000 devices of 300 fields stays below it.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Connecting takes no longer than this, however patient the whole request is.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests are held back when a server says 429 and not for how long.
const HOLD: Duration = Duration::from_secs(1);

/// What is asked. The path is a constant with ids in it, so it may be shown.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path and query below the base URL, beginning with a slash.
    pub(super) path: String,
    /// JSON.
    pub(super) body: Option<String>,
    /// It may be sent again: it only reads.
    pub(super) repeatable: bool,
}

/// What an answer held: its headers and its envelope's data.
pub(super) struct Answer<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) data: &'a RawValue,
}

/// The HTTP side of a client.
pub(super) struct Wire {
    http: reqwest::Client,
    base: Url,
    at: String,
    timeout: Duration,
    pub(super) limits: Limits,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("at", &self.at)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Request {
    pub(super) fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            body: None,
            repeatable: true,
        }
    }

    pub(super) fn post(path: impl Into<String>, body: Option<String>) -> Self {
        Self {
            method: Method::POST,
            path: path.into(),
            body,
            repeatable: true,
        }
    }

    /// A POST without a body that changes something on the other side, such as a login.
    pub(super) fn act(path: &str) -> Self {
        Self {
            repeatable: false,
            ..Self::post(path, None)
        }
    }

    /// Method and path, without the query.
    fn what(&self) -> String {
        format!(
            "{} {}",
            self.method,
            self.path.split('?').next().unwrap_or_default()
        )
    }
}

impl Wire {
    pub(super) fn new(config: &Config) -> Result<Self, Fault> {
        let base = config.url()?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tarana-operator/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([
                (header::ACCEPT, HeaderValue::from_static("application/json")),
                (
                    header::HeaderName::from_static("x-caller-name"),
                    HeaderValue::from_static("operator-portal"),
                ),
            ]))
            // A redirect could carry the session to another host.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(config.request_timeout);
        if let Some(roots) = config.roots()? {
            builder = builder.tls_certs_only(roots);
        }
        let http = builder.build().map_err(|_| {
            invalid("TLS cannot be set up: check spec.api.caSecretRef, and that the operator's image holds the system's CA certificates")
        })?;
        let host = base.host_str().unwrap_or_default();
        let at = format!("{host}:{}", base.port_or_known_default().unwrap_or_default());
        let limits = Limits::new(config.requests_per_second, config.max_in_flight);
        Ok(Self {
            http,
            base,
            at,
            timeout: config.request_timeout,
            limits,
        })
    }

    /// Sends `request` with one header that says who asks, and reads its answer by `read`. If the server has too much to do
    /// at once, a request that only reads is sent again, as `again` allows.
    ///
    /// # Errors
    /// Every way to fail is one of `refusal`'s faults. `AuthenticationFailed` means here that the session was refused.
    pub(super) async fn send<T>(
        &self,
        request: &Request,
        who: (header::HeaderName, HeaderValue),
        read: impl Fn(Answer<'_>) -> Result<T, String> + Send + Sync,
    ) -> Result<T, Fault> {
        let what = request.what();
        let mut again = Again::default();
        loop {
            let place = self
                .limits
                .admit(self.timeout)
                .await
                .map_err(|Held(wait)| held(wait))?;
            let failed = match self.once(&what, self.build(request, &who)?, &read).await {
                Ok(value) => {
                    place.served(&what);
                    return Ok(value);
                }
                Err(failed) => failed,
            };
            let crowded = failed.busy && place.refused();
            if !(failed.busy && request.repeatable && again.allows(crowded, failed.wish)) {
                return Err(self.slow_down(failed));
            }
            if let Some(after) = failed.wish {
                self.limits.hold(after);
            }
        }
    }

    /// One request and its answer, from the first byte to the last.
    async fn once<T>(
        &self,
        what: &str,
        request: reqwest::Request,
        read: impl Fn(Answer<'_>) -> Result<T, String> + Send,
    ) -> Result<T, Failed> {
        let cut = |e: &reqwest::Error| broken::fault(what, &self.at, e, self.timeout);
        let mut traces = Traces::default();
        let outcome = async {
            let response = self.http.execute(request).await.map_err(|e| cut(&e))?;
            traces = Traces::of(&response);
            check(what, &response)?;
            let headers = response.headers().clone();
            let body = envelope::text(body(what, response).await?.map_err(|e| cut(&e))?);
            let kind = headers.get(header::CONTENT_TYPE).and_then(media_type);
            let data = envelope::data(&body).map_err(|p| refusal::problem(what, &p, kind))?;
            Ok(read(Answer {
                headers: &headers,
                data,
            })
            .map_err(|how| refusal::changed(what, &how))?)
        };
        let outcome: Result<T, Failed> = outcome.await;
        if let Err(Failed { fault, .. }) = &outcome {
            tracing::warn!(
                request = what, status = traces.status, request_id = traces.request_id, upstream_ms = traces.upstream_ms,
                reason = %fault.reason, "request to TCS failed"
            );
        }
        outcome
    }

    fn build(
        &self,
        request: &Request,
        (name, value): &(header::HeaderName, HeaderValue),
    ) -> Result<reqwest::Request, Fault> {
        let url = format!("{}{}", self.base.as_str().trim_end_matches('/'), request.path);
        let mut builder = self.http.request(request.method.clone(), url).header(name, value);
        match &request.body {
            Some(body) => {
                builder = builder
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(body.clone());
            }
            None if request.method == Method::POST => builder = builder.header(header::CONTENT_LENGTH, 0),
            None => {}
        }
        builder
            .build()
            .map_err(|_| invalid("spec.api.url cannot be asked: check it"))
    }

    /// Holds back everybody if the server asked for it.
    fn slow_down(&self, Failed { fault, wish, .. }: Failed) -> Fault {
        match (fault.reason, wish) {
            (Reason::ApiThrottled | Reason::ApiUnavailable, Some(after)) => {
                self.limits.hold(after);
                fault.retry_after(after)
            }
            (Reason::ApiThrottled, None) => {
                self.limits.hold(HOLD);
                fault
            }
            _ => fault,
        }
    }
}

/// A request that failed, and whether that was for lack of room.
struct Failed {
    fault: Fault,
    /// The server has too much to do; it may take the same request a little later.
    busy: bool,
    /// Its `Retry-After`.
    wish: Option<Duration>,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self {
            busy: fault.reason == Reason::ApiThrottled,
            fault,
            wish: None,
        }
    }
}

/// The status table.
fn check(what: &str, response: &Response) -> Result<(), Failed> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
    let wish = text(header::RETRY_AFTER).and_then(|wish| retry_after::parse(wish, text(header::DATE)));
    let busy = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let fault = refusal::status(what, status.as_u16(), None);
    Err(Failed { fault, busy, wish })
}

/// The body, piece by piece, so that an endless one ends at the limit.
async fn body(what: &str, mut response: Response) -> Result<Result<Vec<u8>, reqwest::Error>, Fault> {
    let too_large = || {
        let message = format!(
            "{what}: the answer is larger than {} MiB: lower spec.api.pageSize",
            MAX_BODY >> 20
        );
        Fault::new(Reason::ResponseTooLarge, message)
    };
    let told = response
        .content_length()
        .map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX));
    if told > MAX_BODY {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(told);
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY => return Err(too_large()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(Ok(body)),
            Err(broken) => return Ok(Err(broken)),
        }
    }
}

fn held(wait: Duration) -> Fault {
    let message = format!(
        "the API asked for patience; nothing is sent to it for another {} s",
        wait.as_secs().max(1)
    );
    Fault::new(Reason::ApiThrottled, message).retry_after(wait)
}

/// `text/html` of a Content-Type, if it looks like one: it goes into a message.
fn media_type(value: &HeaderValue) -> Option<&str> {
    let essence = value.to_str().ok()?.split(';').next()?.trim();
    let fine = essence.len() <= 60
        && essence
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/+-.".contains(&b));
    fine.then_some(essence)
}

/// What the vendor's support asks for.
#[derive(Default)]
struct Traces {
    status: Option<u16>,
    request_id: Option<String>,
    upstream_ms: Option<String>,
}

impl Traces {
    fn of(response: &Response) -> Self {
        let text = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.chars().take(80).collect())
        };
        Self {
            status: Some(response.status().as_u16()),
            request_id: text("x-request-id"),
            upstream_ms: text("x-envoy-upstream-service-time"),
        }
    }
}
