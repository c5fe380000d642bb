//! Pure: maps an HTTP status or an error code to a fault with its reason and remedy.

use super::envelope::{EnvelopeError, ErrorCode};
use crate::fault::{Fault, Reason};

pub(super) const CHECK_ADDRESS: &str = "check spec.api.url, and that the cluster may connect there";
const CHECK_RIGHTS: &str = "let the account that the Secret of spec.api.credentialsSecretRef names read the operator's regions and \
                      devices, or correct spec.api.operatorId and spec.api.includeRegionIds";
const CHECK_VERSION: &str = "check spec.api.url and spec.api.operatorId; if they are right, the API has changed and needs a newer \
                        tarana-operator";

/// The fault of a status other than 200, from HTTP or from an error envelope. `request` is its name.
pub(super) fn from_status(request: &str, status: u16, code: Option<&ErrorCode>) -> Fault {
    let code = match code {
        Some(ErrorCode::Name(name)) => format!(" ({name})"),
        Some(ErrorCode::Status(other)) if *other != status => format!(" (code {other})"),
        _ => String::new(),
    };
    let (reason, remedy) = match status {
        401 => (Reason::AuthenticationFailed, "the session was rejected"),
        403 => (Reason::AccessDenied, CHECK_RIGHTS),
        429 => (
            Reason::ApiThrottled,
            "lower spec.api.requestsPerSecond or spec.api.maxInFlight if this happens often",
        ),
        408 | 500..=599 => (Reason::ApiUnavailable, "the server failed, which may pass"),
        300..=399 => (
            Reason::ApiChanged,
            "a redirect is never followed: let spec.api.url name the portal's own address",
        ),
        400..=499 => (Reason::ApiRejected, CHECK_VERSION),
        _ => (Reason::ApiChanged, CHECK_VERSION),
    };
    Fault::new(reason, format!("{request} answered {status}{code}: {remedy}"))
}

/// The fault of an answer of status 200 without data.
pub(crate) fn from_envelope_error(request: &str, error: &EnvelopeError, content_type: Option<&str>) -> Fault {
    match error {
        EnvelopeError::ApiError(code) => {
            from_status(request, equivalent_status(code.as_ref()), code.as_ref())
        }
        EnvelopeError::Truncated => Fault::new(
            Reason::ApiUnreachable,
            format!("{request}: the answer ends in the middle; {CHECK_ADDRESS}"),
        ),
        EnvelopeError::NotJson => {
            let kind = content_type.map(|kind| format!(" ({kind})")).unwrap_or_default();
            api_changed(request, &format!("the answer is not JSON{kind}"))
        }
        EnvelopeError::UnexpectedShape(shape) => {
            api_changed(request, &format!("the answer has an unexpected shape, {shape}"))
        }
    }
}

/// The fault of an answer that this version cannot read.
pub(super) fn api_changed(request: &str, how: &str) -> Fault {
    Fault::new(Reason::ApiChanged, format!("{request}: {how}; {CHECK_VERSION}"))
}

/// The HTTP status that an error under HTTP 200 corresponds to. An error without a code counts as 500.
fn equivalent_status(code: Option<&ErrorCode>) -> u16 {
    let name = match code {
        Some(ErrorCode::Status(status @ 400..=599)) => return *status,
        None | Some(ErrorCode::Status(_)) => return 500,
        Some(ErrorCode::Name(name)) => name.as_str(),
    };
    let contains = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if contains(&["UNAUTHORIZED", "UNAUTHENTICATED", "TOKEN", "SESSION"]) {
        401
    } else if contains(&["FORBIDDEN", "ACCESS_DENIED", "PERMISSION"]) {
        403
    } else if contains(&["THROTTL", "TOO_MANY", "RATE_LIMIT"]) {
        429
    } else if contains(&["INTERNAL", "UNAVAILABLE", "TIMEOUT", "TIMED_OUT"]) {
        500
    } else {
        400
    }
}

#[cfg(test)]
mod tests {
    use super::{EnvelopeError, ErrorCode, from_envelope_error, from_status};
    use crate::fault::Reason;

    #[test]
    fn statuses() {
        for (code, reason) in [
            (302, Reason::ApiChanged),
            (400, Reason::ApiRejected),
            (401, Reason::AuthenticationFailed),
            (403, Reason::AccessDenied),
            (404, Reason::ApiRejected),
            (408, Reason::ApiUnavailable),
            (422, Reason::ApiRejected),
            (429, Reason::ApiThrottled),
            (500, Reason::ApiUnavailable),
            (503, Reason::ApiUnavailable),
            (799, Reason::ApiChanged),
        ] {
            let fault = from_status("GET /x", code, None);
            assert_eq!(fault.reason, reason, "{code}");
            assert!(
                fault.message.starts_with(&format!("GET /x answered {code}: ")),
                "{fault}"
            );
        }
    }

    #[test]
    fn errors_under_200() {
        let named = |name: &str| EnvelopeError::ApiError(Some(ErrorCode::Name(name.into())));
        let number = |n| EnvelopeError::ApiError(Some(ErrorCode::Status(n)));
        for (error, reason) in [
            (number(404), Reason::ApiRejected),
            (number(401), Reason::AuthenticationFailed),
            (number(7), Reason::ApiUnavailable),
            (named("INVALID_FILTER"), Reason::ApiRejected),
            (named("TOKEN_EXPIRED"), Reason::AuthenticationFailed),
            (named("ACCESS_DENIED"), Reason::AccessDenied),
            (named("TOO_MANY_REQUESTS"), Reason::ApiThrottled),
            (named("INTERNAL_ERROR"), Reason::ApiUnavailable),
            (EnvelopeError::ApiError(None), Reason::ApiUnavailable),
            (EnvelopeError::NotJson, Reason::ApiChanged),
            (EnvelopeError::Truncated, Reason::ApiUnreachable),
            (EnvelopeError::UnexpectedShape("x".into()), Reason::ApiChanged),
        ] {
            assert_eq!(
                from_envelope_error("GET /x", &error, None).reason,
                reason,
                "{error:?}"
            );
        }
    }
}
