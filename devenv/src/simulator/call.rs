//! Pure: parsed requests, and responses before connection faults.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap};
use hyper::{Method, Uri};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An endpoint of the vendor's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Endpoint {
    /// In a rule: every endpoint.
    #[default]
    Any,
    /// `POST …/user-auth/login`
    Login,
    /// `POST …/user-auth/refresh`
    Refresh,
    /// `GET …/users`
    Users,
    /// `GET …/operators/{op}/regions`, in both API families
    Regions,
    /// `POST …/regions/devices/search`
    Search,
    /// `GET …/operators/{op}/devices`
    OperatorDevices,
    /// `POST …/radios/search`
    Radios,
    /// `GET …/operators/{op}/network-hierarchy`
    Hierarchy,
    /// Any other path: 404.
    Unknown,
}

impl Endpoint {
    /// The endpoint, and the operator id in the path.
    fn of(method: &Method, path: &str) -> (Self, Option<i64>) {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let method = method.as_str();
        match (method, parts.as_slice()) {
            ("POST", ["api", "tcs", "v1", "user-auth", "login"]) => (Self::Login, None),
            ("POST", ["api", "tcs", "v1", "user-auth", "refresh"]) => (Self::Refresh, None),
            ("GET", ["api", "tcs", "v1", "users"]) => (Self::Users, None),
            (
                "GET",
                ["api", "tni", "v2", "operators", op, "regions"]
                | ["api", "nqs", "v1", "operators", op, "regions"],
            ) => (Self::Regions, op.parse().ok()),
            ("POST", ["api", "nqs", "v1", "regions", "devices", "search"]) => (Self::Search, None),
            ("GET", ["api", "nqs", "v1", "operators", op, "devices"]) => {
                (Self::OperatorDevices, op.parse().ok())
            }
            ("POST", ["api", "tmq", "v1", "radios", "search"]) => (Self::Radios, None),
            ("GET", ["api", "nqs", "v1", "operators", op, "network-hierarchy"]) => {
                (Self::Hierarchy, op.parse().ok())
            }
            _ => (Self::Unknown, None),
        }
    }

    /// Whether the path contains an operator id.
    pub(super) fn has_operator(self) -> bool {
        matches!(self, Self::Regions | Self::OperatorDevices | Self::Hierarchy)
    }
}

/// A parsed request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) endpoint: Endpoint,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) operator: Option<i64>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The body as JSON; null when it is not JSON.
    pub(super) json: Value,
    query: BTreeMap<String, String>,
}

impl Call {
    pub(super) fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Self {
        let (endpoint, operator) = Endpoint::of(&method, uri.path());
        let pairs = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let query = pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let json = serde_json::from_slice(&body).unwrap_or_default();
        Self {
            endpoint,
            method,
            path: uri.path().to_owned(),
            operator,
            headers,
            body,
            json,
            query,
        }
    }

    pub(super) fn query(&self, key: &str) -> Option<&str> {
        self.query.get(key).map(String::as_str)
    }

    /// The requested offset, from the query or the body.
    pub(super) fn offset(&self) -> Option<usize> {
        self.paging("offset", "offset")
    }

    /// The requested number of rows.
    pub(super) fn count(&self) -> Option<usize> {
        self.paging("count", "limit")
    }

    fn paging(&self, in_query: &str, in_body: &str) -> Option<usize> {
        if self.endpoint == Endpoint::Radios {
            let number = self.json["query"]["pagination"][in_body].as_u64()?;
            return usize::try_from(number).ok();
        }
        self.query(in_query)?.parse().ok()
    }

    /// The regions of a search.
    pub(super) fn regions(&self) -> Option<Vec<i64>> {
        let ids = match self.endpoint {
            Endpoint::Search => &self.json["ids"],
            Endpoint::Radios => return radio_regions(&self.json["query"]["conditions"]),
            _ => return None,
        };
        ids.as_array()?.iter().map(Value::as_i64).collect()
    }

    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self
            .headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok());
        let mut pairs = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs
            .find(|(key, value)| *key == name && !value.is_empty())
            .map(|(_, value)| value)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Username and password of HTTP Basic authentication.
    pub(super) fn basic_auth(&self) -> Option<(String, String)> {
        let encoded = self.header(AUTHORIZATION.as_str())?.strip_prefix("Basic ")?;
        let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        text.split_once(':')
            .map(|(user, password)| (user.to_owned(), password.to_owned()))
    }

    pub(super) fn has_bearer(&self) -> bool {
        self.header(AUTHORIZATION.as_str())
            .is_some_and(|value| value.starts_with("Bearer "))
    }
}

/// The values of all `regionId` conditions, at any depth; `None` without one.
fn radio_regions(conditions: &Value) -> Option<Vec<i64>> {
    let mut found = None;
    for condition in conditions.as_array().into_iter().flatten() {
        if condition["field"] == "regionId" {
            let ids = condition["values"].as_array().into_iter().flatten();
            found
                .get_or_insert_with(Vec::new)
                .extend(ids.filter_map(Value::as_i64));
        }
        if let Some(inner) = radio_regions(&condition["conditions"]) {
            found.get_or_insert_with(Vec::new).extend(inner);
        }
    }
    found
}

/// A response before connection faults apply.
#[derive(Debug, Clone)]
pub(super) struct ApiResponse {
    pub(super) status: u16,
    pub(super) content_type: Cow<'static, str>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

const JSON: &str = "application/json";

impl ApiResponse {
    pub(super) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type: content_type.into(),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(super) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, JSON, body)
    }

    /// A success in NQS's envelope.
    pub(super) fn data(data: &Value) -> Self {
        Self::json(200, json!({"data": data, "error": null}).to_string())
    }

    /// An error in the envelope of this endpoint's API family.
    pub(super) fn error(endpoint: Endpoint, status: u16, message: &str) -> Self {
        Self::json(status, error_body(endpoint == Endpoint::Radios, status, message))
    }

    /// A rejection by the vendor's ingress, which is not JSON.
    pub(super) fn forbidden() -> Self {
        Self::new(403, "text/plain", "RBAC: access denied")
    }

    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The error envelope of TMQ v1 with a symbolic code, or that of the other API families.
pub(super) fn error_body(tmq: bool, status: u16, message: &str) -> String {
    let body = if tmq {
        let code = match status {
            400 => Cow::Borrowed("INVALID_FILTER"),
            401 => Cow::Borrowed("UNAUTHORIZED"),
            500 => Cow::Borrowed("INTERNAL_ERROR"),
            other => Cow::Owned(format!("HTTP_{other}")),
        };
        json!({"success": false, "error": {"code": code, "message": message, "details": null}})
    } else {
        json!({"data": null, "error": {"code": status, "message": message, "status": reason_phrase(status)}})
    };
    body.to_string()
}

fn reason_phrase(status: u16) -> &'static str {
    hyper::StatusCode::from_u16(status)
        .ok()
        .and_then(|code| code.canonical_reason())
        .unwrap_or("Unknown")
}
