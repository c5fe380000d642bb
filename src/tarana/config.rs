//! The configuration of a client, and its validation before anything is sent.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use rustls::ClientConfig;

use crate::fault::{Fault, Reason};
use crate::station::Listing;
use crate::tls;

/// A secret text: `Debug` is redacted and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, only for sending.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Address, credentials and limits of one connection: `spec.api` of a TaranaConnection, field by field.
#[derive(Clone, Debug)]
pub struct Config {
    /// `spec.api.url`: scheme and host, perhaps a path before `/api`.
    pub base_url: String,
    /// From the Secret of `spec.api.credentialsSecretRef`.
    pub username: String,
    /// From the same Secret.
    pub password: Secret,
    /// From the Secret of `spec.api.caSecretRef`: PEM. If set, only these are trusted; otherwise the system's roots.
    pub ca_pem: Option<Vec<u8>>,
    /// `spec.api.operatorId`; `None` discovers it.
    pub operator_id: Option<i64>,
    /// `spec.api.includeRegionIds`; empty means all listed regions.
    pub include_region_ids: Vec<i32>,
    /// `spec.api.excludeRegionIds`; takes precedence over inclusion.
    pub exclude_region_ids: Vec<i32>,
    /// `spec.api.pageSize`: rows requested per page. The server may return fewer.
    pub page_size: u32,
    /// `spec.api.requestTimeoutSeconds`: from the start of the connection to the last byte of the answer.
    pub request_timeout: Duration,
    /// `spec.api.requestsPerSecond`, with a burst of one second's worth.
    pub requests_per_second: u32,
    /// `spec.api.maxInFlight`: most requests in flight; see Concurrency in the README.
    pub max_in_flight: u32,
    /// `spec.api.listing`; `None` is Auto: the best that works.
    pub listing: Option<Listing>,
    /// `spec.activeConnections: Count`.
    pub count_connections: bool,
}

impl Config {
    /// The base URL, without a trailing slash.
    pub(super) fn url(&self) -> Result<Url, Fault> {
        let mut url = Url::parse(self.base_url.trim()).map_err(|e| {
            invalid(format!(
                "spec.api.url is not a URL ({e}): write it like https://portal.example.com"
            ))
        })?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(invalid(
                "spec.api.url must begin with https:// (or http://) and name a host",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid(
                "spec.api.url must not hold a user or password: put them into the Secret of spec.api.credentialsSecretRef",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("spec.api.url must end before any `?` or `#`"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(url)
    }

    /// Trusts the certificates of `ca_pem`, or those of the system.
    pub(super) fn tls(&self) -> Result<ClientConfig, Fault> {
        tls::with_roots_of("spec.api.caSecretRef", self.ca_pem.as_deref()).map_err(invalid)
    }

    /// Checks that username and password can be sent in a Basic header.
    pub(super) fn check_credentials(&self) -> Result<(), Fault> {
        if self.username.is_empty() || self.password.expose().is_empty() {
            return Err(invalid(
                "the Secret of spec.api.credentialsSecretRef holds an empty username or password: fill it",
            ));
        }
        if self.username.contains(':') {
            return Err(invalid(
                "the username in the Secret of spec.api.credentialsSecretRef contains a colon, which cannot be sent: correct it",
            ));
        }
        Ok(())
    }
}

/// Whether requests go to the same address, however it is written: `HTTPS://a:443/` is `https://a`.
pub fn is_same_address(one: &str, other: &str) -> bool {
    let parse = |url: &str| Url::parse(url.trim().trim_end_matches('/')).ok();
    parse(one) == parse(other)
}

/// An `InvalidConfiguration` fault.
pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(Reason::InvalidConfiguration, message)
}
