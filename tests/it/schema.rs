//! Objects that the API server rejects by the schema and its CEL rules.

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::environment::TestEnvironment;
use super::servers;

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_rejects_invalid_connections() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    let reject = |changes: Value| {
        let api = env.connections();
        async move {
            let patch = Patch::Merge(json!({ "spec": changes }));
            api.patch("default", &PatchParams::default(), &patch)
                .await
                .expect_err("is rejected")
                .to_string()
        }
    };
    for (changes, message) in [
        (
            json!({"api": {"url": "ftp://tcs.example.com"}}),
            "must be an http or https URL",
        ),
        (
            json!({"api": {"url": "https://me:pw@tcs.example.com"}}),
            "without user",
        ),
        (json!({"api": {"pageSize": 0}}), "spec.api.pageSize"),
        (json!({"api": {"pageSize": 5001}}), "spec.api.pageSize"),
        (json!({"api": {"maxInFlight": 65}}), "spec.api.maxInFlight"),
        (
            json!({"api": {"requestsPerSecond": 0}}),
            "spec.api.requestsPerSecond",
        ),
        (
            json!({"api": {"requestTimeoutSeconds": 301}}),
            "spec.api.requestTimeoutSeconds",
        ),
        (json!({"api": {"operatorId": 0}}), "spec.api.operatorId"),
        (json!({"api": {"listing": "Best"}}), "spec.api.listing"),
        (
            json!({"api": {"includeRegionIds": [1], "excludeRegionIds": [1]}}),
            "both in includeRegionIds and in excludeRegionIds",
        ),
        (json!({"database": {"schema": "a;drop"}}), "spec.database.schema"),
        (
            json!({"deleteGuard": {"maxPercent": 101}}),
            "spec.deleteGuard.maxPercent",
        ),
        (json!({"activeConnections": "Guess"}), "spec.activeConnections"),
    ] {
        let error = reject(changes.clone()).await;
        assert!(error.contains(message), "{changes}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_cancel_and_ttl_of_a_run_can_change() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    env.sync("run", json!({"deleteStale": true, "approvedDeletes": 3}))
        .await;
    let patch = |spec: Value| {
        let api = env.syncs();
        async move {
            api.patch(
                "run",
                &PatchParams::default(),
                &Patch::Merge(json!({ "spec": spec })),
            )
            .await
        }
    };
    for spec in [
        json!({"dryRun": true}),
        json!({"approvedDeletes": 4}),
        json!({"approvedDeletes": null}),
        json!({"deleteStale": false}),
        json!({"connectionRef": {"name": "x"}}),
        json!({"backoffLimit": 4}),
        json!({"trigger": {"actor": "me"}}),
        json!({"activeDeadlineSeconds": 5}),
        json!({"backoff": {"initialSeconds": 1}}),
    ] {
        let error = patch(spec.clone()).await.expect_err("is rejected").to_string();
        assert!(error.contains("immutable"), "{spec}: {error}");
    }
    patch(json!({"cancel": true, "ttlSecondsAfterFinished": 9}))
        .await
        .unwrap();
    patch(json!({"ttlSecondsAfterFinished": null})).await.unwrap();
    let error = patch(json!({"cancel": false}))
        .await
        .expect_err("is rejected")
        .to_string();
    assert!(error.contains("cannot be taken back"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contradictory_run_is_rejected() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let create = |spec: Value| {
        let api = env.syncs();
        async move {
            let object = serde_json::from_value(json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": {"name": "bad"}, "spec": spec})).unwrap();
            api.create(&PostParams::default(), &object)
                .await
                .expect_err("is rejected")
                .to_string()
        }
    };
    for (spec, message) in [
        (json!({"approvedDeletes": 3}), "without deleteStale"),
        (
            json!({"backoff": {"initialSeconds": 9, "maxSeconds": 3}}),
            "must not exceed maxSeconds",
        ),
        (json!({"activeDeadlineSeconds": 0}), "spec.activeDeadlineSeconds"),
        (json!({"backoffLimit": -1}), "spec.backoffLimit"),
    ] {
        let error = create(spec.clone()).await;
        assert!(error.contains(message), "{spec}: {error}");
    }
}
