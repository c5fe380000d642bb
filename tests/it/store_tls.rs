//! TLS with `caKey`: the server must present a valid certificate of that authority for the host in the URL. A bundle that
//! cannot be used is reported without its content.

use devenv::{PgBouncer, PgBouncerSettings};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tarana_operator::fault::{Fault, Reason};
use tarana_operator::store::{Config, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::environment::{TestEnvironment, condition, of};
use crate::operator_process::OperatorProcess;
use crate::servers;
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

/// Broken CA bundles, and what a message says of them.
fn broken_bundles() -> Vec<(&'static str, String, &'static str)> {
    let certificates = Certificates::new();
    let [ca, server, key] = [&certificates.authority, &certificates.server, &certificates.key]
        .map(|pem| String::from_utf8(pem.clone()).unwrap());
    let lines: Vec<&str> = server.lines().collect();
    let truncated = [&lines[..3], &lines[lines.len() - 1..]].concat().join("\n");
    let unlabeled: Vec<&str> = server.lines().filter(|line| !line.contains("-----")).collect();
    vec![
        ("key", format!("{ca}{key}"), "holds a private key"),
        (
            "truncated",
            format!("{ca}{truncated}\n{server}"),
            "certificate 2 of 3 cannot be parsed",
        ),
        ("unlabeled", unlabeled.join("\n"), "holds no certificate"),
    ]
}

/// No eight characters in sequence of the content of these bundles.
fn assert_no_content(of: &str, text: &str, bundles: &[(&str, String, &str)]) {
    let lines = bundles.iter().flat_map(|(_, pem, _)| pem.lines());
    for line in lines.filter(|line| !line.contains("-----")) {
        let mut pieces = line
            .as_bytes()
            .windows(8)
            .map(|piece| str::from_utf8(piece).unwrap());
        assert!(pieces.len() > 0 || line.len() < 8, "{line}");
        assert!(
            !pieces.any(|piece| text.contains(piece)),
            "{of} contains a piece of {line}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_ca_is_reported_without_its_content() {
    let env = TestEnvironment::bare(servers::tls_tcs()).await;
    let operator = OperatorProcess::start_with(&env, "broken-ca", &[("TARANA_LOG", "debug")]);
    env.secret("tcs", &servers::credentials()).await;
    env.secret("database", &json!({"url": env.database_url})).await;
    let bundles = broken_bundles();
    for (name, pem, found) in &bundles {
        let secret = format!("ca-{name}");
        env.secret(&secret, &json!({"url": env.database_url, "ca.crt": pem}))
            .await;
        for (kind, spec, field) in [
            (
                "database",
                json!({"database": {"secretRef": {"name": secret, "caKey": "ca.crt"}}}),
                "spec.database.secretRef.caKey",
            ),
            (
                "api",
                json!({"api": {"caSecretRef": {"name": secret, "key": "ca.crt"}}}),
                "spec.api.caSecretRef.key",
            ),
        ] {
            let connection = format!("{kind}-{name}");
            env.connection(&connection, spec).await;
            let message = stalled_message(&env, &connection, &bundles).await;
            assert!(
                message.contains(field) && message.contains(found),
                "{connection}: {message}"
            );
        }
    }
    let events: Api<Event> = Api::namespaced(env.client.clone(), &env.namespace);
    let events = events.list(&ListParams::default()).await.unwrap().items;
    assert_no_content("an Event", &json!(events).to_string(), &bundles);
    let log = operator.log_text();
    assert!(
        bundles
            .iter()
            .all(|(name, ..)| log.contains(&format!("api-{name}"))),
        "the log is not verbose: {log}"
    );
    assert_no_content("the log", &log, &bundles);
}

/// The message of a connection that is Stalled. Its run fails for the same reason.
async fn stalled_message(
    env: &TestEnvironment,
    connection: &str,
    bundles: &[(&str, String, &str)],
) -> String {
    let stalled = env
        .wait_for_connection(connection, "is Stalled", |c| {
            condition(&c.status.clone().unwrap_or_default().conditions, "Stalled").0 == "True"
        })
        .await;
    assert_no_content("the status", &json!(stalled.status).to_string(), bundles);
    let run = env
        .run(connection, json!({"connectionRef": {"name": connection}}))
        .await;
    assert_eq!(of(&run, "Finished").1, "InvalidConfiguration", "{connection}");
    assert_no_content("the status of a run", &json!(run.status).to_string(), bundles);
    assert!(
        !env.events(connection).await.is_empty(),
        "no Event of {connection}"
    );
    let (_, reason, message) = condition(&stalled.status.unwrap().conditions, "Stalled");
    assert_eq!(reason, "InvalidConfiguration", "{connection}: {message}");
    message
}
