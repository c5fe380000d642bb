//! Error responses that several routes document.

use crate::admin::problem::ProblemDetails;

/// Error responses of every route.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "only the OpenAPI document uses it")]
pub enum CommonErrors {
    /// The request is malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemDetails),
    /// The token is missing or invalid.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(ProblemDetails),
    /// The caller lacks a permission, which `detail` names.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemDetails),
    /// The object does not exist, or the caller may not see it.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemDetails),
    /// The Kubernetes API or a database cannot be used now.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDetails),
}

/// Further error responses of routes that change something.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "only the OpenAPI document uses it")]
pub enum WriteErrors {
    /// The state of the object does not allow the action.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(ProblemDetails),
    /// The body is too long.
    #[response(status = 413, content_type = "application/problem+json")]
    PayloadTooLarge(ProblemDetails),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(ProblemDetails),
    /// The request is well-formed, but its values are not acceptable.
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(ProblemDetails),
    /// The caller creates runs too often.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyRequests(ProblemDetails),
}
