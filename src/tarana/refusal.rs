//! Pure: what a failed request means, told once: a status or an error code → reason, and what to do.

use super::envelope::{Code, Problem};
use crate::fault::{Fault, Reason};

pub(super) const ADDRESS: &str = "check spec.api.url, and that the cluster may connect there";
const RIGHTS: &str = "let the account that the Secret of spec.api.credentialsSecretRef names read the operator's regions and \
                      devices, or correct spec.api.operatorId and spec.api.includeRegionIds";
const VERSIONS: &str = "check spec.api.url and spec.api.operatorId; if they are right, the API has changed and needs a newer \
                        tarana-operator";

/// A status that is not 200, or one that an error envelope carries. `what` names the request.
pub(super) fn status(what: &str, status: u16, code: Option<&Code>) -> Fault {
    let word = match code {
        Some(Code::Word(word)) => format!(" ({word})"),
        Some(Code::Status(other)) if *other != status => format!(" (code {other})"),
        _ => String::new(),
    };
    let (reason, remedy) = match status {
        401 => (Reason::AuthenticationFailed, "the session was refused"),
        403 => (Reason::AccessDenied, RIGHTS),
        429 => (
            Reason::ApiThrottled,
            "lower spec.api.requestsPerSecond or spec.api.maxInFlight if this happens often",
        ),
        408 | 500..=599 => (
            Reason::ApiUnavailable,
            "the vendor's side is in trouble; it may pass",
        ),
        300..=399 => (
            Reason::ApiChanged,
            "a redirect is never followed: let spec.api.url name the portal's own address",
        ),
        400..=499 => (Reason::ApiRejected, VERSIONS),
        _ => (Reason::ApiChanged, VERSIONS),
    };
    Fault::new(reason, format!("{what} answered {status}{word}: {remedy}"))
}

/// An answer of status 200 that gave no data.
pub(super) fn problem(what: &str, problem: &Problem, content_type: Option<&str>) -> Fault {
    match problem {
        Problem::Refused(code) => status(what, meaning(code.as_ref()), code.as_ref()),
        Problem::CutOff => Fault::new(
            Reason::ApiUnreachable,
            format!("{what}: the answer breaks off in the middle; {ADDRESS}"),
        ),
        Problem::NotJson => {
            let kind = content_type.map(|kind| format!(" ({kind})")).unwrap_or_default();
            changed(what, &format!("the answer is not JSON{kind}"))
        }
        Problem::Shape(shape) => changed(
            what,
            &format!("the answer has another shape than expected, {shape}"),
        ),
    }
}

/// An answer that this version cannot read.
pub(super) fn changed(what: &str, how: &str) -> Fault {
    Fault::new(Reason::ApiChanged, format!("{what}: {how}; {VERSIONS}"))
}

/// The status that an error under HTTP 200 amounts to. One without a code is the API's own trouble.
fn meaning(code: Option<&Code>) -> u16 {
    let word = match code {
        Some(Code::Status(status @ 400..=599)) => return *status,
        None | Some(Code::Status(_)) => return 500,
        Some(Code::Word(word)) => word.as_str(),
    };
    let says = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
    if says(&["UNAUTHORIZED", "UNAUTHENTICATED", "TOKEN", "SESSION"]) {
        401
    } else if says(&["FORBIDDEN", "ACCESS_DENIED", "PERMISSION"]) {
        403
    } else if says(&["THROTTL", "TOO_MANY", "RATE_LIMIT"]) {
        429
    } else if says(&["INTERNAL", "UNAVAILABLE", "TIMEOUT", "TIMED_OUT"]) {
        500
    } else {
        400
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Problem, problem, status};
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
            let fault = status("GET /x", code, None);
            assert_eq!(fault.reason, reason, "{code}");
            assert!(
                fault.message.starts_with(&format!("GET /x answered {code}: ")),
                "{fault}"
            );
        }
    }

    #[test]
    fn errors_under_200() {
        let word = |w: &str| Problem::Refused(Some(Code::Word(w.into())));
        let number = |n| Problem::Refused(Some(Code::Status(n)));
        for (what, reason) in [
            (number(404), Reason::ApiRejected),
            (number(401), Reason::AuthenticationFailed),
            (number(7), Reason::ApiUnavailable),
            (word("INVALID_FILTER"), Reason::ApiRejected),
            (word("TOKEN_EXPIRED"), Reason::AuthenticationFailed),
            (word("ACCESS_DENIED"), Reason::AccessDenied),
            (word("TOO_MANY_REQUESTS"), Reason::ApiThrottled),
            (word("INTERNAL_ERROR"), Reason::ApiUnavailable),
            (Problem::Refused(None), Reason::ApiUnavailable),
            (Problem::NotJson, Reason::ApiChanged),
            (Problem::CutOff, Reason::ApiUnreachable),
            (Problem::Shape("x".into()), Reason::ApiChanged),
        ] {
            assert_eq!(problem("GET /x", &what, None).reason, reason, "{what:?}");
        }
    }
}
