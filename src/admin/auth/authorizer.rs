//! Answers authentication and authorization questions: for users of Kubernetes from a cache, or else from Kubernetes; for Supabase users by
//! [`Supabase`] and their role.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use kube::Client;
use moka::future::Cache;
use sha2::{Digest, Sha256};

use super::caller::{Caller, Identity};
use super::config::KubernetesConfig;
use super::kubernetes;
use super::permission::Permission;
use super::session::{Session, Sessions};
use super::supabase::Supabase;
use crate::admin::problem::Problem;

/// How long an answer of Kubernetes is used.
const CACHE_TTL: Duration = Duration::from_secs(10);
/// Maximum number of cached answers of each kind.
const CACHE_CAPACITY: u64 = 50_000;
/// Maximum length of a token in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

type TokenHash = [u8; 32];

/// Authenticates and authorizes callers.
pub struct Authorizer {
    client: Client,
    /// `None` rejects tokens of Kubernetes.
    kubernetes: Option<KubernetesConfig>,
    /// `None` rejects tokens of Supabase.
    supabase: Option<Supabase>,
    /// `None` ignores session cookies.
    sessions: Option<Sessions>,
    callers: Cache<TokenHash, Option<Arc<Caller>>>,
    permissions: Cache<(Arc<Caller>, Permission), bool>,
}

impl std::fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorizer").finish_non_exhaustive()
    }
}

impl Authorizer {
    /// An authorizer with empty caches. Without Kubernetes and Supabase, it rejects everybody.
    pub fn new(
        client: Client,
        kubernetes: Option<KubernetesConfig>,
        supabase: Option<Supabase>,
        sessions: Option<Sessions>,
    ) -> Self {
        Self {
            client,
            kubernetes,
            supabase,
            sessions,
            callers: Cache::builder()
                .max_capacity(CACHE_CAPACITY)
                .time_to_live(CACHE_TTL)
                .build(),
            permissions: Cache::builder()
                .max_capacity(CACHE_CAPACITY)
                .time_to_live(CACHE_TTL)
                .build(),
        }
    }

    /// The caller that the request's token or session identifies. A change by a session must come from its own page.
    pub async fn authenticate(&self, method: &Method, headers: &HeaderMap) -> Result<Arc<Caller>, Problem> {
        match self.session(headers).await? {
            Some(session) => {
                session.check_forgery(method, headers, None)?;
                self.authenticate_session(&session).await
            }
            None => self.authenticate_token(bearer_token(headers)?).await,
        }
    }

    /// The session that a request uses; `None` if it has none or sends a token.
    pub async fn session(&self, headers: &HeaderMap) -> Result<Option<Session>, Problem> {
        match &self.sessions {
            Some(sessions) if !headers.contains_key(header::AUTHORIZATION) => sessions.find(headers).await,
            _ => Ok(None),
        }
    }

    /// Browser sessions.
    ///
    /// # Errors
    /// 404: they are not enabled.
    pub fn sessions(&self) -> Result<&Sessions, Problem> {
        self.sessions.as_ref().ok_or(Problem::NoSessions)
    }

    /// How tokens of Kubernetes are reviewed; `None` if they are rejected.
    pub fn kubernetes(&self) -> Option<&KubernetesConfig> {
        self.kubernetes.as_ref()
    }

    /// Whether tokens of Supabase users are accepted.
    pub fn accepts_supabase(&self) -> bool {
        self.supabase.is_some()
    }

    /// The caller that a session identifies. A change also needs [`Session::check_forgery`].
    pub async fn authenticate_session(&self, session: &Session) -> Result<Arc<Caller>, Problem> {
        self.authenticate_token(&session.token).await
    }

    /// The caller that a token identifies.
    pub async fn authenticate_token(&self, token: &str) -> Result<Arc<Caller>, Problem> {
        match (&self.kubernetes, &self.supabase) {
            (None, Some(supabase)) => supabase.authenticate(token).await,
            (Some(_), Some(supabase)) if supabase.is_claimed_issuer(token) => {
                supabase.authenticate(token).await
            }
            (Some(kubernetes), _) => self.review_token(kubernetes, token).await,
            (None, None) => Err(Problem::Unauthenticated("no tokens are accepted".to_owned())),
        }
    }

    async fn review_token(&self, config: &KubernetesConfig, token: &str) -> Result<Arc<Caller>, Problem> {
        // The cache holds hashes, not tokens.
        let key: TokenHash = Sha256::digest(token.as_bytes()).into();
        let audience = config.audience.as_deref();
        let caller = self
            .callers
            .try_get_with(key, kubernetes::review_token(&self.client, audience, token))
            .await
            .map_err(|problem| (*problem).clone())?;
        caller.ok_or_else(|| Problem::Unauthenticated(rejected_message(audience)))
    }

    /// Whether the caller has the permission.
    pub async fn is_allowed(&self, caller: &Arc<Caller>, permission: &Permission) -> Result<bool, Problem> {
        let user = match &caller.identity {
            Identity::Supabase { grant, .. } => return Ok(grant.allows(permission)),
            Identity::Kubernetes(user) => user,
        };
        let key = (Arc::clone(caller), permission.clone());
        let review = kubernetes::review_access(&self.client, &caller.name, user, permission);
        self.permissions
            .try_get_with(key, review)
            .await
            .map_err(|problem| (*problem).clone())
    }

    /// Rejects a caller without the permission.
    pub async fn authorize(&self, caller: &Arc<Caller>, permission: &Permission) -> Result<(), Problem> {
        if self.is_allowed(caller, permission).await? {
            Ok(())
        } else {
            Err(Problem::Forbidden(match &caller.identity {
                Identity::Kubernetes(_) => permission.denied_message(&caller.name),
                Identity::Supabase { grant, .. } => grant.denied_message(&caller.name, permission),
            }))
        }
    }

    /// Rejects a caller without all of the permissions.
    pub async fn authorize_all(
        &self,
        caller: &Arc<Caller>,
        permissions: &[Permission],
    ) -> Result<(), Problem> {
        for permission in permissions {
            self.authorize(caller, permission).await?;
        }
        Ok(())
    }

    /// Keeps the keys of Supabase up to date. Never ends.
    pub async fn run(&self) {
        match &self.supabase {
            Some(supabase) => supabase.run().await,
            None => pending().await,
        }
    }
}

fn rejected_message(audience: Option<&str>) -> String {
    match audience {
        Some(audience) => format!(
            "the token is invalid, has expired or has another audience: kubectl create token … --audience {audience}"
        ),
        None => "the token is invalid or has expired".to_owned(),
    }
}

/// The token of a request that has exactly one.
fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Problem::Unauthenticated(
            "send one header Authorization: Bearer <token>".to_owned(),
        ));
    };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token
        .filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN_BYTES)
        .ok_or_else(|| Problem::Unauthenticated("the header Authorization is not Bearer <token>".to_owned()))
}

#[cfg(test)]
mod tests;
