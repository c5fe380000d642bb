//! Pure: response types. They are independent of the kinds and tables, so that a change there does not change the API.

pub mod attempt;
pub mod connection;
pub mod debug;
pub mod geojson;
pub mod kml;
pub mod legacy;
pub mod schedule;
pub mod slot;
pub mod span;
pub mod station;
pub mod station_map;
pub mod sync;
pub mod timeline;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use serde::Serialize;
use utoipa::ToSchema;

/// A condition of an object, see crds/README.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Condition)]
#[serde(rename_all = "camelCase")]
pub struct ConditionResponse {
    /// Ready, Reconciling, Stalled and so on.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
    /// Reason in CamelCase.
    pub reason: String,
    /// What happened and what to do.
    pub message: String,
    /// When the status changed last.
    pub last_transition_time: Timestamp,
}

impl From<&v1::Condition> for ConditionResponse {
    fn from(condition: &v1::Condition) -> Self {
        Self {
            type_: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            last_transition_time: condition.last_transition_time.0,
        }
    }
}

fn conditions(all: &[v1::Condition]) -> Vec<ConditionResponse> {
    all.iter().map(ConditionResponse::from).collect()
}

/// The condition of a type.
pub fn find_condition<'a>(conditions: &'a [ConditionResponse], type_: &str) -> Option<&'a ConditionResponse> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

fn time(time: Option<&v1::Time>) -> Option<Timestamp> {
    time.map(|time| time.0)
}
