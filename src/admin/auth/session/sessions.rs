//! Begins, finds and ends browser sessions.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum_extra::extract::cookie::{Cookie, PrivateCookieJar};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::key::SessionKey;
use super::revocations::Revocations;
use crate::admin::clock;
use crate::admin::problem::Problem;

/// Name of the cookie. The prefix makes browsers reject the cookie unless this host has set it, encrypted, for all paths.
pub const COOKIE: &str = "__Host-tarana-session";
const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// Where a request of a browser comes from: `same-origin`, `cross-site` and so on.
pub const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How long a session lasts. Its token may end earlier.
const LIFETIME: SignedDuration = SignedDuration::from_hours(12);
/// Browsers keep cookies of up to 4096 bytes. Encrypted, a token is about a third longer.
const MAX_TOKEN_BYTES: usize = 2600;

/// Configuration of browser sessions.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Encrypts the cookies.
    pub key: SessionKey,
    /// Namespace of the list of revoked sessions.
    pub namespace: String,
}

/// A session, as its cookie holds it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    id: Uuid,
    /// What a change has to send along as `X-CSRF-Token`.
    pub csrf_token: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The caller's token.
    pub(in crate::admin::auth) token: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Browser sessions.
pub struct Sessions {
    key: SessionKey,
    revocations: Revocations,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// Sessions with this key.
    pub fn new(config: SessionConfig, client: Client) -> Self {
        Self {
            revocations: Revocations::new(client, &config.namespace),
            key: config.key,
        }
    }

    /// Begins a session with a token. Returns it with the value of the header `Set-Cookie`.
    ///
    /// # Errors
    /// The token is empty, or too long for a cookie.
    pub fn begin(&self, token: &str) -> Result<(Session, PrivateCookieJar), Problem> {
        if token.is_empty() {
            return Err(Problem::BadRequest("token: must not be empty".to_owned()));
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Problem::BadRequest(format!(
                "token: it has {} bytes, more than the {MAX_TOKEN_BYTES} that fit into a cookie: send it as Authorization: Bearer instead",
                token.len()
            )));
        }
        let session = Session {
            id: Uuid::new_v4(),
            csrf_token: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
            expires_at: clock::now() + LIFETIME,
            token: token.to_owned(),
        };
        let value = serde_json::to_string(&session);
        let value = value.map_err(|error| Problem::internal("a session cannot be serialized", &error))?;
        let jar = PrivateCookieJar::new(self.key.0.clone()).add(cookie(value, LIFETIME.as_secs())?);
        Ok((session, jar))
    }

    /// The session of a request; `None` if it sends no cookie.
    ///
    /// # Errors
    /// 401: the session has ended, or the cookie is damaged. 503: the list of revoked sessions cannot be read.
    pub async fn find(&self, headers: &HeaderMap) -> Result<Option<Session>, Problem> {
        // Checked before the decryption, which cannot tell a damaged cookie from none.
        let is_sent = headers.get_all(header::COOKIE).iter().any(|value| {
            value
                .as_bytes()
                .windows(COOKIE.len())
                .any(|part| part == COOKIE.as_bytes())
        });
        if !is_sent {
            return Ok(None);
        }
        let ended = || Problem::Unauthenticated("the session has ended: sign in again".to_owned());
        let cookie = PrivateCookieJar::from_headers(headers, self.key.0.clone()).get(COOKIE);
        let session = cookie.and_then(|cookie| serde_json::from_str::<Session>(cookie.value()).ok());
        let session = session
            .filter(|session| clock::now() < session.expires_at)
            .ok_or_else(ended)?;
        if self.revocations.contains(session.id).await? {
            return Err(ended());
        }
        Ok(Some(session))
    }

    /// Ends a session on all replicas. Returns the header that removes its cookie.
    ///
    /// # Errors
    /// The Kubernetes API is unavailable: the session has not ended.
    pub async fn end(&self, session: &Session) -> Result<PrivateCookieJar, Problem> {
        let revoke = || {
            self.revocations
                .insert(session.id, session.expires_at, clock::now())
        };
        match revoke().await {
            // Another replica has created the list.
            Err(Problem::Conflict(_)) => revoke().await?,
            result => result?,
        }
        Ok(PrivateCookieJar::new(self.key.0.clone()).add(cookie(String::new(), 0)?))
    }
}

impl Session {
    /// Rejects a change that another site may have made the browser send. A form without JavaScript has the token of the session in
    /// a hidden field, `form_token`; other requests have it in a header.
    pub fn check_forgery(
        &self,
        method: &Method,
        headers: &HeaderMap,
        form_token: Option<&str>,
    ) -> Result<(), Problem> {
        if method.is_safe() {
            return Ok(());
        }
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if text(FETCH_SITE) != Some("same-origin") {
            return Err(Problem::Forbidden(
                "a session may change something only from its own page (Sec-Fetch-Site: same-origin)"
                    .to_owned(),
            ));
        }
        // Digests of equal length take equal time to compare, wherever they differ.
        let digest = |token: &str| Sha256::digest(token.as_bytes());
        if text(CSRF_HEADER).or(form_token).map(digest) != Some(digest(&self.csrf_token)) {
            return Err(Problem::Forbidden(
                "send the header X-CSRF-Token with the csrfToken of the session (GET /api/v1/me)".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Rejects a sign-in that another site has made the browser send.
pub fn check_sign_in_site(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(FETCH_SITE).map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Problem::Forbidden(
            "sign in from the operator's own page".to_owned(),
        )),
    }
}

/// A cookie with this value that the browser keeps for so many seconds.
fn cookie(value: String, seconds: i64) -> Result<Cookie<'static>, Problem> {
    let attributes = format!("{COOKIE}=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age={seconds}");
    let cookie = Cookie::parse(attributes);
    let mut cookie = cookie.map_err(|error| Problem::internal("a cookie is invalid", &error))?;
    cookie.set_value(value);
    Ok(cookie)
}
