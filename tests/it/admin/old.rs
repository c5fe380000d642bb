//! The routes of the function that this replaces, field by field.

use serde_json::{Value, json};

use super::desk::Desk;

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
async fn a_trigger_is_answered_at_once_and_seen_to_its_end() {
    let desk = Desk::open().await;
    let begun = desk.post(&desk.editor, SYNC, &json!({"dryRun": true})).await;
    assert_eq!(begun.status, 202, "{begun:?}");
    let told = begun.json();
    assert_eq!(keys(&told), ["message", "options", "success", "sync_log_id"]);
    assert_eq!(told["options"], json!({"dryRun": true, "deleteStale": false}));
    assert_eq!(told["success"], true);
    let id = told["sync_log_id"].as_str().unwrap();

    // Before, while and after the operator works on it.
    let one = desk.get(&desk.viewer, &format!("{STATUS}?id={id}")).await;
    assert_eq!(
        (one.status, &one.json()["data"]["id"]),
        (200, &told["sync_log_id"]),
        "{one:?}"
    );
    assert_eq!(keys(&one.json()["data"]), COLUMNS);

    let runs = desk.runs().await;
    let run = desk.w.finished(runs[0].metadata.name.as_deref().unwrap()).await;
    let actor = format!("system:serviceaccount:{}:editor", desk.w.namespace);
    assert_eq!(run.spec.trigger.actor, Some(actor));
    assert_eq!(run.metadata.uid.as_deref(), Some(id));

    let status = desk.get(&desk.viewer, STATUS).await;
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
async fn of_two_at_the_same_moment_one_is_taken() {
    let desk = Desk::open().await;
    for round in 0..3 {
        let body = json!({});
        let triggers = (0..6).map(|_| desk.post(&desk.editor, SYNC, &body));
        let answers = futures::future::join_all(triggers).await;
        let taken: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 409).collect();
        assert_eq!((taken.len(), refused.len()), (1, 5), "round {round}: {answers:?}");
        let id = &taken[0].json()["sync_log_id"];
        for answer in refused {
            let told = answer.json();
            assert_eq!(keys(&told), ["active_sync", "error", "success"]);
            assert_eq!(
                (&told["success"], &told["active_sync"]["id"]),
                (&json!(false), id)
            );
            assert_eq!(keys(&told["active_sync"]), COLUMNS);
        }
        for run in desk.runs().await {
            desk.w.finished(run.metadata.name.as_deref().unwrap()).await;
        }
    }
    assert_eq!(desk.runs().await.len(), 3);
    let recent = desk.get(&desk.viewer, STATUS).await.json();
    assert_eq!(recent["data"]["recent"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_in_the_old_shape() {
    let desk = Desk::open().await;
    let unknown = format!("{STATUS}?id={}", uuid::Uuid::new_v4());
    let cases = [
        (
            desk.post(&desk.editor, SYNC, &json!({"dryRun": "yes"})).await,
            400,
        ),
        (
            desk.post(&desk.editor, SYNC, &json!({"dry_run": true})).await,
            400,
        ),
        (desk.post(&desk.editor, SYNC, &json!([])).await, 400),
        (desk.post(&desk.viewer, SYNC, &json!({})).await, 403),
        (desk.post("nonsense", SYNC, &json!({})).await, 401),
        (desk.get(&desk.viewer, &format!("{STATUS}?id=7")).await, 400),
        (desk.get(&desk.viewer, &format!("{STATUS}?di=7")).await, 400),
        (desk.get(&desk.viewer, &unknown).await, 404),
        (desk.get(&desk.nobody, STATUS).await, 403),
    ];
    for (answer, status) in cases {
        assert_eq!(answer.status, status, "{answer:?}");
        let told = answer.json();
        assert_eq!(
            (keys(&told), &told["success"]),
            (vec!["error", "success"], &json!(false))
        );
    }
    let refused = desk.post(&desk.viewer, SYNC, &json!({})).await.json();
    let error = refused["error"].as_str().unwrap();
    assert!(
        error.contains("create taranasyncs") && error.contains(&desk.w.namespace),
        "{error}"
    );
}
