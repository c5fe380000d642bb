//! Extractors of request handlers. They are strict: an unknown or duplicate field is an error that names the field.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::auth::Caller;
use super::middleware::CallerName;
use super::problem::Problem;
use super::state::SharedState;

/// Maximum length of a body. The longest useful body is a hundred times shorter.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// A longer body is read up to this length before it is rejected: most clients read no response while they still send.
const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// The authenticated caller. A request without one is rejected.
#[derive(Debug)]
pub struct Authenticated(pub Arc<Caller>);

impl FromRequestParts<SharedState> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let caller = state
            .authorizer
            .authenticate(&parts.method, &parts.headers)
            .await?;
        CallerName::set(&parts.extensions, &caller.name);
        Ok(Self(caller))
    }
}

/// A JSON body. An empty body is read as `{}`.
#[derive(Clone, Copy, Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = has_media_type(request.headers(), "application/json");
        let bytes = read_body(request.into_body()).await?;
        if bytes.is_empty() {
            return parse_json(b"{}").map(Self);
        }
        if !is_json {
            return Err(Problem::UnsupportedMediaType(
                "send the body as JSON, with Content-Type: application/json".to_owned(),
            ));
        }
        parse_json(&bytes).map(Self)
    }
}

/// The whole body, up to the maximum length.
pub async fn read_body(body: axum::body::Body) -> Result<Vec<u8>, Problem> {
    let (mut chunks, mut bytes, mut length) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::BadRequest("the body ended early".to_owned()))?;
        length += chunk.len();
        if length <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if length > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if length > MAX_BODY_BYTES {
        return Err(Problem::PayloadTooLarge(format!(
            "the body is longer than {MAX_BODY_BYTES} bytes"
        )));
    }
    Ok(bytes)
}

/// The JSON object of a body.
pub fn parse_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    // serde would accept an array as the fields in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::BadRequest(
            "the body is invalid: send a JSON object".to_owned(),
        ));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::BadRequest(format!("the body is invalid: {error}")))
}

/// Whether the media type of the body is this one.
pub fn has_media_type(headers: &HeaderMap, expected: &str) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(expected)
    })
}

/// The query parameters.
#[derive(Clone, Copy, Debug)]
pub struct QueryParams<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parsed = Query::from_request_parts(parts, state).await;
        let Query(params) = parsed.map_err(|error: QueryRejection| {
            Problem::BadRequest(format!("the query is invalid: {}", error.body_text()))
        })?;
        Ok(Self(params))
    }
}

/// Deserializes the parameter or field `namespace`. The empty string is rejected: Kubernetes would authorize it as all namespaces.
pub fn namespace<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=63).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(Some(name));
    }
    Err(D::Error::custom(
        "namespace: must be the name of a namespace: up to 63 of a-z, 0-9 and -; leave it out for the default",
    ))
}

/// The number of items that a query requests with this parameter, from 1 to `maximum`.
pub fn item_count(
    parameter: &str,
    requested: Option<usize>,
    default: usize,
    maximum: usize,
) -> Result<usize, Problem> {
    let count = requested.unwrap_or(default);
    if (1..=maximum).contains(&count) {
        return Ok(count);
    }
    Err(Problem::BadRequest(format!(
        "{parameter}: must be a number from 1 to {maximum}"
    )))
}

/// The path parameters.
#[derive(Clone, Copy, Debug)]
pub struct PathParams<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parsed = axum::extract::Path::from_request_parts(parts, state).await;
        let axum::extract::Path(params) = parsed
            .map_err(|error| Problem::BadRequest(format!("the path is invalid: {}", error.body_text())))?;
        Ok(Self(params))
    }
}
