//! The TLS certificate of the admin API, read again when its files change.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use tokio::time::sleep;

use super::config::Tls;

/// How often the files are checked for changes. The kubelet updates a mounted Secret within a minute.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The certificate or its key is invalid.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {} with {} (--admin-tls-certificate, --admin-tls-key): {source}", certificate.display(), key.display())]
pub struct CertificateError {
    certificate: PathBuf,
    key: PathBuf,
    source: io::Error,
}

/// What the files contained when they were read: certificate chain and key.
type Contents = [Vec<u8>; 2];

/// A certificate in use, and what its files contained when they were last read.
///
/// What is compared is what was loaded: a file that changes while the other one is read is a change that the next check sees.
pub struct ServedCertificate {
    tls: Tls,
    rustls: RustlsConfig,
    seen: io::Result<Contents>,
}

impl ServedCertificate {
    /// Reads the files.
    pub async fn load(tls: &Tls) -> Result<Self, CertificateError> {
        let contents = read(tls).map_err(|source| error(tls, source))?;
        let [certificate, key] = contents.clone();
        let rustls = RustlsConfig::from_pem(certificate, key).await;
        Ok(Self {
            tls: tls.clone(),
            rustls: rustls.map_err(|source| error(tls, source))?,
            seen: Ok(contents),
        })
    }

    /// The configuration of the server, which uses each certificate that is loaded later.
    pub fn rustls(&self) -> RustlsConfig {
        self.rustls.clone()
    }

    /// Reloads the files when they change. If the new pair is invalid, logs an error and keeps the old one.
    pub async fn reload_on_change(&mut self) {
        loop {
            sleep(CHECK_INTERVAL).await;
            let current = read(&self.tls);
            if is_same(&current, &self.seen) {
                continue;
            }
            match self.reload(&current).await {
                Ok(()) => {
                    tracing::info!(certificate = %self.tls.certificate.display(), "certificate reloaded");
                }
                Err(error) => {
                    tracing::error!(%error, "certificate not reloaded, the old one stays in use");
                }
            }
            self.seen = current;
        }
    }

    async fn reload(&self, contents: &io::Result<Contents>) -> Result<(), CertificateError> {
        let [certificate, key] = match contents {
            Ok(contents) => contents.clone(),
            Err(source) => {
                return Err(error(
                    &self.tls,
                    io::Error::new(source.kind(), source.to_string()),
                ));
            }
        };
        let reloaded = self.rustls.reload_from_pem(certificate, key).await;
        reloaded.map_err(|source| error(&self.tls, source))
    }
}

/// Whether nothing changed. Files that cannot be read for the same reason have not changed.
fn is_same(current: &io::Result<Contents>, seen: &io::Result<Contents>) -> bool {
    match (current, seen) {
        (Ok(current), Ok(seen)) => current == seen,
        (Err(current), Err(seen)) => current.kind() == seen.kind(),
        _ => false,
    }
}

fn read(tls: &Tls) -> io::Result<Contents> {
    let read = |path: &Path| std::fs::read(path);
    Ok([read(&tls.certificate)?, read(&tls.key)?])
}

fn error(tls: &Tls, source: io::Error) -> CertificateError {
    CertificateError {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use tokio::time::timeout;

    use super::*;

    fn write_pair(tls: &Tls) {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(&tls.certificate, pair.cert.pem()).unwrap();
        fs::write(&tls.key, pair.signing_key.serialize_pem()).unwrap();
    }

    /// The server answers requests before the first check begins.
    #[tokio::test(start_paused = true)]
    async fn files_that_change_before_the_first_check_are_reloaded() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = Path::new("/tmp").join(format!("tarana-certificate-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let tls = Tls {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        };
        write_pair(&tls);
        let mut served = ServedCertificate::load(&tls).await.unwrap();
        let rustls = served.rustls();
        let first = rustls.get_inner();
        write_pair(&tls);
        let _ = timeout(CHECK_INTERVAL * 3, served.reload_on_change()).await;
        assert!(!Arc::ptr_eq(&first, &rustls.get_inner()));
        fs::remove_dir_all(&folder).unwrap();
    }
}
