//! TLS with `caKey`: the server must show a certificate of that authority, for the host in the URL, that is valid now.

use devenv::{PgBouncer, PoolerSettings};
use tarana_operator::fault::{Fault, Reason};
use tarana_operator::store::{Config, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::store_servers::Certificates;
use crate::store_support::{Database, Way, way};

/// Refused, by a fault that names the key and the remedy and holds no secret. Transient faults would be tried for ever.
async fn refused(config: Config, remedy: &str) -> Fault {
    let fault = Store::new(&config).unwrap().verify().await.unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseTlsFailed, "{fault}");
    assert!(fault.is_permanent());
    assert!(fault.message.contains("spec.database.secretRef.caKey"), "{fault}");
    assert!(fault.message.contains(remedy), "{fault}");
    assert!(!fault.message.contains("hunter2"), "{fault}");
    fault
}

// PostgreSQL itself, and PgBouncer before it.
way!(tls, Tls, only_the_right_authority_host_and_time_will_do);
way!(least, Least, only_the_right_authority_host_and_time_will_do);

async fn only_the_right_authority_host_and_time_will_do(way: Way) {
    let database = Database::new(way).await;
    database.store().await;
    let mut config = database.config();
    // What the URL says about TLS does not weaken it.
    config.url.push_str("?sslmode=disable");
    Store::new(&config).unwrap().verify().await.unwrap();

    let mut elsewhere = config.clone();
    elsewhere.url = config.url.replace("127.0.0.1", "localhost");
    refused(elsewhere, "spec.database.secretRef.urlKey").await;

    let other = Certificates::new();
    let unknown = Config {
        ca_pem: Some(other.authority.clone()),
        ..config
    };
    refused(unknown, "authority").await;

    for (certificate, remedy) in [(&other.expired, "renew"), (&other.early, "clock")] {
        let settings = PoolerSettings {
            certificate: Some((certificate.clone(), other.key.clone())),
            ..PoolerSettings::default()
        };
        let server = PgBouncer::start(&database.url, &settings).await.unwrap();
        let at_another_time = Config {
            url: format!(
                "postgres://hunter2:hunter2@{}/{}",
                server.place(),
                database.place().1
            ),
            ca_pem: Some(other.authority.clone()),
            ..database.config()
        };
        refused(at_another_time, remedy).await;
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config {
        url: format!("postgres://hunter2:hunter2@{}/d", listener.local_addr().unwrap()),
        ca_pem: Some(Certificates::new().authority),
        schema: "public".into(),
        migrate: true,
    };
    // Asked for TLS, it says no, as PostgreSQL does, and notes whatever else it hears.
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut heard = [0; 8];
        socket.read_exact(&mut heard).await.unwrap();
        socket.write_all(b"N").await.unwrap();
        let mut more = Vec::new();
        socket.read_to_end(&mut more).await.unwrap();
        (heard, more)
    };
    let ((heard, more), _) = tokio::join!(server, refused(config, "turn TLS on"));
    assert_eq!(heard, [0, 0, 0, 8, 4, 210, 22, 47], "an SSLRequest");
    assert!(more.is_empty(), "{more:?}");
}

#[tokio::test]
async fn an_authority_that_is_none_is_named_by_its_key() {
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
