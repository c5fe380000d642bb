//! The certificate of the admin API.

use std::fs;
use std::path::{Path, PathBuf};

use tarana_operator::admin::{AuthConfig, Config, Defaults, Tls};

use crate::environment::{TestEnvironment, wait_until};
use crate::servers;

/// Replaces the certificate files. Returns a client that trusts the new certificate only.
fn issue(certificate: &Path, key: &Path) -> reqwest::Client {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(certificate, made.cert.pem()).unwrap();
    fs::write(key, made.signing_key.serialize_pem()).unwrap();
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    reqwest::Client::builder().tls_certs_only([root]).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_used_without_a_restart() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{}", env.namespace));
    fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let first = issue(&certificate, &key);
    let listen = servers::free_address();
    env.start_operator_with_admin(Config {
        listen,
        tls: Some(Tls {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        auth: AuthConfig {
            kubernetes: None,
            supabase: None,
        },
        defaults: Defaults {
            namespace: env.namespace.clone(),
            connection: "default".into(),
        },
    });
    let url = format!("https://localhost:{}/healthz", listen.port());
    let accepts =
        async |client: &reqwest::Client| client.get(&url).send().await.is_ok_and(|r| r.status() == 200);
    wait_until("the first certificate is served", || async {
        accepts(&first).await.then_some(())
    })
    .await;

    // A pair that does not match changes nothing.
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(&key, other.signing_key.serialize_pem()).unwrap();
    let second = issue(&folder.join("next.crt"), &folder.join("next.key"));
    assert!(accepts(&first).await && !accepts(&second).await);
    fs::rename(folder.join("next.crt"), &certificate).unwrap();
    fs::rename(folder.join("next.key"), &key).unwrap();
    wait_until("the second certificate is served", || async {
        accepts(&second).await.then_some(())
    })
    .await;
    // A connection of the old client that is still open may be used.
    env.stop_operator().await;
    fs::remove_dir_all(&folder).unwrap();
}
