//! What it means that a request got no whole answer, in words: an HTTP library's error says "error sending request".

use std::error::Error;
use std::io;
use std::time::Duration;

use super::refusal::ADDRESS;
use crate::fault::{Fault, Reason};

/// A request that got no whole answer. `at` is host and port.
pub(super) fn fault(what: &str, at: &str, error: &reqwest::Error, timeout: Duration) -> Fault {
    if let Some(tls) = causes(error).find_map(tls_error) {
        return Fault::new(
            Reason::ApiTlsFailed,
            format!(
                "TLS with {at} failed ({}): check spec.api.url, and spec.api.caSecretRef if the host has a CA of its own",
                line(&tls.to_string())
            ),
        );
    }
    let cause = if error.is_timeout() {
        format!(
            "{what}: no answer from {at} within {} s (spec.api.requestTimeoutSeconds)",
            timeout.as_secs_f32()
        )
    } else if causes(error).any(|e| e.to_string().starts_with("dns error")) {
        format!("the name of {at} cannot be resolved")
    } else if causes(error).any(|e| io_kind(e) == Some(io::ErrorKind::ConnectionRefused)) {
        format!("{at} refused the connection")
    } else if error.is_connect() {
        format!("no connection to {at}")
    } else {
        format!("{what}: the connection to {at} broke before the answer was complete")
    };
    Fault::new(Reason::ApiUnreachable, format!("{cause}; {ADDRESS}"))
}

/// An error and all that it came from.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e: &&'e (dyn Error + 'static)| {
        let e: &'e (dyn Error + 'static) = *e;
        // An io::Error gives away its inner error's source, but not the inner error.
        match e.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => e.source(),
        }
    })
}

fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    error.downcast_ref()
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    error.downcast_ref::<io::Error>().map(io::Error::kind)
}

/// One line of bearable length.
fn line(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(200)
        .collect()
}
