//! Error responses: one enum, one format (RFC 9457, `application/problem+json`).

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::fault::Fault;

/// Why a request failed. The messages are for users: they hold no secrets and no internals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// 400: the request is malformed.
    BadRequest(String),
    /// 401: the caller is not authenticated.
    Unauthenticated(String),
    /// 403: the caller lacks a permission.
    Forbidden(String),
    /// 404: the object does not exist, or the caller may not see it.
    NotFound(String),
    /// 404: the operator has no browser sessions.
    NoSessions,
    /// 405: the route does not accept the method.
    MethodNotAllowed(String),
    /// 409: the state of the object does not allow the action.
    Conflict(String),
    /// 413: the body is too long.
    PayloadTooLarge(String),
    /// 415: the body is not JSON.
    UnsupportedMediaType(String),
    /// 422: the request is well-formed, but its values are not acceptable.
    Unprocessable(String),
    /// 429: the caller exceeded a limit.
    TooManyRequests {
        /// Which limit.
        detail: String,
        /// The time after which it may retry.
        retry_after: Duration,
    },
    /// 503: a dependency is unavailable.
    Unavailable(String),
    /// 500: an internal error. Its cause is only in the log.
    Internal,
}

/// Body of an error response (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDetails {
    /// Always `about:blank`: the status identifies the kind of problem.
    #[serde(rename = "type")]
    type_: &'static str,
    /// Reason phrase of the HTTP status.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
}

impl Problem {
    /// An unexpected error. Logs it and returns a problem without its text.
    pub fn internal(what: &str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "{what}");
        Self::Internal
    }

    /// The database of a connection cannot be used.
    pub fn from_database(fault: &Fault) -> Self {
        tracing::warn!(%fault, "a request failed because the database cannot be used");
        Self::Unavailable(format!(
            "the database cannot be used: {}; see the conditions of the TaranaConnection",
            fault.reason
        ))
    }

    /// A request to the Kubernetes API failed.
    pub fn from_kubernetes(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 404 => Self::NotFound(status.message),
            kube::Error::Api(status) if status.code == 409 => Self::Conflict(status.message),
            kube::Error::Api(status) if status.code == 422 || status.code == 400 => {
                Self::Unprocessable(status.message)
            }
            // The caller was authorized before, so the operator itself lacks the permission.
            kube::Error::Api(status) if status.code == 403 => Self::internal(
                "the operator lacks a permission that the admin API needs",
                &status.message,
            ),
            error => {
                tracing::warn!(%error, "a request failed because the Kubernetes API is unavailable");
                Self::Unavailable("the Kubernetes API is unavailable: try again".to_owned())
            }
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) | Self::NoSessions => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::PayloadTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What is wrong, and what to do.
    pub fn detail(&self) -> String {
        match self {
            Self::BadRequest(detail)
            | Self::Unauthenticated(detail)
            | Self::Forbidden(detail)
            | Self::NotFound(detail)
            | Self::MethodNotAllowed(detail)
            | Self::Conflict(detail)
            | Self::PayloadTooLarge(detail)
            | Self::UnsupportedMediaType(detail)
            | Self::Unprocessable(detail)
            | Self::TooManyRequests { detail, .. }
            | Self::Unavailable(detail) => detail.clone(),
            Self::NoSessions => {
                "there are no browser sessions: the operator runs without --admin-session-key-file (in its Helm chart: admin.sessions.secretName)"
                    .to_owned()
            }
            Self::Internal => {
                "internal error: the operator's log has the cause under the x-request-id of this response"
                    .to_owned()
            }
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::TooManyRequests { .. } | Self::Unavailable(_) | Self::Internal
        )
    }

    /// The header that belongs to the status.
    pub fn header(&self) -> Option<(header::HeaderName, HeaderValue)> {
        match self {
            Self::Unauthenticated(_) => Some((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"tarana\""),
            )),
            Self::TooManyRequests { retry_after, .. } => {
                Some((header::RETRY_AFTER, retry_after.as_secs().max(1).into()))
            }
            Self::Unavailable(_) => Some((header::RETRY_AFTER, HeaderValue::from_static("5"))),
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let details = ProblemDetails {
            type_: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.detail(),
        };
        let mut response = (status, Json(details)).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response.headers_mut().extend(self.header());
        // The legacy routes convert the problem to their own format.
        response.extensions_mut().insert(self);
        response
    }
}
