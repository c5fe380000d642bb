//! Pure: the response for a connection. It leaves out where the Secrets are.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ConditionResponse, conditions, time};
use crate::admin::objects::object_id;
use crate::api::connection::TaranaConnection;

/// A connection.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Connection)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionResponse {
    /// Uid of the object.
    pub id: Uuid,
    pub namespace: String,
    pub name: String,
    /// URL of the vendor's API.
    pub api_url: String,
    /// Whether new runs are held back.
    pub suspend: bool,
    /// Base stations in the listing of the last successful sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub station_count: Option<i64>,
    /// When the last successful sync committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_sync_at: Option<Timestamp>,
    /// Name of the active run. A short run may not appear here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_sync: Option<String>,
    /// The operator sends no requests to the vendor's API until this time, because it is throttling (429) or asked for a pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_until: Option<Timestamp>,
    /// The listing in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing: Option<String>,
    pub conditions: Vec<ConditionResponse>,
}

impl From<&TaranaConnection> for ConnectionResponse {
    fn from(connection: &TaranaConnection) -> Self {
        let status = connection.status.clone().unwrap_or_default();
        Self {
            id: object_id(connection),
            namespace: connection.namespace().unwrap_or_default(),
            name: connection.name_any(),
            api_url: connection.spec.api.url.clone(),
            suspend: connection.spec.suspend,
            station_count: status.station_count,
            last_successful_sync_at: time(status.last_successful_sync_time.as_ref()),
            active_sync: status.active_sync,
            throttled_until: time(status.throttled_until.as_ref()),
            listing: status.listing,
            conditions: conditions(&status.conditions),
        }
    }
}
