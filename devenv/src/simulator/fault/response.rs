//! Faults that replace a response or rewrite its bytes.

use std::time::Duration;

use super::{ErrorShape, Fault, Hit};
use crate::simulator::call::{ApiResponse, Call, error_body};
use crate::simulator::session::Sessions;

/// The login page for logged-out users.
pub(in crate::simulator) const LOGIN_PAGE: &str = "<!doctype html>\n<html><head><title>Sign in</title></head><body><form method=\"post\">Sign in</form></body></html>\n";

/// The response of the first fault that replaces it.
pub(in crate::simulator) fn override_response(call: &Call, hits: &[Hit]) -> Option<ApiResponse> {
    hits.iter().find_map(|hit| match &hit.fault {
        Fault::Status { status, body: None } => {
            Some(ApiResponse::error(call.endpoint, *status, "scripted fault"))
        }
        Fault::Status {
            status,
            body: Some(body),
        } => {
            let json = body.trim_start().starts_with('{');
            let content_type = if json { "application/json" } else { "text/plain" };
            Some(ApiResponse::new(*status, content_type, body.clone()))
        }
        Fault::Throttle { seconds, as_date } => {
            let wait = if *as_date {
                http_date(*seconds)
            } else {
                seconds.to_string()
            };
            Some(ApiResponse::error(call.endpoint, 429, "Too many requests").with_header("retry-after", wait))
        }
        Fault::Html => Some(ApiResponse::new(200, "text/html; charset=utf-8", LOGIN_PAGE)),
        Fault::Redirect { to } => {
            let to = to.as_deref().unwrap_or("/login");
            Some(ApiResponse::new(302, "text/html; charset=utf-8", "").with_header("location", to))
        }
        Fault::ErrorUnder200 {
            shape: ErrorShape::Nqs,
        } => Some(ApiResponse::json(200, error_body(false, 500, "scripted fault"))),
        Fault::ErrorUnder200 {
            shape: ErrorShape::Tmq,
        } => Some(ApiResponse::json(200, error_body(true, 500, "scripted fault"))),
        Fault::Challenge { result } => Some(Sessions::challenge_response(
            result.as_deref().unwrap_or("NEW_PASSWORD_REQUIRED"),
        )),
        _ => None,
    })
}

/// The rejection of a call by the fault `overload`, while `served` calls are in flight.
pub(in crate::simulator) fn reject_overload(call: &Call, hits: &[Hit], served: usize) -> Option<ApiResponse> {
    hits.iter().find_map(|hit| match &hit.fault {
        Fault::Overload {
            limit,
            status,
            retry_after,
        } if served >= *limit => {
            let rejection = ApiResponse::error(call.endpoint, *status, "too many at once");
            Some(match retry_after {
                Some(seconds) => rejection.with_header("retry-after", seconds.to_string()),
                None => rejection,
            })
        }
        _ => None,
    })
}

/// Rewrites the bytes of a response, in the order of the rules.
pub(in crate::simulator) fn rewrite_body(mut response: ApiResponse, hits: &[Hit]) -> ApiResponse {
    for hit in hits {
        match &hit.fault {
            Fault::ErrorUnder200 {
                shape: ErrorShape::Both,
            } => {
                let error = error_body(false, 500, "scripted fault beside the data");
                let error = error.strip_prefix(r#"{"data":null,"#).unwrap_or_default();
                let text = String::from_utf8_lossy(&response.body);
                let rest = text
                    .strip_suffix(r#""error":null}"#)
                    .or_else(|| text.strip_suffix('}'));
                let comma = if rest.is_some_and(|rest| rest.ends_with(',')) {
                    ""
                } else {
                    ","
                };
                response.body = format!("{}{comma}{error}", rest.unwrap_or_default()).into_bytes();
            }
            Fault::HugeBody { bytes } => {
                let padding = format!(r#"{{"padding":"{}","#, "x".repeat(*bytes));
                response
                    .body
                    .splice(..1.min(response.body.len()), padding.into_bytes());
            }
            Fault::ByteOrderMark => drop(response.body.splice(..0, *b"\xEF\xBB\xBF")),
            Fault::Latin1 => response.body = latin1(&response.body),
            Fault::ContentType { name } => response.content_type = name.clone().into(),
            Fault::Gzip => {
                response.body = gzip(&response.body);
                response = response.with_header("content-encoding", "gzip");
            }
            _ => {}
        }
    }
    response
}

#[expect(clippy::disallowed_methods, reason = "an HTTP date is a wall-clock time")]
fn http_date(seconds: u64) -> String {
    let then = jiff::Timestamp::now()
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(jiff::Timestamp::MAX);
    then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Encodes the text in ISO 8859-1; other letters become question marks.
fn latin1(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .map(|letter| u8::try_from(letter).unwrap_or(b'?'))
        .collect()
}

/// A gzip member of stored blocks, which needs no compressor.
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
    // The format stores the length modulo 2^32.
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
