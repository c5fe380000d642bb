//! Pure: what is shown. Shapes of their own, so that a change of a kind or a table is no change of the API.

pub mod connection;
pub mod old;
pub mod schedule;
pub mod station;
pub mod sync;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use serde::Serialize;
use utoipa::ToSchema;

/// What an object says of itself, see crds/README.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Ready, Reconciling, Stalled and so on.
    #[serde(rename = "type")]
    type_: String,
    /// True, False or Unknown.
    status: String,
    /// Why: one word.
    reason: String,
    /// Why and what to do, for a person.
    message: String,
    /// Since when.
    last_transition_time: Timestamp,
}

impl From<&v1::Condition> for Condition {
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

fn conditions(all: &[v1::Condition]) -> Vec<Condition> {
    all.iter().map(Condition::from).collect()
}

fn time(time: Option<&v1::Time>) -> Option<Timestamp> {
    time.map(|time| time.0)
}
