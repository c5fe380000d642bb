//! A PostgreSQL server: the external one at `$DATABASE_URL`, or a temporary one.

use std::path::Path;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::environment;
use crate::error::{Error, Result};
use crate::ports::free_ports;
use crate::process_group::{ProcessGroup, ServerCommand, random_hex};
use crate::spawner::User;

mod commands;
mod install;
mod pgbouncer;

pub use pgbouncer::{PgBouncer, PgBouncerSettings};

/// How long the server may take to accept connections: 0.1 s on an idle machine.
const READY_TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const START_ATTEMPTS: u32 = 3;

/// Settings of a temporary server.
#[derive(Clone, Debug, Default)]
pub struct PostgresSettings {
    /// Whether commits wait for the disk as in production. Otherwise `fsync`, `synchronous_commit` and `full_page_writes` are
    /// off, which suits tests but not benchmarks of writes.
    pub durable: bool,
    /// Further settings of `postgresql.conf`, name and value. They override the defaults.
    pub extra: Vec<(String, String)>,
}

/// A PostgreSQL server in which databases can be created. A temporary server and its folder are removed when this is
/// dropped, and also however this process ends. An external server is left running.
#[derive(Debug)]
pub struct Postgres {
    owned: Option<OwnedServer>,
    url: Url,
}

/// A temporary server.
#[derive(Debug)]
struct OwnedServer {
    group: Mutex<ProcessGroup>,
    command: ServerCommand,
}

impl OwnedServer {
    fn group(&self) -> MutexGuard<'_, ProcessGroup> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Postgres {
    /// The server at `$DATABASE_URL`, or a new one that does not wait for the disk.
    ///
    /// # Errors
    /// [`Error::Missing`] when PostgreSQL is not installed and cannot be; [`Error::Ended`] or [`Error::NotReady`] when it does
    /// not become ready; [`Error::Database`] when the external server refuses the connection.
    pub async fn start() -> Result<Self> {
        match environment::variable("DATABASE_URL") {
            Some(url) => Self::external(&url).await,
            None => Self::start_with(&PostgresSettings::default()).await,
        }
    }

    /// A new server with these settings, even when `$DATABASE_URL` is set.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_with(settings: &PostgresSettings) -> Result<Self> {
        let programs = install::server().await?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&programs, settings).await {
                Err(Error::Ended { tail, .. })
                    if attempt < START_ATTEMPTS && tail.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// The server that all tests of a process share. The first caller starts it; it is removed with the process.
    ///
    /// # Errors
    /// As [`Postgres::start`]. The next caller retries.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn external(text: &str) -> Result<Self> {
        let url = Url::parse(text)
            .map_err(|error| Error::Missing(format!("DATABASE_URL is not a URL: {error}")))?;
        let external = Self { owned: None, url };
        external.connect(&external.url).await?.close().await?;
        Ok(external)
    }

    async fn start_once(programs: &Path, settings: &PostgresSettings) -> Result<Self> {
        let mut group = ProcessGroup::new()?;
        let user = drop_root(&group)?;
        let password = random_hex();
        commands::init_data_folder(&group, programs, user, &password).await?;
        let [port] = free_ports()?;
        let command = commands::server(programs, group.folder(), user, port, settings);
        group.start(command.clone())?;
        let url = format!(
            "postgres://{}:{password}@127.0.0.1:{port}/postgres",
            commands::SUPERUSER
        );
        let url = Url::parse(&url).map_err(|error| Error::Missing(error.to_string()))?;
        let group = Mutex::new(group);
        let owned = Some(OwnedServer { group, command });
        let started = Self { owned, url };
        started.wait_until_ready().await?;
        Ok(started)
    }

    /// Waits until the server accepts connections.
    async fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        while self.connect(&self.url).await.is_err() {
            self.check_running()?;
            if let Some(owned) = self.owned.as_ref().filter(|_| Instant::now() > deadline) {
                let (seconds, tails) = (READY_TIMEOUT.as_secs(), owned.group().log_tails());
                return Err(Error::NotReady {
                    what: "postgres",
                    seconds,
                    tails,
                });
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Crashes a temporary server: an immediate shutdown without a checkpoint. Its data stays.
    ///
    /// # Errors
    /// [`Error::Missing`] for an external server.
    pub fn crash(&self) -> Result<()> {
        let owned = self.owned_server()?;
        owned.group().stop(owned.command.name, owned.command.stop_signal)
    }

    /// Restarts a crashed server at the same address and waits until it accepts connections.
    ///
    /// # Errors
    /// As [`Postgres::start`], and as [`Postgres::crash`].
    pub async fn restart(&self) -> Result<()> {
        let owned = self.owned_server()?;
        owned.group().start(owned.command.clone())?;
        self.wait_until_ready().await
    }

    /// Like [`Postgres::restart`], as a read-only hot standby until `SELECT pg_promote()`.
    ///
    /// # Errors
    /// As [`Postgres::restart`].
    pub async fn restart_as_standby(&self) -> Result<()> {
        self.owned_server()?
            .group()
            .write_file("data/standby.signal", "")?;
        self.restart().await
    }

    fn owned_server(&self) -> Result<&OwnedServer> {
        let not_owned = || {
            Error::Missing(
                "the server at DATABASE_URL cannot be stopped from here: unset DATABASE_URL".into(),
            )
        };
        self.owned.as_ref().ok_or_else(not_owned)
    }

    /// The URL of the server's own database, with a superuser's name and password. `max_connections` is 300.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Creates an empty database and returns its URL. A random suffix makes the name unique. The database exists until
    /// [`Postgres::drop_database`] or the end of the server.
    ///
    /// # Errors
    /// [`Error::Database`] when the server refuses.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        let unique = format!("{}_{}", name.get(..50).unwrap_or(name), &random_hex()[..8]);
        self.execute(format!("CREATE DATABASE {}", quote_identifier(&unique)))
            .await?;
        let mut url = self.url.clone();
        url.set_path(&unique);
        Ok(url.into())
    }

    /// Drops a database that [`Postgres::create_database`] created, and terminates its connections.
    ///
    /// # Errors
    /// [`Error::Database`] when the server refuses.
    pub async fn drop_database(&self, url: &str) -> Result<()> {
        let options = PgConnectOptions::from_str(url)?;
        let name = options.get_database().unwrap_or_default();
        self.execute(format!(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            quote_identifier(name)
        ))
        .await
    }

    /// Installs PostGIS with apt if necessary, so that `CREATE EXTENSION postgis` works in any database of this server.
    ///
    /// # Errors
    /// [`Error::Missing`] when PostGIS is missing and cannot be installed from here.
    pub async fn install_postgis(&self) -> Result<()> {
        if self.has_postgis().await? {
            return Ok(());
        }
        if self.owned.is_none() {
            return Err(Error::Missing(
                "the server at DATABASE_URL has no PostGIS: install it there, or unset DATABASE_URL".into(),
            ));
        }
        install::postgis().await?;
        if self.has_postgis().await? {
            return Ok(());
        }
        Err(Error::Missing(
            "apt installed PostGIS, but not for the PostgreSQL version that devenv uses".into(),
        ))
    }

    /// Checks that a temporary server is running.
    ///
    /// # Errors
    /// [`Error::Ended`] when it has exited.
    pub fn check_running(&self) -> Result<()> {
        self.owned
            .as_ref()
            .map_or(Ok(()), |owned| owned.group().check_running())
    }

    async fn has_postgis(&self) -> Result<bool> {
        let mut connection = self.connect(&self.url).await?;
        let found =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgis')");
        let found = found.fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(found)
    }

    async fn execute(&self, statement: String) -> Result<()> {
        let mut connection = self.connect(&self.url).await?;
        connection.execute(AssertSqlSafe(statement)).await?;
        Ok(connection.close().await?)
    }

    async fn connect(&self, url: &Url) -> Result<PgConnection> {
        Ok(PgConnectOptions::from_str(url.as_str())?
            .disable_statement_logging()
            .connect()
            .await?)
    }
}

/// PostgreSQL and PgBouncer refuse to run as root: in that case, gives the folder to an unprivileged user to run them as.
fn drop_root(group: &ProcessGroup) -> Result<Option<User>> {
    if group.current_uid()? != 0 {
        return Ok(None);
    }
    let user = commands::unprivileged_user()?;
    group.chown_folder(user)?;
    Ok(Some(user))
}

/// Quotes an SQL identifier.
fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
