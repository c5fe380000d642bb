//! Why a request was not answered as asked: one enum, one shape (RFC 9457, `application/problem+json`).

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::fault::Fault;

/// A refusal or a failure. Its words are for a person, and hold no secret and nothing of the inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// 400: what was asked makes no sense.
    Malformed(String),
    /// 401: who asks is not known.
    Unauthenticated(&'static str),
    /// 403: who asks may not.
    Forbidden(String),
    /// 404: there is none, or none that the caller may see.
    NotFound(String),
    /// 409: it is not the time for it.
    Conflict(String),
    /// 413: the body is too long.
    TooLarge(String),
    /// 415: the body is of another type.
    WrongType(String),
    /// 422: it was understood, and cannot be.
    Invalid(String),
    /// 429: too much at once.
    TooMany(Duration),
    /// 503: what is needed is away.
    Unavailable(String),
    /// 500: our fault. What it was is in the log alone.
    Internal,
}

/// What a refused or failed request is answered with (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDetails {
    /// Always `about:blank`: the status says which kind it is.
    #[serde(rename = "type")]
    type_: &'static str,
    /// The words of the HTTP status.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
}

impl Problem {
    /// Something failed that should not: logged here, once, and told to nobody.
    pub fn internal(what: &str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "{what}");
        Self::Internal
    }

    /// What the database, or the way to it, has against it.
    pub fn of_database(fault: &Fault) -> Self {
        tracing::warn!(%fault, "a request could not be answered for want of the database");
        Self::Unavailable(format!("the database is not to be used now: {}", fault.reason))
    }

    /// What the API server has against a change, or that it is away.
    pub fn of_kubernetes(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 404 => Self::NotFound(status.message),
            kube::Error::Api(status) if status.code == 409 => Self::Conflict(status.message),
            kube::Error::Api(status) if status.code == 422 || status.code == 400 => {
                Self::Invalid(status.message)
            }
            // Ours: whoever asks was found to have the right.
            kube::Error::Api(status) if status.code == 403 => {
                Self::internal("the operator lacks a right that its API needs", &status.message)
            }
            error => {
                tracing::warn!(%error, "a request could not be answered for want of the Kubernetes API");
                Self::Unavailable("the Kubernetes API is not to be reached now: try again".to_owned())
            }
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What is wrong and what to do, for a person.
    pub fn detail(&self) -> String {
        match self {
            Self::Malformed(detail)
            | Self::Forbidden(detail)
            | Self::NotFound(detail)
            | Self::Conflict(detail)
            | Self::TooLarge(detail)
            | Self::WrongType(detail)
            | Self::Invalid(detail)
            | Self::Unavailable(detail) => detail.clone(),
            Self::Unauthenticated(why) => (*why).to_owned(),
            Self::TooMany(wait) => format!("too many requests: try again in {} s", wait.as_secs().max(1)),
            Self::Internal => {
                "the server failed; its log tells why under this answer's x-request-id".to_owned()
            }
        }
    }

    /// The headers that belong to it.
    pub fn headers(&self) -> Option<(header::HeaderName, HeaderValue)> {
        match self {
            Self::Unauthenticated(_) => Some((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"tarana\""),
            )),
            Self::TooMany(wait) => Some((header::RETRY_AFTER, wait.as_secs().max(1).into())),
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
        response.headers_mut().extend(self.headers());
        // The old routes have a shape of their own, and make it of this.
        response.extensions_mut().insert(self);
        response
    }
}
