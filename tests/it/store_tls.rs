//! TLS with `caKey`: the server must present a valid certificate of that authority for the host in the URL. A bundle that
//! cannot be used is reported without its content.

use std::path::Path;
use std::process::Command;

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

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
const CA_AS_SERVER: &str = "
    openssl req -x509 $new -days 2 -subj /CN=server -addext subjectAltName=IP:127.0.0.1 -keyout server.key -out server.crt
    cp server.crt ca.crt";
const SELF_SIGNED: &str = "
    openssl req $new -subj /CN=server -keyout server.key -out server.csr
    openssl x509 -req -in server.csr -signkey server.key -days 2 -extfile server.ext -out server.crt
    cp server.crt ca.crt";
const WITH_INTERMEDIATE: &str = "
    openssl req -x509 $new -days 2 -subj /CN=root -keyout ca.key -out ca.crt
    openssl req $new -subj /CN=middle -keyout middle.key -out middle.csr
    printf 'basicConstraints=critical,CA:TRUE' > middle.ext
    openssl x509 -req -in middle.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile middle.ext -out middle.crt
    openssl req $new -subj /CN=server -keyout server.key -out server.csr
    openssl x509 -req -in server.csr -CA middle.crt -CAkey middle.key -CAcreateserial -days 2 -extfile server.ext -out server.crt";

/// `ca.crt`, `server.crt` and `server.key`, which these commands create.
fn create(name: &str, commands: &str) -> [Vec<u8>; 3] {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = format!(
        "new='{NEW_KEY}'; printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE' > server.ext {commands}"
    );
    let done = Command::new("sh")
        .args(["-ec", &script])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let files = ["ca.crt", "server.crt", "server.key"].map(|file| std::fs::read(folder.join(file)).unwrap());
    std::fs::remove_dir_all(&folder).unwrap();
    files
}

/// D29: what to issue or change, in sentences. What the message asks for is accepted.
#[tokio::test]
async fn a_rejected_certificate_says_what_to_issue() {
    let database = Database::new(AccessMode::Direct).await;
    database.store().await;
    let connect = async |certificate: Vec<u8>, key: Vec<u8>, ca: Vec<u8>| {
        let settings = PgBouncerSettings {
            certificate: Some((certificate, key)),
            ..PgBouncerSettings::default()
        };
        let server = PgBouncer::start(&database.url, &settings).await.unwrap();
        let config = Config {
            url: database
                .url
                .replace(database.address_and_name().0, server.address()),
            ca_pem: Some(ca),
            ..database.direct()
        };
        Store::new(&config).unwrap().verify().await
    };
    let [ca, certificate, key] = create("ca-as-server", CA_AS_SERVER);
    let fault = connect(certificate, key, ca).await.unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseTlsFailed, "{fault}");
    assert!(
        fault.message.contains("that of an authority (CA:TRUE)"),
        "{fault}"
    );
    assert!(
        fault.message.contains("CA:FALSE") && !fault.message.contains("Other"),
        "{fault}"
    );
    let [ca, certificate, key] = create("self-signed", SELF_SIGNED);
    connect(certificate, key, ca).await.unwrap();

    let with_middle =
        format!("{WITH_INTERMEDIATE}\ncp server.crt leaf.crt; cat leaf.crt middle.crt > server.crt");
    let [ca, chain, key] = create("intermediate", &with_middle);
    let text = String::from_utf8(chain.clone()).unwrap();
    let end = text.find("-----END CERTIFICATE-----\n").unwrap() + "-----END CERTIFICATE-----\n".len();
    let (leaf, middle) = text.split_at(end);
    let fault = connect(leaf.into(), key.clone(), ca.clone()).await.unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseTlsFailed, "{fault}");
    assert!(
        fault.message.contains("intermediate") && !fault.message.contains("UnknownIssuer"),
        "{fault}"
    );
    connect(chain, key.clone(), ca.clone()).await.unwrap();
    let both = [ca.as_slice(), middle.as_bytes()].concat();
    connect(leaf.into(), key, both).await.unwrap();
}

#[tokio::test]
async fn sslmode_require_without_tls_is_reported() {
    let database = Database::new(AccessMode::Direct).await;
    let server = PgBouncer::start(&database.url, &PgBouncerSettings::default())
        .await
        .unwrap();
    let url = database
        .url
        .replace(database.address_and_name().0, server.address());
    let config = Config {
        url: format!("{url}?sslmode=require"),
        ..database.direct()
    };
    let fault = assert_rejected(config, "turn TLS on").await;
    assert!(
        fault.message.contains("the server does not support TLS"),
        "{fault}"
    );
    assert!(fault.message.contains("sslmode"), "{fault}");
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
