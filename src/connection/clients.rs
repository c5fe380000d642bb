//! The clients of a connection, built from its spec and its Secrets: the vendor's API and the database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::Client;
use uuid::Uuid;

use super::secrets::{self, Inputs};
use crate::api::connection::{ActiveConnections, ListingSetting, TaranaConnection, TaranaConnectionSpec};
use crate::api::host::is_loopback;
use crate::fault::Fault;
use crate::metrics::Metrics;
use crate::{station, store, tarana};

/// The clients that all runs of one connection share. A change of the spec or a Secret replaces them.
#[derive(Debug)]
pub struct ConnectionClients {
    /// Uid of the connection object.
    pub uid: Uuid,
    /// The spec that they were built from.
    pub spec: TaranaConnectionSpec,
    /// The vendor's API.
    pub tarana: tarana::Client,
    /// The database.
    pub store: store::Store,
    /// Generation of the spec and version of each Secret that they were built from.
    pub(super) fingerprint: String,
    /// The schema has been verified. Before that, nothing is written, not even a log row.
    schema_verified: AtomicBool,
}

impl ConnectionClients {
    /// Verifies the database and records whether its tables may be written.
    pub(super) async fn verify_store(&self) -> Result<(), Fault> {
        let result = self.store.verify().await;
        match &result {
            Ok(()) => self.schema_verified.store(true, Ordering::Relaxed),
            Err(fault) if fault.is_permanent() => self.schema_verified.store(false, Ordering::Relaxed),
            // The database is unavailable: what is known of the schema stays.
            Err(_) => {}
        }
        result
    }

    /// What sends credentials in plain text to another host, for users.
    pub(super) fn plain_text(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(host) = self.spec.api.url.strip_prefix("http://") {
            let host = host.split(['/', '?']).next().unwrap_or(host);
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            if !is_loopback(name) {
                found.push(format!(
                    "spec.api.url sends the vendor's credentials in plain text to {host}: use https://"
                ));
            }
        }
        if let Some(host) = self.store.unencrypted_host().filter(|host| !is_loopback(host)) {
            found.push(format!(
                "the URL under spec.database.secretRef does not require TLS for {host}: add sslmode=require, or set caKey"
            ));
        }
        found
    }

    pub(super) fn is_schema_verified(&self) -> bool {
        self.schema_verified.load(Ordering::Relaxed)
    }
}

/// Reads the Secrets of a connection and builds its clients, for a check that changes nothing. Does not connect yet.
///
/// # Errors
/// A Secret is missing or incomplete, or the spec is invalid.
pub async fn build_clients(
    client: &Client,
    connection: &TaranaConnection,
    metrics: &Metrics,
) -> Result<ConnectionClients, Fault> {
    let inputs = secrets::read_inputs(client, connection).await?;
    build(
        connection,
        inputs,
        false,
        (&store::SessionPools::default(), metrics),
    )
}

/// Builds the clients. Does not connect yet.
pub(super) fn build(
    connection: &TaranaConnection,
    inputs: Inputs,
    migrate: bool,
    (pools, metrics): (&store::SessionPools, &Metrics),
) -> Result<ConnectionClients, Fault> {
    let spec = connection.spec.clone();
    let tarana = tarana::Client::new(api_config(&spec, &inputs))?.measured_by(&metrics.vendor);
    if let Some(fallback) = recorded_fallback(connection) {
        tarana.resume_fallback(fallback);
    }
    let config = store::Config {
        url: inputs.database_url,
        ca_pem: inputs.database_ca,
        schema: spec.database.schema.clone(),
        migrate,
    };
    let store = store::Store::shared(&config, pools)?.measured_by(&metrics.database);
    let uid = connection
        .metadata
        .uid
        .as_deref()
        .and_then(|u| u.parse().ok())
        .unwrap_or_default();
    Ok(ConnectionClients {
        uid,
        spec,
        tarana,
        store,
        fingerprint: inputs.fingerprint,
        schema_verified: AtomicBool::new(false),
    })
}

/// The fallback of an earlier process for the same spec.
fn recorded_fallback(connection: &TaranaConnection) -> Option<tarana::ListingFallback> {
    let status = connection.status.as_ref()?;
    if status.observed_generation != connection.metadata.generation {
        return None;
    }
    Some(tarana::ListingFallback {
        listing: station::Listing::parse(status.listing.as_deref()?)?,
        since: status.listing_since.as_ref()?.0,
    })
}

fn api_config(spec: &TaranaConnectionSpec, inputs: &Inputs) -> tarana::Config {
    // The schema of the CRD bounds each value.
    let unsigned = |n: i32| u32::try_from(n).unwrap_or(1);
    let api = &spec.api;
    tarana::Config {
        base_url: api.url.clone(),
        username: inputs.username.clone(),
        password: inputs.password.clone().into(),
        ca_pem: inputs.api_ca.clone(),
        operator_id: api.operator_id,
        include_region_ids: api.include_region_ids.clone(),
        exclude_region_ids: api.exclude_region_ids.clone(),
        page_size: unsigned(api.page_size),
        request_timeout: Duration::from_secs(unsigned(api.request_timeout_seconds).into()),
        requests_per_second: unsigned(api.requests_per_second),
        max_in_flight: unsigned(api.max_in_flight),
        listing: match api.listing {
            ListingSetting::Auto => None,
            ListingSetting::RegionSearch => Some(station::Listing::RegionSearch),
            ListingSetting::OperatorList => Some(station::Listing::OperatorList),
            ListingSetting::RadioSearch => Some(station::Listing::RadioSearch),
        },
        count_connections: spec.active_connections == ActiveConnections::Count,
    }
}
