//! The one way to the database: nothing is said outside an explicit transaction, and no statement keeps a name.
//!
//! Both rules are what PgBouncer in transaction mode needs: outside a transaction each message may go to another
//! server, and a named statement lives on one of them. The pool and the connection are private to this module, so
//! the rules cannot be bypassed. State of a session is transaction-local throughout (`SET LOCAL`, `ON COMMIT DROP`).
//!
//! A transaction that is neither committed nor rolled back closes its socket. The pool would drain such a connection
//! and use it again, which for one that waits for a lock takes as long as the lock; a closed socket is noticed by the
//! server within `client_connection_check_interval` (see [`super::config`]), and the transaction is gone.
//!
//! Every call ends. A server that works slowly is stopped by its own `statement_timeout`; one that says nothing at all,
//! because it stands still or the wire is dead, is given up a little later by us.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Decode, Executor, Row as _, Type};
use tokio::time::timeout;

use super::error::{DbError, Target};

/// Longest wait for a connection, its making included.
const ACQUIRE: Duration = Duration::from_secs(10);
/// Longest wait for a sign of life of an idle connection. All of a pool together take less than [`ACQUIRE`].
const PING: Duration = Duration::from_secs(2);
/// Longest wait for the pool to say goodbye.
const CLOSE: Duration = Duration::from_secs(5);
/// Longest wait for an answer, a little more than the `statement_timeout` of the preamble.
const PATIENCE: Duration = Duration::from_secs(40);

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
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(lives(connection)))
            .after_release(|connection, _| Box::pin(lives(connection)))
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
        let connection = match self.pool.acquire().await {
            Ok(connection) => connection,
            Err(fault) => return Err(DbError::new(&self.target, Box::pin(self.why(fault)).await)),
        };
        let mut tx = Tx {
            connection: Some(connection),
            target: Arc::clone(&self.target),
            patience: PATIENCE,
        };
        match tx.script(self.preamble.to_string()).await {
            Ok(()) => Ok(tx),
            Err(e) => Err(e.at_the_beginning()),
        }
    }

    /// The pool tries again and again while a server is full, starts or is not there, and keeps to itself why. Asked
    /// once more without it, the server says so.
    async fn why(&self, fault: sqlx::Error) -> sqlx::Error {
        if !matches!(fault, sqlx::Error::PoolTimedOut) {
            return fault;
        }
        match within(PING, self.pool.connect_options().connect()).await {
            // Then all of the pool are in use.
            Ok(_connection) => fault,
            Err(reason) => reason,
        }
    }

    /// Closes the idle connections, and the others when they come back, within some seconds.
    pub async fn close(&self) {
        // Whatever has not come back by then is closed when it is dropped.
        let _ = timeout(CLOSE, self.pool.close()).await;
    }
}

/// The pool would wait for the answer for ever, and keep the connection's place in it meanwhile.
async fn lives(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    within(PING, connection.ping()).await.map(|()| true)
}

async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(patience, answer).await.unwrap_or_else(|_| {
        let silence = format!("no answer within {} s", patience.as_secs());
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, silence)))
    })
}

/// One transaction. Dropped without [`Tx::commit`] it is rolled back by the server, whatever it was doing.
pub(super) struct Tx {
    connection: Option<PoolConnection<Postgres>>,
    target: Arc<Target>,
    patience: Duration,
}

impl Tx {
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// From here on a statement may take as long as this; we wait a little longer.
    pub async fn allow(&mut self, statement: Duration) -> Result<(), DbError> {
        self.patience = statement + Duration::from_secs(10);
        self.script(format!(
            "SET LOCAL statement_timeout TO '{}s'",
            statement.as_secs()
        ))
        .await
    }

    /// Runs a statement; how many rows it touched.
    pub async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, DbError> {
        let (patience, connection) = self.ready()?;
        let done = within(patience, connection.execute(statement.persistent(false))).await;
        done.map(|d| d.rows_affected()).map_err(|e| self.error(e))
    }

    /// At most one row.
    pub async fn optional(&mut self, statement: Statement<'_>) -> Result<Option<PgRow>, DbError> {
        let (patience, connection) = self.ready()?;
        let row = within(patience, connection.fetch_optional(statement.persistent(false))).await;
        row.map_err(|e| self.error(e))
    }

    /// Exactly one row.
    pub async fn one(&mut self, statement: Statement<'_>) -> Result<PgRow, DbError> {
        let (patience, connection) = self.ready()?;
        let row = within(patience, connection.fetch_one(statement.persistent(false))).await;
        row.map_err(|e| self.error(e))
    }

    /// All rows, for the small answers.
    pub async fn all(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>, DbError> {
        let (patience, connection) = self.ready()?;
        let rows = within(patience, connection.fetch_all(statement.persistent(false))).await;
        rows.map_err(|e| self.error(e))
    }

    /// Statements without arguments, one message. The text is the operator's own, or quoted.
    pub async fn script(&mut self, sql: String) -> Result<(), DbError> {
        let (patience, connection) = self.ready()?;
        let script = sqlx::raw_sql(AssertSqlSafe(sql));
        let done = within(patience, connection.execute(script)).await;
        done.map(|_| ()).map_err(|e| self.error(e))
    }

    /// `COPY … TO STDOUT`, piece by piece. We are patient for each piece anew.
    pub async fn copy_out(&mut self, sql: &str, mut piece: impl FnMut(&[u8])) -> Result<(), DbError> {
        let target = Arc::clone(&self.target);
        let fault = |e| DbError::new(&target, e);
        let (_, connection) = self.ready()?;
        let mut stream = within(PATIENCE, connection.copy_out_raw(sql))
            .await
            .map_err(fault)?;
        while let Some(bytes) = within(PATIENCE, stream.try_next()).await.map_err(fault)? {
            piece(&bytes);
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

    fn ready(&mut self) -> Result<(Duration, &mut PgConnection), DbError> {
        match &mut self.connection {
            Some(connection) => Ok((self.patience, connection)),
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
