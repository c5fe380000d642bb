//! PgBouncer in transaction mode in front of a PostgreSQL server.

use std::fmt::Write as _;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{POLL_INTERVAL, READY_TIMEOUT, drop_root, install};
use crate::error::{Error, Result};
use crate::ports::free_ports;
use crate::process_group::{ProcessGroup, ServerCommand};
use crate::spawner::{StopSignal, User};

/// Settings of a PgBouncer.
#[derive(Clone, Debug, Default)]
pub struct PgBouncerSettings {
    /// Users and passwords that may log in, besides those of the server's URL.
    pub users: Vec<(String, String)>,
    /// The certificate and key, PEM, for clients that request TLS.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
    /// Further settings of `pgbouncer.ini`, name and value. They override the defaults.
    pub extra: Vec<(String, String)>,
}

/// A PgBouncer for all databases of one server. Process and folder are removed when this is dropped, and also however this
/// process ends.
#[derive(Debug)]
pub struct PgBouncer {
    group: Mutex<ProcessGroup>,
    command: ServerCommand,
    address: String,
}

impl PgBouncer {
    /// Starts a PgBouncer in front of the server at this URL. With the URL's user it looks up roles that `settings` does not
    /// list, and assumes the password `p` for them.
    ///
    /// # Errors
    /// [`Error::Missing`] when PgBouncer is not installed and cannot be; [`Error::Ended`] or [`Error::NotReady`] when it does not
    /// become ready.
    pub async fn start(server: &str, settings: &PgBouncerSettings) -> Result<Self> {
        let program = install::pgbouncer().await?;
        let group = ProcessGroup::new()?;
        // PgBouncer refuses to run as root, too.
        let user = drop_root(&group)?;
        let [port] = free_ports()?;
        let server = Url::parse(server).map_err(|error| Error::Missing(error.to_string()))?;
        let file = write_config(&group, user, &server, port, settings)?;
        let command = ServerCommand {
            name: "pgbouncer",
            program,
            args: vec![file.display().to_string()],
            user,
            stop_signal: StopSignal::Kill,
        };
        let started = Self {
            group: Mutex::new(group),
            command,
            address: format!("127.0.0.1:{port}"),
        };
        started.restart().await?;
        Ok(started)
    }

    /// The address it listens on, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Kills it without closing its connections properly.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be signalled.
    pub fn crash(&self) -> Result<()> {
        self.group().stop(self.command.name, self.command.stop_signal)
    }

    /// Restarts it at the same address and waits until it accepts connections.
    ///
    /// # Errors
    /// As [`PgBouncer::start`].
    pub async fn restart(&self) -> Result<()> {
        self.group().start(self.command.clone())?;
        let deadline = Instant::now() + READY_TIMEOUT;
        while TcpStream::connect(&self.address).await.is_err() {
            self.group().check_running()?;
            if Instant::now() > deadline {
                let (seconds, tails) = (READY_TIMEOUT.as_secs(), self.group().log_tails());
                return Err(Error::NotReady {
                    what: "pgbouncer",
                    seconds,
                    tails,
                });
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    fn group(&self) -> MutexGuard<'_, ProcessGroup> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the configuration files and returns the path of `pgbouncer.ini`.
fn write_config(
    group: &ProcessGroup,
    user: Option<User>,
    server: &Url,
    port: u16,
    settings: &PgBouncerSettings,
) -> Result<PathBuf> {
    let write = |name: &str, text: &str| {
        let path = group.write_file(name, text)?;
        if let Some(User { uid, gid }) = user {
            chown(&path, Some(uid), Some(gid)).map_err(Error::io(format!("chown {name}")))?;
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
