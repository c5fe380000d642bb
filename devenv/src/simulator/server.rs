//! Listens, and takes each call through the stages: control, script, answer, wire.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::call::{Answer, Call};
use super::control;
use super::fault::{Fault, LOGIN_PAGE, latency};
use super::tls::Tls;
use super::wire::{Aborted, Body, Doom, Wire, respond};
use super::world::Shared;

/// No honest call has a body near this size.
const BODY_LIMIT: usize = 16 << 20;
/// Tokio's timer is late by less than this on a calm machine.
const LATE: Duration = Duration::from_millis(3);
/// What a thread that slept takes to wake, and to wake the runtime.
const WAKE: Duration = Duration::from_micros(250);

/// Accepts until it is dropped, and its connections with it.
pub(super) async fn serve(listener: TcpListener, tls: Option<Tls>, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let doom = Doom::new(AtomicBool::new(false));
                    let wire = Wire::new(stream, Arc::clone(&doom));
                    connections.spawn(connection(wire, doom, tls.clone(), Arc::clone(&shared)));
                }
                // Out of descriptors, most likely: they come back when connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(wire: Wire, doom: Doom, tls: Option<Tls>, shared: Arc<Shared>) {
    let ended = match tls {
        None => talk(wire, doom, shared).await,
        Some(tls) => match tls.accept(wire).await {
            Ok(stream) => talk(stream, doom, shared).await,
            Err(error) => Err(error),
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the simulator ended early");
    }
}

async fn talk<S>(stream: S, doom: Doom, shared: Arc<Shared>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(move |request| handle(request, Arc::clone(&doom), Arc::clone(&shared)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

async fn handle(
    request: Request<Incoming>,
    doom: Doom,
    shared: Arc<Shared>,
) -> Result<Response<Body>, Aborted> {
    let (head, body) = request.into_parts();
    let plain = |answer: Answer| respond(answer, &[], &doom, &shared.gate);
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        return plain(Answer::new(413, "text/plain", "the body is too large"));
    };
    let call = Call::new(head.method, &head.uri, head.headers, body.to_bytes());
    if call.path.starts_with("/_sim") {
        return plain(control::answer(&shared, &call));
    }
    if call.method == Method::GET && call.path == "/login" {
        return plain(Answer::new(200, "text/html; charset=utf-8", LOGIN_PAGE));
    }
    let (hits, under_way) = shared.enter(&call);
    if let Some(refusal) = under_way.refusal() {
        return plain(shared.answer(&call, &[], Some(refusal)));
    }
    let pause = shared.config.latency + latency(&hits);
    if !pause.is_zero() {
        rest(pause).await;
    }
    if hits
        .iter()
        .any(|hit| hit.fault == Fault::Hang { after_bytes: None })
    {
        shared.gate.wait().await;
    }
    let answer = shared.answer(&call, &hits, None);
    respond(answer, &hits, &doom, &shared.gate)
}

/// Sleeps for this long, to a twentieth of a millisecond: Tokio's clock ticks in whole ones and comes late, which for 50 ms is
/// as much as a benchmark allows for all else.
async fn rest(pause: Duration) {
    let until = tokio::time::Instant::now() + pause;
    tokio::time::sleep(pause.saturating_sub(LATE)).await;
    let left = until.saturating_duration_since(tokio::time::Instant::now() + WAKE);
    if !left.is_zero() {
        // The thread wakes by itself; were the runtime gone, nobody would wait for it.
        let _ = tokio::task::spawn_blocking(move || std::thread::sleep(left)).await;
    }
    while tokio::time::Instant::now() < until {
        tokio::task::yield_now().await;
    }
}
