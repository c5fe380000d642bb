//! The certificate of the admin API.

use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::{TestEnvironment, wait_until};
use crate::operator_process::OperatorProcess;
use crate::servers;

/// A certificate, and its key.
type Pair = rcgen::CertifiedKey<rcgen::KeyPair>;

fn issue() -> Pair {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

/// Replaces a file at once, as the kubelet does.
fn replace(path: &Path, content: &str) {
    let next = path.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::rename(next, path).unwrap();
}

/// Whether a new client that trusts this certificate only gets a response.
async fn is_served(pair: &Pair, url: &str) -> bool {
    let root = reqwest::Certificate::from_pem(pair.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    client
        .get(url)
        .send()
        .await
        .is_ok_and(|response| response.status() == 200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_used_without_a_restart_and_an_invalid_one_is_not() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{}", env.namespace));
    fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let (first, second) = (issue(), issue());
    replace(&certificate, &first.cert.pem());
    replace(&key, &first.signing_key.serialize_pem());
    let listen = servers::free_address();
    let variables = [
        ("TARANA_ADMIN_LISTEN", listen.to_string()),
        ("TARANA_ADMIN_TLS_CERTIFICATE", certificate.display().to_string()),
        ("TARANA_ADMIN_TLS_KEY", key.display().to_string()),
    ];
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let process = OperatorProcess::start_with(&env, "tls", &variables);
    let url = format!("https://localhost:{}/healthz", listen.port());
    wait_until("the first certificate is served", || async {
        is_served(&first, &url).await.then_some(())
    })
    .await;

    replace(&key, &second.signing_key.serialize_pem());
    process.wait_for_log("certificate not reloaded", 1).await;
    assert!(is_served(&first, &url).await && !is_served(&second, &url).await);
    replace(&certificate, &second.cert.pem());
    wait_until("the second certificate is served", || async {
        is_served(&second, &url).await.then_some(())
    })
    .await;
    assert!(!is_served(&first, &url).await);
    fs::remove_dir_all(&folder).unwrap();
}
