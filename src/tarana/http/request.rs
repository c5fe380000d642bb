//! One request to TCS.

use std::hash::{DefaultHasher, Hash, Hasher};

use reqwest::Method;

/// What a request is for, the label of its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestClass {
    /// Username and password for a session.
    Login,
    /// A new session for an old one.
    Refresh,
    /// The user, for the operator id.
    User,
    /// A page of the regions.
    Regions,
    /// The names of regions, markets, sites, cells and sectors.
    Hierarchy,
    /// A page of devices.
    Devices,
}

impl RequestClass {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refresh => "refresh",
            Self::User => "user",
            Self::Regions => "regions",
            Self::Hierarchy => "hierarchy",
            Self::Devices => "devices",
        }
    }
}

/// A request. Its path is a constant with ids in it, so it may be logged.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(super) class: RequestClass,
    pub(super) method: Method,
    /// Path and query below the base URL, beginning with a slash.
    pub(super) path: String,
    /// JSON.
    pub(super) body: Option<String>,
    /// It only reads, so it may be sent again.
    pub(super) repeatable: bool,
}

impl Request {
    pub(crate) fn get(class: RequestClass, path: String) -> Self {
        Self {
            class,
            method: Method::GET,
            path,
            body: None,
            repeatable: true,
        }
    }

    /// A POST that searches for devices.
    pub(crate) fn search(path: impl Into<String>, body: String) -> Self {
        Self {
            class: RequestClass::Devices,
            method: Method::POST,
            path: path.into(),
            body: Some(body),
            repeatable: true,
        }
    }

    /// A POST without a body that changes state on the server, such as a login.
    pub(super) fn command(class: RequestClass, path: &str) -> Self {
        Self {
            class,
            method: Method::POST,
            path: path.into(),
            body: None,
            repeatable: false,
        }
    }

    /// A number that differs between requests, for the jitter of pauses.
    pub(super) fn seed(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.path.hash(&mut hasher);
        self.body.hash(&mut hasher);
        hasher.finish()
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
