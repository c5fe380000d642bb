//! PgBouncer in transaction mode before a PostgreSQL server.

use std::fmt::Write as _;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{PATIENCE, POLL, install, unprivileged};
use crate::error::{Error, Result};
use crate::household::{Household, Launch, free_ports};
use crate::keeper::{Farewell, User};

/// How a PgBouncer is run.
#[derive(Clone, Debug, Default)]
pub struct PoolerSettings {
    /// Roles and passwords that it lets in, beside those of the server's address.
    pub users: Vec<(String, String)>,
    /// Certificate and key, PEM, that it shows to clients who ask for TLS.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
    /// More settings as in `pgbouncer.ini`, name and value, which win over ours.
    pub extra: Vec<(String, String)>,
}

/// A PgBouncer that carries every database of one server. It ends, and its folder goes, when this is dropped or the
/// process ends in whatever way.
#[derive(Debug)]
pub struct PgBouncer {
    household: Mutex<Household>,
    launch: Launch,
    place: String,
}

impl PgBouncer {
    /// Starts one before the server at this address, with whose name and password it looks up roles that it was not
    /// told of: of those it believes that their password is `p`.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is neither here nor to be installed; [`Error::Ended`] or [`Error::NotReady`] when it
    /// does not come up.
    pub async fn start(server: &str, settings: &PoolerSettings) -> Result<Self> {
        let program = install::pgbouncer().await?;
        let household = Household::new()?;
        // It does not run as root either.
        let user = unprivileged(&household)?;
        let [port] = free_ports()?;
        let server = Url::parse(server).map_err(|error| Error::Missing(error.to_string()))?;
        let file = configure(&household, user, &server, port, settings)?;
        let launch = Launch {
            name: "pgbouncer",
            program,
            args: vec![file.display().to_string()],
            user,
            farewell: Farewell::Kill,
        };
        let started = Self {
            household: Mutex::new(household),
            launch,
            place: format!("127.0.0.1:{port}"),
        };
        started.resume().await?;
        Ok(started)
    }

    /// Where it listens, `host:port`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Ends it without a word to its clients and servers.
    ///
    /// # Errors
    /// [`Error::Io`] when the system does not let us.
    pub fn crash(&self) -> Result<()> {
        self.household().stop(self.launch.name, self.launch.farewell)
    }

    /// Starts it again at the same address and waits until it takes connections.
    ///
    /// # Errors
    /// As [`PgBouncer::start`].
    pub async fn resume(&self) -> Result<()> {
        self.household().start(self.launch.clone())?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(&self.place).await.is_err() {
            self.household().check()?;
            if Instant::now() > deadline {
                let (seconds, tails) = (PATIENCE.as_secs(), self.household().tails());
                return Err(Error::NotReady {
                    what: "pgbouncer",
                    seconds,
                    tails,
                });
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    fn household(&self) -> MutexGuard<'_, Household> {
        self.household.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes its files and returns the one that names the others.
fn configure(
    household: &Household,
    user: Option<User>,
    server: &Url,
    port: u16,
    settings: &PoolerSettings,
) -> Result<PathBuf> {
    let write = |name: &str, text: &str| {
        let path = household.write(name, text)?;
        if let Some(User { uid, gid }) = user {
            chown(&path, Some(uid), Some(gid)).map_err(Error::io(format!("hand over {name}")))?;
        }
        Ok::<_, Error>(path)
    };
    let (name, password) = (server.username(), server.password().unwrap_or_default());
    let mut users = format!("\"{name}\" \"{password}\"\n");
    for (name, password) in &settings.users {
        let _ = writeln!(users, "\"{name}\" \"{password}\"");
    }
    let users = write("users", &users)?;
    let mut text = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = plain\nauth_file = {}\nauth_user = {name}\nauth_query = SELECT $1::text, 'p'::text\n\
         pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 500\nserver_idle_timeout = 5\n",
        server.port().unwrap_or(5432),
        users.display(),
    );
    if let Some((certificate, key)) = &settings.certificate {
        for (setting, pem) in [
            ("client_tls_cert_file", certificate),
            ("client_tls_key_file", key),
        ] {
            let path = write(setting, &String::from_utf8_lossy(pem))?;
            let _ = writeln!(text, "{setting} = {}", path.display());
        }
        text.push_str("client_tls_sslmode = allow\n");
    }
    for (name, value) in &settings.extra {
        let _ = writeln!(text, "{name} = {value}");
    }
    write("pgbouncer.ini", &text)
}
