//! Who asks, and whether they may.
//!
//! A request is answered only after two questions: who the caller is ([`Access::caller`]) and whether that caller has a
//! [`Right`] ([`Access::may`]). Both are answered by Kubernetes; answers count for seconds, refusals too, so that a right that
//! is taken away is gone as soon.

mod kubernetes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use kube::Client;
use moka::future::Cache;
use sha2::{Digest, Sha256};

use super::App;
use super::problem::Problem;

/// How long an answer counts.
const COUNTS: Duration = Duration::from_secs(10);
/// Answers that are remembered.
const ANSWERS: u64 = 50_000;
/// No token is longer; a header could be.
const LONGEST: usize = 16 * 1024;

/// Somebody who was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The user's name, as Kubernetes has it.
    pub name: String,
    uid: Option<String>,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

/// What one may do: a verb on objects of the group `tarana.dev`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Right {
    verb: &'static str,
    resource: &'static str,
    subresource: Option<&'static str>,
    /// `None`: in all of them.
    namespace: Option<String>,
    name: Option<String>,
}

impl Right {
    /// On all objects of a resource in a namespace, or (`None`) in all namespaces.
    pub fn new(verb: &'static str, resource: &'static str, namespace: Option<&str>) -> Self {
        Self {
            verb,
            resource,
            subresource: None,
            namespace: namespace.map(str::to_owned),
            name: None,
        }
    }

    /// On one object.
    #[must_use]
    pub fn on(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Why somebody without it is refused.
    fn refusal(&self, caller: &Caller) -> Problem {
        let place = self.namespace.as_ref().map_or_else(
            || "in all namespaces: name one that you may see, ?namespace=…".to_owned(),
            |namespace| format!("in namespace {namespace}"),
        );
        let resource = match self.subresource {
            None => self.resource.to_owned(),
            Some(sub) => format!("{}/{sub}", self.resource),
        };
        Problem::Forbidden(format!(
            "{} may not {} {resource}.tarana.dev {place}",
            caller.name, self.verb
        ))
    }
}

type Token = [u8; 32];

/// Asks Kubernetes, and remembers for a while what it said.
pub struct Access {
    client: Client,
    callers: Cache<Token, Option<Arc<Caller>>>,
    rights: Cache<(Arc<Caller>, Right), bool>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Nothing is asked yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            callers: Cache::builder()
                .max_capacity(ANSWERS)
                .time_to_live(COUNTS)
                .build(),
            rights: Cache::builder()
                .max_capacity(ANSWERS)
                .time_to_live(COUNTS)
                .build(),
        }
    }

    /// Who asks.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Problem> {
        let token = bearer(headers)?;
        // What is kept in memory is no token.
        let key: Token = Sha256::digest(token.as_bytes()).into();
        let asked = self
            .callers
            .try_get_with(key, kubernetes::review(&self.client, token));
        let caller = asked.await.map_err(|problem| (*problem).clone())?;
        caller.ok_or(Problem::Unauthenticated(
            "the token is not valid, or not any more",
        ))
    }

    /// Whether the caller has the right.
    pub async fn has(&self, caller: &Arc<Caller>, right: &Right) -> Result<bool, Problem> {
        let key = (Arc::clone(caller), right.clone());
        let asked = self
            .rights
            .try_get_with(key, kubernetes::allows(&self.client, caller, right));
        asked.await.map_err(|problem| (*problem).clone())
    }

    /// Refuses whoever lacks the right.
    pub async fn may(&self, caller: &Arc<Caller>, right: &Right) -> Result<(), Problem> {
        if self.has(caller, right).await? {
            Ok(())
        } else {
            Err(right.refusal(caller))
        }
    }
}

/// The token of a request that has exactly one.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return Err(Problem::Unauthenticated(
            "send one header Authorization: Bearer <token>",
        ));
    };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token
        .filter(|token| !token.is_empty() && token.len() <= LONGEST)
        .ok_or(Problem::Unauthenticated(
            "the header Authorization is not Bearer <token>",
        ))
}

/// The caller of a request; without one there is no answer.
#[derive(Debug)]
pub struct Authenticated(pub Arc<Caller>);

impl FromRequestParts<App> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = app.access.caller(&parts.headers).await?;
        // For the access log.
        if let Some(seen) = parts.extensions.get::<super::access::Seen>() {
            seen.is(&caller.name);
        }
        Ok(Self(caller))
    }
}

#[cfg(test)]
mod tests;
