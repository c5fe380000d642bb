//! TLS of HTTP clients. Clients that trust the system's authorities share one list of them, which takes 0.1 MB.
//!
//! An error never contains a character of a bundle of certificates.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

use crate::certificates;

/// The protocols that a client offers, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Trusts only the certificates of this PEM bundle, or else the authorities of the system. `field` names the Secret of the bundle, such as
/// `spec.api.caSecretRef`.
///
/// # Errors
/// A message that names the field and the remedy.
pub fn with_roots_of(field: &str, bundle: Option<&[u8]>) -> Result<ClientConfig, String> {
    let Some(pem) = bundle else {
        return with_system_roots().map_err(|_| {
            format!("TLS cannot be set up: check that the operator's image holds the system's CA certificates, or set {field}")
        });
    };
    let roots = certificates::parse_bundle(&format!("{field}.key"), pem)?;
    with_roots(roots).map_err(|_| format!("the certificates under {field}.key cannot be used: replace them"))
}

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

fn with_roots(certificates: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
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
