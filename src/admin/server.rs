//! The HTTP server: socket, TLS certificate, middleware and graceful shutdown.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum::middleware::from_fn;
use axum_server::Handle;
use kube::Client;
use tokio::sync::watch;
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;

use super::actions::Actions;
use super::auth;
use super::config::{Config, Tls};
use super::cors::AllowedOrigins;
use super::problem::Problem;
use super::process::Process;
use super::public_url::PublicUrl;
use super::served_certificate::{CertificateError, ServedCertificate};
use super::state::{AdminState, SharedState};
use super::{middleware, routes, ui};
use crate::listener;
use crate::notify::Notifier;

/// How long requests in progress may take after the shutdown signal.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How long the Events of the last requests may take after that.
const EVENTS_GRACE: Duration = Duration::from_secs(2);

/// Why the admin API is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is in use, or does not belong to this machine.
    #[error("cannot listen on {address} (--admin-listen): {source}")]
    Listen {
        /// Listen address.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
    /// The certificate or its key is invalid.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The client for Supabase cannot be created.
    #[error(transparent)]
    Supabase(#[from] auth::ClientError),
    /// The server failed.
    #[error("the admin API failed: {0}")]
    Server(io::Error),
}

/// Serves until `shutdown` completes, then finishes the requests in progress.
pub async fn serve(
    config: Config,
    client: Client,
    process: Process,
    notifier: Notifier,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let listener = listener::bind(config.listen).map_err(|source| Error::Listen {
        address: config.listen,
        source,
    })?;
    let address = listener.local_addr().map_err(Error::Server)?;
    let (stop, stopping) = watch::channel(false);
    let (actions, publisher) = Actions::new(notifier);
    let (close, closing) = watch::channel(false);
    let mut publishing = std::pin::pin!(publisher.run(closing));
    let service = router(&config.allowed_origins, &config.public_url);
    let tls = config.tls.clone();
    let scopes = Arc::clone(&process.health.scopes);
    let state = AdminState::new(&client, process, config, actions, stopping)?;
    let state = Arc::new(state);
    let service = service
        .with_state(Arc::clone(&state))
        .into_make_service_with_connect_info::<SocketAddr>();
    let handle = Handle::new();
    tracing::info!(%address, tls = tls.is_some(), "admin API listening");
    let drain = async {
        shutdown.await;
        stop.send_replace(true);
        handle.graceful_shutdown(Some(SHUTDOWN_GRACE));
        std::future::pending::<()>().await;
    };
    let requests = serve_requests(listener, tls.as_ref(), handle.clone(), service);
    let result = tokio::select! {
        result = requests => result,
        () = state.streams.run(&scopes) => Ok(()),
        () = state.authorizer.run() => Ok(()),
        () = &mut publishing => Ok(()),
        () = drain => Ok(()),
    };
    close.send_replace(true);
    if timeout(EVENTS_GRACE, publishing).await.is_err() {
        tracing::warn!("Events of the last actions are not published: the Kubernetes API is too slow");
    }
    result
}

async fn serve_requests(
    listener: TcpListener,
    tls: Option<&Tls>,
    handle: Handle<SocketAddr>,
    service: IntoMakeServiceWithConnectInfo<Router, SocketAddr>,
) -> Result<(), Error> {
    let Some(tls) = tls else {
        let server = axum_server::from_tcp(listener).map_err(Error::Server)?;
        return server.handle(handle).serve(service).await.map_err(Error::Server);
    };
    let mut certificate = ServedCertificate::load(tls).await?;
    let server = axum_server::from_tcp_rustls(listener, certificate.rustls()).map_err(Error::Server)?;
    tokio::select! {
        result = server.handle(handle).serve(service) => result.map_err(Error::Server),
        () = certificate.reload_on_change() => Ok(()),
    }
}

/// The routes behind their middleware.
fn router(origins: &AllowedOrigins, public_url: &PublicUrl) -> Router<SharedState> {
    let on_panic = |_| {
        use axum::response::IntoResponse;
        // The panic hook has logged the panic.
        Problem::Internal.into_response()
    };
    let routes = routes::service(public_url);
    // The pages are only for their own origin.
    let routes = match origins.layer() {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    routes
        .merge(ui::router())
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(from_fn(middleware::wrap))
}
