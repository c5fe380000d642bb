//! The wire: a connection that can be reset on purpose, and bodies that come slowly, in part, or for ever.

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

use super::call::Answer;
use super::fault::{CutLength, Fault, Hit};
use super::gate::Gate;

/// What hyper sends.
pub(super) type Body = UnsyncBoxBody<Bytes, Aborted>;

/// The answer ends here, on purpose.
#[derive(Debug)]
pub(super) struct Aborted;

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut off by the script")
    }
}

impl std::error::Error for Aborted {}

/// Tells a connection that it shall end in a reset.
pub(super) type Doom = Arc<AtomicBool>;

/// A TCP stream that is reset, not closed, when it is dropped doomed.
pub(super) struct Wire {
    stream: TcpStream,
    doom: Doom,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, doom: Doom) -> Self {
        // Small answers must not wait for the client's acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        Self { stream, doom }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.doom.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
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

/// What happens to a body, step by step.
enum Step {
    Send(Bytes),
    Sleep(Duration),
    /// Until the gate is opened.
    Wait,
    /// Ends the connection: with a reset, or by closing it.
    Fail {
        reset: bool,
    },
    /// The same again and again.
    Forever(Bytes),
}

/// Long enough for what was sent to leave the process before the connection ends.
const SETTLE: Duration = Duration::from_millis(20);

/// The answer as a response, with the first fault of the wire that hits it.
pub(super) fn respond(
    answer: Answer,
    hits: &[Hit],
    doom: &Doom,
    gate: &Arc<Gate>,
) -> Result<Response<Body>, Aborted> {
    let mut response = Response::new(());
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    let mut headers = answer.headers;
    headers.push((CONTENT_TYPE.as_str(), answer.content_type.into_owned()));
    let whole = Bytes::from(answer.body);
    let length = whole.len();
    let steps = hits.iter().find_map(|hit| steps(&hit.fault, &whole));
    match steps {
        Some(Plan::Reset) => {
            doom.store(true, Ordering::Relaxed);
            return Err(Aborted);
        }
        Some(Plan::Short(part)) => {
            headers.push((CONNECTION.as_str(), "close".to_owned()));
            fill(&mut response, headers);
            return Ok(response.map(|()| full(part)));
        }
        Some(Plan::Steps { steps, sized }) => {
            if sized {
                headers.push((CONTENT_LENGTH.as_str(), length.to_string()));
            }
            fill(&mut response, headers);
            let body = StreamBody::new(play(steps, Arc::clone(doom), Arc::clone(gate)));
            return Ok(response.map(|()| body.boxed_unsync()));
        }
        None => fill(&mut response, headers),
    }
    Ok(response.map(|()| full(whole)))
}

fn full(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn fill(response: &mut Response<()>, headers: Vec<(&'static str, String)>) {
    for (name, value) in headers {
        // A script may ask for a `Location` that is no header value; the answer then goes without.
        if let Ok(value) = value.parse() {
            response.headers_mut().append(name, value);
        }
    }
}

enum Plan {
    Reset,
    Short(Bytes),
    Steps { steps: VecDeque<Step>, sized: bool },
}

fn steps(fault: &Fault, whole: &Bytes) -> Option<Plan> {
    let head = |bytes: usize| whole.slice(..bytes.min(whole.len()));
    let sized = |steps: Vec<Step>| {
        Some(Plan::Steps {
            steps: steps.into(),
            sized: true,
        })
    };
    match fault {
        Fault::Reset { after_bytes: None } => Some(Plan::Reset),
        Fault::Reset {
            after_bytes: Some(bytes),
        } => sized(vec![
            Step::Send(head(*bytes)),
            Step::Sleep(SETTLE),
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
        } => Some(Plan::Short(head(*bytes))),
        Fault::Cut { bytes, length } => {
            let steps = [
                Step::Send(head(*bytes)),
                Step::Sleep(SETTLE),
                Step::Fail { reset: false },
            ];
            Some(Plan::Steps {
                steps: steps.into(),
                sized: *length == CutLength::Wrong,
            })
        }
        Fault::EndlessBody => {
            let start = Step::Send(Bytes::from_static(br#"{"data":{"items":["#));
            let steps = [start, Step::Forever(vec![b' '; 1 << 16].into())];
            Some(Plan::Steps {
                steps: steps.into(),
                sized: false,
            })
        }
        _ => None,
    }
}

/// Plays the steps as the frames of a body.
fn play(
    steps: VecDeque<Step>,
    doom: Doom,
    gate: Arc<Gate>,
) -> impl Stream<Item = Result<Frame<Bytes>, Aborted>> {
    stream::unfold(steps, move |mut steps| {
        let (doom, gate) = (Arc::clone(&doom), Arc::clone(&gate));
        async move {
            loop {
                match steps.pop_front()? {
                    Step::Send(bytes) if bytes.is_empty() => {}
                    Step::Send(bytes) => return Some((Ok(Frame::data(bytes)), steps)),
                    Step::Sleep(time) => tokio::time::sleep(time).await,
                    Step::Wait => gate.wait().await,
                    Step::Forever(bytes) => {
                        steps.push_front(Step::Forever(bytes.clone()));
                        return Some((Ok(Frame::data(bytes)), steps));
                    }
                    Step::Fail { reset } => {
                        doom.store(reset, Ordering::Relaxed);
                        return Some((Err(Aborted), steps));
                    }
                }
            }
        }
    })
}
