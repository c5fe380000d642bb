//! Faults that put another answer in the place of the true one, or other bytes in the place of its own.

use std::time::Duration;

use super::{ErrorShape, Fault, Hit};
use crate::simulator::call::{Answer, Call, error_body};
use crate::simulator::session::Sessions;

/// What a person would see who was logged out.
pub(in crate::simulator) const LOGIN_PAGE: &str = "<!doctype html>\n<html><head><title>Sign in</title></head><body><form method=\"post\">Sign in</form></body></html>\n";

/// The answer of the first fault that has one of its own.
pub(in crate::simulator) fn early_answer(call: &Call, hits: &[Hit]) -> Option<Answer> {
    hits.iter().find_map(|hit| match &hit.fault {
        Fault::Status { status, body: None } => Some(Answer::error(call.endpoint, *status, "scripted fault")),
        Fault::Status {
            status,
            body: Some(body),
        } => {
            let json = body.trim_start().starts_with('{');
            let content_type = if json { "application/json" } else { "text/plain" };
            Some(Answer::new(*status, content_type, body.clone()))
        }
        Fault::Throttle { seconds, as_date } => {
            let wait = if *as_date {
                http_date(*seconds)
            } else {
                seconds.to_string()
            };
            Some(Answer::error(call.endpoint, 429, "Too many requests").with_header("retry-after", wait))
        }
        Fault::Html => Some(Answer::new(200, "text/html; charset=utf-8", LOGIN_PAGE)),
        Fault::Redirect { to } => {
            let to = to.as_deref().unwrap_or("/login");
            Some(Answer::new(302, "text/html; charset=utf-8", "").with_header("location", to))
        }
        Fault::ErrorUnder200 {
            shape: ErrorShape::Nqs,
        } => Some(Answer::json(200, error_body(false, 500, "scripted fault"))),
        Fault::ErrorUnder200 {
            shape: ErrorShape::Tmq,
        } => Some(Answer::json(200, error_body(true, 500, "scripted fault"))),
        Fault::Challenge { result } => Some(Sessions::challenge(
            result.as_deref().unwrap_or("NEW_PASSWORD_REQUIRED"),
        )),
        _ => None,
    })
}

/// The refusal of a call that came while others were being `served`, if a fault says so.
pub(in crate::simulator) fn overload(call: &Call, hits: &[Hit], served: usize) -> Option<Answer> {
    hits.iter().find_map(|hit| match &hit.fault {
        Fault::Overload {
            limit,
            status,
            retry_after,
        } if served >= *limit => {
            let refusal = Answer::error(call.endpoint, *status, "too many at once");
            Some(match retry_after {
                Some(seconds) => refusal.with_header("retry-after", seconds.to_string()),
                None => refusal,
            })
        }
        _ => None,
    })
}

/// Changes the bytes of an answer, in the order of the script.
pub(in crate::simulator) fn rewrite(mut answer: Answer, hits: &[Hit]) -> Answer {
    for hit in hits {
        match &hit.fault {
            Fault::ErrorUnder200 {
                shape: ErrorShape::Both,
            } => {
                let error = error_body(false, 500, "scripted fault beside the data");
                let error = error.strip_prefix(r#"{"data":null,"#).unwrap_or_default();
                let text = String::from_utf8_lossy(&answer.body);
                let rest = text
                    .strip_suffix(r#""error":null}"#)
                    .or_else(|| text.strip_suffix('}'));
                let comma = if rest.is_some_and(|rest| rest.ends_with(',')) {
                    ""
                } else {
                    ","
                };
                answer.body = format!("{}{comma}{error}", rest.unwrap_or_default()).into_bytes();
            }
            Fault::HugeBody { bytes } => {
                let padding = format!(r#"{{"padding":"{}","#, "x".repeat(*bytes));
                answer
                    .body
                    .splice(..1.min(answer.body.len()), padding.into_bytes());
            }
            Fault::ByteOrderMark => drop(answer.body.splice(..0, *b"\xEF\xBB\xBF")),
            Fault::Latin1 => answer.body = latin1(&answer.body),
            Fault::ContentType { name } => answer.content_type = name.clone().into(),
            Fault::Gzip => {
                answer.body = gzip(&answer.body);
                answer = answer.with_header("content-encoding", "gzip");
            }
            _ => {}
        }
    }
    answer
}

#[expect(clippy::disallowed_methods, reason = "an HTTP date is a wall-clock time")]
fn http_date(seconds: u64) -> String {
    let then = jiff::Timestamp::now()
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(jiff::Timestamp::MAX);
    then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// One byte a letter; what ISO 8859-1 does not know becomes a question mark.
fn latin1(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .map(|letter| u8::try_from(letter).unwrap_or(b'?'))
        .collect()
}

/// A gzip member of stored blocks: every reader takes it, and no compressor is needed to write it.
fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = plain.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    if plain.is_empty() {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    out.extend_from_slice(&crc32(plain).to_le_bytes());
    // The format keeps the length modulo 2^32.
    out.extend_from_slice(&plain.len().to_le_bytes()[..4]);
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}
