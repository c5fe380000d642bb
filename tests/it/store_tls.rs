//! TLS with `caKey`: the server must show a certificate of that authority, for the host in the URL.

use std::path::Path;
use std::process::Command;

use devenv::{Postgres, Settings};
use tarana_operator::fault::Reason;
use tarana_operator::store::{Config, Store};

/// An authority and a certificate of it for 127.0.0.1, made by openssl.
fn certificates(folder: &Path) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -keyout server.key -out server.csr
        printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE' > server.ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.crt
        chmod 0600 server.key && { [ \"$(id -u)\" != 0 ] || chown postgres . server.key server.crt; }";
    let done = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn only_the_right_authority_and_host_will_do() {
    let folder = std::env::temp_dir().join(format!("tarana-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    certificates(&folder);
    let file = |name: &str| folder.join(name).display().to_string();
    let extra = [
        ("ssl", "on".to_owned()),
        ("ssl_cert_file", file("server.crt")),
        ("ssl_key_file", file("server.key")),
    ];
    let extra = extra.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let server = Postgres::start_with(&Settings {
        extra,
        ..Settings::default()
    })
    .await
    .unwrap();
    let ca = std::fs::read(folder.join("ca.crt")).unwrap();
    let other = std::fs::read(folder.join("server.crt")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();

    let url = server.create_database("tls").await.unwrap();
    let verify = async |url: &str, ca: &[u8]| {
        // What the URL says about TLS does not weaken it.
        let url = format!("{url}?sslmode=disable");
        let config = Config {
            url,
            ca_pem: Some(ca.to_vec()),
            schema: "public".into(),
            migrate: true,
        };
        Store::new(&config).unwrap().verify().await
    };
    verify(&url, &ca).await.unwrap();
    let fault = verify(&url, &other).await.unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseTlsFailed, "{fault}");
    assert!(fault.message.contains("caKey"), "{fault}");
    let fault = verify(&url.replace("127.0.0.1", "localhost"), &ca)
        .await
        .unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseTlsFailed, "{fault}");
}
