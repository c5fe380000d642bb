//! Objects that the API server rejects by the schema and its CEL rules.

use kube::api::{ApiResource, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tarana_operator::api::sync::{TaranaSync, TaranaSyncSpec};

use super::environment::TestEnvironment;
use super::schema_types::nodes::{Node, nodes, schema_of};
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

/// The immutable fields of a run with two values each. The first one is not the default.
fn immutable_fields() -> Vec<(&'static str, Value, Value)> {
    vec![
        ("spec.activeDeadlineSeconds", json!(100), json!(200)),
        ("spec.approvedDeletes", json!(1), json!(2)),
        ("spec.backoff.initialSeconds", json!(1), json!(2)),
        ("spec.backoff.maxSeconds", json!(100), json!(200)),
        ("spec.backoffLimit", json!(1), json!(2)),
        ("spec.connectionRef.name", json!("a"), json!("b")),
        ("spec.deleteStale", json!(true), json!(false)),
        ("spec.dryRun", json!(true), json!(false)),
        ("spec.trigger.actor", json!("a"), json!("b")),
        (
            "spec.trigger.adminUserId",
            json!("6b1f2c1e-7d7e-4a55-9b9c-8f6f0d1c2b3a"),
            json!("6b1f2c1e-7d7e-4a55-9b9c-8f6f0d1c2b3b"),
        ),
        (
            "spec.trigger.scheduledTime",
            json!("2026-01-01T00:00:00Z"),
            json!("2026-01-01T00:00:01Z"),
        ),
        ("spec.trigger.type", json!("Api"), json!("Schedule")),
    ]
}

/// An object with only this field.
fn with_field(path: &str, value: &Value) -> Value {
    path.rsplit('.')
        .fold(value.clone(), |inner, field| json!({ field: inner }))
}

/// The fields that the API server calls immutable when a run is changed like this.
async fn named_fields(env: &TestEnvironment, run: &str, changes: &Value) -> Vec<String> {
    let (api, patch) = (env.syncs(), Patch::Merge(changes));
    let Err(kube::Error::Api(status)) = api.patch(run, &PatchParams::default(), &patch).await else {
        panic!("{changes} of {run} is not rejected");
    };
    let causes = status.details.map(|details| details.causes).unwrap_or_default();
    let mut fields = Vec::new();
    for cause in causes.iter().filter(|c| c.message.contains("immutable")) {
        let expected = format!("{} is immutable: create a new TaranaSync", cause.field);
        assert!(cause.message.ends_with(&expected), "{}", cause.message);
        fields.push(cause.field.clone());
    }
    fields.sort();
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_an_immutable_field_is_rejected_by_name() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let fields = immutable_fields();
    let of_schema = nodes(&schema_of("TaranaSync"), "spec");
    let mut of_schema: Vec<_> = of_schema.iter().filter(|n| n.is_leaf()).map(Node::name).collect();
    of_schema.retain(|name| !["spec.cancel", "spec.ttlSecondsAfterFinished"].contains(&name.as_str()));
    of_schema.sort();
    assert_eq!(of_schema, fields.iter().map(|(f, ..)| *f).collect::<Vec<_>>());

    let (mut full, mut changed) = (json!({}), json!({}));
    for (field, first, second) in &fields {
        servers::merge(&mut full, with_field(field, first));
        servers::merge(&mut changed, with_field(field, second));
    }
    env.sync("empty", json!({})).await;
    env.sync("full", full["spec"].clone()).await;
    for (field, first, second) in &fields {
        for (run, value) in [("empty", first), ("full", second), ("full", &Value::Null)] {
            let named = named_fields(&env, run, &with_field(field, value)).await;
            assert_eq!(named, [*field], "{run}: {value}");
        }
    }
    assert_eq!(named_fields(&env, "full", &changed).await, of_schema);
    assert_eq!(named_fields(&env, "empty", &full).await, of_schema);
    assert_eq!(
        named_fields(&env, "full", &json!({"spec": null})).await,
        of_schema
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_can_be_set_and_ttl_can_be_changed() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    env.sync("run", json!({"deleteStale": true, "approvedDeletes": 3}))
        .await;
    let patch = |spec: Value| {
        let api = env.syncs();
        async move {
            let patch = Patch::Merge(json!({ "spec": spec }));
            api.patch("run", &PatchParams::default(), &patch).await
        }
    };
    patch(json!({"cancel": true, "ttlSecondsAfterFinished": 9}))
        .await
        .unwrap();
    patch(json!({"ttlSecondsAfterFinished": null})).await.unwrap();
    let error = patch(json!({"cancel": false}))
        .await
        .expect_err("is rejected")
        .to_string();
    assert!(error.contains("spec.cancel cannot be taken back"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_spec_is_one_with_an_empty_spec() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let kubectl = servers::plane().await.kubectl();
    let create = async |kind: &str, name: &str, rest: &str| {
        let object =
            format!("apiVersion: tarana.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n{rest}");
        let args = ["create", "-n", &env.namespace, "-f", "-"];
        kubectl.run_with(&args, &object).await.map_err(|e| e.to_string())
    };
    for (name, rest) in [("none", ""), ("empty", "spec: {}"), ("null-spec", "spec: null")] {
        create("TaranaSync", name, rest).await.unwrap();
        let run = env.syncs().get(name).await.unwrap();
        assert_eq!(run.spec, TaranaSyncSpec::default(), "{name}");
    }
    for kind in ["TaranaConnection", "TaranaSyncSchedule"] {
        let error = create(kind, "none", "").await.expect_err("fields are required");
        assert!(error.contains("spec: Required value"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_at_all_offsets_and_ids_in_both_forms_are_accepted() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let mut cases = Vec::new();
    for (time, is_valid) in [
        ("2026-01-01T00:00:00Z", true),
        ("2026-01-01T00:00:00.123456789Z", true),
        ("2026-01-01T02:00:00+02:00", true),
        ("2026-01-01T00:00:00+23:59", true),
        ("2026-01-01T00:00:00-23:59", true),
        ("1000-01-01T00:00:00+23:59", true),
        ("8999-12-31T23:59:59-23:59", true),
        ("2026-01-01T00:00:00+24:00", false),
        ("2026-01-01T00:00:00+25:59", false),
        ("2026-01-01T00:00:00+99:00", false),
        ("2026-01-01T00:00:00", false),
        ("2026-02-30T00:00:00Z", false),
    ] {
        cases.push(("spec.trigger.scheduledTime", time, is_valid));
    }
    for (id, is_valid) in [
        ("6b1f2c1e-7d7e-4a55-9b9c-8f6f0d1c2b3a", true),
        ("6B1F2C1E7D7E4A559B9C8F6F0D1C2B3A", true),
        ("6b1f2c1e7d7e-4a55-9b9c-8f6f0d1c2b3a", false),
        ("6b1f2c1e-7d7e-4a559b9c8f6f0d1c2b3a", false),
    ] {
        cases.push(("spec.trigger.adminUserId", id, is_valid));
    }
    let api: kube::Api<kube::api::DynamicObject> = kube::Api::namespaced_with(
        env.client.clone(),
        &env.namespace,
        &ApiResource::erase::<TaranaSync>(&()),
    );
    for (n, (field, value, is_valid)) in cases.into_iter().enumerate() {
        let mut object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
            "metadata": {"name": format!("run-{n}")}});
        servers::merge(&mut object, with_field(field, &json!(value)));
        let object = serde_json::from_value(object).unwrap();
        let created = api.create(&PostParams::default(), &object).await;
        match created {
            Err(kube::Error::Api(status)) if !is_valid => {
                assert!(status.message.contains(field), "{value}: {}", status.message);
            }
            created => assert_eq!(created.is_ok(), is_valid, "{value}: {created:?}"),
        }
    }
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
