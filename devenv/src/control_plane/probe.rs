//! Readiness probes over HTTP.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, Result};

/// A URL that returns 200 when the server is ready.
pub(super) struct Probe {
    client: Client,
    url: String,
    token: Option<String>,
}

impl Probe {
    /// A probe without TLS.
    pub(super) fn plain(url: String) -> Result<Self> {
        Ok(Self {
            client: build_with_timeout(client_builder(RootCertStore::empty())?)?,
            url,
            token: None,
        })
    }

    /// A probe that trusts these certificates and sends this token.
    pub(super) fn trusting(ca_pem: &str, url: String, token: &str) -> Result<Self> {
        Ok(Self {
            client: build_with_timeout(client_builder(parse_roots(ca_pem)?)?)?,
            url,
            token: Some(token.to_owned()),
        })
    }

    /// Whether the server returns a success now. A connection error or a timeout counts as not ready.
    pub(super) async fn is_ready(&self) -> bool {
        let mut request = self.client.get(&self.url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request
            .send()
            .await
            .is_ok_and(|response| response.status().is_success())
    }
}

/// Parses the certificates of a PEM text.
///
/// # Errors
/// [`Error::Io`] when it contains none, for example because the file is still being written.
pub(super) fn parse_roots(pem: &str) -> Result<RootCertStore> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(client_error)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(client_error)?;
    }
    if roots.is_empty() {
        Err(client_error("the PEM text contains no certificate"))
    } else {
        Ok(roots)
    }
}

/// Names the crypto provider explicitly, independent of the process's default.
fn client_builder(roots: RootCertStore) -> Result<ClientBuilder> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder
        .map_err(client_error)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::builder().tls_backend_preconfigured(config).no_proxy())
}

fn build_with_timeout(client: ClientBuilder) -> Result<Client> {
    client
        .timeout(Duration::from_secs(5))
        .build()
        .map_err(client_error)
}

/// A client that trusts only these certificates, has no timeout and follows no redirect.
pub(crate) fn client_trusting(ca_pem: Option<&str>) -> Result<Client> {
    let roots = ca_pem.map_or_else(|| Ok(RootCertStore::empty()), parse_roots)?;
    client_builder(roots)?
        .redirect(Policy::none())
        .build()
        .map_err(client_error)
}

fn client_error(reason: impl Display) -> Error {
    Error::Io {
        what: "prepare an HTTP client".into(),
        source: std::io::Error::other(format!("{reason}")),
    }
}
