//! A PostgreSQL server: the one that `$DATABASE_URL` names, or one of our own that is thrown away.

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
use crate::household::{Household, Launch, free_ports, random};
use crate::keeper::User;

mod install;
mod launch;
mod pooler;

pub use pooler::{PgBouncer, PoolerSettings};

/// How long the server may take to accept connections. It needs a tenth of a second on a calm machine.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(10);
const PORT_ATTEMPTS: u32 = 3;

/// How a server of our own is run.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Writes to disk as in production. Without it the server never waits for the disk (`fsync`,
    /// `synchronous_commit` and
    /// `full_page_writes` are off), which is right for tests and wrong for whoever measures writing.
    pub durable: bool,
    /// More settings as in `postgresql.conf`, name and value, which win over ours.
    pub extra: Vec<(String, String)>,
}

/// A PostgreSQL server in which databases can be made. A server of our own ends, and its folder goes, when
/// this is dropped or the process ends in whatever way; a server that was given is left as it is.
#[derive(Debug)]
pub struct Postgres {
    own: Option<Own>,
    url: Url,
}

/// A server of our own.
#[derive(Debug)]
struct Own {
    household: Mutex<Household>,
    launch: Launch,
}

impl Own {
    fn household(&self) -> MutexGuard<'_, Household> {
        self.household.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Postgres {
    /// The server at `$DATABASE_URL`, or else a new one that does not wait for the disk.
    ///
    /// # Errors
    /// [`Error::Missing`] when PostgreSQL is neither here nor to be installed; [`Error::Ended`] or
    /// [`Error::NotReady`] when it does not come up; [`Error::Database`] when the given server refuses.
    pub async fn start() -> Result<Self> {
        match environment::variable("DATABASE_URL") {
            Some(url) => Self::given(&url).await,
            None => Self::start_with(&Settings::default()).await,
        }
    }

    /// A new server with these settings, whatever `$DATABASE_URL` says.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_with(settings: &Settings) -> Result<Self> {
        let programs = install::server().await?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&programs, settings).await {
                Err(Error::Ended { tail, .. })
                    if attempt < PORT_ATTEMPTS && tail.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// The server that all tests of a process share, as [`Postgres::start`] gives it; ended with the process.
    ///
    /// # Errors
    /// As [`Postgres::start`]; the next caller tries again.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn given(text: &str) -> Result<Self> {
        let url =
            Url::parse(text).map_err(|error| Error::Missing(format!("DATABASE_URL is no URL: {error}")))?;
        let given = Self { own: None, url };
        given.connect(&given.url).await?.close().await?;
        Ok(given)
    }

    async fn start_once(programs: &Path, settings: &Settings) -> Result<Self> {
        let mut household = Household::new()?;
        let user = unprivileged(&household)?;
        let password = random();
        launch::initialise(&household, programs, user, &password).await?;
        let [port] = free_ports()?;
        let launch = launch::server(programs, household.folder(), user, port, settings);
        household.start(launch.clone())?;
        let text = format!(
            "postgres://{}:{password}@127.0.0.1:{port}/postgres",
            launch::SUPERUSER
        );
        let url = Url::parse(&text).map_err(|error| Error::Missing(error.to_string()))?;
        let household = Mutex::new(household);
        let own = Some(Own { household, launch });
        let started = Self { own, url };
        started.answers().await?;
        Ok(started)
    }

    /// Waits until the server of our own takes connections.
    async fn answers(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.connect(&self.url).await.is_err() {
            self.check()?;
            if let Some(own) = self.own.as_ref().filter(|_| Instant::now() > deadline) {
                let (seconds, tails) = (PATIENCE.as_secs(), own.household().tails());
                return Err(Error::NotReady {
                    what: "postgres",
                    seconds,
                    tails,
                });
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Ends a server of our own as a crash would (immediate shutdown: no goodbye, no checkpoint). Its data stays.
    ///
    /// # Errors
    /// [`Error::Missing`] for a server that was given.
    pub fn crash(&self) -> Result<()> {
        let own = self.ours()?;
        own.household().stop(own.launch.name, own.launch.farewell)
    }

    /// Starts it again at the same address and waits until it takes connections.
    ///
    /// # Errors
    /// As [`Postgres::start`], and as [`Postgres::crash`].
    pub async fn resume(&self) -> Result<()> {
        let own = self.ours()?;
        own.household().start(own.launch.clone())?;
        self.answers().await
    }

    /// The same, as a hot standby, which lets people read only, until `SELECT pg_promote()`.
    ///
    /// # Errors
    /// As [`Postgres::resume`].
    pub async fn resume_as_standby(&self) -> Result<()> {
        self.ours()?.household().write("data/standby.signal", "")?;
        self.resume().await
    }

    fn ours(&self) -> Result<&Own> {
        let given = || Error::Missing("the server at DATABASE_URL is not ours to stop".into());
        self.own.as_ref().ok_or_else(given)
    }

    /// The address of the server's own database, with a superuser's name and password. Connections: 300.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Makes an empty database for one test or program and returns its address. Its name is the given one
    /// with a random ending, so that nobody meets another's data. It stays until the server goes, or
    /// [`Postgres::drop_database`].
    ///
    /// # Errors
    /// [`Error::Database`] when the server refuses.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        let unique = format!("{}_{}", name.get(..50).unwrap_or(name), &random()[..8]);
        self.execute(format!("CREATE DATABASE {}", quoted(&unique)))
            .await?;
        let mut url = self.url.clone();
        url.set_path(&unique);
        Ok(url.into())
    }

    /// Removes a database that [`Postgres::create_database`] made, with whoever is connected to it.
    ///
    /// # Errors
    /// [`Error::Database`] when the server refuses.
    pub async fn drop_database(&self, url: &str) -> Result<()> {
        let options = PgConnectOptions::from_str(url)?;
        let name = options.get_database().unwrap_or_default();
        self.execute(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name)))
            .await
    }

    /// Makes PostGIS available, so that `CREATE EXTENSION postgis` works in any database of this server;
    /// installed by apt when missing.
    ///
    /// # Errors
    /// [`Error::Missing`] when the server has no PostGIS and it cannot be installed from here.
    pub async fn install_postgis(&self) -> Result<()> {
        if self.has_postgis().await? {
            return Ok(());
        }
        if self.own.is_none() {
            return Err(Error::Missing(
                "the server at DATABASE_URL has no PostGIS: install it there, or unset DATABASE_URL".into(),
            ));
        }
        install::postgis().await?;
        if self.has_postgis().await? {
            return Ok(());
        }
        Err(Error::Missing(
            "PostGIS is installed, but not for the PostgreSQL that was found first".into(),
        ))
    }

    /// Sees that a server of our own still runs.
    ///
    /// # Errors
    /// [`Error::Ended`] when it does not.
    pub fn check(&self) -> Result<()> {
        self.own.as_ref().map_or(Ok(()), |own| own.household().check())
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

/// PostgreSQL refuses to run as root: then an unprivileged user gets the folder and runs the server.
fn unprivileged(household: &Household) -> Result<Option<User>> {
    if household.own_uid()? != 0 {
        return Ok(None);
    }
    let user = launch::unprivileged_user()?;
    household.hand_to(user)?;
    Ok(Some(user))
}

/// An SQL identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
