//! PostgreSQL and PgBouncer with TLS, and their certificates.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use devenv::{PgBouncer, PgBouncerSettings, Postgres, PostgresSettings};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// The role of `migrations/roles/operator.sql`.
pub const OPERATOR_ROLE: &str = "tarana_operator_role";
pub const OPERATOR_PASSWORD: &str = "p";

pub struct Servers {
    pub postgres: Postgres,
    /// Forwards the client's password to the server.
    pub pgbouncer: PgBouncer,
    /// The authority of both certificates.
    pub authority: Vec<u8>,
}

impl Servers {
    /// With PostGIS.
    pub async fn start() -> Self {
        let certificates = Certificates::new();
        let file = |name: &str, pem: &[u8]| {
            let path = std::env::temp_dir().join(format!("{}-{name}", unique()));
            std::fs::write(&path, pem).unwrap();
            let mode = "chmod 0600 \"$0\" && { [ \"$(id -u)\" != 0 ] || chown postgres \"$0\"; }";
            assert!(
                Command::new("sh")
                    .args(["-ec", mode])
                    .arg(&path)
                    .status()
                    .unwrap()
                    .success()
            );
            path.display().to_string()
        };
        let (certificate, key) = (file("crt", &certificates.server), file("key", &certificates.key));
        let extra = [
            ("ssl", "on"),
            ("ssl_cert_file", &certificate),
            ("ssl_key_file", &key),
        ];
        let settings = PostgresSettings {
            extra: extra
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            ..PostgresSettings::default()
        };
        let postgres = Postgres::start_with(&settings).await.unwrap();
        for file in [certificate, key] {
            std::fs::remove_file(file).unwrap();
        }
        postgres.install_postgis().await.unwrap();
        Self::with_pgbouncer(postgres, certificates, vec![]).await
    }

    /// Starts a PgBouncer with these settings in front of a server, which need not support TLS.
    pub async fn with_pgbouncer(
        postgres: Postgres,
        certificates: Certificates,
        extra: Vec<(String, String)>,
    ) -> Self {
        let role = format!("CREATE ROLE {OPERATOR_ROLE} LOGIN PASSWORD '{OPERATOR_PASSWORD}'");
        sqlx::raw_sql(AssertSqlSafe(role))
            .execute(&mut PgConnection::connect(postgres.url()).await.unwrap())
            .await
            .unwrap();
        let settings = PgBouncerSettings {
            users: vec![(OPERATOR_ROLE.into(), OPERATOR_PASSWORD.into())],
            certificate: Some((certificates.server, certificates.key)),
            extra,
        };
        let pgbouncer = PgBouncer::start(postgres.url(), &settings).await.unwrap();
        Self {
            postgres,
            pgbouncer,
            authority: certificates.authority,
        }
    }
}

/// Certificates for 127.0.0.1 of a new authority, all PEM.
pub struct Certificates {
    pub authority: Vec<u8>,
    pub server: Vec<u8>,
    /// Expired yesterday.
    pub expired: Vec<u8>,
    /// Valid from tomorrow.
    pub early: Vec<u8>,
    /// The key of all certificates.
    pub key: Vec<u8>,
}

impl Certificates {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(unique());
        std::fs::create_dir(&folder).unwrap();
        let script = "
            new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
            openssl req -x509 $new -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
            openssl req $new -subj /CN=server -keyout server.key -out server.csr
            printf '[ca]\\ndefault_ca=a\\n[a]\\ndatabase=index\\nnew_certs_dir=.\\nserial=serial\\ndefault_md=sha256\\nunique_subject=no\\npolicy=p\\n[p]\\ncommonName=supplied\\n' > ca.cnf
            printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE' > server.ext
            touch index; echo 01 > serial
            sign() { openssl ca -batch -notext -config ca.cnf -cert ca.crt -keyfile ca.key -in server.csr \\
                -extfile server.ext -startdate $(date -ud \"$1\" +%Y%m%d%H%M%SZ) -enddate $(date -ud \"$2\" +%Y%m%d%H%M%SZ) -out $3; }
            sign -1day +1day server.crt
            sign -2day -1day expired.crt
            sign +1day +2day early.crt";
        let done = Command::new("sh")
            .args(["-ec", script])
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let certificates = Self {
            authority: read("ca.crt"),
            server: read("server.crt"),
            expired: read("expired.crt"),
            early: read("early.crt"),
            key: read("server.key"),
        };
        std::fs::remove_dir_all(&folder).unwrap();
        certificates
    }
}

/// A unique file name.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("tarana-tls-{}-{next}", std::process::id())
}
