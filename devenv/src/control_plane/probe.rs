//! Asks a server whether it is ready.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, Result};

/// One address that answers 200 when all is well.
pub(super) struct Probe {
    client: Client,
    url: String,
    token: Option<String>,
}

impl Probe {
    /// For an address without TLS.
    pub(super) fn plain(url: String) -> Result<Self> {
        Ok(Self {
            client: patient(client(RootCertStore::empty())?)?,
            url,
            token: None,
        })
    }

    /// For an address behind these certificates, asked with this token.
    pub(super) fn trusting(ca_pem: &str, url: String, token: &str) -> Result<Self> {
        Ok(Self {
            client: patient(client(roots(ca_pem)?)?)?,
            url,
            token: Some(token.to_owned()),
        })
    }

    /// Whether it answers 200 now. Being refused, or not answered within five seconds, is no.
    pub(super) async fn answers(&self) -> bool {
        let mut request = self.client.get(&self.url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
    }
}

/// The certificates of a PEM text.
///
/// # Errors
/// [`Error::Io`] when there is none, as in a file that is still being written.
pub(super) fn roots(pem: &str) -> Result<RootCertStore> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(unreadable)?;
    }
    if roots.is_empty() {
        Err(unreadable("no certificate in it"))
    } else {
        Ok(roots)
    }
}

/// The provider of cryptography is named here, so that nobody's choice for the process matters.
fn client(roots: RootCertStore) -> Result<ClientBuilder> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder
        .map_err(unreadable)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::builder().tls_backend_preconfigured(config).no_proxy())
}

fn patient(client: ClientBuilder) -> Result<Client> {
    client.timeout(Duration::from_secs(5)).build().map_err(unreadable)
}

/// A client that trusts these certificates alone, waits for ever, and follows no redirect.
pub(crate) fn client_trusting(ca_pem: Option<&str>) -> Result<Client> {
    let roots = ca_pem.map_or_else(|| Ok(RootCertStore::empty()), roots)?;
    client(roots)?
        .redirect(Policy::none())
        .build()
        .map_err(unreadable)
}

fn unreadable(reason: impl Display) -> Error {
    Error::Io {
        what: "prepare to ask the API server".into(),
        source: std::io::Error::other(format!("{reason}")),
    }
}
