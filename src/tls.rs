//! TLS of HTTP clients. Clients that trust the system's authorities share one list of them, which takes 0.1 MB.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

/// The protocols that a client offers, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Trusts the authorities of the system, as they were when the process first needed them.
///
/// # Errors
/// The system has none. The next call reads them again.
pub fn with_system_roots() -> Result<ClientConfig, rustls::Error> {
    static CONFIG: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let builder = builder()?;
    let verifier: Arc<dyn ServerCertVerifier> =
        Arc::new(Verifier::new(Arc::clone(builder.crypto_provider()))?);
    let config = builder.dangerous().with_custom_certificate_verifier(verifier);
    let config = with_protocols(config.with_no_client_auth());
    Ok(CONFIG.get_or_init(|| config).clone())
}

/// Trusts only these authorities.
///
/// # Errors
/// One of them cannot be a trust anchor.
pub fn with_roots(certificates: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    let config = builder()?.with_root_certificates(roots);
    Ok(with_protocols(config.with_no_client_auth()))
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}

fn with_protocols(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    config
}
