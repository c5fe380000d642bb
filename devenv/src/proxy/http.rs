//! An HTTP proxy. It serves plain HTTP to the program, whatever scheme the server uses.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::interceptor::{Disposition, Interceptor, Moment};
use super::listener::{FreezeWatch, ProxyListener};
use crate::ControlPlane;
use crate::control_plane::client_trusting;
use crate::error::Result;

/// Maximum number of chunks that a delay holds back in one response.
const MAX_DELAYED: usize = 1024;

/// The name of a request's side effect, if it has one.
type SideEffectName = fn(&Method, &str) -> Option<String>;
type Body = BoxBody<Bytes, reqwest::Error>;

/// Forwards requests with all their headers, including the token, and streams the responses back.
#[derive(Debug)]
pub struct HttpProxy {
    listener: ProxyListener,
    watch_delay: watch::Sender<Duration>,
}

/// The server behind the proxy.
struct Upstream {
    client: reqwest::Client,
    url: String,
    side_effect_name: SideEffectName,
    interceptor: Arc<Interceptor>,
    watch_delay: watch::Receiver<Duration>,
}

/// Ends the connection without a response.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped")]
struct Dropped;

impl HttpProxy {
    /// A proxy to an API server. Its side effects are all writes, such as `PATCH taranasyncs/run/status`.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) when no port is free.
    pub async fn to_api_server(plane: &ControlPlane, interceptor: Arc<Interceptor>) -> Result<Self> {
        let client = client_trusting(Some(plane.ca_pem()))?;
        Self::start(client, plane.url(), write_name, interceptor).await
    }

    /// A proxy to a simulator that serves plain HTTP. Its side effects are the logins.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) when no port is free.
    pub async fn to_tcs(url: &str, interceptor: Arc<Interceptor>) -> Result<Self> {
        Self::start(client_trusting(None)?, url, login_name, interceptor).await
    }

    async fn start(
        client: reqwest::Client,
        url: &str,
        side_effect_name: SideEffectName,
        interceptor: Arc<Interceptor>,
    ) -> Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let (watch_delay, watch_delay_receiver) = watch::channel(Duration::ZERO);
        let upstream = Arc::new(Upstream {
            client,
            url,
            side_effect_name,
            interceptor,
            watch_delay: watch_delay_receiver,
        });
        let listener =
            ProxyListener::start(move |stream, freeze| serve(stream, Arc::clone(&upstream), freeze)).await?;
        Ok(Self {
            listener,
            watch_delay,
        })
    }

    /// The URL to give to the program in place of the server's: `http://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address)
    }

    /// Delays each event of the Kubernetes watches that start from now on. Everything else is forwarded at once.
    pub fn delay_watches(&self, delay: Duration) {
        self.watch_delay.send_replace(delay);
    }

    /// While set, open connections are dropped and new ones closed at once.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.listener.set_unreachable(unreachable);
    }

    /// While set, connections stay open and nothing is forwarded.
    pub fn set_frozen(&self, frozen: bool) {
        self.listener.set_frozen(frozen);
    }

    /// Freezes the connections that are open now, for ever: they stay open and no response is forwarded, and no request either if
    /// `requests_too`. New connections work.
    pub fn freeze_open_connections(&self, requests_too: bool) {
        self.listener.freeze_open_connections(requests_too);
    }
}

/// `PATCH taranasyncs/run/status`: the method, and the path after the namespace.
fn write_name(method: &Method, path: &str) -> Option<String> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let path = path.split('?').next().unwrap_or_default();
    let object = path
        .split_once("/namespaces/")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map_or(path, |(_, object)| object);
    // Event names are random.
    let object = if object.starts_with("events/") {
        "events"
    } else {
        object
    };
    Some(format!("{method} {object}"))
}

fn login_name(method: &Method, path: &str) -> Option<String> {
    (method == Method::POST && path.ends_with("/user-auth/login")).then(|| "login".to_owned())
}

async fn serve(stream: TcpStream, upstream: Arc<Upstream>, freeze: FreezeWatch) {
    let service = service_fn(move |request| forward(request, Arc::clone(&upstream), freeze.clone()));
    // Connection errors are the program's to handle.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn forward(
    request: Request<Incoming>,
    upstream: Arc<Upstream>,
    mut freeze: FreezeWatch,
) -> Result<Response<Body>, Dropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let side_effect = (upstream.side_effect_name)(&head.method, target);
    let moment = side_effect
        .as_deref()
        .and_then(|name| upstream.interceptor.record(name));
    let name = side_effect.unwrap_or_default();
    hold_if(moment == Some(Moment::Before), &upstream.interceptor, &name).await?;
    freeze.before_request().await;

    let mut headers = head.headers;
    remove_hop_headers(&mut headers);
    headers.remove(HOST);
    let request = upstream
        .client
        .request(head.method, format!("{}{target}", upstream.url));
    let received = request
        .headers(headers)
        .body(body)
        .send()
        .await
        .map_err(|_| Dropped)?;
    let mut response = Response::builder().status(received.status());
    if let Some(headers) = response.headers_mut() {
        headers.clone_from(received.headers());
        remove_hop_headers(headers);
    }
    hold_if(moment == Some(Moment::After), &upstream.interceptor, &name).await?;
    freeze.before_response().await;
    let delay = if is_watch(target) {
        *upstream.watch_delay.borrow()
    } else {
        Duration::ZERO
    };
    response
        .body(stream_body(received, freeze, delay))
        .map_err(|_| Dropped)
}

fn is_watch(target: &str) -> bool {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|parameter| parameter == "watch=true")
}

async fn hold_if(hold: bool, interceptor: &Interceptor, name: &str) -> Result<(), Dropped> {
    if hold && interceptor.hold(name).await == Disposition::DropConnection {
        return Err(Dropped);
    }
    Ok(())
}

/// Removes the headers that apply to one connection only.
fn remove_hop_headers(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
        headers.remove(name);
    }
}

fn stream_body(response: reqwest::Response, freeze: FreezeWatch, delay: Duration) -> Body {
    let chunks = futures::stream::unfold((response, freeze), async |(mut response, mut freeze)| {
        let chunk = response.chunk().await.transpose()?;
        freeze.before_response().await;
        Some((chunk.map(Frame::data), (response, freeze)))
    });
    if delay.is_zero() {
        return BodyExt::boxed(StreamBody::new(Box::pin(chunks)));
    }
    // Each chunk starts to wait when it arrives.
    let delayed = chunks.map(move |chunk| async move {
        tokio::time::sleep(delay).await;
        chunk
    });
    BodyExt::boxed(StreamBody::new(Box::pin(delayed.buffered(MAX_DELAYED))))
}
