//! One request to TCS.

use reqwest::Method;

/// A request. Its path is a constant with ids in it, so it may be logged.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(super) method: Method,
    /// Path and query below the base URL, beginning with a slash.
    pub(super) path: String,
    /// JSON.
    pub(super) body: Option<String>,
    /// It only reads, so it may be sent again.
    pub(super) repeatable: bool,
}

impl Request {
    pub(crate) fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            body: None,
            repeatable: true,
        }
    }

    /// A POST that only reads, such as a search.
    pub(crate) fn search(path: impl Into<String>, body: String) -> Self {
        Self {
            method: Method::POST,
            path: path.into(),
            body: Some(body),
            repeatable: true,
        }
    }

    /// A POST without a body that changes state on the server, such as a login.
    pub(super) fn command(path: &str) -> Self {
        Self {
            method: Method::POST,
            path: path.into(),
            body: None,
            repeatable: false,
        }
    }

    /// Method and path, without the query: the name of the request in messages and logs.
    pub(super) fn name(&self) -> String {
        format!(
            "{} {}",
            self.method,
            self.path.split('?').next().unwrap_or_default()
        )
    }
}
