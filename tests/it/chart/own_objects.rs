//! The connection and the schedule in the values: which namespace they are in, and which values are rejected.

use serde_json::json;

use super::{find, render};

const CONNECTION: [&str; 4] = [
    "--set",
    "connection.enabled=true,connection.spec.api.url=https://tcs.example.org",
    "--set",
    "connection.spec.api.credentialsSecretRef.name=tcs,connection.spec.database.secretRef.name=db",
];
const SCHEDULE: [&str; 4] = [
    "--set",
    "schedule.enabled=true,schedule.spec.jitterSeconds=300",
    "--set-string",
    "schedule.spec.schedule=0 0 * * *",
];

#[tokio::test(flavor = "multi_thread")]
async fn both_specs_are_rendered_as_they_are_and_kept() {
    let objects = render("op", "sys", &[CONNECTION, SCHEDULE].concat())
        .await
        .unwrap();
    let connection = find(&objects, "TaranaConnection", "default");
    assert_eq!(
        connection["spec"],
        json!({"api": {"url": "https://tcs.example.org", "credentialsSecretRef": {"name": "tcs"}},
               "database": {"secretRef": {"name": "db"}}})
    );
    let schedule = find(&objects, "TaranaSyncSchedule", "default");
    assert_eq!(
        schedule["spec"],
        json!({"schedule": "0 0 * * *", "jitterSeconds": 300})
    );
    for object in [connection, schedule] {
        assert_eq!(
            object["metadata"]["annotations"],
            json!({"helm.sh/resource-policy": "keep"})
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_are_in_the_namespace_of_the_connection() {
    for (values, namespace) in [
        ("replicas=2", "sys"),
        ("watchNamespaces={one,two}", "one"),
        ("watchNamespaces={one,sys}", "sys"),
        ("admin.namespace=two", "two"),
        ("connection.namespace=three", "three"),
        ("watchNamespaces={one,two},connection.namespace=two", "two"),
    ] {
        let arguments = [&CONNECTION[..], &SCHEDULE, &["--set", values]].concat();
        let objects = render("op", "sys", &arguments).await.unwrap();
        for kind in ["TaranaConnection", "TaranaSyncSchedule"] {
            let object = find(&objects, kind, "default");
            assert_eq!(object["metadata"]["namespace"], namespace, "{values}: {object:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_or_useless_object_is_rejected() {
    for (arguments, expected) in [
        (
            ["--set", "connection.enabled=true"],
            "missing properties 'api', 'database'",
        ),
        (["--set", "schedule.enabled=true"], "missing property 'schedule'"),
        (["--set", "schedule.name=A"], "/schedule/name"),
        (["--set", "connection.name="], "/connection/name"),
        (["--set", "connection.spec.api=1"], "/connection/spec/api"),
        (
            ["--set", "connection.spec.api.url=tcs.example.org"],
            "/connection/spec/api/url",
        ),
        (
            ["--set", "connection.spec.api.credentialsSecretRef.name="],
            "/connection/spec/api/credentialsSecretRef/name",
        ),
        (
            ["--set", "connection.spec.database=null"],
            "/connection/spec/database': got null, want object",
        ),
        (
            ["--set", "connection.spec.database.secretRef=null"],
            "/connection/spec/database/secretRef': got null, want object",
        ),
        (
            ["--set", "watchNamespaces={one},connection.namespace=two"],
            "the connection's namespace two is not in watchNamespaces",
        ),
        (
            ["--set", "watchNamespaces={one},admin.namespace=two"],
            "the connection's namespace two is not in watchNamespaces",
        ),
    ] {
        let base = match arguments[1] {
            "connection.enabled=true" | "schedule.enabled=true" => &[][..],
            _ => &CONNECTION[..],
        };
        let error = render("op", "sys", &[base, &arguments].concat())
            .await
            .unwrap_err();
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}
