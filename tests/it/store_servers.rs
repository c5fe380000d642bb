//! A PostgreSQL that speaks TLS, with a PgBouncer in front of it that does so too, and the certificates for both.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use devenv::{Postgres, Settings};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// The role of an operator that only runs.
pub const LEAST: &str = "tarana_least";
pub const LEAST_PASSWORD: &str = "p";

pub struct Servers {
    pub postgres: Postgres,
    /// Where PgBouncer listens, `host:port`. It logs in with the password that it was given.
    pub pgbouncer: String,
    /// Who signed the certificate of both.
    pub authority: Vec<u8>,
}

impl Servers {
    pub async fn start() -> Self {
        let folder = certificates();
        let file = |name: &str| folder.join(name).display().to_string();
        let extra = [
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", file("server.crt")),
            ("ssl_key_file", file("server.key")),
        ];
        let extra = extra.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let settings = Settings {
            extra,
            ..Settings::default()
        };
        let postgres = Postgres::start_with(&settings).await.unwrap();
        postgres.install_postgis().await.unwrap();
        let role = format!("CREATE ROLE {LEAST} LOGIN PASSWORD '{LEAST_PASSWORD}'");
        sqlx::raw_sql(AssertSqlSafe(role))
            .execute(&mut PgConnection::connect(postgres.url()).await.unwrap())
            .await
            .unwrap();
        let pgbouncer = pgbouncer(&folder, postgres.url(), "server.crt", "allow").await;
        let authority = std::fs::read(folder.join("ca.crt")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        Self {
            postgres,
            pgbouncer,
            authority,
        }
    }
}

/// A new folder with an authority `ca.crt` and what it signed for 127.0.0.1: `server.crt`, and `expired.crt`.
pub fn certificates() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "tarana-tls-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -keyout server.key -out server.csr
        printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE' > server.ext
        sign() { openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days $1 -extfile server.ext -out $2; }
        sign 2 server.crt
        sign -1 expired.crt
        chmod 0600 server.key && { [ \"$(id -u)\" != 0 ] || chown -R postgres . ; }";
    let done = Command::new("sh")
        .args(["-ec", script])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    folder
}

/// In transaction mode before this server, two of its connections for each database and role. It shows this certificate
/// of the folder; `tls` is its `client_tls_sslmode`. Every other role
/// has the password `p`. Ends with the process.
pub async fn pgbouncer(folder: &Path, postgres: &str, certificate: &str, tls: &str) -> String {
    let program = devenv::pgbouncer().await.unwrap();
    let listen = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (login, place) = postgres.split_once("://").unwrap().1.split_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let port = place.split(['/', ':']).nth(1).unwrap();
    let path = folder.display();
    let users = format!("\"{user}\" \"{password}\"\n\"{LEAST}\" \"{LEAST_PASSWORD}\"\n");
    std::fs::write(folder.join("users"), users).unwrap();
    let settings = format!(
        "[databases]\n* = host=127.0.0.1 port={port}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {listen}\nunix_socket_dir =\n\
         auth_type = plain\nauth_file = {path}/users\nauth_user = {user}\nauth_query = SELECT $1::text, 'p'::text\n\
         client_tls_sslmode = {tls}\nclient_tls_cert_file = {path}/{certificate}\nclient_tls_key_file = {path}/server.key\n\
         pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 500\nserver_idle_timeout = 5\n"
    );
    let file = folder.join(format!("{listen}.ini"));
    std::fs::write(&file, settings).unwrap();
    // PgBouncer does not run as root.
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let other: &[&str] = if root {
        &["--reuid=postgres", "--regid=postgres", "--init-groups"]
    } else {
        &[]
    };
    let mut command = Command::new("setpriv");
    command
        .args(other)
        .arg("--pdeathsig=KILL")
        .arg(program)
        .arg("-q")
        .arg(&file);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // It is killed with the thread that starts it, and a test's own thread ends with the test.
    std::thread::spawn(move || command.spawn().unwrap().wait());
    while std::net::TcpStream::connect(("127.0.0.1", listen)).is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    format!("127.0.0.1:{listen}")
}
