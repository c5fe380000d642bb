//! TLS with `caKey`: the server must present a valid certificate of that authority for the host in the URL.

use devenv::{PgBouncer, PgBouncerSettings};
use tarana_operator::fault::{Fault, Reason};
use tarana_operator::store::{Config, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::store_servers::Certificates;
use crate::store_support::{AccessMode, Database, tests_with_mode};

/// Asserts a permanent fault that names the key and the remedy and contains no secret.
async fn assert_rejected(config: Config, remedy: &str) -> Fault {
    let fault = Store::new(&config).unwrap().verify().await.unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseTlsFailed, "{fault}");
    assert!(fault.is_permanent());
    assert!(fault.message.contains("spec.database.secretRef.caKey"), "{fault}");
    assert!(fault.message.contains(remedy), "{fault}");
    assert!(!fault.message.contains("hunter2"), "{fault}");
    fault
}

// Of PostgreSQL, and of PgBouncer.
tests_with_mode!(tls, Tls, only_a_valid_certificate_of_the_authority_is_accepted);
tests_with_mode!(
    least_privilege,
    LeastPrivilege,
    only_a_valid_certificate_of_the_authority_is_accepted
);

async fn only_a_valid_certificate_of_the_authority_is_accepted(mode: AccessMode) {
    let database = Database::new(mode).await;
    database.store().await;
    let mut config = database.config();
    // `sslmode` in the URL does not weaken it.
    config.url.push_str("?sslmode=disable");
    Store::new(&config).unwrap().verify().await.unwrap();

    let mut elsewhere = config.clone();
    elsewhere.url = config.url.replace("127.0.0.1", "localhost");
    assert_rejected(elsewhere, "spec.database.secretRef.urlKey").await;

    let other = Certificates::new();
    let unknown = Config {
        ca_pem: Some(other.authority.clone()),
        ..config
    };
    assert_rejected(unknown, "authority").await;

    for (certificate, remedy) in [(&other.expired, "renew"), (&other.early, "clock")] {
        let settings = PgBouncerSettings {
            certificate: Some((certificate.clone(), other.key.clone())),
            ..PgBouncerSettings::default()
        };
        let server = PgBouncer::start(&database.url, &settings).await.unwrap();
        let at_another_time = Config {
            url: format!(
                "postgres://hunter2:hunter2@{}/{}",
                server.address(),
                database.address_and_name().1
            ),
            ca_pem: Some(other.authority.clone()),
            ..database.config()
        };
        assert_rejected(at_another_time, remedy).await;
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_without_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config {
        url: format!("postgres://hunter2:hunter2@{}/d", listener.local_addr().unwrap()),
        ca_pem: Some(Certificates::new().authority),
        schema: "public".into(),
        migrate: true,
    };
    // It refuses TLS, as PostgreSQL does, and records all further bytes.
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 8];
        socket.read_exact(&mut request).await.unwrap();
        socket.write_all(b"N").await.unwrap();
        let mut more = Vec::new();
        socket.read_to_end(&mut more).await.unwrap();
        (request, more)
    };
    let ((request, more), _) = tokio::join!(server, assert_rejected(config, "turn TLS on"));
    assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47], "an SSLRequest");
    assert!(more.is_empty(), "{more:?}");
}

#[tokio::test]
async fn an_invalid_authority_names_its_key() {
    let config = Config {
        url: "postgres://hunter2:hunter2@127.0.0.1/d".into(),
        ca_pem: Some(b"rubbish".to_vec()),
        schema: "public".into(),
        migrate: true,
    };
    let fault = Store::new(&config).unwrap_err();
    assert_eq!(fault.reason, Reason::InvalidConfiguration, "{fault}");
    assert!(fault.message.contains("spec.database.secretRef.caKey"), "{fault}");
}
