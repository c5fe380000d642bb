//! The session: one login for all callers, refreshed before it expires. Rejected credentials pause logins.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::request::{Request, RequestClass};
use super::tokens::Tokens;
use super::transport::HttpTransport;
use crate::fault::{Fault, Reason};
use crate::tarana::config::{Config, invalid};

const LOGIN: &str = "/api/tcs/v1/user-auth/login";
const REFRESH: &str = "/api/tcs/v1/user-auth/refresh";
/// The account may be locked after a few rejected logins, so the next one waits this long.
const LOGIN_PAUSE: Duration = Duration::from_mins(15);
/// A session is renewed when one tenth of its lifetime is left, but at most this duration ahead.
const RENEW_AHEAD: (u32, Duration) = (10, Duration::from_mins(1));

/// The session of one client. One login or refresh runs at a time; all other callers wait for its outcome.
pub(super) struct Session {
    basic: HeaderValue,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: Option<Tokens>,
    renew_at: Option<Instant>,
    /// Counts the tokens, so that a caller can name those that were rejected.
    generation: u64,
    rejected: Option<(Fault, Instant)>,
}

/// What is known of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// There is none yet, or it was rejected.
    LoggedOut,
    /// A login or refresh is in progress.
    Renewing,
    /// There is one, which is renewed after this time.
    LoggedIn {
        /// Time until it is renewed; zero if the next request renews it.
        renewed_in: Duration,
    },
    /// The login was refused, and the next one is tried after this time.
    Paused {
        /// Time until a login is tried.
        ends_in: Duration,
    },
}

/// Which session a caller accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requirement {
    /// Any session that is not about to expire.
    Valid,
    /// A session newer than this rejected generation, by refresh or login.
    Renewed(u64),
    /// A session newer than this rejected generation, by login if there is none yet.
    LoggedIn(u64),
}

/// A session as a caller uses it.
pub(super) struct ActiveSession {
    pub(super) cookie: HeaderValue,
    pub(super) operator_id: Option<i64>,
    generation: u64,
    /// This call logged in to get it.
    by_login: bool,
}

impl ActiveSession {
    /// Whether the call that got it logged in.
    pub(super) fn by_login(&self) -> bool {
        self.by_login
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Requirement {
    /// The requirement after the API rejected `session`: a refresh, then logins.
    pub(super) fn after_rejection(self, session: &ActiveSession) -> Self {
        match self {
            Self::Valid => Self::Renewed(session.generation),
            Self::Renewed(_) | Self::LoggedIn(_) => Self::LoggedIn(session.generation),
        }
    }
}

impl Session {
    pub(super) fn new(config: &Config) -> Result<Self, Fault> {
        config.check_credentials()?;
        let pair = STANDARD.encode(format!("{}:{}", config.username, config.password.expose()));
        let mut basic = HeaderValue::try_from(format!("Basic {pair}"))
            .map_err(|_| invalid("the Secret of spec.api.credentialsSecretRef cannot be sent: correct it"))?;
        basic.set_sensitive(true);
        Ok(Self {
            basic,
            state: Mutex::default(),
        })
    }

    /// What is known of it, without waiting.
    pub(super) fn state(&self) -> SessionState {
        let Ok(state) = self.state.try_lock() else {
            return SessionState::Renewing;
        };
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        match (&state.tokens, &state.rejected) {
            (_, Some((_, end))) if !until(*end).is_zero() => SessionState::Paused { ends_in: until(*end) },
            (Some(_), _) => SessionState::LoggedIn {
                renewed_in: state.renew_at.map(until).unwrap_or_default(),
            },
            (None, _) => SessionState::LoggedOut,
        }
    }

    /// A session that meets `requirement`: the current one, or a new one by refresh or login.
    pub(super) async fn acquire(
        &self,
        transport: &HttpTransport,
        requirement: Requirement,
    ) -> Result<ActiveSession, Fault> {
        let mut state = self.state.lock().await;
        if state.meets(requirement) {
            return state.active(false);
        }
        if !matches!(requirement, Requirement::LoggedIn(_)) && state.refresh(transport).await {
            return state.active(false);
        }
        state.check_login_pause()?;
        match self.log_in(transport).await {
            Ok(tokens) => {
                state.store(tokens);
                state.active(true)
            }
            Err(fault) => Err(state.discard(fault)),
        }
    }

    /// Discards a session that the API rejects although its login succeeded. Logins are not paused, because none was refused.
    pub(super) async fn reject(&self) -> Fault {
        let message = "TCS accepts the login and rejects its sessions: another program may log in with the same account (use one of \
                       its own), or the account may not use the API";
        self.state
            .lock()
            .await
            .discard(Fault::new(Reason::SessionRejected, message))
    }

    /// Whether both log in as the same user with the same password.
    pub(super) fn has_login_of(&self, other: &Self) -> bool {
        self.basic == other.basic
    }

    async fn log_in(&self, transport: &HttpTransport) -> Result<Tokens, Fault> {
        let request = Request::command(RequestClass::Login, LOGIN);
        let tokens = transport.send(&request, (AUTHORIZATION, self.basic.clone()), |answer| {
            Ok(Tokens::parse(answer.headers, answer.data))
        });
        match tokens.await {
            Ok(Some(tokens)) if tokens.call_cookie().is_some() => Ok(tokens),
            Ok(_) => Err(Fault::new(
                Reason::AuthenticationChallenge,
                "TCS answers the login with a challenge (a second factor or a new password): log in to the portal as this user \
                 and settle it there, or name a user without one in the Secret of spec.api.credentialsSecretRef",
            )),
            Err(fault) => Err(login_fault(fault)),
        }
    }
}

impl State {
    fn meets(&self, requirement: Requirement) -> bool {
        let fresh = self.renew_at.is_some_and(|at| Instant::now() < at);
        match requirement {
            Requirement::Valid => fresh,
            Requirement::Renewed(rejected) | Requirement::LoggedIn(rejected) => {
                fresh && self.generation > rejected
            }
        }
    }

    fn active(&self, by_login: bool) -> Result<ActiveSession, Fault> {
        let session = self
            .tokens
            .as_ref()
            .and_then(|tokens| Some((tokens.call_cookie()?, tokens.operator_id())));
        let (cookie, operator_id) = session.ok_or_else(|| {
            Fault::new(
                Reason::AuthenticationChallenge,
                "the session of TCS cannot be sent back",
            )
        })?;
        Ok(ActiveSession {
            cookie,
            operator_id,
            generation: self.generation,
            by_login,
        })
    }

    /// Returns whether a refresh gave a new session. After any other outcome the caller logs in.
    async fn refresh(&mut self, transport: &HttpTransport) -> bool {
        // A clone, so that the session survives if this future is dropped.
        let Some(old) = self.tokens.clone() else {
            return false;
        };
        let Some(cookie) = old.refresh_cookie() else {
            return false;
        };
        let request = Request::command(RequestClass::Refresh, REFRESH);
        let answer = transport.send(&request, (COOKIE, cookie), |answer| {
            Ok(Tokens::parse(answer.headers, answer.data))
        });
        let Ok(Some(new)) = answer.await else {
            (self.tokens, self.renew_at) = (None, None);
            return false;
        };
        self.store(new.inherit_from(&old));
        true
    }

    fn store(&mut self, tokens: Tokens) {
        let ahead = (tokens.lifetime / RENEW_AHEAD.0).min(RENEW_AHEAD.1);
        self.renew_at = Some(Instant::now() + tokens.lifetime.saturating_sub(ahead));
        self.tokens = Some(tokens);
        self.generation += 1;
        self.rejected = None;
    }

    /// Drops the session. A rejected login is remembered, and further logins are paused.
    fn discard(&mut self, mut fault: Fault) -> Fault {
        use Reason::{AccessDenied, ApiRejected, AuthenticationChallenge, AuthenticationFailed};
        (self.tokens, self.renew_at) = (None, None);
        if matches!(
            fault.reason,
            AuthenticationFailed | AuthenticationChallenge | AccessDenied | ApiRejected
        ) {
            self.rejected = Some((fault.clone(), Instant::now() + LOGIN_PAUSE));
            fault.message.push_str(&next_login(LOGIN_PAUSE));
        }
        fault
    }

    fn check_login_pause(&self) -> Result<(), Fault> {
        match &self.rejected {
            Some((fault, until)) if *until > Instant::now() => {
                let mut fault = fault.clone();
                fault
                    .message
                    .push_str(&next_login(until.saturating_duration_since(Instant::now())));
                Err(fault)
            }
            _ => Ok(()),
        }
    }
}

/// The fault of a failed login: a 401 means that the credentials were rejected.
fn login_fault(fault: Fault) -> Fault {
    match fault.reason {
        Reason::AuthenticationFailed => Fault::new(
            Reason::AuthenticationFailed,
            "TCS rejects the username or password: correct them in the Secret of spec.api.credentialsSecretRef",
        ),
        _ => fault,
    }
}

fn next_login(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    format!(" (logins are paused for {minutes} min, or until the login in its Secret changes)")
}
