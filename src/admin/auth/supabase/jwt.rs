//! Verifies the access token of a Supabase user: algorithm, signature, issuer, audience, validity period, and who the user is.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use uuid::Uuid;

use super::jwks::VerificationKey;

/// Seconds by which the clocks of issuer and operator may differ.
const LEEWAY_SECONDS: u64 = 10;
/// Value of the claim `role` in the token of a user who has logged in.
const USER_ROLE: &str = "authenticated";
/// Maximum length of `spec.trigger.actor` in the schema.
const MAX_EMAIL_BYTES: usize = 253;

/// The user that a token identifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenUser {
    /// Claim `sub`.
    pub id: Uuid,
    /// Claim `email`, if it looks like an address. It may be unverified: only for display.
    pub email: Option<String>,
}

/// Why a token is rejected. Contains nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    #[error("it is not a JWT")]
    Malformed,
    #[error("its algorithm is not accepted")]
    Algorithm,
    #[error("its header names no key (kid)")]
    NoKeyId,
    #[error("its issuer has no such key (kid)")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("it has another issuer than --supabase-url")]
    Issuer,
    #[error("it has another audience than --supabase-audience")]
    Audience,
    #[error("it has expired: log in again")]
    Expired,
    #[error("it is not valid yet")]
    NotYetValid,
    #[error("its claim {0} is missing or invalid")]
    Claim(String),
    #[error("its claim role is not {USER_ROLE}: log in as a user")]
    Role,
    #[error("its user is anonymous")]
    Anonymous,
}

/// The claims that identify the user. `jsonwebtoken` checks the others.
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    role: Option<String>,
    #[serde(default)]
    is_anonymous: bool,
    email: Option<String>,
}

/// The claim that selects who verifies a token, before it is verified.
#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

/// Whether a token claims to have this issuer. It proves nothing.
pub(super) fn claims_issuer(token: &str, issuer: &str) -> bool {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice::<Issuer>(&claims).is_ok_and(|claims| claims.iss == issuer)
}

/// The id of the key that signed a token with ES256 or RS256.
pub(super) fn key_id(token: &str) -> Result<String, Rejection> {
    let header = decode_header(token).map_err(|error| rejection(&error))?;
    if ![Algorithm::ES256, Algorithm::RS256].contains(&header.alg) {
        return Err(Rejection::Algorithm);
    }
    header.kid.ok_or(Rejection::NoKeyId)
}

/// Verifies a token with the key, and with no other algorithm than the key's.
pub(super) fn verify(
    token: &str,
    key: &VerificationKey,
    issuer: &str,
    audience: &str,
) -> Result<TokenUser, Rejection> {
    let mut validation = Validation::new(key.algorithm);
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let verified = decode::<Claims>(token, &key.key, &validation).map_err(|error| rejection(&error))?;
    // RFC 7515 4.1.11: an extension that must be understood. There is none that we understand.
    if verified.header.crit.is_some() {
        return Err(Rejection::Malformed);
    }
    user(verified.claims)
}

fn user(claims: Claims) -> Result<TokenUser, Rejection> {
    if claims.role.as_deref() != Some(USER_ROLE) {
        return Err(Rejection::Role);
    }
    if claims.is_anonymous {
        return Err(Rejection::Anonymous);
    }
    let id = claims.sub.and_then(|id| Uuid::try_parse(&id).ok());
    Ok(TokenUser {
        id: id.ok_or_else(|| Rejection::Claim("sub".to_owned()))?,
        email: claims.email.filter(|email| is_address(email)),
    })
}

/// Whether a text is safe to show as an address. A colon would make it look like a service account.
fn is_address(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_graphic() && !b":<>\"'\\".contains(&b);
    text.len() <= MAX_EMAIL_BYTES
        && text.bytes().all(is_plain)
        && text
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
}

fn rejection(error: &Error) -> Rejection {
    match error.kind() {
        ErrorKind::InvalidSignature => Rejection::Signature,
        ErrorKind::ExpiredSignature => Rejection::Expired,
        ErrorKind::ImmatureSignature => Rejection::NotYetValid,
        ErrorKind::InvalidIssuer => Rejection::Issuer,
        ErrorKind::InvalidAudience => Rejection::Audience,
        ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::UnsupportedAlgorithm
        | ErrorKind::InvalidKeyFormat => Rejection::Algorithm,
        // The names of claims that are required or checked above.
        ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => {
            Rejection::Claim(name.clone())
        }
        _ => Rejection::Malformed,
    }
}

#[cfg(test)]
mod tests;
