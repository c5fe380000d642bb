//! Fetches the issuer's key set over HTTP.

use std::time::Duration;

use reqwest::{StatusCode, Url, redirect};

use super::jwks::KeySet;
use crate::tls;

/// From the start of the connection to the last byte of the key set.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a key set. One of Supabase has a few hundred bytes for each key.
const MAX_BYTES: usize = 256 * 1024;

/// The HTTP client cannot be created.
#[derive(Debug, thiserror::Error)]
#[error(
    "TLS to Supabase cannot be set up (--admin-auth supabase): check that the operator's image holds the system's CA certificates"
)]
pub struct ClientError;

/// Why there is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it does not answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("no connection to it can be made")]
    Unreachable,
    #[error("its answer is incomplete")]
    Incomplete,
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its answer is larger than {} KiB", MAX_BYTES / 1024)]
    TooLarge,
    #[error("its answer is not a JSON Web Key Set")]
    NotAKeySet,
}

/// Fetches one key set.
#[derive(Debug)]
pub(super) struct KeySetFetcher {
    http: reqwest::Client,
    url: Url,
}

impl KeySetFetcher {
    /// A client that trusts the system's authorities.
    pub fn new(url: Url) -> Result<Self, ClientError> {
        let tls = tls::with_system_roots().map_err(|_| ClientError)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("tarana-operator/", env!("CARGO_PKG_VERSION")))
            // A redirect could lead to another host's keys.
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
            .no_gzip()
            .build()
            .map_err(|_| ClientError)?;
        Ok(Self { http, url })
    }

    /// The address, for messages.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The key set as it is now.
    pub async fn fetch(&self) -> Result<KeySet, FetchError> {
        let request = self.http.get(self.url.clone());
        let mut response = request.send().await.map_err(|error| failure(&error))?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        KeySet::parse(&body).ok_or(FetchError::NotAKeySet)
    }
}

fn failure(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() {
        FetchError::Timeout
    } else if error.is_connect() {
        FetchError::Unreachable
    } else {
        FetchError::Incomplete
    }
}
