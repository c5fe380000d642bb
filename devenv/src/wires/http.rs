//! A wire of HTTP: plain towards the program, whatever its address says towards the server.

use std::sync::Arc;

use http_body_util::{BodyExt as _, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::effects::{Effects, Moment, Verdict};
use super::serve::{Serving, Still};
use crate::ControlPlane;
use crate::control_plane::client_trusting;
use crate::error::Result;

/// Names the effect that a request with this path is, if it is one.
type Name = fn(&Method, &str) -> Option<String>;
type Body = BoxBody<Bytes, reqwest::Error>;

/// Passes requests on with all their headers, a token among them, and streams what comes back.
#[derive(Debug)]
pub struct HttpWire {
    serving: Serving,
}

/// Where requests go.
struct Upstream {
    client: reqwest::Client,
    url: String,
    name: Name,
    effects: Arc<Effects>,
}

/// The connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

impl HttpWire {
    /// To an API server. Every request but reading ones is an effect, such as `PATCH taranasyncs/run/status`.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) when there is no port.
    pub async fn to_api_server(plane: &ControlPlane, effects: Arc<Effects>) -> Result<Self> {
        Self::start(
            client_trusting(Some(plane.ca_pem()))?,
            plane.url(),
            written,
            effects,
        )
        .await
    }

    /// To a simulation of TCS that speaks plain HTTP. Every login is an effect.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) when there is no port.
    pub async fn to_tcs(url: &str, effects: Arc<Effects>) -> Result<Self> {
        Self::start(client_trusting(None)?, url, logged_in, effects).await
    }

    async fn start(client: reqwest::Client, url: &str, name: Name, effects: Arc<Effects>) -> Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let upstream = Arc::new(Upstream {
            client,
            url,
            name,
            effects,
        });
        let serving = Serving::start(move |stream, still| talk(stream, Arc::clone(&upstream), still)).await?;
        Ok(Self { serving })
    }

    /// What the program is given in place of the server's address: `http://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("http://{}", self.serving.address)
    }

    /// Whether the server is away: every connection is cut, and each that comes.
    pub fn set_away(&self, away: bool) {
        self.serving.set_away(away);
    }

    /// Whether the server stands still: connections stay open, and nothing goes by.
    pub fn set_still(&self, still: bool) {
        self.serving.set_still(still);
    }
}

/// `PATCH taranasyncs/run/status`: what comes after the namespace.
fn written(method: &Method, path: &str) -> Option<String> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let path = path.split('?').next().unwrap_or_default();
    let object = path
        .split_once("/namespaces/")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map_or(path, |(_, object)| object);
    // The names of Events are made by chance.
    let object = if object.starts_with("events/") {
        "events"
    } else {
        object
    };
    Some(format!("{method} {object}"))
}

fn logged_in(method: &Method, path: &str) -> Option<String> {
    (method == Method::POST && path.ends_with("/user-auth/login")).then(|| "login".to_owned())
}

async fn talk(stream: TcpStream, upstream: Arc<Upstream>, still: Still) {
    let service = service_fn(move |request| pass(request, Arc::clone(&upstream), still.clone()));
    // How a connection ended is for the program to see, not for us.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn pass(
    request: Request<Incoming>,
    upstream: Arc<Upstream>,
    mut still: Still,
) -> Result<Response<Body>, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let effect = (upstream.name)(&head.method, target);
    let moment = effect.as_deref().and_then(|name| upstream.effects.arrives(name));
    let name = effect.unwrap_or_default();
    held(&upstream.effects, moment == Some(Moment::Before), &name).await?;
    still.over().await;

    let mut headers = head.headers;
    strip(&mut headers);
    headers.remove(HOST);
    let request = upstream
        .client
        .request(head.method, format!("{}{target}", upstream.url));
    let answer = request
        .headers(headers)
        .body(body)
        .send()
        .await
        .map_err(|_| Cut)?;
    let mut passed = Response::builder().status(answer.status());
    if let Some(headers) = passed.headers_mut() {
        headers.clone_from(answer.headers());
        strip(headers);
    }
    held(&upstream.effects, moment == Some(Moment::After), &name).await?;
    still.over().await;
    passed.body(streamed(answer, still)).map_err(|_| Cut)
}

async fn held(effects: &Effects, hold: bool, name: &str) -> Result<(), Cut> {
    if hold && effects.hold(name).await == Verdict::Cut {
        return Err(Cut);
    }
    Ok(())
}

/// What is said of one connection, not of the message.
fn strip(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
        headers.remove(name);
    }
}

fn streamed(answer: reqwest::Response, still: Still) -> Body {
    let chunks = futures::stream::unfold((answer, still), async |(mut answer, mut still)| {
        let chunk = answer.chunk().await.transpose()?;
        still.over().await;
        Some((chunk.map(Frame::data), (answer, still)))
    });
    StreamBody::new(Box::pin(chunks)).boxed()
}
