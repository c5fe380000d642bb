//! `CloudEvents` over HTTP.

use serde_json::{Value, json};
use tarana_operator::api::sync::Phase;

use super::client::{AdminClient, Response, send};
use crate::environment::wait_until;

fn requested(id: &str, data: &Value) -> Value {
    json!({"specversion": "1.0", "type": "tarana/sync.requested", "source": "/app", "id": id, "data": data})
}

async fn post(admin: &AdminClient, token: &str, event: &Value) -> Response {
    let request = admin
        .request("POST", "/api/v1/cloudevents")
        .bearer_auth(token)
        .header("content-type", "application/cloudevents+json")
        .body(event.to_string());
    send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_requests_and_cancels_a_run_once() {
    let admin = AdminClient::with_connection().await;
    let user = "0f8fad5b-d9cb-469f-a165-70867728950e";
    let data = json!({"triggered_by": "manual", "admin_user_id": user, "sync_log_id": user, "options": {"dryRun": true}});
    let event = requested("1", &data);
    let first = post(&admin, &admin.editor, &event).await;
    assert_eq!(first.status, 202, "{first:?}");
    let run = first.json();
    assert_eq!(
        (&run["dryRun"], &run["trigger"]["adminUserId"]),
        (&json!(true), &json!(user))
    );
    let again = post(&admin, &admin.editor, &event).await;
    assert_eq!((again.status, &again.json()["id"]), (200, &run["id"]));
    // In binary mode it is the same event.
    let binary = ["specversion", "type", "source", "id"]
        .iter()
        .fold(admin.request("POST", "/api/v1/cloudevents"), |request, name| {
            request.header(format!("ce-{name}"), event[*name].as_str().unwrap())
        })
        .bearer_auth(&admin.editor)
        .header("content-type", "application/json")
        .body(data.to_string());
    let binary = send(binary).await;
    assert_eq!((binary.status, &binary.json()["id"]), (200, &run["id"]));
    let changed = requested("1", &json!({"triggered_by": "manual"}));
    assert_eq!(post(&admin, &admin.editor, &changed).await.status, 422);
    let other = post(&admin, &admin.editor, &requested("2", &data)).await;
    assert_eq!(other.status, 202);
    assert_ne!(other.json()["id"], run["id"]);

    let finished = admin.env.finished(run["name"].as_str().unwrap()).await;
    assert_eq!(finished.spec.trigger.admin_user_id.unwrap().to_string(), user);
    let cancelled = |id: &Value| json!({"specversion": "1.0", "type": "tarana/sync.cancelled", "source": "/app", "id": "3", "data": {"sync_log_id": id}});
    // The watch cache of the admin API may not have the end yet.
    wait_until("a redelivered cancellation is no error", || async {
        let ended = post(&admin, &admin.editor, &cancelled(&run["id"])).await;
        (ended.status == 200).then_some(())
    })
    .await;
    assert_eq!(
        post(&admin, &admin.viewer, &cancelled(&run["id"])).await.status,
        403
    );
    assert_eq!(
        post(&admin, &admin.viewer, &requested("4", &data)).await.status,
        403
    );
    assert_eq!(
        post(&admin, &admin.editor, &cancelled(&json!(user))).await.status,
        404
    );
    assert_eq!(
        post(&admin, &admin.editor, &cancelled(&json!("x"))).await.status,
        400
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_cancels_a_waiting_run() {
    let admin = AdminClient::start().await;
    let waits = admin.env.sync("waits", json!({})).await;
    admin
        .env
        .wait_for_sync("waits", "waits", |s| s.status.is_some())
        .await;
    let event = json!({"specversion": "1.0", "type": "tarana/sync.cancelled", "source": "/app", "id": "1",
                       "data": {"sync_log_id": waits.metadata.uid.unwrap()}});
    let cancelled = post(&admin, &admin.editor, &event).await;
    assert_eq!(cancelled.status, 202, "{cancelled:?}");
    let finished = admin.env.finished("waits").await;
    assert_eq!(finished.status.unwrap().phase, Phase::Cancelled);
}
