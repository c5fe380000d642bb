//! Cross-origin requests: pages of other origins may call the API with a token of their own, if the origins are configured.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use reqwest::Url;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may cache that a request is allowed.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_mins(10);

/// Origins whose pages may call the API. By default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<HeaderValue>);

/// Why an origin is rejected.
#[derive(Debug, thiserror::Error)]
#[error("--admin-cors-origin {0:?} {1}: write scheme, host and port as in https://app.example.org")]
pub struct InvalidOrigin(String, &'static str);

impl AllowedOrigins {
    /// Parses origins. Each is a URL without a path; `*` is not one.
    pub fn parse(origins: &[String]) -> Result<Self, InvalidOrigin> {
        let parsed = origins.iter().map(|origin| parse(origin.trim()));
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// The layer that answers preflight requests and names the origin in responses; `None` if no origin is allowed. Cookies are not
    /// accepted from other origins: their pages need a token.
    pub fn layer(&self) -> Option<CorsLayer> {
        if self.0.is_empty() {
            return None;
        }
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.iter().cloned()))
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                HeaderName::from_static("idempotency-key"),
                HeaderName::from_static("last-event-id"),
                HeaderName::from_static("x-request-id"),
            ])
            .expose_headers([
                header::LOCATION,
                header::RETRY_AFTER,
                header::CONTENT_DISPOSITION,
                HeaderName::from_static("x-request-id"),
            ])
            .max_age(PREFLIGHT_MAX_AGE);
        Some(layer)
    }
}

fn parse(text: &str) -> Result<HeaderValue, InvalidOrigin> {
    let invalid = |problem| InvalidOrigin(text.to_owned(), problem);
    if text == "*" {
        return Err(invalid("would allow every page of the Internet"));
    }
    let url = Url::parse(text).map_err(|_| invalid("is not an origin"))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(invalid("must begin with https:// or http://"));
    }
    // Browsers send the origin in this form, and it is compared as text.
    let origin = url.origin().ascii_serialization();
    if url.as_str() != format!("{origin}/") {
        return Err(invalid("must end after host and port"));
    }
    HeaderValue::from_str(&origin).map_err(|_| invalid("is not an origin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(origin: &str) -> Result<String, String> {
        let origins = AllowedOrigins::parse(&[origin.to_owned()]).map_err(|e| e.to_string())?;
        Ok(origins.0[0].to_str().unwrap().to_owned())
    }

    #[test]
    fn origins_have_the_form_that_browsers_send() {
        for (text, origin) in [
            ("https://app.example.org", "https://app.example.org"),
            (" https://APP.example.org:443/ ", "https://app.example.org"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(parsed(text).unwrap(), origin);
        }
        assert!(AllowedOrigins::default().layer().is_none());
    }

    #[test]
    fn what_is_not_an_origin_is_named() {
        for (text, problem) in [
            ("*", "every page"),
            ("null", "is not an origin"),
            ("app.example.org", "is not an origin"),
            ("file:///x", "https://"),
            ("https://app.example.org/admin", "must end after host and port"),
            ("https://a@app.example.org", "must end after host and port"),
            ("https://app.example.org?a", "must end after host and port"),
        ] {
            let message = parsed(text).unwrap_err();
            assert!(message.contains(problem), "{text}: {message}");
        }
    }
}
