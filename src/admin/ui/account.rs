//! The signed-in user of a request.

use std::fmt;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::admin::auth::{Caller, Session};
use crate::admin::middleware::CallerName;
use crate::admin::problem::Problem;
use crate::admin::state::SharedState;

/// The user of a browser session. A request without a session is rejected, even if it has a token.
#[derive(Clone)]
pub struct Account {
    /// Identity, for authorization.
    pub caller: Arc<Caller>,
    /// User name.
    pub user: String,
    /// The session.
    pub session: Session,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Request extension that carries the account to the page of a problem once the user is authenticated.
#[derive(Clone, Debug, Default)]
pub struct KnownAccount(Arc<OnceLock<Account>>);

impl KnownAccount {
    /// The account, if the user is authenticated.
    pub fn get(&self) -> Option<Account> {
        self.0.get().cloned()
    }
}

impl Account {
    /// The user of a request. Does not check for forgery; a change must do so with [`Session::check_forgery`].
    pub(super) async fn find(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        state.authorizer.sessions()?;
        let session = state.authorizer.session(&parts.headers).await?;
        let session = session.ok_or_else(|| Problem::Unauthenticated("sign in".to_owned()))?;
        let caller = state.authorizer.authenticate_session(&session).await?;
        CallerName::set(&parts.extensions, &caller.name);
        let account = Self {
            user: caller.name.clone(),
            caller,
            session,
        };
        if let Some(known) = parts.extensions.get::<KnownAccount>() {
            let _ = known.0.set(account.clone());
        }
        Ok(account)
    }
}

impl FromRequestParts<SharedState> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let account = Self::find(parts, state).await?;
        account
            .session
            .check_forgery(&parts.method, &parts.headers, None)?;
        Ok(account)
    }
}
