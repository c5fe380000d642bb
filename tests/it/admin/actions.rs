//! What callers do is published as Events with their names.

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::client::AdminClient;
use crate::environment::wait_until;

/// More denials than are published per minute.
const DENIALS: i32 = 25;
const MAX_PUBLISHED_DENIALS: i32 = 10;

/// The Events about an object with that reason.
async fn events(admin: &AdminClient, object: &str, reason: &str) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(admin.env.client.clone(), &admin.env.namespace);
    let all = api.list(&ListParams::default()).await.unwrap().items.into_iter();
    let is_selected = |event: &Event| {
        let regarding = event.regarding.as_ref().and_then(|object| object.name.as_deref());
        regarding == Some(object) && event.reason.as_deref() == Some(reason)
    };
    all.filter(is_selected).collect()
}

/// Waits until there is one such Event, and returns its note.
async fn note(admin: &AdminClient, object: &str, reason: &str) -> String {
    let event = wait_until(&format!("the Event {reason} of {object}"), || async {
        events(admin, object, reason).await.pop()
    })
    .await;
    event.note.unwrap()
}

async fn post(admin: &AdminClient, token: &str, path: &str, body: Value, status: u16) -> Value {
    let response = admin.post(token, path, &body).await;
    assert_eq!(response.status, status, "{path}: {response:?}");
    response.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_new_run_is_an_event_with_the_callers_name() {
    let admin = AdminClient::with_connection().await;
    let namespace = &admin.env.namespace;
    let editor = format!("system:serviceaccount:{namespace}:editor");

    let created = post(
        &admin,
        &admin.editor,
        "/api/v1/syncs",
        json!({"dryRun": true}),
        201,
    )
    .await;
    let name = created["name"].as_str().unwrap();
    let expected = format!("{editor} created this run (dryRun) over the admin API");
    assert_eq!(note(&admin, name, "SyncRequested").await, expected);
    admin.env.finished(name).await;

    let id = created["id"].as_str().unwrap();
    let rerun = post(
        &admin,
        &admin.editor,
        &format!("/api/v1/syncs/{id}/rerun"),
        json!({}),
        201,
    )
    .await;
    let expected = format!("{editor} created this run like {name} over the admin API");
    let rerun = rerun["name"].as_str().unwrap();
    assert_eq!(note(&admin, rerun, "SyncRequested").await, expected);
    admin.env.finished(rerun).await;

    let path = "/api/admin/tarana/sync";
    let legacy = post(&admin, &admin.editor, path, json!({"deleteStale": true}), 202).await;
    let legacy = admin
        .runs()
        .await
        .into_iter()
        .find(|run| run.metadata.uid.as_deref() == legacy["sync_log_id"].as_str());
    let expected = format!("{editor} created this run (deleteStale) over the admin API");
    assert_eq!(
        note(&admin, &legacy.unwrap().metadata.name.unwrap(), "SyncRequested").await,
        expected
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_of_a_schedule_is_an_event() {
    let admin = AdminClient::start().await;
    let namespace = &admin.env.namespace;
    let editor = format!("system:serviceaccount:{namespace}:editor");
    admin.schedule("nightly", json!({"schedule": "0 0 29 2 *"})).await;
    let path = format!("/api/v1/namespaces/{namespace}/schedules/nightly");
    wait_until("the schedule is cached", || async {
        (admin.get(&admin.viewer, &path).await.status == 200).then_some(())
    })
    .await;
    post(
        &admin,
        &admin.editor,
        &format!("{path}/suspend"),
        json!({"reason": "works"}),
        202,
    )
    .await;
    post(&admin, &admin.editor, &format!("{path}/run"), json!({}), 202).await;
    post(&admin, &admin.editor, &format!("{path}/resume"), json!({}), 202).await;
    for (reason, what) in [
        ("SuspendRequested", "suspended the schedule (works)"),
        ("RunRequested", "requested a run"),
        ("ResumeRequested", "resumed the schedule"),
    ] {
        let expected = format!("{editor} {what} over the admin API");
        assert_eq!(note(&admin, "nightly", reason).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_is_an_event() {
    let admin = AdminClient::start().await;
    admin.env.sync("waits", json!({})).await;
    let sync = admin
        .env
        .wait_for_sync("waits", "waits", |s| s.status.is_some())
        .await;
    let path = format!("/api/v1/syncs/{}/cancel", sync.metadata.uid.unwrap());
    let viewer = format!("system:serviceaccount:{}:viewer", admin.env.namespace);
    post(&admin, &admin.viewer, &path, json!({}), 403).await;
    let denied = note(&admin, "waits", "ActionDenied").await;
    assert!(
        denied.contains(&viewer) && denied.contains("patch taranasyncs.tarana.dev"),
        "{denied}"
    );
    post(&admin, &admin.editor, &path, json!({}), 202).await;
    let note = note(&admin, "waits", "CancelRequested").await;
    assert!(note.contains(":editor requested the cancellation"), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_actions_are_published_up_to_a_rate() {
    let admin = AdminClient::with_connection().await;
    let namespace = admin.env.namespace.clone();
    for _ in 0..DENIALS {
        post(&admin, &admin.viewer, "/api/v1/syncs", json!({}), 403).await;
    }
    // A last action of another caller: what was queued before it is published before it.
    post(&admin, &admin.no_roles, "/api/v1/syncs", json!({}), 403).await;
    let of = async |user: &str| {
        let mut events = events(&admin, "default", "ActionDenied").await;
        events.retain(|event| {
            event
                .note
                .as_ref()
                .unwrap()
                .contains(&format!(":{namespace}:{user} "))
        });
        events
    };
    wait_until("the last denial is published", || async {
        of("nobody").await.pop()
    })
    .await;
    let published = of("viewer").await;
    let [event] = published.as_slice() else {
        panic!("one Event with a count: {published:?}");
    };
    let count = event.series.as_ref().map_or(1, |series| series.count);
    // The limit refills while the requests take their time.
    assert!(
        (2..DENIALS).contains(&count) && count >= MAX_PUBLISHED_DENIALS,
        "{event:?}"
    );
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    // Reading is not an action.
    let response = admin
        .get(&admin.no_roles, &format!("/api/v1/syncs?namespace={namespace}"))
        .await;
    assert_eq!(response.status, 403);
}
