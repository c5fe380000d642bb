//! The sockets: what is served where, with which certificate, and how it ends.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use kube::Client;
use tokio::time::sleep;
use tower_http::catch_panic::CatchPanicLayer;

use super::{Admin, Defaults, access, problem::Problem, routes};
use crate::cluster::Scope;

/// How often it is seen whether the certificate has changed: the kubelet writes a Secret anew within a minute.
const LOOK: Duration = Duration::from_secs(10);
/// What is under way when the process is told to stop may take so long.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Where and how the API is served.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address.
    pub listen: SocketAddr,
    /// Certificate and key, PEM files; without them it is plain HTTP, for a proxy in the same pod or a laptop.
    pub tls: Option<Tls>,
    /// What is meant where a request does not say.
    pub defaults: Defaults,
}

/// A certificate chain and its key, as files that are read anew when they change.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address} (--admin-listen): {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use {} with {} (--admin-tls-certificate, --admin-tls-key): {source}", certificate.display(), key.display())]
    Certificate {
        /// Which certificate.
        certificate: PathBuf,
        /// With which key.
        key: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket broke.
    #[error("the admin API ended: {0}")]
    Ended(io::Error),
}

/// Serves until `stop` ends, and then what is under way.
pub async fn serve(
    config: Config,
    client: Client,
    scopes: Arc<Vec<Scope>>,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let listener = listen(config.listen)?;
    let address = listener.local_addr().map_err(Error::Ended)?;
    let app = Arc::new(Admin::new(&client, scopes, config.defaults));
    let service = router().with_state(app).into_make_service();
    let handle = Handle::new();
    tracing::info!(%address, tls = config.tls.is_some(), "the admin API is served");
    let stopping = async {
        stop.await;
        handle.graceful_shutdown(Some(LAST_WORD));
        std::future::pending::<()>().await;
    };
    let ended = |end: io::Result<()>| end.map_err(Error::Ended);
    match &config.tls {
        None => {
            let server = axum_server::from_tcp(listener).map_err(Error::Ended)?;
            tokio::select! {
                end = server.handle(handle.clone()).serve(service) => ended(end),
                () = stopping => Ok(()),
            }
        }
        Some(tls) => {
            let rustls = tls.load().await?;
            let server = axum_server::from_tcp_rustls(listener, rustls.clone()).map_err(Error::Ended)?;
            tokio::select! {
                end = server.handle(handle.clone()).serve(service) => ended(end),
                () = stopping => Ok(()),
                () = tls.follow(&rustls) => Ok(()),
            }
        }
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let bound = TcpListener::bind(address).or_else(|error| {
        // `[::]` means every address, also on a machine that has IPv4 alone.
        let is_any = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        if is_any && error.kind() != io::ErrorKind::AddrInUse {
            TcpListener::bind(v4)
        } else {
            Err(error)
        }
    });
    let listener = bound.and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| Error::Listen { address, source })
}

/// Everything that a request goes through.
fn router() -> Router<super::App> {
    let panicked = |_| {
        use axum::response::IntoResponse;
        // The hook has told the log where.
        Problem::Internal.into_response()
    };
    routes::served()
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(access::log))
}

impl Tls {
    async fn load(&self) -> Result<RustlsConfig, Error> {
        let loaded = RustlsConfig::from_pem_file(&self.certificate, &self.key).await;
        loaded.map_err(|source| self.unusable(source))
    }

    fn unusable(&self, source: io::Error) -> Error {
        Error::Certificate {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        }
    }

    /// Reads the files anew when they change. A pair that does not fit is not taken: the old one stays, and the log says so.
    async fn follow(&self, rustls: &RustlsConfig) {
        let mut known = self.contents();
        loop {
            sleep(LOOK).await;
            let found = self.contents();
            if found == known {
                continue;
            }
            match rustls.reload_from_pem_file(&self.certificate, &self.key).await {
                Ok(()) => {
                    tracing::info!(certificate = %self.certificate.display(), "the certificate was read anew");
                }
                Err(source) => {
                    tracing::error!(error = %self.unusable(source), "the old certificate stays in use");
                }
            }
            known = found;
        }
    }

    fn contents(&self) -> [Option<Vec<u8>>; 2] {
        let read = |path: &Path| std::fs::read(path).ok();
        [read(&self.certificate), read(&self.key)]
    }
}
