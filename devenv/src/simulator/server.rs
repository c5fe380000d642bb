//! The HTTP server: passes each call through control API, rules, response and connection faults.

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

use super::call::{ApiResponse, Call};
use super::connection::{Aborted, Body, ResetFlag, ResettableStream, respond};
use super::control;
use super::fault::{Fault, LOGIN_PAGE, latency};
use super::state::SharedState;
use super::tls::Tls;

/// The maximum size of a request body.
const BODY_LIMIT: usize = 16 << 20;
/// The maximum lateness of Tokio's timer on an idle machine.
const TIMER_LATENESS: Duration = Duration::from_millis(3);
/// The time that a sleeping thread needs to wake up and to wake the runtime.
const WAKEUP_TIME: Duration = Duration::from_micros(250);

/// Accepts connections until it is dropped.
pub(super) async fn serve(listener: TcpListener, tls: Option<Tls>, shared: Arc<SharedState>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let reset_flag = ResetFlag::new(AtomicBool::new(false));
                    let stream = ResettableStream::new(stream, Arc::clone(&reset_flag));
                    connections.spawn(handle_connection(stream, reset_flag, tls.clone(), Arc::clone(&shared)));
                }
                // Probably out of file descriptors: retry when connections have closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn handle_connection(
    stream: ResettableStream,
    reset_flag: ResetFlag,
    tls: Option<Tls>,
    shared: Arc<SharedState>,
) {
    let ended = match tls {
        None => serve_connection(stream, reset_flag, shared).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => serve_connection(stream, reset_flag, shared).await,
            Err(error) => Err(error),
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the simulator ended early");
    }
}

async fn serve_connection<S>(stream: S, reset_flag: ResetFlag, shared: Arc<SharedState>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service =
        service_fn(move |request| handle_request(request, Arc::clone(&reset_flag), Arc::clone(&shared)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

async fn handle_request(
    request: Request<Incoming>,
    reset_flag: ResetFlag,
    shared: Arc<SharedState>,
) -> Result<Response<Body>, Aborted> {
    let (head, body) = request.into_parts();
    let plain = |response: ApiResponse| respond(response, &[], &reset_flag, &shared.hang_latch);
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        return plain(ApiResponse::new(
            413,
            "text/plain",
            "the request body is too large",
        ));
    };
    let call = Call::new(head.method, &head.uri, head.headers, body.to_bytes());
    if call.path.starts_with("/_sim") {
        return plain(control::handle(&shared, &call));
    }
    if call.method == Method::GET && call.path == "/login" {
        return plain(ApiResponse::new(200, "text/html; charset=utf-8", LOGIN_PAGE));
    }
    let (hits, in_flight) = shared.begin_call(&call);
    if let Some(rejection) = in_flight.rejection() {
        return plain(shared.respond(&call, &[], Some(rejection)));
    }
    let pause = shared.config.latency + latency(&hits);
    if !pause.is_zero() {
        sleep_precisely(pause).await;
    }
    if hits
        .iter()
        .any(|hit| hit.fault == Fault::Hang { after_bytes: None })
    {
        shared.hang_latch.wait_for_release().await;
    }
    let response = shared.respond(&call, &hits, None);
    respond(response, &hits, &reset_flag, &shared.hang_latch)
}

/// Sleeps with a precision of 0.05 ms. Tokio's timer ticks in milliseconds and is late, which for a latency of 50 ms would
/// distort benchmarks.
async fn sleep_precisely(pause: Duration) {
    let end = tokio::time::Instant::now() + pause;
    tokio::time::sleep(pause.saturating_sub(TIMER_LATENESS)).await;
    let left = end.saturating_duration_since(tokio::time::Instant::now() + WAKEUP_TIME);
    if !left.is_zero() {
        // An error means that the runtime shuts down.
        let _ = tokio::task::spawn_blocking(move || std::thread::sleep(left)).await;
    }
    while tokio::time::Instant::now() < end {
        tokio::task::yield_now().await;
    }
}
