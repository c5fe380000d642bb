//! TLS for the simulator, so that tests can reject its certificate.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::config::Transport;
use super::connection::ResettableStream;

/// A TLS acceptor.
#[derive(Clone)]
pub(super) struct Tls(TlsAcceptor);

impl Tls {
    /// The acceptor, and the PEM certificate for clients to trust.
    pub(super) fn from_transport(transport: &Transport) -> io::Result<Option<(Self, String)>> {
        match transport {
            Transport::Plain => Ok(None),
            Transport::Pem { chain, key } => Ok(Some((Self::from_pem(chain, key)?, chain.clone()))),
            Transport::SelfSigned => {
                let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
                let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
                let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
                Ok(Some((Self::from_pem(&chain, &key)?, chain)))
            }
        }
    }

    fn from_pem(chain: &str, key: &str) -> io::Result<Self> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain.map_err(io::Error::other)?, key)
            .map_err(io::Error::other)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn accept(&self, stream: ResettableStream) -> io::Result<TlsStream<ResettableStream>> {
        self.0.accept(stream).await
    }
}
