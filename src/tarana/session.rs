//! The session: logs in once for everybody, refreshes ahead of expiry, and leaves refused credentials alone.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::config::{Config, invalid};
use super::tokens::Tokens;
use super::wire::{Request, Wire};
use crate::fault::{Fault, Reason};

const LOGIN: &str = "/api/tcs/v1/user-auth/login";
const REFRESH: &str = "/api/tcs/v1/user-auth/refresh";
/// Logins behind it may lock the account after a few refusals.
const AFTER_REFUSAL: Duration = Duration::from_mins(15);
/// A session is renewed when this part of its life is left, a minute at most.
const AHEAD: (u32, Duration) = (10, Duration::from_mins(1));

/// The session of one client. One login at a time: whoever else needs one waits for its outcome.
pub(super) struct Session {
    basic: HeaderValue,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: Option<Tokens>,
    renew_at: Option<Instant>,
    /// Counts the tokens, so that a caller can say which were refused.
    generation: u64,
    refused: Option<(Fault, Instant)>,
}

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Any session that is not about to expire.
    Valid,
    /// A session other than this refused one; a refresh may do.
    Renewed(u64),
    /// A session other than this refused one; if it is still the newest, by a login.
    LoggedIn(u64),
}

/// What a caller gets.
pub(super) struct Pass {
    pub(super) cookie: HeaderValue,
    pub(super) generation: u64,
    pub(super) operator_id: Option<i64>,
    /// This very call logged in to get it.
    pub(super) by_login: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Need {
    /// What to ask for after `pass` was refused: a refresh, then one login, then nothing.
    pub(super) fn after(self, pass: &Pass) -> Option<Self> {
        match self {
            Self::Valid => Some(Self::Renewed(pass.generation)),
            Self::Renewed(_) if !pass.by_login => Some(Self::LoggedIn(pass.generation)),
            Self::Renewed(_) | Self::LoggedIn(_) => None,
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

    /// A session as `need` says, from memory, by refresh or by login.
    pub(super) async fn pass(&self, wire: &Wire, need: Need) -> Result<Pass, Fault> {
        let mut state = self.state.lock().await;
        if state.serves(need) {
            return state.pass(false);
        }
        if !matches!(need, Need::LoggedIn(_)) && state.refresh(wire).await {
            return state.pass(false);
        }
        state.may_log_in()?;
        match self.log_in(wire).await {
            Ok(tokens) => {
                state.keep(tokens);
                state.pass(true)
            }
            Err(fault) => Err(state.forget(fault)),
        }
    }

    /// The newest session was refused although its login was not: nothing here can mend that.
    pub(super) async fn give_up(&self) -> Fault {
        let message = "TCS accepts the login and refuses its session: check that the account is active and may use the API";
        self.state
            .lock()
            .await
            .forget(Fault::new(Reason::AuthenticationFailed, message))
    }

    async fn log_in(&self, wire: &Wire) -> Result<Tokens, Fault> {
        let request = Request::act(LOGIN);
        let tokens = wire.send(&request, (AUTHORIZATION, self.basic.clone()), |a| {
            Ok(Tokens::read(a.headers, a.data))
        });
        match tokens.await {
            Ok(Some(tokens)) if tokens.call_cookie().is_some() => Ok(tokens),
            Ok(_) => Err(Fault::new(
                Reason::AuthenticationChallenge,
                "TCS answers the login with a challenge (a second factor or a new password): log in to the portal as this user \
                 and settle it there, or name a user without one in the Secret of spec.api.credentialsSecretRef",
            )),
            Err(fault) => Err(refused(fault)),
        }
    }
}

impl State {
    fn serves(&self, need: Need) -> bool {
        let fresh = self.renew_at.is_some_and(|at| Instant::now() < at);
        match need {
            Need::Valid => fresh,
            Need::Renewed(refused) | Need::LoggedIn(refused) => fresh && self.generation > refused,
        }
    }

    fn pass(&self, by_login: bool) -> Result<Pass, Fault> {
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
        Ok(Pass {
            cookie,
            generation: self.generation,
            operator_id,
            by_login,
        })
    }

    /// Whether a refresh gave a new session. Whatever else it gave, a login is next.
    async fn refresh(&mut self, wire: &Wire) -> bool {
        // A copy: whoever gives up waiting for the answer must not take the session along.
        let Some(old) = self.tokens.clone() else {
            return false;
        };
        let Some(cookie) = old.refresh_cookie() else {
            return false;
        };
        let request = Request::act(REFRESH);
        let answer = wire.send(&request, (COOKIE, cookie), |a| {
            Ok(Tokens::read(a.headers, a.data))
        });
        let Ok(Some(new)) = answer.await else {
            (self.tokens, self.renew_at) = (None, None);
            return false;
        };
        self.keep(new.keeping(&old));
        true
    }

    fn keep(&mut self, tokens: Tokens) {
        let ahead = (tokens.lifetime / AHEAD.0).min(AHEAD.1);
        self.renew_at = Some(Instant::now() + tokens.lifetime.saturating_sub(ahead));
        self.tokens = Some(tokens);
        self.generation += 1;
        self.refused = None;
    }

    /// Drops the session; a refusal is remembered, so that it is not provoked again soon.
    fn forget(&mut self, mut fault: Fault) -> Fault {
        use Reason::{AccessDenied, ApiRejected, AuthenticationChallenge, AuthenticationFailed};
        (self.tokens, self.renew_at) = (None, None);
        if matches!(
            fault.reason,
            AuthenticationFailed | AuthenticationChallenge | AccessDenied | ApiRejected
        ) {
            self.refused = Some((fault.clone(), Instant::now() + AFTER_REFUSAL));
            fault.message.push_str(&next_login(AFTER_REFUSAL));
        }
        fault
    }

    fn may_log_in(&self) -> Result<(), Fault> {
        match &self.refused {
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

/// What a failed login means: any "no" that is about the account is a refusal of the credentials.
fn refused(fault: Fault) -> Fault {
    match fault.reason {
        Reason::AuthenticationFailed => Fault::new(
            Reason::AuthenticationFailed,
            "TCS refuses the username or password: correct them in the Secret of spec.api.credentialsSecretRef",
        ),
        _ => fault,
    }
}

fn next_login(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    format!(" (no login is tried for {minutes} min, unless the connection or its Secret changes)")
}
