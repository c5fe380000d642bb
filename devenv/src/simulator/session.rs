//! Login, refresh and the check that every other call passes.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{Answer, Call, Endpoint};
use super::config::{Config, TokensIn};

/// More than any test holds at once; the oldest is forgotten first, so that a long soak does not grow.
const REMEMBERED: usize = 256;

#[derive(Debug, Clone)]
struct Session {
    access: String,
    id: String,
    refresh: String,
    valid_until: Instant,
    refresh_until: Instant,
    revoked: bool,
}

/// Who may come in, and who is in.
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
    known: VecDeque<Session>,
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
            known: VecDeque::new(),
        }
    }

    /// `POST …/login`: Basic, and nothing in the body.
    pub(super) fn login(&mut self, call: &Call) -> Answer {
        if call.has_bearer() {
            return Answer::denied();
        }
        if !call.body.is_empty() {
            return Answer::error(Endpoint::Login, 500, "Internal server error");
        }
        let given = call.basic();
        if given.is_none_or(|(user, password)| user != self.username || password != self.password) {
            return Answer::error(Endpoint::Login, 401, "Incorrect username or password.");
        }
        let refresh = self.token("refresh", self.refresh_lifetime);
        self.open(refresh, true)
    }

    /// `POST …/refresh`: all four cookies of one session, expired or not.
    pub(super) fn refresh(&mut self, call: &Call) -> Answer {
        let now = Instant::now();
        let cookie = |name| call.cookie(name).unwrap_or_default();
        let known = self.known.iter().find(|session| {
            session.access == cookie("accessToken")
                && session.id == cookie("idToken")
                && session.refresh == cookie("refreshToken")
                && session.refresh_until > now
        });
        match known.map(|session| session.refresh.clone()) {
            Some(refresh) if cookie("userId") == USER_ID && call.body.is_empty() => self.open(refresh, false),
            _ => Answer::error(Endpoint::Refresh, 401, "Invalid refresh token"),
        }
    }

    /// A 200 that opens nothing: the person has to do something first.
    pub(super) fn challenge(result: &str) -> Answer {
        Answer::data(&json!({
            "accessToken": null, "idToken": null, "refreshToken": null, "userId": null, "expiryTimeSeconds": null,
            "session": "AYABeSimulatedSession", "challengeResult": result, "mfaSecret": null,
        }))
    }

    /// Nothing when the call may pass, else its refusal.
    pub(super) fn refuse(&self, call: &Call) -> Option<Answer> {
        if call.has_bearer() {
            return Some(Answer::denied());
        }
        let now = Instant::now();
        let live = |session: &Session| !session.revoked && session.valid_until > now;
        if self.of(call).is_some_and(live) {
            return None;
        }
        Some(Answer::error(
            call.endpoint,
            401,
            "The incoming token has expired",
        ))
    }

    /// `GET …/users`
    pub(super) fn user(&self) -> Answer {
        let operator = self.operator.to_string();
        Answer::data(
            &json!({"id": USER_ID, "userId": USER_ID, "email": self.username, "operatorId": operator}),
        )
    }

    /// Ends the session that the call came with; its refresh token lives on.
    pub(super) fn revoke(&mut self, call: &Call) {
        let access = call.cookie("accessToken").unwrap_or_default();
        for session in self.known.iter_mut().filter(|session| session.access == access) {
            session.revoked = true;
        }
    }

    /// Ends every session; with `refresh`, their refresh tokens too.
    pub(super) fn revoke_all(&mut self, refresh: bool) {
        if refresh {
            self.known.clear();
        }
        for session in &mut self.known {
            session.revoked = true;
        }
    }

    /// Every token that may still be known, of all kinds.
    pub(super) fn tokens(&self) -> Vec<String> {
        let all = self
            .known
            .iter()
            .flat_map(|session| [&session.access, &session.id, &session.refresh]);
        all.cloned().collect()
    }

    fn of(&self, call: &Call) -> Option<&Session> {
        let (access, id) = (call.cookie("accessToken")?, call.cookie("idToken")?);
        self.known
            .iter()
            .find(|session| session.access == access && session.id == id)
    }

    fn open(&mut self, refresh: String, first: bool) -> Answer {
        let now = Instant::now();
        let session = Session {
            access: self.token("access", self.lifetime),
            id: self.token("id", self.lifetime),
            refresh,
            valid_until: now + self.lifetime,
            refresh_until: now + self.refresh_lifetime,
            revoked: false,
        };
        self.known.push_back(session.clone());
        if self.known.len() > REMEMBERED {
            self.known.pop_front();
        }
        self.welcome(&session, first)
    }

    fn welcome(&self, session: &Session, first: bool) -> Answer {
        let told = |text: &str| {
            if self.tokens_in == TokensIn::Cookies {
                Value::Null
            } else {
                json!(text)
            }
        };
        let (refresh, user) = if first {
            (told(&session.refresh), told(USER_ID))
        } else {
            (Value::Null, Value::Null)
        };
        let mut answer = Answer::data(&json!({
            "accessToken": told(&session.access), "idToken": told(&session.id), "refreshToken": refresh, "userId": user,
            "expiryTimeSeconds": self.lifetime.as_secs(), "session": null, "challengeResult": null, "mfaSecret": null,
        }));
        let mut cookies = vec![("idToken", session.id.as_str()), ("accessToken", &session.access)];
        if first {
            cookies.extend([("refreshToken", session.refresh.as_str()), ("userId", USER_ID)]);
        }
        if self.tokens_in == TokensIn::Body {
            cookies.clear();
        }
        // A jar drops `Secure` cookies that come over plain HTTP.
        let secure = if self.secure { "; Secure" } else { "" };
        for (name, value) in cookies {
            answer = answer.with_header("set-cookie", format!("{name}={value}; Path=/; HttpOnly{secure}"));
        }
        answer
    }

    /// Shaped like a JWT and signed by nobody.
    fn token(&mut self, purpose: &str, lifetime: Duration) -> String {
        self.issued += 1;
        let (now, lifetime) = (
            seconds_now(),
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
fn seconds_now() -> i64 {
    jiff::Timestamp::now().as_second()
}
