//! Authenticates Supabase users: a valid token, and an active row in `admin_users`.

use std::future::pending;
use std::sync::Arc;

use jsonwebtoken::Algorithm;
use uuid::Uuid;

use super::config::{KeySource, SupabaseConfig};
use super::crypto;
use super::fetch::{ClientError, KeySetFetcher};
use super::jwks::VerificationKey;
use super::jwt::{self, Rejection};
use super::keys::{KeyCache, KeyError};
use super::users::AdminUsers;
use crate::admin::auth::caller::{Caller, Identity};
use crate::admin::auth::role::RoleGrant;
use crate::admin::problem::Problem;

/// Authenticates Supabase users.
#[derive(Debug)]
pub struct Supabase {
    issuer: String,
    audience: String,
    keys: Keys,
    users: AdminUsers,
    grant: RoleGrant,
}

#[derive(Debug)]
enum Keys {
    Issuer(KeyCache),
    Secret(VerificationKey),
}

impl Supabase {
    /// `namespace` is where the users have the configured role.
    ///
    /// # Errors
    /// The TLS of the client cannot be set up.
    pub fn new(config: SupabaseConfig, users: AdminUsers, namespace: &str) -> Result<Self, ClientError> {
        crypto::install();
        let keys = match config.key_source {
            KeySource::KeySet(url) => Keys::Issuer(KeyCache::new(KeySetFetcher::new(url)?)),
            KeySource::Secret(key) => Keys::Secret(VerificationKey {
                algorithm: Algorithm::HS256,
                key,
            }),
        };
        Ok(Self {
            issuer: config.issuer,
            audience: config.audience,
            keys,
            users,
            grant: RoleGrant {
                role: config.role,
                namespace: namespace.to_owned(),
            },
        })
    }

    /// Whether a token claims to be of this issuer, so that nobody else need be asked. It proves nothing.
    pub fn is_claimed_issuer(&self, token: &str) -> bool {
        jwt::claims_issuer(token, &self.issuer)
    }

    /// The caller that a token identifies.
    ///
    /// # Errors
    /// 401: the token is not valid. 403: the user has no active row in `admin_users`. 503: the keys or the table cannot be read.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Caller>, Problem> {
        let key = match &self.keys {
            Keys::Secret(key) => key.clone(),
            Keys::Issuer(keys) => {
                let id = jwt::key_id(token).map_err(|rejection| unauthenticated(&rejection))?;
                keys.find(&id).await.map_err(|error| match error {
                    KeyError::Unknown => unauthenticated(&Rejection::UnknownKey),
                    KeyError::Unavailable(message) => Problem::Unavailable(message),
                })?
            }
        };
        let user = jwt::verify(token, &key, &self.issuer, &self.audience)
            .map_err(|rejection| unauthenticated(&rejection))?;
        self.users.require_active(user.id).await?;
        Ok(Arc::new(Caller {
            name: name(user.id, user.email.as_deref()),
            identity: Identity::Supabase {
                user_id: user.id,
                grant: self.grant.clone(),
            },
        }))
    }

    /// Keeps the keys up to date. Never ends.
    pub async fn run(&self) {
        match &self.keys {
            Keys::Issuer(keys) => keys.run().await,
            Keys::Secret(_) => pending().await,
        }
    }
}

/// The name of a user. The id identifies it, and the prefix separates it from users of Kubernetes; the address may be unverified.
fn name(id: Uuid, email: Option<&str>) -> String {
    let email = email.map(|email| format!(" ({email})")).unwrap_or_default();
    format!("supabase:{id}{email}")
}

fn unauthenticated(rejection: &Rejection) -> Problem {
    Problem::Unauthenticated(format!("the Supabase token is rejected: {rejection}"))
}
