//! Login, refresh and the authentication of all other calls.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{ApiResponse, Call, Endpoint};
use super::config::{Config, TokensIn};

/// The oldest session is forgotten beyond this, so that memory does not grow in a long soak test.
const MAX_SESSIONS: usize = 256;

#[derive(Debug, Clone)]
struct Session {
    access: String,
    id: String,
    refresh: String,
    valid_until: Instant,
    refresh_until: Instant,
    revoked: bool,
}

/// The accepted credentials and the open sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) username: String,
    pub(super) password: String,
    operator: i64,
    lifetime: Duration,
    refresh_lifetime: Duration,
    tokens_in: TokensIn,
    secure: bool,
    signature: String,
    issued: u64,
    open: VecDeque<Session>,
}

const USER_ID: &str = "7d0c3c1e-5f7b-4e7e-9a55-0000000000f1";

impl Sessions {
    pub(super) fn new(config: &Config, secure: bool) -> Self {
        Self {
            username: config.username.clone(),
            password: config.password.clone(),
            operator: config.operator_id,
            lifetime: config.token_lifetime,
            refresh_lifetime: config.refresh_lifetime,
            tokens_in: config.tokens_in,
            secure,
            signature: config.signature.clone(),
            issued: 0,
            open: VecDeque::new(),
        }
    }

    /// `POST …/login`: Basic authentication and an empty body.
    pub(super) fn login(&mut self, call: &Call) -> ApiResponse {
        if call.has_bearer() {
            return ApiResponse::forbidden();
        }
        if !call.body.is_empty() {
            return ApiResponse::error(Endpoint::Login, 500, "Internal server error");
        }
        let given = call.basic_auth();
        if given.is_none_or(|(user, password)| user != self.username || password != self.password) {
            return ApiResponse::error(Endpoint::Login, 401, "Incorrect username or password.");
        }
        let refresh = self.token("refresh", self.refresh_lifetime);
        self.open_session(refresh, true)
    }

    /// `POST …/refresh`: all four cookies of one session, expired or not.
    pub(super) fn refresh(&mut self, call: &Call) -> ApiResponse {
        let now = Instant::now();
        let cookie = |name| call.cookie(name).unwrap_or_default();
        let known = self.open.iter().find(|session| {
            session.access == cookie("accessToken")
                && session.id == cookie("idToken")
                && session.refresh == cookie("refreshToken")
                && session.refresh_until > now
        });
        match known.map(|session| session.refresh.clone()) {
            Some(refresh) if cookie("userId") == USER_ID && call.body.is_empty() => {
                self.open_session(refresh, false)
            }
            _ => ApiResponse::error(Endpoint::Refresh, 401, "Invalid refresh token"),
        }
    }

    /// A login response that demands an action of the user: 200 without tokens.
    pub(super) fn challenge_response(result: &str) -> ApiResponse {
        ApiResponse::data(&json!({
            "accessToken": null, "idToken": null, "refreshToken": null, "userId": null, "expiryTimeSeconds": null,
            "session": "AYABeSimulatedSession", "challengeResult": result, "mfaSecret": null,
        }))
    }

    /// Authenticates a call; returns an error response when it is rejected.
    pub(super) fn reject(&self, call: &Call) -> Option<ApiResponse> {
        if call.has_bearer() {
            return Some(ApiResponse::forbidden());
        }
        let now = Instant::now();
        let live = |session: &Session| !session.revoked && session.valid_until > now;
        if self.session_of(call).is_some_and(live) {
            return None;
        }
        Some(ApiResponse::error(
            call.endpoint,
            401,
            "The incoming token has expired",
        ))
    }

    /// `GET …/users`
    pub(super) fn user(&self) -> ApiResponse {
        let operator = self.operator.to_string();
        ApiResponse::data(
            &json!({"id": USER_ID, "userId": USER_ID, "email": self.username, "operatorId": operator}),
        )
    }

    /// Revokes the call's session. Its refresh token stays valid.
    pub(super) fn revoke(&mut self, call: &Call) {
        let access = call.cookie("accessToken").unwrap_or_default();
        for session in self.open.iter_mut().filter(|session| session.access == access) {
            session.revoked = true;
        }
    }

    /// Revokes all sessions; with `refresh`, their refresh tokens too.
    pub(super) fn revoke_all(&mut self, refresh: bool) {
        if refresh {
            self.open.clear();
        }
        for session in &mut self.open {
            session.revoked = true;
        }
    }

    /// All tokens of the remembered sessions.
    pub(super) fn tokens(&self) -> Vec<String> {
        let all = self
            .open
            .iter()
            .flat_map(|session| [&session.access, &session.id, &session.refresh]);
        all.cloned().collect()
    }

    fn session_of(&self, call: &Call) -> Option<&Session> {
        let (access, id) = (call.cookie("accessToken")?, call.cookie("idToken")?);
        self.open
            .iter()
            .find(|session| session.access == access && session.id == id)
    }

    fn open_session(&mut self, refresh: String, first: bool) -> ApiResponse {
        let now = Instant::now();
        let session = Session {
            access: self.token("access", self.lifetime),
            id: self.token("id", self.lifetime),
            refresh,
            valid_until: now + self.lifetime,
            refresh_until: now + self.refresh_lifetime,
            revoked: false,
        };
        self.open.push_back(session.clone());
        if self.open.len() > MAX_SESSIONS {
            self.open.pop_front();
        }
        self.session_response(&session, first)
    }

    fn session_response(&self, session: &Session, first: bool) -> ApiResponse {
        let in_body = |text: &str| {
            if self.tokens_in == TokensIn::Cookies {
                Value::Null
            } else {
                json!(text)
            }
        };
        let (refresh, user) = if first {
            (in_body(&session.refresh), in_body(USER_ID))
        } else {
            (Value::Null, Value::Null)
        };
        let mut response = ApiResponse::data(&json!({
            "accessToken": in_body(&session.access), "idToken": in_body(&session.id), "refreshToken": refresh, "userId": user,
            "expiryTimeSeconds": self.lifetime.as_secs(), "session": null, "challengeResult": null, "mfaSecret": null,
        }));
        let mut cookies = vec![("idToken", session.id.as_str()), ("accessToken", &session.access)];
        if first {
            cookies.extend([("refreshToken", session.refresh.as_str()), ("userId", USER_ID)]);
        }
        if self.tokens_in == TokensIn::Body {
            cookies.clear();
        }
        // A cookie jar drops `Secure` cookies from plain HTTP.
        let secure = if self.secure { "; Secure" } else { "" };
        for (name, value) in cookies {
            response =
                response.with_header("set-cookie", format!("{name}={value}; Path=/; HttpOnly{secure}"));
        }
        response
    }

    /// An unsigned JWT.
    fn token(&mut self, purpose: &str, lifetime: Duration) -> String {
        self.issued += 1;
        let (now, lifetime) = (
            unix_seconds(),
            i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX),
        );
        let head = json!({"alg": "none", "typ": "JWT"});
        let claims = json!({
            "sub": USER_ID, "token_use": purpose, "jti": self.issued, "iat": now, "exp": now.saturating_add(lifetime),
            "cognito:username": self.username, "custom:operatorId": self.operator.to_string(),
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!(
            "{}.{}.{}",
            part(&head),
            part(&claims),
            URL_SAFE_NO_PAD.encode(&self.signature)
        )
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "`iat` and `exp` of a token are wall-clock times"
)]
fn unix_seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}
