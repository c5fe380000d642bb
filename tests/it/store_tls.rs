//! TLS with `caKey`: the server must show a certificate of that authority, for the host in the URL, that is valid now.

use tarana_operator::fault::{Fault, Reason};
use tarana_operator::store::{Config, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::store_servers::{certificates, pgbouncer};
use crate::store_support::{Database, Way};

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

#[tokio::test]
async fn only_the_right_authority_host_and_time_will_do() {
    let database = Database::new(Way::Tls).await;
    let mut config = database.config();
    // What the URL says about TLS does not weaken it.
    config.url.push_str("?sslmode=disable");
    Store::new(&config).unwrap().verify().await.unwrap();

    let mut elsewhere = config.clone();
    elsewhere.url = config.url.replace("127.0.0.1", "localhost");
    refused(elsewhere, "spec.database.secretRef.urlKey").await;

    let folder = certificates();
    let other = std::fs::read(folder.join("ca.crt")).unwrap();
    let unknown = Config {
        ca_pem: Some(other.clone()),
        ..config
    };
    refused(unknown, "authority").await;

    let server = pgbouncer(&folder, &database.url, "expired.crt", "require").await;
    let expired = Config {
        url: format!("postgres://hunter2:hunter2@{server}/{}", database.place().1),
        ca_pem: Some(other),
        ..database.config()
    };
    std::fs::remove_dir_all(&folder).unwrap();
    refused(expired, "renew").await;
}

#[tokio::test]
async fn a_server_without_tls_is_told_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = certificates();
    let config = Config {
        url: format!(
            "postgres://hunter2:hunter2@{}/hunter2",
            listener.local_addr().unwrap()
        ),
        ca_pem: Some(std::fs::read(folder.join("ca.crt")).unwrap()),
        schema: "public".into(),
        migrate: true,
    };
    std::fs::remove_dir_all(&folder).unwrap();
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
