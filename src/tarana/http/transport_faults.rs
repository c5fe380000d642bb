//! Maps transport errors to faults. The HTTP library only reports "error sending request"; the cause is in its sources.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::faults::CHECK_ADDRESS;
use crate::fault::{Fault, Reason};

/// The fault of a request without a complete answer. `address` is host and port.
pub(super) fn from_transport_error(
    request: &str,
    address: &str,
    error: &reqwest::Error,
    timeout: Duration,
) -> Fault {
    if let Some(tls) = sources(error).find_map(tls_error) {
        return Fault::new(
            Reason::ApiTlsFailed,
            format!(
                "TLS with {address} failed ({}): check spec.api.url, and spec.api.caSecretRef if the host has a private CA",
                one_line(&tls.to_string())
            ),
        );
    }
    let cause = if error.is_timeout() {
        format!(
            "{request}: no answer from {address} within {} s (spec.api.requestTimeoutSeconds)",
            timeout.as_secs_f32()
        )
    } else if sources(error).any(|e| e.to_string().starts_with("dns error")) {
        format!("the name of {address} cannot be resolved")
    } else if sources(error).any(|e| io_kind(e) == Some(io::ErrorKind::ConnectionRefused)) {
        format!("{address} refused the connection")
    } else if error.is_connect() {
        format!("no connection to {address}")
    } else {
        format!("{request}: the connection to {address} broke before the answer was complete")
    };
    Fault::new(Reason::ApiUnreachable, format!("{cause}; {CHECK_ADDRESS}"))
}

/// An error and its sources.
fn sources<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e: &&'e (dyn Error + 'static)| {
        let e: &'e (dyn Error + 'static) = *e;
        // `source` of an io::Error skips its inner error.
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

/// `text` on one line, cut at 200 characters.
fn one_line(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(200)
        .collect()
}
