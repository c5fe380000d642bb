//! Connection faults: resets, and bodies that are slow, truncated or endless.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{self, Stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::call::ApiResponse;
use super::fault::{CutLength, Fault, Hit};
use super::hang_latch::HangLatch;

/// A response body.
pub(super) type Body = UnsyncBoxBody<Bytes, Aborted>;

/// Aborts a response on purpose.
#[derive(Debug)]
pub(super) struct Aborted;

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("aborted by a fault rule")
    }
}

impl std::error::Error for Aborted {}

/// Set when a connection must end with a TCP reset.
pub(super) type ResetFlag = Arc<AtomicBool>;

/// A TCP stream that is reset instead of closed on drop if its flag is set.
pub(super) struct ResettableStream {
    stream: TcpStream,
    reset_flag: ResetFlag,
}

impl ResettableStream {
    pub(super) fn new(stream: TcpStream, reset_flag: ResetFlag) -> Self {
        // Small responses must not wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
        Self { stream, reset_flag }
    }
}

impl Drop for ResettableStream {
    fn drop(&mut self) {
        if self.reset_flag.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for ResettableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ResettableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A step of sending a body.
enum Step {
    Send(Bytes),
    Sleep(Duration),
    /// Waits until hanging calls are released.
    Wait,
    /// Ends the connection by a reset or a close.
    Fail {
        reset: bool,
    },
    /// Sends the same bytes endlessly.
    Repeat(Bytes),
}

/// Lets sent bytes leave the process before the connection ends.
const FLUSH_TIME: Duration = Duration::from_millis(20);

/// Builds the HTTP response and applies the first connection fault.
pub(super) fn respond(
    answer: ApiResponse,
    hits: &[Hit],
    reset_flag: &ResetFlag,
    hang_latch: &Arc<HangLatch>,
) -> Result<Response<Body>, Aborted> {
    let mut response = Response::new(());
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    let mut headers = answer.headers;
    headers.push((CONTENT_TYPE.as_str(), answer.content_type.into_owned()));
    let whole = Bytes::from(answer.body);
    let length = whole.len();
    let plan = hits.iter().find_map(|hit| body_plan(&hit.fault, &whole));
    match plan {
        Some(BodyPlan::Reset) => {
            reset_flag.store(true, Ordering::Relaxed);
            return Err(Aborted);
        }
        Some(BodyPlan::Short(part)) => {
            headers.push((CONNECTION.as_str(), "close".to_owned()));
            append_headers(&mut response, headers);
            return Ok(response.map(|()| full_body(part)));
        }
        Some(BodyPlan::Steps { steps, sized }) => {
            if sized {
                headers.push((CONTENT_LENGTH.as_str(), length.to_string()));
            }
            append_headers(&mut response, headers);
            let body = StreamBody::new(stream_steps(
                steps,
                Arc::clone(reset_flag),
                Arc::clone(hang_latch),
            ));
            return Ok(response.map(|()| body.boxed_unsync()));
        }
        None => append_headers(&mut response, headers),
    }
    Ok(response.map(|()| full_body(whole)))
}

fn full_body(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn append_headers(response: &mut Response<()>, headers: Vec<(&'static str, String)>) {
    for (name, value) in headers {
        // A rule may name an invalid header value; it is omitted.
        if let Ok(value) = value.parse() {
            response.headers_mut().append(name, value);
        }
    }
}

enum BodyPlan {
    Reset,
    Short(Bytes),
    Steps { steps: VecDeque<Step>, sized: bool },
}

fn body_plan(fault: &Fault, whole: &Bytes) -> Option<BodyPlan> {
    let head = |bytes: usize| whole.slice(..bytes.min(whole.len()));
    let sized = |steps: Vec<Step>| {
        Some(BodyPlan::Steps {
            steps: steps.into(),
            sized: true,
        })
    };
    match fault {
        Fault::Reset { after_bytes: None } => Some(BodyPlan::Reset),
        Fault::Reset {
            after_bytes: Some(bytes),
        } => sized(vec![
            Step::Send(head(*bytes)),
            Step::Sleep(FLUSH_TIME),
            Step::Fail { reset: true },
        ]),
        Fault::Hang {
            after_bytes: Some(bytes),
        } => {
            let rest = whole.slice((*bytes).min(whole.len())..);
            sized(vec![Step::Send(head(*bytes)), Step::Wait, Step::Send(rest)])
        }
        Fault::SlowBody { chunk, every_ms } => {
            let pieces = whole.chunks((*chunk).max(1)).map(|piece| whole.slice_ref(piece));
            let pause = Duration::from_millis(*every_ms);
            sized(
                pieces
                    .flat_map(|piece| [Step::Send(piece), Step::Sleep(pause)])
                    .collect(),
            )
        }
        Fault::Cut {
            bytes,
            length: CutLength::Right,
        } => Some(BodyPlan::Short(head(*bytes))),
        Fault::Cut { bytes, length } => {
            let steps = [
                Step::Send(head(*bytes)),
                Step::Sleep(FLUSH_TIME),
                Step::Fail { reset: false },
            ];
            Some(BodyPlan::Steps {
                steps: steps.into(),
                sized: *length == CutLength::Wrong,
            })
        }
        Fault::EndlessBody => {
            let start = Step::Send(Bytes::from_static(br#"{"data":{"items":["#));
            let steps = [start, Step::Repeat(vec![b' '; 1 << 16].into())];
            Some(BodyPlan::Steps {
                steps: steps.into(),
                sized: false,
            })
        }
        _ => None,
    }
}

/// Streams the steps as body frames.
fn stream_steps(
    steps: VecDeque<Step>,
    reset_flag: ResetFlag,
    hang_latch: Arc<HangLatch>,
) -> impl Stream<Item = Result<Frame<Bytes>, Aborted>> {
    stream::unfold(steps, move |mut steps| {
        let (reset_flag, hang_latch) = (Arc::clone(&reset_flag), Arc::clone(&hang_latch));
        async move {
            loop {
                match steps.pop_front()? {
                    Step::Send(bytes) if bytes.is_empty() => {}
                    Step::Send(bytes) => return Some((Ok(Frame::data(bytes)), steps)),
                    Step::Sleep(time) => tokio::time::sleep(time).await,
                    Step::Wait => hang_latch.wait_for_release().await,
                    Step::Repeat(bytes) => {
                        steps.push_front(Step::Repeat(bytes.clone()));
                        return Some((Ok(Frame::data(bytes)), steps));
                    }
                    Step::Fail { reset } => {
                        reset_flag.store(reset, Ordering::Relaxed);
                        return Some((Err(Aborted), steps));
                    }
                }
            }
        }
    })
}
