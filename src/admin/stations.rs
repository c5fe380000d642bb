//! The stations in the table of a connection that a caller may get, for the API and the pages.

use std::sync::Arc;

use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::{Caller, Permission};
use super::objects::{CachedKind, object_id};
use super::problem::Problem;
use super::response::station::{Freshness, StationSummary};
use super::state::AdminState;
use crate::api::connection::TaranaConnection;
use crate::store::Store;

/// Query parameters that select the connection whose stations are read.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConnectionQuery {
    /// Namespace of the connection. Default: `--admin-namespace` of the operator.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    pub namespace: Option<String>,
    /// Name of the connection. Default: `--admin-connection` of the operator.
    pub connection: Option<String>,
}

/// The totals of a connection's table, for a caller who may get the connection.
pub async fn summarize(
    state: &AdminState,
    caller: &Arc<Caller>,
    query: &ConnectionQuery,
) -> Result<StationSummary, Problem> {
    let (connection, store) = authorized_store(state, caller, query).await?;
    let freshness = freshness(&connection, &store).await?;
    let counts = store
        .station_counts()
        .await
        .map_err(|fault| Problem::from_database(&fault))?;
    Ok(StationSummary::new(&counts, freshness))
}

/// How fresh the table is. It is read before the stations, so that they are at least as fresh as it tells.
pub async fn freshness(connection: &TaranaConnection, store: &Store) -> Result<Freshness, Problem> {
    let reading = store.last_reading(object_id(connection)).await;
    let reading = reading.map_err(|fault| Problem::from_database(&fault))?;
    Ok(Freshness::from(reading))
}

/// A connection that the caller may get, and its store.
pub async fn authorized_store(
    state: &AdminState,
    caller: &Arc<Caller>,
    query: &ConnectionQuery,
) -> Result<(Arc<TaranaConnection>, Store), Problem> {
    let namespace = query.namespace.as_deref().unwrap_or(&state.defaults.namespace);
    let name = query.connection.as_deref().unwrap_or(&state.defaults.connection);
    let permission = Permission::new("get", TaranaConnection::RESOURCE, Some(namespace)).on(name);
    state.authorizer.authorize(caller, &permission).await?;
    state.objects.require_synced()?;
    let not_found = || {
        Problem::NotFound(format!(
            "there is no TaranaConnection {name} in namespace {namespace}"
        ))
    };
    let connection = state
        .objects
        .get::<TaranaConnection>(namespace, name)
        .ok_or_else(not_found)?;
    let store = state.pools.store(&connection).await?;
    Ok((connection, store))
}
