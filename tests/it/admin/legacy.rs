//! The routes of the replaced cron function, field by field.

use serde_json::{Value, json};

use super::client::AdminClient;

const SYNC: &str = "/api/admin/tarana/sync";
const STATUS: &str = "/api/admin/tarana/sync/status";
const COLUMNS: [&str; 14] = [
    "attempt",
    "completed_at",
    "created_at",
    "deleted",
    "duration_ms",
    "errors",
    "id",
    "inserted",
    "started_at",
    "stations_fetched",
    "status",
    "trigger_type",
    "triggered_by",
    "updated",
];

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_triggered_run_is_reported_until_its_end() {
    let admin = AdminClient::with_connection().await;
    let triggered = admin.post(&admin.editor, SYNC, &json!({"dryRun": true})).await;
    assert_eq!(triggered.status, 202, "{triggered:?}");
    let body = triggered.json();
    assert_eq!(keys(&body), ["message", "options", "success", "sync_log_id"]);
    assert_eq!(body["options"], json!({"dryRun": true, "deleteStale": false}));
    assert_eq!(body["success"], true);
    let id = body["sync_log_id"].as_str().unwrap();

    // The run can be read at once, whether or not the operator has started it.
    let one = admin.get(&admin.viewer, &format!("{STATUS}?id={id}")).await;
    assert_eq!(
        (one.status, &one.json()["data"]["id"]),
        (200, &body["sync_log_id"]),
        "{one:?}"
    );
    assert_eq!(keys(&one.json()["data"]), COLUMNS);

    let runs = admin.runs().await;
    let run = admin
        .env
        .finished(runs[0].metadata.name.as_deref().unwrap())
        .await;
    let actor = format!("system:serviceaccount:{}:editor", admin.env.namespace);
    assert_eq!(run.spec.trigger.actor, Some(actor));
    assert_eq!(run.metadata.uid.as_deref(), Some(id));

    let status = admin.get(&admin.viewer, STATUS).await;
    let data = &status.json()["data"];
    assert_eq!(
        (keys(&status.json()), keys(data)),
        (vec!["data", "success"], vec!["current", "recent"])
    );
    assert_eq!(data["current"], Value::Null);
    let row = &data["recent"][0];
    assert_eq!(keys(row), COLUMNS);
    assert_eq!(
        (row["id"].as_str(), &row["status"], &row["trigger_type"]),
        (Some(id), &json!("completed"), &json!("manual"))
    );
    assert_eq!(row["stations_fetched"], 718);
    assert!(
        row["duration_ms"].as_i64().unwrap() > 0 && row["completed_at"].is_string(),
        "{row}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_triggers_start_one_run() {
    let admin = AdminClient::with_connection().await;
    for round in 0..3 {
        let body = json!({});
        let triggers = (0..6).map(|_| admin.post(&admin.editor, SYNC, &body));
        let responses = futures::future::join_all(triggers).await;
        let accepted: Vec<_> = responses
            .iter()
            .filter(|response| response.status == 202)
            .collect();
        let rejected: Vec<_> = responses
            .iter()
            .filter(|response| response.status == 409)
            .collect();
        assert_eq!(
            (accepted.len(), rejected.len()),
            (1, 5),
            "round {round}: {responses:?}"
        );
        let id = &accepted[0].json()["sync_log_id"];
        for response in rejected {
            let body = response.json();
            assert_eq!(keys(&body), ["active_sync", "error", "success"]);
            assert_eq!(
                (&body["success"], &body["active_sync"]["id"]),
                (&json!(false), id)
            );
            assert_eq!(keys(&body["active_sync"]), COLUMNS);
        }
        for run in admin.runs().await {
            admin.env.finished(run.metadata.name.as_deref().unwrap()).await;
        }
    }
    assert_eq!(admin.runs().await.len(), 3);
    let recent = admin.get(&admin.viewer, STATUS).await.json();
    assert_eq!(recent["data"]["recent"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_keep_the_legacy_shape() {
    let admin = AdminClient::with_connection().await;
    let unknown = format!("{STATUS}?id={}", uuid::Uuid::new_v4());
    let cases = [
        (
            admin.post(&admin.editor, SYNC, &json!({"dryRun": "yes"})).await,
            400,
        ),
        (
            admin.post(&admin.editor, SYNC, &json!({"dry_run": true})).await,
            400,
        ),
        (admin.post(&admin.editor, SYNC, &json!([])).await, 400),
        (admin.post(&admin.viewer, SYNC, &json!({})).await, 403),
        (admin.post("nonsense", SYNC, &json!({})).await, 401),
        (admin.get(&admin.viewer, &format!("{STATUS}?id=7")).await, 400),
        (admin.get(&admin.viewer, &format!("{STATUS}?di=7")).await, 400),
        (admin.get(&admin.viewer, &unknown).await, 404),
        (admin.get(&admin.no_roles, STATUS).await, 403),
    ];
    for (response, status) in cases {
        assert_eq!(response.status, status, "{response:?}");
        let body = response.json();
        assert_eq!(
            (keys(&body), &body["success"]),
            (vec!["error", "success"], &json!(false))
        );
    }
    let rejected = admin.post(&admin.viewer, SYNC, &json!({})).await.json();
    let error = rejected["error"].as_str().unwrap();
    assert!(
        error.contains("create taranasyncs") && error.contains(&admin.env.namespace),
        "{error}"
    );
}
