//! The query of a page. Forms send empty fields; they are removed from the address.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use serde::de::DeserializeOwned;

use crate::admin::extract::QueryParams;
use crate::admin::state::SharedState;

/// The query of a page. A request with empty parameters is redirected to the same address without them.
#[derive(Debug)]
pub struct PageParams<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<SharedState> for PageParams<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Response> {
        if let Some(query) = parts.uri.query().and_then(without_empty) {
            let path = parts.uri.path();
            let separator = if query.is_empty() { "" } else { "?" };
            return Err(Redirect::to(&format!("{path}{separator}{query}")).into_response());
        }
        let query = QueryParams::from_request_parts(parts, state).await;
        let QueryParams(query) = query.map_err(IntoResponse::into_response)?;
        Ok(Self(query))
    }
}

/// The query without empty parameters; `None` if there are none.
fn without_empty(query: &str) -> Option<String> {
    let is_empty = |pair: &&str| pair.split_once('=').is_none_or(|(_, value)| value.is_empty());
    let (empty, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_empty);
    (!empty.is_empty()).then(|| rest.join("&"))
}

#[cfg(test)]
mod tests {
    use super::without_empty;

    #[test]
    fn empty_parameters_are_removed() {
        let cases = [
            ("search=&market=&online=", Some("")),
            (
                "search=a%26b&market=&online=true",
                Some("search=a%26b&online=true"),
            ),
            ("", Some("")),
            ("&search=a", Some("search=a")),
            ("online", Some("")),
            ("search=a&online=true", None),
        ];
        for (query, expected) in cases {
            assert_eq!(without_empty(query).as_deref(), expected, "{query}");
        }
    }
}
