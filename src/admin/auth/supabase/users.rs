//! The application's users: only who has an active row in `admin_users` may call.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use uuid::Uuid;

use crate::admin::defaults::Defaults;
use crate::admin::objects::Objects;
use crate::admin::pools::StorePools;
use crate::admin::problem::Problem;
use crate::api::connection::TaranaConnection;
use crate::fault::{Fault, Reason};
use crate::store::AdminUser;

/// How long an answer of the database is used. The same as for answers of Kubernetes.
const CACHE_TTL: Duration = Duration::from_secs(10);
/// Maximum number of cached answers.
const CACHE_CAPACITY: u64 = 50_000;

/// The table `admin_users` in the database of the default connection.
#[derive(Debug)]
pub struct AdminUsers {
    objects: Arc<Objects>,
    pools: Arc<StorePools>,
    connection: Defaults,
    answers: Cache<Uuid, AdminUser>,
}

impl AdminUsers {
    /// Reads from the database of this connection.
    pub fn new(objects: Arc<Objects>, pools: Arc<StorePools>, connection: Defaults) -> Self {
        Self {
            objects,
            pools,
            connection,
            answers: Cache::builder()
                .max_capacity(CACHE_CAPACITY)
                .time_to_live(CACHE_TTL)
                .build(),
        }
    }

    /// Rejects a user without an active row.
    pub(super) async fn require_active(&self, id: Uuid) -> Result<(), Problem> {
        let answer = self.answers.try_get_with(id, self.read(id)).await;
        match answer.map_err(|problem| (*problem).clone())? {
            AdminUser::Active => Ok(()),
            AdminUser::Inactive => Err(Problem::Forbidden(format!(
                "the user {id} is not active in admin_users"
            ))),
            AdminUser::NotFound => Err(Problem::Forbidden(format!("the user {id} is not in admin_users"))),
            AdminUser::NotVisible => Err(Problem::Forbidden(format!(
                "the user {id} is not in admin_users, or row-level security hides it from the operator's database role"
            ))),
        }
    }

    async fn read(&self, id: Uuid) -> Result<AdminUser, Problem> {
        self.objects.require_synced()?;
        let Defaults {
            namespace,
            connection,
        } = &self.connection;
        let found = self.objects.get::<TaranaConnection>(namespace, connection);
        let found = found.ok_or_else(|| {
            Problem::Unavailable(format!(
                "there is no TaranaConnection {connection} in namespace {namespace}, whose database has admin_users (--admin-connection, --admin-namespace)"
            ))
        })?;
        let store = self.pools.store(&found).await?;
        store.admin_user(id).await.map_err(|fault| unreadable(&fault))
    }
}

/// The problem of a table that cannot be read, with its remedy.
fn unreadable(fault: &Fault) -> Problem {
    let remedy = match fault.reason {
        Reason::SchemaInvalid => {
            "the database of the default connection needs the table admin_users with the columns id (uuid) and is_active (boolean)"
        }
        Reason::DatabaseRightsMissing => {
            "the operator's database role may not read the users: GRANT SELECT (id, is_active) ON admin_users to it"
        }
        _ => return Problem::from_database(fault),
    };
    tracing::warn!(%fault, "a request failed because admin_users cannot be read");
    Problem::Unavailable(format!("admin_users cannot be read: {remedy}"))
}
