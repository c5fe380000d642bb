//! The configuration of Supabase authentication, and its validation.

use jsonwebtoken::DecodingKey;
use reqwest::Url;

use crate::admin::auth::role::Role;
use crate::admin::base_url;
use crate::api::host::is_loopback;

/// Minimum length of a JWT secret (RFC 7518 3.2). Supabase creates longer ones.
const MIN_SECRET_BYTES: usize = 32;
const REMEDY: &str = "write it like https://abcd.supabase.co";

/// Which tokens are accepted, and what their users may do.
#[derive(Clone, Debug)]
pub struct SupabaseConfig {
    /// Value of the claim `iss`.
    pub(super) issuer: String,
    /// Value of the claim `aud`.
    pub(super) audience: String,
    pub(super) key_source: KeySource,
    /// Role of all users.
    pub(super) role: Role,
}

/// Where the keys come from that sign tokens.
#[derive(Clone, Debug)]
pub(super) enum KeySource {
    /// ES256 or RS256, with a public key of the issuer's key set.
    KeySet(Url),
    /// HS256, with the secret of a legacy project.
    Secret(DecodingKey),
}

/// Why the flags are rejected. Never contains the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSupabaseConfig {
    /// `--supabase-url` is not the URL of a project.
    #[error("--supabase-url {0}: {REMEDY}")]
    Url(String),
    /// `--supabase-audience` is empty.
    #[error("--supabase-audience is empty: leave it out for the default, authenticated")]
    Audience,
    /// The secret cannot be a JWT secret.
    #[error(
        "the file of --supabase-jwt-secret-file holds {0} bytes, fewer than the {MIN_SECRET_BYTES} of an HS256 secret: copy the legacy JWT secret of the project"
    )]
    SecretTooShort(usize),
}

impl SupabaseConfig {
    /// `url` is that of the project, `secret` the content of the file with a legacy JWT secret. With a secret, only tokens that it signed
    /// are accepted.
    ///
    /// # Errors
    /// A value is invalid.
    pub fn new(
        url: &str,
        secret: Option<&[u8]>,
        audience: &str,
        role: Role,
    ) -> Result<Self, InvalidSupabaseConfig> {
        let base = project_url(url).map_err(InvalidSupabaseConfig::Url)?;
        if audience.trim().is_empty() {
            return Err(InvalidSupabaseConfig::Audience);
        }
        let issuer = format!("{}/auth/v1", base.as_str().trim_end_matches('/'));
        let key_source = if let Some(secret) = secret {
            KeySource::Secret(secret_key(secret)?)
        } else {
            let mut url = base;
            url.set_path(&format!(
                "{}/auth/v1/.well-known/jwks.json",
                url.path().trim_end_matches('/')
            ));
            KeySource::KeySet(url)
        };
        Ok(Self {
            issuer,
            audience: audience.to_owned(),
            key_source,
            role,
        })
    }
}

/// The URL of the project. The error continues the name of the flag.
fn project_url(text: &str) -> Result<Url, String> {
    let url = base_url::parse(text)?;
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err("names no host".to_owned());
    };
    match url.scheme() {
        "https" => {}
        // Everything else is asked over TLS, because the answer decides who may call.
        "http" if is_loopback(host) => {}
        "http" => return Err("must begin with https:// (http:// only for this machine)".to_owned()),
        _ => return Err("must begin with https://".to_owned()),
    }
    if url.path().contains("/auth/v1") {
        return Err("must end before /auth/v1".to_owned());
    }
    Ok(url)
}

/// Without the line end that editors add.
fn secret_key(secret: &[u8]) -> Result<DecodingKey, InvalidSupabaseConfig> {
    let secret = secret.trim_ascii();
    if secret.len() < MIN_SECRET_BYTES {
        return Err(InvalidSupabaseConfig::SecretTooShort(secret.len()));
    }
    Ok(DecodingKey::from_secret(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, secret: Option<&[u8]>, audience: &str) -> Result<SupabaseConfig, String> {
        SupabaseConfig::new(url, secret, audience, Role::Viewer).map_err(|e| e.to_string())
    }

    #[test]
    fn the_issuer_and_its_keys_follow_from_the_url() {
        for (url, issuer) in [
            ("https://abcd.supabase.co", "https://abcd.supabase.co/auth/v1"),
            (" https://abcd.supabase.co/ ", "https://abcd.supabase.co/auth/v1"),
            (
                "https://example.org/supabase/",
                "https://example.org/supabase/auth/v1",
            ),
            ("http://127.0.0.1:54321", "http://127.0.0.1:54321/auth/v1"),
            ("http://localhost:54321", "http://localhost:54321/auth/v1"),
            ("http://[::1]:54321", "http://[::1]:54321/auth/v1"),
        ] {
            let config = config(url, None, "authenticated").unwrap();
            assert_eq!(config.issuer, issuer);
            let KeySource::KeySet(keys) = config.key_source else {
                panic!("{url}")
            };
            assert_eq!(keys.as_str(), format!("{issuer}/.well-known/jwks.json"));
        }
    }

    #[test]
    fn an_unusable_url_is_rejected_with_the_flag() {
        for (url, why) in [
            ("", "is not a URL"),
            ("abcd.supabase.co", "is not a URL"),
            ("http://abcd.supabase.co", "https://"),
            ("http://10.0.0.1", "https://"),
            ("http://localhost.example.org", "https://"),
            ("ftp://abcd.supabase.co", "https://"),
            ("https://me:hunter2@abcd.supabase.co", "user or password"),
            ("https://abcd.supabase.co?a=b", "`?`"),
            ("https://abcd.supabase.co#a", "`#`"),
            ("https://abcd.supabase.co/auth/v1", "before /auth/v1"),
            ("https://", "is not a URL"),
        ] {
            let message = config(url, None, "authenticated").unwrap_err();
            assert!(
                message.starts_with("--supabase-url ") && message.contains(why),
                "{url}: {message}"
            );
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(
            config("https://a.b", None, " ")
                .unwrap_err()
                .contains("--supabase-audience")
        );
    }

    #[test]
    fn a_secret_replaces_the_key_set_and_is_never_shown() {
        let secret = "hunter2-hunter2-hunter2-hunter2-hunter2";
        let long = config("https://a.b", Some(format!("{secret}\n").as_bytes()), "a").unwrap();
        let KeySource::Secret(key) = &long.key_source else {
            panic!()
        };
        assert_eq!(key.try_get_as_bytes().unwrap(), secret.as_bytes());
        assert!(!format!("{long:?}").contains("hunter2"), "{long:?}");
        for short in ["", "\n", "hunter2"] {
            let message = config("https://a.b", Some(short.as_bytes()), "a").unwrap_err();
            assert!(message.contains("--supabase-jwt-secret-file"), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
