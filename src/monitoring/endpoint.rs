//! The HTTP server for metrics and probes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::health::Health;
use super::objects::ObjectMetrics;
use crate::listener;
use crate::metrics::{Exposition, Metrics};

/// Why metrics and probes are not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is in use, or does not belong to this machine.
    #[error("cannot listen on {address} (--metrics-listen): {source}")]
    Listen {
        /// Listen address.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
    /// The server failed.
    #[error("the server of metrics and probes failed: {0}")]
    Server(io::Error),
}

/// What the routes need.
#[derive(Debug)]
pub struct Endpoint {
    registry: Registry,
    health: Health,
}

impl Endpoint {
    /// An endpoint for these metrics and the objects that `health` watches.
    pub fn new(metrics: &Metrics, health: Health) -> Self {
        let mut registry = metrics.registry();
        let objects = ObjectMetrics::new(health.clone(), metrics.runs.clone());
        registry.register_collector(Box::new(objects));
        Self { registry, health }
    }

    /// Serves until `shutdown` completes.
    ///
    /// # Errors
    /// The address cannot be used, or the server failed.
    pub async fn serve(
        self,
        address: SocketAddr,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let bound = listener::bind(address).and_then(TcpListener::from_std);
        let listener = bound.map_err(|source| Error::Listen { address, source })?;
        let address = listener.local_addr().map_err(Error::Server)?;
        tracing::info!(%address, "metrics and probes listening");
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .with_state(Arc::new(self));
        // A scrape in progress is cut, so that a scraper that does not read never delays the end of the process.
        tokio::select! {
            result = axum::serve(listener, router) => result.map_err(Error::Server),
            () = shutdown => Ok(()),
        }
    }
}

async fn metrics(State(endpoint): State<Arc<Endpoint>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let exposition = Exposition::accepted(accept.unwrap_or_default());
    match exposition.encode(&endpoint.registry) {
        Ok(body) => ([(header::CONTENT_TYPE, exposition.content_type())], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Liveness: fails for what a restart would mend.
async fn healthz(State(endpoint): State<Arc<Endpoint>>) -> Response {
    probe(&endpoint.health.dead_parts())
}

/// Readiness: fails with one line for each part that is missing.
async fn readyz(State(endpoint): State<Arc<Endpoint>>) -> Response {
    probe(&endpoint.health.missing_parts())
}

fn probe(problems: &[String]) -> Response {
    if problems.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n").into_response()
}
