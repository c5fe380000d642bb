//! Sends one request and reads its answer. Every request to the vendor goes through [`HttpTransport::send`].
//!
//! Faults and log lines from here contain no body, cookie or credential.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url, redirect};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

use super::body::read_body;
use super::limits::{Limits, Paused};
use super::memory::ANSWERS;
use super::read_retries::ReadRetries;
use super::request::{Request, RequestClass};
use super::retry_budget::RetryBudget;
use super::transport_faults::from_transport_error;
use super::{date, envelope, faults, retry_after};
use crate::fault::{Fault, Reason};
use crate::metrics::VendorMetrics;
use crate::tarana::config::{Config, invalid};
use crate::trace::live;

/// Bounds connecting, whatever the timeout of the whole request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept for the next request. Each holds the buffer that it read the largest page into.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after a 429 without `Retry-After`.
const DEFAULT_PAUSE: Duration = Duration::from_secs(1);

/// A header that authenticates a request.
type Credentials = (header::HeaderName, HeaderValue);

/// The headers of an answer and the data of its envelope.
pub(super) struct Answer<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) data: &'a RawValue,
}

/// The header `Date` of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTime {
    /// The server's clock, in whole seconds.
    pub time: Timestamp,
    /// When the header arrived.
    pub received: std::time::Instant,
}

/// The HTTP client of one connection, with its limits.
pub(super) struct HttpTransport {
    http: reqwest::Client,
    base_url: Url,
    /// Host and port, for messages.
    address: String,
    timeout: Duration,
    limits: Limits,
    server_time: Mutex<Option<ServerTime>>,
    read_retries: Mutex<ReadRetries>,
    pub(super) metrics: VendorMetrics,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("address", &self.address)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl HttpTransport {
    pub(super) fn new(config: &Config) -> Result<Self, Fault> {
        let base_url = config.url()?;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(config.tls()?)
            .user_agent(concat!("tarana-operator/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([
                (header::ACCEPT, HeaderValue::from_static("application/json")),
                (
                    header::HeaderName::from_static("x-caller-name"),
                    HeaderValue::from_static("operator-portal"),
                ),
            ]))
            // A redirect could send the session to another host.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .timeout(config.request_timeout);
        let http = builder
            .build()
            .map_err(|_| invalid("the HTTP client cannot be set up"))?;
        let host = base_url.host_str().unwrap_or_default();
        let address = format!("{host}:{}", base_url.port_or_known_default().unwrap_or_default());
        Ok(Self {
            http,
            base_url,
            address,
            timeout: config.request_timeout,
            limits: Limits::new(config.requests_per_second, config.max_in_flight),
            server_time: Mutex::default(),
            read_retries: Mutex::default(),
            metrics: VendorMetrics::default(),
        })
    }

    /// Whether another transport sends its requests to the same address.
    pub(super) fn has_address_of(&self, other: &Self) -> bool {
        self.base_url == other.base_url
    }

    /// Until when no request is sent, because the API asked for a pause.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.limits.paused_until()
    }

    /// The clock of the server in its newest answer.
    pub(super) fn server_time(&self) -> Option<ServerTime> {
        *self.server_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record_server_time(&self, headers: &HeaderMap) {
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        if let Some(time) = date.and_then(date::parse) {
            let received = std::time::Instant::now();
            let newest = &mut *self.server_time.lock().unwrap_or_else(PoisonError::into_inner);
            *newest = Some(ServerTime { time, received });
        }
    }

    /// The newest pauses, oldest first.
    pub(super) fn pauses(&self) -> Vec<(Instant, Instant)> {
        self.limits.pauses()
    }

    /// Sends `request` with `credentials` and reads its answer by `read`. A repeatable request is sent again: if the server is busy
    /// within its [`RetryBudget`], after any other failure within [`ReadRetries`].
    ///
    /// # Errors
    /// Each failure is a fault of `faults` or `transport_faults`. `AuthenticationFailed` means that the API rejected the
    /// credentials.
    pub(super) async fn send<T>(
        &self,
        request: &Request,
        credentials: Credentials,
        read: impl Fn(Answer<'_>) -> Result<T, String> + Send + Sync,
    ) -> Result<T, Fault> {
        let name = request.name();
        let (mut budget, mut sends) = (RetryBudget::default(), 0);
        loop {
            let permit = self
                .limits
                .acquire(self.timeout)
                .await
                .map_err(|Paused(wait)| paused(wait))?;
            let failure = match self
                .send_once(&name, request.class, self.build(request, &credentials)?, &read)
                .await
            {
                Ok(value) => {
                    permit.record_success(&name);
                    self.read_retries().record_success();
                    return Ok(value);
                }
                Err(failure) => failure,
            };
            sends += 1;
            // Otherwise the permit is released here, before any pause.
            let crowded = if failure.busy {
                permit.record_rejection()
            } else {
                drop(permit);
                false
            };
            let resend =
                failure.busy && request.repeatable && budget.record_rejection(crowded, failure.retry_after);
            if resend {
                if let Some(delay) = failure.retry_after {
                    self.pause_for(delay);
                }
                continue;
            }
            let fault = self.pause_after(failure);
            let pause = request
                .repeatable
                .then(|| self.read_retries().next_pause(&fault, sends, request.seed()));
            match pause.flatten() {
                Some(pause) => sleep(pause).await,
                None => return Err(repeated(fault, sends)),
            }
        }
    }

    fn read_retries(&self) -> MutexGuard<'_, ReadRetries> {
        // A number: whatever a panic left behind is valid.
        self.read_retries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause_for(&self, delay: Duration) {
        self.metrics.paused();
        self.limits.pause_for(delay);
    }

    /// Sends a request once and reads its whole answer. Counts it, and logs a failure.
    async fn send_once<T>(
        &self,
        name: &str,
        class: RequestClass,
        request: reqwest::Request,
        read: impl Fn(Answer<'_>) -> Result<T, String> + Send,
    ) -> Result<T, Failure> {
        let broken = |e: &reqwest::Error| from_transport_error(name, &self.address, e, self.timeout);
        let (mut trace, began) = (TraceHeaders::default(), Instant::now());
        let span = live::vendor_request(name);
        let outcome = async {
            let response = self.http.execute(request).await.map_err(|e| broken(&e))?;
            trace = TraceHeaders::of(&response);
            live::answered(&span, response.status().as_u16());
            self.record_server_time(response.headers());
            check_status(name, &response)?;
            let headers = response.headers().clone();
            // Until the answer is decoded.
            let mut memory = ANSWERS.reserve();
            let body = read_body(name, response, &mut memory)
                .await?
                .map_err(|e| broken(&e))?;
            self.metrics.received(class.as_str(), body.len());
            let body = envelope::decode_text(body);
            let content_type = headers.get(header::CONTENT_TYPE).and_then(media_type);
            let data = envelope::extract_data(&body)
                .map_err(|error| faults::from_envelope_error(name, &error, content_type))?;
            Ok(read(Answer {
                headers: &headers,
                data,
            })
            .map_err(|how| faults::api_changed(name, &how))?)
        };
        let outcome: Result<T, Failure> = outcome.instrument(span.clone()).await;
        let reason = outcome.as_ref().err().map(|failure| failure.fault.reason);
        if let Some(reason) = reason {
            live::failed(&span, reason.as_str());
        }
        self.metrics.request(class.as_str(), reason, began.elapsed());
        if let Err(Failure { fault, .. }) = &outcome {
            tracing::warn!(
                request = name, status = trace.status, request_id = trace.request_id, upstream_ms = trace.upstream_ms,
                reason = %fault.reason, "request to TCS failed"
            );
        }
        outcome
    }

    fn build(&self, request: &Request, (name, value): &Credentials) -> Result<reqwest::Request, Fault> {
        let url = format!("{}{}", self.base_url.as_str().trim_end_matches('/'), request.path);
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
            .map_err(|_| invalid("no request can be built from spec.api.url: check it"))
    }

    /// Pauses all requests if the server asked for it.
    fn pause_after(&self, failure: Failure) -> Fault {
        let Failure {
            fault, retry_after, ..
        } = failure;
        match (fault.reason, retry_after) {
            (Reason::ApiThrottled | Reason::ApiUnavailable, Some(delay)) => {
                self.pause_for(delay);
                fault.retry_after(delay)
            }
            (Reason::ApiThrottled, None) => {
                self.pause_for(DEFAULT_PAUSE);
                fault
            }
            _ => fault,
        }
    }
}

/// The fault of a request that was sent so many times, the last time with this fault.
fn repeated(mut fault: Fault, sends: u32) -> Fault {
    if sends > 1 {
        fault.message = format!("{} (it failed {sends} times in a row)", fault.message);
    }
    fault
}

/// A failed request.
struct Failure {
    fault: Fault,
    /// The server is busy, and may accept the same request a little later.
    busy: bool,
    retry_after: Option<Duration>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self {
            busy: fault.reason == Reason::ApiThrottled,
            fault,
            retry_after: None,
        }
    }
}

fn check_status(name: &str, response: &Response) -> Result<(), Failure> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
    Err(Failure {
        fault: faults::from_status(name, status.as_u16(), None),
        busy: matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ),
        retry_after: text(header::RETRY_AFTER)
            .and_then(|delay| retry_after::parse(delay, text(header::DATE))),
    })
}

fn paused(wait: Duration) -> Fault {
    let message = format!(
        "the API asked for a pause (Retry-After): no request is sent for another {} s",
        wait.as_secs().max(1)
    );
    Fault::new(Reason::ApiThrottled, message).retry_after(wait)
}

/// The media type of a Content-Type, such as `text/html`. Other texts are dropped, because it goes into a message.
fn media_type(value: &HeaderValue) -> Option<&str> {
    let essence = value.to_str().ok()?.split(';').next()?.trim();
    let valid = essence.len() <= 60
        && essence
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/+-.".contains(&b));
    valid.then_some(essence)
}

/// What the vendor's support needs to find a request.
#[derive(Default)]
struct TraceHeaders {
    status: Option<u16>,
    request_id: Option<String>,
    upstream_ms: Option<String>,
}

impl TraceHeaders {
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
