//! Signatures by Standard Webhooks, <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// How a secret begins.
const PREFIX: &str = "whsec_";
/// Length of a key in bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs events. `Debug` is redacted.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl SigningKey {
    /// Parses `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// What is wrong with the text, without the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let encoded = text
            .trim()
            .strip_prefix(PREFIX)
            .ok_or("does not begin with whsec_")?;
        let key = STANDARD
            .decode(encoded)
            .map_err(|_| "is not base64 after whsec_")?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err("does not have 24 to 64 bytes");
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    fn sign(&self, content: &[u8]) -> String {
        let tag = hmac::sign(&self.0, content);
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

/// The value of `webhook-signature`: a signature by each key, so that a receiver that knows one of them can verify it.
pub(super) fn signatures(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut content = format!("{id}.{timestamp}.").into_bytes();
    content.extend_from_slice(body);
    let signatures: Vec<_> = keys.iter().map(|key| key.sign(&content)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{SigningKey, signatures};

    /// The example of the reference implementations.
    #[test]
    fn a_signature_is_that_of_the_reference() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(
            signatures(std::slice::from_ref(&key), id, 1_614_265_330, body),
            signature
        );
        let both = signatures(&[key.clone(), key], id, 1_614_265_330, body);
        assert_eq!(both, format!("{signature} {signature}"));
    }

    #[test]
    fn an_invalid_secret_is_explained_without_it() {
        for (text, why) in [
            ("secret", "does not begin with whsec_"),
            ("whsec_%%%", "is not base64 after whsec_"),
            ("whsec_c2hvcnQ=", "does not have 24 to 64 bytes"),
        ] {
            assert_eq!(SigningKey::parse(text).unwrap_err(), why);
        }
    }
}
