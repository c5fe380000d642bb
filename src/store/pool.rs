//! Pools of database sessions, shared by all stores whose sessions would be the same.
//!
//! A session is taken in two steps: a permit of the pool, first come first served and for as long as others need theirs, then a
//! session of the driver's pool, which must be there or connect within seconds. So a busy pool and a dead server are told apart.
//!
//! Whoever has a session never waits for a second one: each operation of a store has one transaction at a time. Otherwise, all
//! sessions could wait for each other. `tests/it/many_connections` runs everything with a single session.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx::pool::{PoolConnection, PoolConnectionMetadata};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, Postgres};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::config::SessionIdentity;
use super::error::NoSession;

/// How long a transaction waits for a session while others use all of them. Sixteen runs that write at once over six sessions
/// wait for two others each.
const SESSION_WAIT: Duration = Duration::from_mins(2);
/// Timeout for connecting, and for the pings before it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for pinging an idle session. After a failure the other idle sessions are not pinged, but closed.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// A session that is idle for this long is closed, at the latest after twice this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for closing the pool.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Most exports in progress in one pool. Each takes a session for as long as its reader needs.
const MAX_EXPORTS: usize = 2;
/// Sessions of a pool that is not shared.
const DEFAULT_SIZE: u32 = 8;

/// The pools of this process by identity. A pool lives as long as a store uses it. Clones share the pools.
#[derive(Clone)]
pub struct SessionPools {
    /// Most sessions in each pool.
    size: u32,
    pools: Arc<Mutex<HashMap<SessionIdentity, Weak<SessionPool>>>>,
}

impl std::fmt::Debug for SessionPools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The identities contain passwords.
        f.debug_struct("SessionPools")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Default for SessionPools {
    fn default() -> Self {
        Self::new(DEFAULT_SIZE)
    }
}

impl SessionPools {
    /// No pools yet. Each will have at most `size` sessions, at least one.
    pub fn new(size: u32) -> Self {
        Self {
            size: size.max(1),
            pools: Arc::default(),
        }
    }

    /// The pool of this identity, which is created if no store uses it.
    pub(super) fn get(&self, identity: SessionIdentity, options: PgConnectOptions) -> Arc<SessionPool> {
        let mut pools = self.lock();
        pools.retain(|_, pool| pool.strong_count() > 0);
        if let Some(pool) = pools.get(&identity).and_then(Weak::upgrade) {
            return pool;
        }
        let pool = Arc::new(SessionPool::new(options, self.size));
        pools.insert(identity, Arc::downgrade(&pool));
        pool
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionIdentity, Weak<SessionPool>>> {
        // No code panics in the middle of a change, so the map behind a poisoned lock is valid.
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a transaction takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// A few statements, however many rows the tables have.
    Short,
    /// A pass over a whole table. A part of the sessions is kept for the others.
    Long,
}

/// A session, until it is dropped.
pub(super) struct Session {
    pub connection: PoolConnection<Postgres>,
    pub permits: Permits,
}

/// The right to have a session. Dropped after the session.
pub(super) struct Permits {
    _session: OwnedSemaphorePermit,
    _long: Option<OwnedSemaphorePermit>,
}

/// The sessions of one identity.
pub(super) struct SessionPool {
    pool: PgPool,
    size: u32,
    sessions: Arc<Semaphore>,
    /// Permits of long transactions.
    long: Arc<Semaphore>,
    /// Permits of exports, which are long too.
    exports: Arc<Semaphore>,
    /// The last failed attempt to connect, until another one succeeds.
    failure: Mutex<Option<Failure>>,
}

/// An attempt to connect that the server did not answer.
struct Failure {
    began: Instant,
    error: Arc<sqlx::Error>,
}

impl SessionPool {
    fn new(options: PgConnectOptions, size: u32) -> Self {
        let last_silence = Arc::new(Mutex::new(None));
        let silence = Arc::clone(&last_silence);
        let pool = PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(CONNECT_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(move |connection, metadata| {
                let silence = Arc::clone(&last_silence);
                Box::pin(async move { is_alive_after_idling(connection, &metadata, &silence).await })
            })
            .after_release(move |connection, _| {
                let silence = Arc::clone(&silence);
                Box::pin(async move { is_alive(connection, &silence).await })
            })
            .connect_lazy_with(options.disable_statement_logging());
        let sessions = usize::try_from(size)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        let long = long_sessions(sessions);
        Self {
            pool,
            size,
            sessions: Arc::new(Semaphore::new(sessions)),
            long: Arc::new(Semaphore::new(long)),
            exports: Arc::new(Semaphore::new(long.min(MAX_EXPORTS))),
            failure: Mutex::default(),
        }
    }

    /// Waits for a session. Dropping the future ends the wait.
    pub async fn acquire(&self, duty: Duty) -> Result<Session, NoSession> {
        let asked = Instant::now();
        let Ok(Some(permits)) = timeout(SESSION_WAIT, self.permits(duty)).await else {
            return Err(NoSession::AllInUse(self.size));
        };
        // Of all transactions that wait for a server that is dead, only the first ones have to find out.
        if let Some(failure) = &*self.failure()
            && failure.began >= asked
        {
            return Err(NoSession::Failed(Arc::clone(&failure.error)));
        }
        let began = Instant::now();
        match self.pool.acquire().await {
            Ok(connection) => {
                *self.failure() = None;
                Ok(Session { connection, permits })
            }
            Err(error) => {
                let error = Arc::new(Box::pin(self.cause_of(error)).await);
                // An answer of the server concerns one session, and costs no time.
                if !matches!(*error, sqlx::Error::Database(_) | sqlx::Error::PoolClosed) {
                    *self.failure() = Some(Failure {
                        began,
                        error: Arc::clone(&error),
                    });
                }
                Err(NoSession::Failed(error))
            }
        }
    }

    /// `None` if a semaphore is closed, which never happens.
    async fn permits(&self, duty: Duty) -> Option<Permits> {
        // In this order: who waits for the permit of a long transaction has no session.
        let long = match duty {
            Duty::Short => None,
            Duty::Long => Some(Arc::clone(&self.long).acquire_owned().await.ok()?),
        };
        let session = Arc::clone(&self.sessions).acquire_owned().await.ok()?;
        Some(Permits {
            _session: session,
            _long: long,
        })
    }

    /// A permit for an export; `None` if too many are in progress.
    pub fn try_export(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.exports).try_acquire_owned().ok()
    }

    /// The driver tries again until its timeout and does not report why it failed. One more connection outside the pool returns
    /// the server's error.
    async fn cause_of(&self, error: sqlx::Error) -> sqlx::Error {
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return error;
        }
        match with_timeout(PING_TIMEOUT, self.pool.connect_options().connect()).await {
            // The server accepts connections again.
            Ok(_connection) => error,
            Err(reason) => reason,
        }
    }

    /// Open sessions, and how many of them are idle.
    pub fn open_sessions(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Closes idle sessions at once and the others when they are returned, within some seconds.
    pub async fn close(&self) {
        // A session that is returned later is closed when it is dropped.
        let _ = timeout(CLOSE_TIMEOUT, self.pool.close()).await;
    }

    fn failure(&self) -> MutexGuard<'_, Option<Failure>> {
        // Replaced as a whole, so the value behind a poisoned lock is valid.
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of the sessions long transactions may have: all but a quarter, if there are at least two.
fn long_sessions(sessions: usize) -> usize {
    (sessions - sessions.div_ceil(4)).max(1)
}

/// When a session did not answer a ping.
type Silence = Mutex<Option<Instant>>;

/// Whether a session answers that was idle. What was idle already when another session was found dead is given up without a
/// ping: together, the pings could take longer than the timeout.
async fn is_alive_after_idling(
    connection: &mut PgConnection,
    metadata: &PoolConnectionMetadata,
    silence: &Silence,
) -> Result<bool, sqlx::Error> {
    let last = *silence.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_some_and(|at| at.elapsed() < metadata.idle_for) {
        return Err(sqlx::Error::PoolTimedOut);
    }
    is_alive(connection, silence).await
}

/// Pings with a timeout: the driver's pool itself would wait for the answer without limit and keep the session's slot.
async fn is_alive(connection: &mut PgConnection, silence: &Silence) -> Result<bool, sqlx::Error> {
    let answer = with_timeout(PING_TIMEOUT, connection.ping()).await;
    if answer.is_err() {
        *silence.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
    answer.map(|()| true)
}

/// An error of the driver if there is no answer in time.
pub(super) async fn with_timeout<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, answer).await.unwrap_or_else(|_| {
        let silence = format!("no answer within {} s", limit.as_secs());
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, silence)))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{SessionPools, long_sessions};
    use crate::store::config::{Config, parse};

    fn config(url: &str, ca_pem: Option<Vec<u8>>, schema: &str) -> Config {
        Config {
            url: url.to_owned(),
            ca_pem,
            schema: schema.to_owned(),
            migrate: true,
        }
    }

    #[tokio::test]
    async fn only_the_same_sessions_share_a_pool() {
        let pools = SessionPools::new(8);
        let get = |url: &str, ca: Option<Vec<u8>>, schema: &str| {
            let parsed = parse(&config(url, ca, schema)).unwrap();
            pools.get(parsed.identity, parsed.options)
        };
        let url = "postgres://u:secret@db:5432/d?sslmode=require";
        let first = get(url, None, "a");
        assert!(Arc::ptr_eq(&first, &get(url, None, "b")), "another schema");
        let spelled = "postgresql://u:s%65cret@db/d?sslmode=require&application_name=x";
        assert!(Arc::ptr_eq(&first, &get(spelled, None, "a")), "the same URL");
        for other in [
            "postgres://u:other@db:5432/d?sslmode=require",
            "postgres://v:secret@db:5432/d?sslmode=require",
            "postgres://u:secret@other:5432/d?sslmode=require",
            "postgres://u:secret@db:5433/d?sslmode=require",
            "postgres://u:secret@db:5432/e?sslmode=require",
            "postgres://u:secret@db:5432/d?sslmode=prefer",
            "postgres://u:secret@db:5432/d?sslmode=require&options=-c%20a=b",
            "postgres://u:secret@%2Fdb:5432/d?sslmode=require",
        ] {
            let url = other.replace("@%2Fdb:5432/d?", "@/d?host=/db&");
            assert!(!Arc::ptr_eq(&first, &get(&url, None, "a")), "{url}");
        }
        assert!(!format!("{pools:?}").contains("secret"));
    }

    #[tokio::test]
    async fn a_pool_ends_with_its_last_user() {
        let pools = SessionPools::new(8);
        let parsed = || parse(&config("postgres://u:p@db/d", None, "a")).unwrap();
        let first = pools.get(parsed().identity, parsed().options);
        let weak = Arc::downgrade(&first);
        drop(first);
        assert!(weak.upgrade().is_none());
        let other = parse(&config("postgres://u:p@other/d", None, "a")).unwrap();
        let _other = pools.get(other.identity, other.options);
        assert_eq!(pools.lock().len(), 1, "the former entry is forgotten");
    }

    #[test]
    fn a_part_of_the_sessions_is_kept_for_short_transactions() {
        let long: Vec<usize> = [1, 2, 3, 4, 8, 100].map(long_sessions).to_vec();
        assert_eq!(long, [1, 1, 2, 3, 6, 75]);
    }
}
