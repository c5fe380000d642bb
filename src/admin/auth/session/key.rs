//! Pure: the key that encrypts session cookies.

use axum_extra::extract::cookie::Key;

/// AES-256-GCM takes a part of it.
const KEY_BYTES: usize = 64;

/// The key of session cookies.
#[derive(Clone)]
pub struct SessionKey(pub(super) Key);

/// The content of the key file cannot be used. Never contains the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the file of --admin-session-key-file holds {0} bytes, fewer than {KEY_BYTES}: write random ones, for example with openssl rand -hex 32"
)]
pub struct InvalidSessionKey(usize);

impl SessionKey {
    /// The key in the content of a file.
    ///
    /// # Errors
    /// The content is too short.
    pub fn new(content: &[u8]) -> Result<Self, InvalidSessionKey> {
        // Without the line end that editors add.
        let content = content.trim_ascii();
        let key = Key::try_from(content).map_err(|_| InvalidSessionKey(content.len()))?;
        Ok(Self(key))
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_key_is_rejected_and_no_key_is_shown() {
        let error = SessionKey::new(b"hunter2\n").unwrap_err().to_string();
        assert!(
            error.contains("--admin-session-key-file") && error.contains("holds 7 bytes"),
            "{error}"
        );
        assert!(!error.contains("hunter2"));
        let key = SessionKey::new(format!("{}\n", "hunter2-".repeat(8)).as_bytes()).unwrap();
        assert!(!format!("{key:?}").contains("hunter2"));
    }
}
