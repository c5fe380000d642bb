//! Finished runs, created as the operator leaves them.

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tarana_operator::api::sync::TaranaSync;

use crate::environment::TestEnvironment;

/// Concurrent requests.
const CONCURRENCY: usize = 16;

/// Creates so many completed runs of the connection `default`.
pub async fn create(env: &TestEnvironment, count: usize) {
    let syncs = env.syncs();
    let status = status();
    let created = stream::iter(0..count).map(async |n| {
        let name = format!("finished-{n}");
        let run: TaranaSync =
            serde_json::from_value(json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
            "metadata": {"name": name}, "spec": {"trigger": {"type": "Api", "actor": "ann"}}}))
            .unwrap();
        syncs.create(&PostParams::default(), &run).await?;
        syncs
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
            .await
    });
    let created: Result<Vec<_>, kube::Error> = created.buffer_unordered(CONCURRENCY).try_collect().await;
    created.unwrap();
}

fn status() -> Value {
    let message = "718 fetched, 0 new, 20 changed, 684 unchanged, 0 deleted, 0 withheld, 14 skipped";
    let condition = |type_: &str, status: &str, reason: &str| {
        json!({"type": type_, "status": status, "reason": reason, "message": message,
               "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:01Z"})
    };
    json!({"status": {
        "observedGeneration": 1, "phase": "Completed", "attempt": 1, "fence": 1, "durationMs": 96,
        "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:01Z",
        "counts": {"fetched": 718, "inserted": 0, "updated": 20, "unchanged": 684, "deleted": 0, "skipped": 14, "withheld": 0},
        "reading": {"listing": "RegionSearch", "proof": "Total"},
        "conditions": [condition("Ready", "True", "Completed"), condition("Finished", "True", "Completed"),
                       condition("DeletesWithheld", "False", "NothingWithheld")],
    }})
}
