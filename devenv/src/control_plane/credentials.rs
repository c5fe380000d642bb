//! Generates keys, tokens and kubeconfigs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use super::commands::{AUDIT_POLICY, SIGNING_KEY, TOKENS, VERIFYING_KEY};
use crate::error::{Error, Result};
use crate::process_group::ProcessGroup;

/// The DER prefix of a P-256 key in a `SubjectPublicKeyInfo`: two sequences, the object ids `id-ecPublicKey` and
/// `prime256v1`, and the head of the bit string.
const P256_DER_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Logs every response without bodies, and the start of each watch.
const AUDIT_POLICY_YAML: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
";

/// The key pair for service account tokens, PEM.
pub(super) struct Credentials {
    signing: String,
    verifying: String,
}

impl Credentials {
    pub(super) fn generate() -> Result<Self> {
        let key_error = |reason: String| Error::Io {
            what: "generate a key".into(),
            source: std::io::Error::other(reason),
        };
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let private =
            EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|error| key_error(error.to_string()))?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref(), &random)
            .map_err(|error| key_error(error.to_string()))?;
        let public = [&P256_DER_PREFIX, pair.public_key().as_ref()].concat();
        Ok(Self {
            signing: pem("PRIVATE KEY", private.as_ref()),
            verifying: pem("PUBLIC KEY", &public),
        })
    }

    /// Writes all files that the API server reads at its start.
    pub(super) fn write(&self, group: &ProcessGroup, admin_token: &str) -> Result<()> {
        group.write_file(SIGNING_KEY, &self.signing)?;
        group.write_file(VERIFYING_KEY, &self.verifying)?;
        group.write_file(TOKENS, &format!("{admin_token},admin,admin,\"system:masters\"\n"))?;
        group.write_file(AUDIT_POLICY, AUDIT_POLICY_YAML)?;
        Ok(())
    }
}

/// A kubeconfig with one user and this token.
pub(super) fn kubeconfig(url: &str, ca_pem: &str, user: &str, token: &str) -> String {
    let ca = STANDARD.encode(ca_pem);
    format!(
        "apiVersion: v1
kind: Config
current-context: devenv
contexts:
  - name: devenv
    context: {{cluster: devenv, user: {user:?}}}
clusters:
  - name: devenv
    cluster: {{server: {url:?}, certificate-authority-data: {ca}}}
users:
  - name: {user:?}
    user: {{token: {token:?}}}
"
    )
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = format!("-----BEGIN {label}-----\n");
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines + &format!("\n-----END {label}-----\n")
}
