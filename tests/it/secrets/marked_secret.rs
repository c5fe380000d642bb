//! Pure: a secret that must not occur in a text, in any encoding.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A secret, its name and its encodings.
#[derive(Clone, Debug)]
pub struct MarkedSecret {
    pub what: String,
    encodings: Vec<String>,
}

impl MarkedSecret {
    pub fn new(what: impl Into<String>, secret: &str) -> Self {
        let mut encodings = vec![
            secret.to_owned(),
            json(secret),
            json(&json(secret)),
            secret.escape_debug().to_string(),
            secret.escape_default().to_string(),
            secret.as_bytes().escape_ascii().to_string(),
            percent(secret),
            percent(secret).to_lowercase(),
            hex(secret),
            hex(secret).to_uppercase(),
            decimal(secret),
        ];
        encodings.extend((0..3).flat_map(|shift| base64(secret, shift)));
        encodings.sort();
        encodings.dedup();
        // A short encoding could match by chance.
        encodings.retain(|encoding| encoding.len() >= 8);
        Self {
            what: what.into(),
            encodings,
        }
    }

    /// A token, which contains no character that an encoding changes.
    pub fn token(what: impl Into<String>, token: &str) -> Self {
        Self {
            what: what.into(),
            encodings: vec![token.to_owned(), decimal(token), hex(token)],
        }
    }

    /// The secret in this text with its context; `None` if it does not occur.
    pub fn find_leak(&self, text: &str) -> Option<String> {
        let (at, encoding) = self
            .encodings
            .iter()
            .find_map(|encoding| Some((text.find(encoding.as_str())?, encoding)))?;
        let before: String = text[..at].chars().rev().take(200).collect();
        let after: String = text[at + encoding.len()..].chars().take(40).collect();
        Some(format!(
            "…{}[{encoding}]{after}…",
            before.chars().rev().collect::<String>()
        ))
    }
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Percent-encoded, except letters and digits.
pub fn percent(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

fn hex(text: &str) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap();
    text.bytes()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// As `Debug` prints bytes.
fn decimal(text: &str) -> String {
    text.bytes()
        .map(|byte| byte.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Base64 after this many other bytes, without the characters that depend on them.
fn base64(text: &str, shift: usize) -> [String; 3] {
    let bytes = [&vec![b'.'; shift], text.as_bytes()].concat();
    let whole = &bytes[..bytes.len() / 3 * 3];
    let skipped = if shift == 0 { 0 } else { 4 };
    [
        STANDARD.encode(whole),
        STANDARD_NO_PAD.encode(whole),
        URL_SAFE_NO_PAD.encode(whole),
    ]
    .map(|text| text[skipped..].to_owned())
}

#[test]
fn every_encoding_is_found() {
    let secret = "pa\"ss wörd/+7f3a91";
    let marked = MarkedSecret::new("x", secret);
    let header = STANDARD.encode(format!("operator@example.com:{secret}"));
    let jwt = URL_SAFE_NO_PAD.encode(format!(r#"{{"secret":{}}}"#, serde_json::json!(secret)));
    for text in [
        secret.to_owned(),
        serde_json::json!({ "a": secret }).to_string(),
        serde_json::json!({ "a": serde_json::json!({ "b": secret }).to_string() }).to_string(),
        format!("{secret:?}"),
        format!("{:?}", secret.as_bytes()),
        format!("postgres://u:{}@h/d", percent(secret)),
        format!("Basic {header}"),
        STANDARD.encode(secret),
        format!("b\"{}\"", secret.as_bytes().escape_ascii()),
    ] {
        assert!(
            marked.find_leak(&format!("before {text} after")).is_some(),
            "{text}"
        );
    }
    // Escaped in a claim and encoded again, it is not found: tokens are marked separately.
    assert!(
        MarkedSecret::new("x", "c4n4ry-without-escapes")
            .find_leak(&jwt)
            .is_none()
    );
    assert!(marked.find_leak("no secret").is_none());
}
