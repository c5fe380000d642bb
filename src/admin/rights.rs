//! What a caller may do.

use std::sync::Arc;

use futures::future::try_join_all;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Caller, Permission};
use super::objects::CachedKind;
use super::problem::Problem;
use super::state::AdminState;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;

/// What the routes of this API do, with the permission that each requires.
const ACTIONS: [(&str, &str, &str); 10] = [
    ("listSyncs", "list", TaranaSync::RESOURCE),
    ("getSync", "get", TaranaSync::RESOURCE),
    ("watchSyncs", "watch", TaranaSync::RESOURCE),
    ("createSync", "create", TaranaSync::RESOURCE),
    ("cancelSync", "patch", TaranaSync::RESOURCE),
    ("approveDeletes", "approve", TaranaSync::RESOURCE),
    ("listSchedules", "list", TaranaSyncSchedule::RESOURCE),
    ("changeSchedule", "patch", TaranaSyncSchedule::RESOURCE),
    ("listConnections", "list", TaranaConnection::RESOURCE),
    ("readStations", "get", TaranaConnection::RESOURCE),
];

/// Whether the caller may do something.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Action)]
pub struct ActionResponse {
    /// `listSyncs`, `getSync`, `watchSyncs`, `createSync`, `cancelSync`, `approveDeletes` (with `createSync`), `listSchedules`,
    /// `changeSchedule` (run now, suspend, resume), `listConnections` or `readStations`.
    pub action: &'static str,
    /// Whether Kubernetes, or the role of Supabase users, allows it.
    pub allowed: bool,
    /// The required permission, for example `create taranasyncs.tarana.dev in namespace coverage`.
    pub requires: String,
}

/// What the caller may do in a namespace.
pub async fn list_actions(
    state: &AdminState,
    caller: &Arc<Caller>,
    namespace: &str,
) -> Result<Vec<ActionResponse>, Problem> {
    let actions = ACTIONS.map(|(action, verb, resource)| {
        let permission = Permission::new(verb, resource, Some(namespace));
        async move {
            let allowed = state.authorizer.is_allowed(caller, &permission).await?;
            Ok::<_, Problem>(ActionResponse {
                action,
                allowed,
                requires: permission.to_string(),
            })
        }
    });
    try_join_all(actions).await
}
