//! Pure: a text that must not be found, in all the forms in which it could be.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A secret with a name.
#[derive(Clone, Debug)]
pub struct Canary {
    pub what: String,
    forms: Vec<String>,
}

impl Canary {
    pub fn new(what: impl Into<String>, secret: &str) -> Self {
        let mut forms = vec![
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
        forms.extend((0..3).flat_map(|shift| base64(secret, shift)));
        forms.sort();
        forms.dedup();
        // A form that is short is found by chance.
        forms.retain(|form| form.len() >= 8);
        Self {
            what: what.into(),
            forms,
        }
    }

    /// A token: long, without a character that any encoding changes, and no part of anything else.
    pub fn token(what: impl Into<String>, token: &str) -> Self {
        Self {
            what: what.into(),
            forms: vec![token.to_owned(), decimal(token), hex(token)],
        }
    }

    /// What stands around the secret in this text, itself left out; nothing if it is not there.
    pub fn leak(&self, text: &str) -> Option<String> {
        let (at, form) = self
            .forms
            .iter()
            .find_map(|form| Some((text.find(form.as_str())?, form)))?;
        let before: String = text[..at].chars().rev().take(200).collect();
        let after: String = text[at + form.len()..].chars().take(40).collect();
        Some(format!(
            "…{}[{form}]{after}…",
            before.chars().rev().collect::<String>()
        ))
    }
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As a URL holds it: all but letters and digits as `%XX`.
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

/// As Rust's `Debug` shows bytes.
fn decimal(text: &str) -> String {
    text.bytes()
        .map(|byte| byte.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The part of it that is the same whatever stands around, when so many bytes of a group of three come before.
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
fn every_form_is_found() {
    let secret = "pa\"ss wörd/+7f3a91";
    let canary = Canary::new("x", secret);
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
        assert!(canary.leak(&format!("before {text} after")).is_some(), "{text}");
    }
    // Escaped within a claim, it is another text: tokens are looked for by themselves.
    assert!(Canary::new("x", "c4n4ry-without-escapes").leak(&jwt).is_none());
    assert!(canary.leak("nothing of the kind").is_none());
}
