//! The kinds whose changes are streamed.

use std::cmp::Reverse;
use std::sync::Arc;

use kube::ResourceExt;

use crate::admin::objects::CachedKind;
use crate::admin::response::connection::ConnectionResponse;
use crate::admin::response::schedule::ScheduleResponse;
use crate::admin::response::sync::SyncResponse;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;

/// How many ended runs a snapshot has. Older ones are in the list of runs.
const MAX_ENDED_RUNS: usize = 100;

/// A kind whose changes are streamed.
pub trait LiveKind: CachedKind {
    /// Name in queries and events.
    const NAME: &'static str;
    /// The JSON that the routes of the kind return, too.
    type Response: for<'a> From<&'a Self> + serde::Serialize;

    /// Sorts the objects of a snapshot, and leaves out what it does not need.
    fn select(mut objects: Vec<Arc<Self>>) -> Vec<Arc<Self>> {
        objects.sort_by_cached_key(|object| (object.namespace(), object.name_any()));
        objects
    }
}

impl LiveKind for TaranaConnection {
    const NAME: &'static str = "connections";
    type Response = ConnectionResponse;
}

impl LiveKind for TaranaSyncSchedule {
    const NAME: &'static str = "schedules";
    type Response = ScheduleResponse;
}

impl LiveKind for TaranaSync {
    const NAME: &'static str = "syncs";
    type Response = SyncResponse;

    /// All unfinished runs, then the newest that have ended; each newest first.
    fn select(mut runs: Vec<Arc<Self>>) -> Vec<Arc<Self>> {
        runs.sort_by_cached_key(|run| {
            let created = run.metadata.creation_timestamp.as_ref().map(|t| t.0);
            (run.is_final(), Reverse(created), run.metadata.name.clone())
        });
        let unfinished = runs.iter().take_while(|run| !run.is_final()).count();
        runs.truncate(unfinished + MAX_ENDED_RUNS);
        runs
    }
}
