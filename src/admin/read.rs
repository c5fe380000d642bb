//! Reads what a request says, strictly: an unknown or doubled field is an error that names it.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Bytes of a body. The longest that makes sense is a hundred times shorter.
const LONGEST: usize = 64 * 1024;
/// Bytes beyond that which are thrown away before the refusal: most programs read no answer while they still send.
const PATIENCE: usize = 16 * 1024 * 1024;

/// A JSON body. An empty one is `{}`.
#[derive(Clone, Copy, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = whole(request.into_body()).await?;
        if bytes.is_empty() {
            return read(b"{}").map(Self);
        }
        if !is_json {
            return Err(Problem::WrongType(
                "send the body as JSON, with Content-Type: application/json".to_owned(),
            ));
        }
        read(&bytes).map(Self)
    }
}

/// The body, if it is short enough.
async fn whole(body: axum::body::Body) -> Result<Vec<u8>, Problem> {
    let (mut pieces, mut bytes, mut length) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Problem::Malformed("the body was broken off".to_owned()))?;
        length += piece.len();
        if length <= LONGEST {
            bytes.extend_from_slice(&piece);
        } else if length > PATIENCE {
            break;
        }
    }
    if length > LONGEST {
        let long = format!("the body is longer than {LONGEST} bytes");
        return Err(Problem::TooLarge(long));
    }
    Ok(bytes)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // An array would be taken for the fields in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::Malformed(
            "the body is not what it should be: a JSON object".to_owned(),
        ));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::Malformed(format!("the body is not what it should be: {error}")))
}

fn is_json(headers: &HeaderMap) -> bool {
    let type_ = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    type_.is_some_and(|type_| {
        let essence = type_.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    })
}

/// The parameters of the query.
#[derive(Clone, Copy, Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::from_request_parts(parts, state).await;
        let Query(params) = read.map_err(|error: QueryRejection| {
            Problem::Malformed(format!(
                "the query is not what it should be: {}",
                error.body_text()
            ))
        })?;
        Ok(Self(params))
    }
}

/// A part of the path.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        let axum::extract::Path(path) = read.map_err(|error| {
            Problem::Malformed(format!(
                "the path is not what it should be: {}",
                error.body_text()
            ))
        })?;
        Ok(Self(path))
    }
}
