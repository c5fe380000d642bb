//! The kinds that the API shows.

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

/// A kind that the API shows.
pub trait ApiKind: CachedKind {
    /// Name in queries and events.
    const NAME: &'static str;
    /// Name of one object in messages.
    const SINGULAR: &'static str;
    /// The JSON of an object.
    type Response: for<'a> From<&'a Self> + serde::Serialize;

    /// Sorts the objects of a snapshot, and leaves out what it does not need.
    fn select(mut objects: Vec<Arc<Self>>) -> Vec<Arc<Self>> {
        sort_by_name(&mut objects);
        objects
    }
}

/// Sorts by namespace and name.
pub fn sort_by_name<K: ApiKind>(objects: &mut [Arc<K>]) {
    objects.sort_by_cached_key(|object| (object.namespace(), object.name_any()));
}

impl ApiKind for TaranaConnection {
    const NAME: &'static str = "connections";
    const SINGULAR: &'static str = "connection";
    type Response = ConnectionResponse;
}

impl ApiKind for TaranaSyncSchedule {
    const NAME: &'static str = "schedules";
    const SINGULAR: &'static str = "schedule";
    type Response = ScheduleResponse;
}

impl ApiKind for TaranaSync {
    const NAME: &'static str = "syncs";
    const SINGULAR: &'static str = "sync";
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
