//! The only access to the database: every statement runs in an explicit transaction and is unnamed.
//!
//! PgBouncer in transaction mode requires both: outside a transaction each message may reach another server connection,
//! and a named statement exists on one of them only. A session is private to this module (`pool.rs` hands it to no other),
//! so the rules cannot be bypassed. All session state is transaction-local (`SET LOCAL`, `ON COMMIT DROP`).
//!
//! A transaction that is dropped without commit or rollback closes its socket. The pool would drain the connection first,
//! which for one that waits for a lock takes as long as the lock; the server notices a closed socket within
//! `client_connection_check_interval` (see [`super::config`]) and ends the transaction.
//!
//! Every call is bounded: a slow server by its `statement_timeout`, a silent server or network by a slightly longer
//! client-side timeout.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Decode, Executor, Row as _, Type};

use super::error::{DbError, NoSession, Target};
use super::pool::{Duty, Session, SessionPool, with_timeout};
use crate::metrics::{DatabaseMetrics, TransactionOutcome};

/// Timeout for a response, slightly longer than the `statement_timeout` of the preamble.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(40);

pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// The pool that a store uses, and its target.
#[derive(Clone)]
pub(super) struct Db {
    pool: Arc<SessionPool>,
    target: Arc<Target>,
    preamble: Arc<str>,
    pub metrics: DatabaseMetrics,
}

impl Db {
    /// Connects on first use. `preamble` begins every transaction.
    pub fn new(pool: Arc<SessionPool>, target: Target, preamble: Arc<str>) -> Self {
        Self {
            pool,
            target: Arc::new(target),
            preamble,
            metrics: DatabaseMetrics::default(),
        }
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// The pool of sessions.
    pub fn pool(&self) -> &SessionPool {
        &self.pool
    }

    /// Begins a short transaction that can write.
    ///
    /// No caller has another transaction: it would wait for a session while it has one, as all others may do at the same time.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        self.begin_as(Duty::Short).await
    }

    /// Begins a transaction that passes over a whole table.
    pub async fn begin_long(&self) -> Result<Tx, DbError> {
        self.begin_as(Duty::Long).await
    }

    async fn begin_as(&self, duty: Duty) -> Result<Tx, DbError> {
        let session = self.pool.acquire(duty).await.map_err(|why| {
            if matches!(why, NoSession::Failed(_)) {
                self.metrics.connect_failed();
            }
            DbError::no_session(&self.target, why)
        })?;
        let mut tx = Tx {
            session: Some(session),
            target: Arc::clone(&self.target),
            response_timeout: RESPONSE_TIMEOUT,
            metrics: self.metrics.clone(),
            began: Instant::now(),
        };
        match tx
            .begin(self.preamble.to_string())
            .await
            .map_err(DbError::in_preamble)?
        {
            (false, _) => Ok(tx),
            (true, is_standby) => {
                tx.rollback().await?;
                Err(DbError::read_only(&self.target, is_standby))
            }
        }
    }

    /// Begins a transaction that only reads and waits for nothing for long. It fires no trigger, so it sees our schema only.
    pub async fn begin_read_only(&self) -> Result<Tx, DbError> {
        self.read_only(self.begin().await?).await
    }

    /// The same for a pass over a whole table.
    pub async fn begin_long_read_only(&self) -> Result<Tx, DbError> {
        self.read_only(self.begin_long().await?).await
    }

    async fn read_only(&self, mut tx: Tx) -> Result<Tx, DbError> {
        tx.script(format!(
            "SET TRANSACTION READ ONLY; SET LOCAL statement_timeout TO '10s'; {}",
            self.target.own_search_path()
        ))
        .await?;
        Ok(tx)
    }
}

/// One transaction. If it is dropped without [`Tx::commit`], the server rolls it back, whatever it was doing.
pub(super) struct Tx {
    session: Option<Session>,
    target: Arc<Target>,
    response_timeout: Duration,
    metrics: DatabaseMetrics,
    began: Instant,
}

impl Tx {
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Sets the timeout of the statements that follow. The client waits slightly longer.
    pub async fn set_statement_timeout(&mut self, statement: Duration) -> Result<(), DbError> {
        self.response_timeout = statement + Duration::from_secs(10);
        self.script(format!(
            "SET LOCAL statement_timeout TO '{}s'",
            statement.as_secs()
        ))
        .await
    }

    /// Executes a statement and returns the number of affected rows.
    pub async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, DbError> {
        let (limit, connection) = self.connection()?;
        let done = with_timeout(limit, connection.execute(statement.persistent(false))).await;
        done.map(|d| d.rows_affected()).map_err(|e| self.error(e))
    }

    /// Fetches at most one row.
    pub async fn optional(&mut self, statement: Statement<'_>) -> Result<Option<PgRow>, DbError> {
        let (limit, connection) = self.connection()?;
        let row = with_timeout(limit, connection.fetch_optional(statement.persistent(false))).await;
        row.map_err(|e| self.error(e))
    }

    /// Fetches exactly one row.
    pub async fn one(&mut self, statement: Statement<'_>) -> Result<PgRow, DbError> {
        let (limit, connection) = self.connection()?;
        let row = with_timeout(limit, connection.fetch_one(statement.persistent(false))).await;
        row.map_err(|e| self.error(e))
    }

    /// Fetches all rows of a small result.
    pub async fn all(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>, DbError> {
        let (limit, connection) = self.connection()?;
        let rows = with_timeout(limit, connection.fetch_all(statement.persistent(false))).await;
        rows.map_err(|e| self.error(e))
    }

    /// Executes the preamble. Returns whether the transaction is read-only, and whether the server is a standby.
    async fn begin(&mut self, preamble: String) -> Result<(bool, bool), DbError> {
        let (limit, connection) = self.connection()?;
        let rows = with_timeout(
            limit,
            connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(preamble))),
        )
        .await;
        let rows = rows.map_err(|e| self.error(e))?;
        // Its last statement asks.
        match rows.last() {
            Some(row) => Ok((self.get(row, 0)?, self.get(row, 1)?)),
            None => Err(self.error(sqlx::Error::RowNotFound)),
        }
    }

    /// Resolves names in our schema only, until the end of the transaction.
    pub async fn narrow_search_path(&mut self) -> Result<(), DbError> {
        self.script(self.target.own_search_path()).await
    }

    /// Executes statements without parameters in one message. The text is constant or quoted.
    pub async fn script(&mut self, sql: String) -> Result<(), DbError> {
        let (limit, connection) = self.connection()?;
        let script = sqlx::raw_sql(AssertSqlSafe(sql));
        let done = with_timeout(limit, connection.execute(script)).await;
        done.map(|_| ()).map_err(|e| self.error(e))
    }

    /// `COPY … TO STDOUT`. The timeout applies to each chunk.
    pub async fn copy_out(&mut self, sql: &str, mut each: impl FnMut(&[u8])) -> Result<(), DbError> {
        let target = Arc::clone(&self.target);
        let fault = |e| DbError::new(&target, e);
        let (_, connection) = self.connection()?;
        let mut stream = with_timeout(RESPONSE_TIMEOUT, connection.copy_out_raw(sql))
            .await
            .map_err(fault)?;
        while let Some(bytes) = with_timeout(RESPONSE_TIMEOUT, stream.try_next())
            .await
            .map_err(fault)?
        {
            each(&bytes);
        }
        Ok(())
    }

    /// Decodes one column.
    pub fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
        &self,
        row: &'r PgRow,
        at: usize,
    ) -> Result<T, DbError> {
        row.try_get(at).map_err(|e| DbError::new(&self.target, e))
    }

    /// Commits and returns the connection to the pool.
    pub async fn commit(mut self) -> Result<(), DbError> {
        self.script("COMMIT".to_owned()).await?;
        self.end(TransactionOutcome::Committed);
        Ok(())
    }

    /// Rolls back and returns the connection to the pool, after an expected error.
    pub async fn rollback(mut self) -> Result<(), DbError> {
        self.script("ROLLBACK".to_owned()).await?;
        self.end(TransactionOutcome::RolledBack);
        Ok(())
    }

    /// Returns the connection to the pool.
    fn end(&mut self, outcome: TransactionOutcome) {
        drop(self.session.take());
        self.metrics.transaction(outcome, self.began.elapsed());
    }

    fn error(&self, source: sqlx::Error) -> DbError {
        DbError::new(&self.target, source)
    }

    fn connection(&mut self) -> Result<(Duration, &mut PgConnection), DbError> {
        match &mut self.session {
            Some(session) => Ok((self.response_timeout, &mut session.connection)),
            None => Err(DbError::new(&self.target, sqlx::Error::PoolClosed)),
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(Session { connection, permits }) = self.session.take() {
            // A detached connection is closed at once, without a message that could wait for an answer.
            drop(connection.detach());
            drop(permits);
            let outcome = TransactionOutcome::Aborted;
            self.metrics.transaction(outcome, self.began.elapsed());
        }
    }
}
