//! The one way to the database: nothing is said outside an explicit transaction, and no statement keeps a name.
//!
//! Both rules are what PgBouncer in transaction mode needs: outside a transaction each message may go to another
//! server, and a named statement lives on one of them. The pool and the connection are private to this module, so
//! the rules cannot be bypassed. State of a session is transaction-local throughout (`SET LOCAL`, `ON COMMIT DROP`).
//!
//! A transaction that is neither committed nor rolled back closes its socket. The pool would drain such a connection
//! and use it again, which for one that waits for a lock takes as long as the lock; a closed socket is noticed by the
//! server within `client_connection_check_interval` (see [`super::config`]), and the transaction is gone.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions, Decode, Executor, Row as _, Type};

use super::error::{DbError, Target};

/// Longest wait for a connection, its making included.
const ACQUIRE: Duration = Duration::from_secs(10);

pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// A small pool and the place it leads to.
#[derive(Clone)]
pub(super) struct Db {
    pool: PgPool,
    target: Arc<Target>,
    preamble: Arc<str>,
}

impl Db {
    /// Connects when first used. `preamble` begins every transaction.
    pub fn new(options: PgConnectOptions, target: Target, preamble: Arc<str>) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(Duration::from_mins(5))
            .connect_lazy_with(options.disable_statement_logging());
        Self {
            pool,
            target: Arc::new(target),
            preamble,
        }
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        let connection = self
            .pool
            .acquire()
            .await
            .map_err(|e| DbError::new(&self.target, e))?;
        let mut tx = Tx {
            connection: Some(connection),
            target: Arc::clone(&self.target),
        };
        tx.script(self.preamble.to_string()).await?;
        Ok(tx)
    }

    /// Closes the idle connections, and the others when they come back.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// One transaction. Dropped without [`Tx::commit`] it is rolled back by the server, whatever it was doing.
pub(super) struct Tx {
    connection: Option<PoolConnection<Postgres>>,
    target: Arc<Target>,
}

impl Tx {
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Runs a statement; how many rows it touched.
    pub async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, DbError> {
        let done = self.connection()?.execute(statement.persistent(false)).await;
        done.map(|d| d.rows_affected()).map_err(|e| self.error(e))
    }

    /// At most one row.
    pub async fn optional(&mut self, statement: Statement<'_>) -> Result<Option<PgRow>, DbError> {
        let row = self
            .connection()?
            .fetch_optional(statement.persistent(false))
            .await;
        row.map_err(|e| self.error(e))
    }

    /// Exactly one row.
    pub async fn one(&mut self, statement: Statement<'_>) -> Result<PgRow, DbError> {
        let row = self.connection()?.fetch_one(statement.persistent(false)).await;
        row.map_err(|e| self.error(e))
    }

    /// All rows, for the small answers.
    pub async fn all(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>, DbError> {
        let rows = self.connection()?.fetch_all(statement.persistent(false)).await;
        rows.map_err(|e| self.error(e))
    }

    /// Statements without arguments, one message. The text is the operator's own, or quoted.
    pub async fn script(&mut self, sql: String) -> Result<(), DbError> {
        let done = self
            .connection()?
            .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
            .await;
        done.map(|_| ()).map_err(|e| self.error(e))
    }

    /// `COPY … FROM STDIN` of what `next` puts into the buffer, until it leaves it empty; how many rows arrived.
    pub async fn copy_in(&mut self, sql: &str, mut next: impl FnMut(&mut Vec<u8>)) -> Result<u64, DbError> {
        let target = Arc::clone(&self.target);
        let fault = |e| DbError::new(&target, e);
        let mut copy = self.connection()?.copy_in_raw(sql).await.map_err(fault)?;
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            next(&mut buffer);
            if buffer.is_empty() {
                return copy.finish().await.map_err(fault);
            }
            copy.send(buffer.as_slice()).await.map_err(fault)?;
        }
    }

    /// `COPY … TO STDOUT`, piece by piece.
    pub async fn copy_out(&mut self, sql: &str, mut piece: impl FnMut(&[u8])) -> Result<(), DbError> {
        let target = Arc::clone(&self.target);
        let mut stream = self
            .connection()?
            .copy_out_raw(sql)
            .await
            .map_err(|e| DbError::new(&target, e))?;
        while let Some(bytes) = stream.next().await {
            piece(&bytes.map_err(|e| DbError::new(&target, e))?);
        }
        Ok(())
    }

    /// Reads one column.
    pub fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
        &self,
        row: &'r PgRow,
        at: usize,
    ) -> Result<T, DbError> {
        row.try_get(at).map_err(|e| DbError::new(&self.target, e))
    }

    /// Makes it so, and gives the connection back.
    pub async fn commit(mut self) -> Result<(), DbError> {
        self.script("COMMIT".to_owned()).await?;
        drop(self.connection.take());
        Ok(())
    }

    /// Undoes it, and gives the connection back: for refusals that were expected.
    pub async fn rollback(mut self) -> Result<(), DbError> {
        self.script("ROLLBACK".to_owned()).await?;
        drop(self.connection.take());
        Ok(())
    }

    fn error(&self, source: sqlx::Error) -> DbError {
        DbError::new(&self.target, source)
    }

    fn connection(&mut self) -> Result<&mut PgConnection, DbError> {
        match &mut self.connection {
            Some(connection) => Ok(connection),
            None => Err(DbError::new(&self.target, sqlx::Error::PoolClosed)),
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Detached, it is closed here and now, without a word that could wait for an answer.
            drop(connection.detach());
        }
    }
}
