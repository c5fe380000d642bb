#![doc = include_str!("README.md")]

mod key;
mod revocations;
mod sessions;

pub use key::{InvalidSessionKey, SessionKey};
pub use revocations::REVOKED_SESSIONS;
pub use sessions::{COOKIE, FETCH_SITE, Session, SessionConfig, Sessions, check_sign_in_site};
