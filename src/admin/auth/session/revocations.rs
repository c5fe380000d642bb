//! The sessions that were ended before their time, in a `ConfigMap` that all replicas read.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use moka::future::Cache;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::admin::problem::Problem;

/// Name of the `ConfigMap`. The chart's role permits this one only.
pub const REVOKED_SESSIONS: &str = "tarana-operator-revoked-sessions";
/// How long the list is used before it is read again.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// Maximum number of entries: some hundred kilobytes, below the limit of an object. Beyond it the oldest are forgotten, whose
/// sessions end soonest.
const MAX_ENTRIES: usize = 5000;

/// The list of revoked sessions.
pub(super) struct Revocations {
    api: Api<ConfigMap>,
    cache: Cache<(), Arc<HashSet<Uuid>>>,
}

impl Revocations {
    /// The list in that namespace. It is created with the first entry.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            cache: Cache::builder().max_capacity(1).time_to_live(CACHE_TTL).build(),
        }
    }

    /// Whether the session was revoked.
    pub async fn contains(&self, id: Uuid) -> Result<bool, Problem> {
        let read = async {
            let map = self
                .api
                .get_opt(REVOKED_SESSIONS)
                .await
                .map_err(Problem::from_kubernetes)?;
            let entries = map.and_then(|map| map.data).unwrap_or_default();
            let ids = entries.keys().filter_map(|id| id.parse().ok()).collect();
            Ok::<_, Problem>(Arc::new(ids))
        };
        let revoked = self.cache.try_get_with((), read).await;
        Ok(revoked.map_err(|problem| (*problem).clone())?.contains(&id))
    }

    /// Revokes a session that would end at `expires_at`, and removes those that have ended.
    pub async fn insert(&self, id: Uuid, expires_at: Timestamp, now: Timestamp) -> Result<(), Problem> {
        let map = self
            .api
            .get_opt(REVOKED_SESSIONS)
            .await
            .map_err(Problem::from_kubernetes)?;
        let written = match map {
            None => {
                let map = ConfigMap {
                    metadata: ObjectMeta {
                        name: Some(REVOKED_SESSIONS.to_owned()),
                        ..ObjectMeta::default()
                    },
                    data: Some([(id.to_string(), expires_at.to_string())].into()),
                    ..ConfigMap::default()
                };
                self.api.create(&PostParams::default(), &map).await
            }
            Some(map) => {
                let entries = map.data.unwrap_or_default();
                let mut changes: Map<String, Value> =
                    obsolete(&entries, now).map(|id| (id, Value::Null)).collect();
                changes.insert(id.to_string(), json!(expires_at.to_string()));
                let patch = Patch::Merge(json!({"data": changes}));
                self.api
                    .patch(REVOKED_SESSIONS, &PatchParams::default(), &patch)
                    .await
            }
        };
        // A conflict: another replica has created the map. The caller tries again.
        written.map_err(Problem::from_kubernetes)?;
        self.cache.invalidate(&()).await;
        Ok(())
    }
}

/// The entries that have ended, and those beyond the maximum that end first.
fn obsolete(entries: &BTreeMap<String, String>, now: Timestamp) -> impl Iterator<Item = String> {
    let mut by_end: Vec<_> = entries
        .iter()
        .map(|(id, end)| (end.parse::<Timestamp>().unwrap_or(Timestamp::MIN), id))
        .collect();
    by_end.sort();
    let excess = (by_end.len() + 1).saturating_sub(MAX_ENTRIES);
    let removed = by_end
        .into_iter()
        .enumerate()
        .filter(move |(at, (end, _))| *at < excess || *end <= now);
    removed.map(|(_, (_, id))| id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_and_excess_sessions_are_removed() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let entries = |count: i64| -> BTreeMap<String, String> {
            (0..count)
                .map(|n| (format!("id-{n:05}"), at(1000 + n).to_string()))
                .collect()
        };
        let removed =
            |entries: &BTreeMap<String, String>, now| obsolete(entries, at(now)).collect::<Vec<_>>();
        assert_eq!(removed(&entries(3), 1001), ["id-00000", "id-00001"]);
        assert!(removed(&entries(3), 0).is_empty());
        let full = entries(i64::try_from(MAX_ENTRIES).unwrap() + 1);
        assert_eq!(removed(&full, 0), ["id-00000", "id-00001"]);
        let damaged = BTreeMap::from([("x".to_owned(), "never".to_owned())]);
        assert_eq!(removed(&damaged, 0), ["x"]);
    }
}
