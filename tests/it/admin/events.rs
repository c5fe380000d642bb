//! The stream of live updates.

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::client::AdminClient;
use crate::environment::PATIENCE;

/// An open stream.
struct EventStream {
    response: reqwest::Response,
    buffer: String,
}

/// A server-sent event.
#[derive(Debug)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl EventStream {
    async fn open(admin: &AdminClient, token: &str, query: &str, last_event_id: Option<&str>) -> Self {
        let request = admin.request("GET", &format!("/api/v1/events{query}"));
        let request = last_event_id
            .into_iter()
            .fold(request, |request, id| request.header("last-event-id", id));
        let response = request.bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self {
            response,
            buffer: String::new(),
        }
    }

    /// The next event; `None` once the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        let next = async {
            loop {
                if let Some(end) = self.buffer.find("\n\n") {
                    let message: String = self.buffer.drain(..end + 2).collect();
                    if let Some(event) = parse(&message) {
                        return Some(event);
                    }
                    continue;
                }
                let chunk = self.response.chunk().await.expect("a clean end")?;
                self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("an event")
    }

    /// The next event that fulfills the condition.
    async fn next_where(&mut self, condition: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await.expect("the stream has ended");
            if condition(&event) {
                return event;
            }
        }
    }
}

/// `None` for a heartbeat.
fn parse(message: &str) -> Option<Event> {
    let field = |name: &str| {
        let prefix = format!("{name}: ");
        message.lines().find_map(|line| line.strip_prefix(&prefix))
    };
    Some(Event {
        name: field("event")?.to_owned(),
        id: field("id")?.to_owned(),
        data: serde_json::from_str(field("data")?).unwrap(),
    })
}

fn is_run(event: &Event, change: &str, name: &str) -> bool {
    let object = if change == "applied" {
        &event.data["object"]
    } else {
        &event.data
    };
    event.name == change && event.data["kind"] == "syncs" && object["name"] == name
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_a_snapshot_and_then_each_change_and_can_be_resumed() {
    let admin = AdminClient::with_connection().await;
    admin.env.run("before", json!({})).await;
    admin
        .env
        .wait_for_connection("default", "has recorded the run", |c| {
            c.status
                .as_ref()
                .is_some_and(|s| s.active_sync.is_none() && s.last_successful_sync_time.is_some())
        })
        .await;
    let query = format!("?namespace={}", admin.env.namespace);
    let mut stream = EventStream::open(&admin, &admin.viewer, &query, None).await;
    let snapshot = stream.next().await.unwrap();
    assert_eq!(snapshot.name, "snapshot");
    assert_eq!(snapshot.data["syncs"][0]["name"], "before");
    assert_eq!(snapshot.data["connections"][0]["name"], "default");
    assert_eq!(snapshot.data["schedules"], json!([]));
    // The same JSON as the list returns.
    let listed = admin
        .get(&admin.viewer, &format!("/api/v1/connections{query}"))
        .await;
    let keys = |connections: &Value| {
        let connection = connections[0].as_object().unwrap();
        connection.keys().cloned().collect::<Vec<_>>()
    };
    let (streamed, listed) = (&snapshot.data["connections"], &listed.json()["items"]);
    assert_eq!(streamed[0]["id"], listed[0]["id"]);
    assert_eq!(keys(streamed), keys(listed));

    let run = admin.env.run("run", json!({"dryRun": true})).await;
    let completed = stream
        .next_where(|e| is_run(e, "applied", "run") && e.data["object"]["phase"] == "Completed")
        .await;
    assert_eq!(completed.data["object"]["dryRun"], true);
    admin.env.delete("run").await;
    let deleted = stream.next_where(|e| is_run(e, "deleted", "run")).await;
    assert_eq!(deleted.data["id"], json!(run.metadata.uid));
    assert_eq!(deleted.data["namespace"], json!(admin.env.namespace));
    drop(stream);

    admin.schedule("nightly", json!({"schedule": "0 0 29 2 *"})).await;
    let id = Some(completed.id.as_str());
    let mut resumed = EventStream::open(&admin, &admin.viewer, &query, id).await;
    let missed = resumed
        .next_where(|e| e.name == "snapshot" || is_run(e, "deleted", "run"))
        .await;
    assert_eq!((missed.name, missed.id), (deleted.name, deleted.id));
    let applied = resumed.next_where(|e| e.data["kind"] == "schedules").await;
    assert_eq!(applied.data["object"]["name"], "nightly");
    assert!(applied.data["object"]["id"].is_string());
    // The id of another process.
    let mut foreign = EventStream::open(&admin, &admin.viewer, &query, Some("0-1")).await;
    assert_eq!(foreign.next().await.unwrap().name, "snapshot");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_only_what_the_reader_may_see_and_ends_with_the_permission() {
    let admin = AdminClient::with_connection().await;
    let query = format!("?namespace={}&kinds=connections", admin.env.namespace);
    for (query, status, message) in [
        ("", 403, "watch taranasyncs.tarana.dev in all namespaces"),
        (
            "?namespace=default",
            403,
            "watch taranasyncs.tarana.dev in namespace default",
        ),
        ("?kinds=syncs,pods", 400, "kinds: `pods` is none of"),
        ("?kinds=", 400, "kinds: `` is none of"),
        ("?kind=syncs", 400, "unknown field `kind`"),
    ] {
        let response = admin.get(&admin.viewer, &format!("/api/v1/events{query}")).await;
        assert_eq!(response.status, status, "{response:?}");
        assert!(response.text.contains(message), "{response:?}");
    }
    let mut stream = EventStream::open(&admin, &admin.viewer, &query, None).await;
    let snapshot = stream.next().await.unwrap();
    assert_eq!(snapshot.data.as_object().unwrap().len(), 1, "{snapshot:?}");
    admin.env.run("run", json!({})).await;
    let event = stream.next().await.unwrap();
    assert_eq!(event.data["kind"], "connections");

    let bindings: Api<RoleBinding> = Api::namespaced(admin.env.client.clone(), &admin.env.namespace);
    bindings
        .delete("viewer-viewer", &DeleteParams::default())
        .await
        .unwrap();
    while stream.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_do_not_hold_up_a_shutdown() {
    let mut admin = AdminClient::with_connection().await;
    let query = format!("?namespace={}", admin.env.namespace);
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = EventStream::open(&admin, &admin.viewer, &query, None).await;
        assert_eq!(stream.next().await.unwrap().name, "snapshot");
        streams.push(stream);
    }
    // A stream that does not end by itself is cut off, which is an error here.
    admin.env.stop_operator().await;
    for stream in &mut streams {
        while stream.next().await.is_some() {}
    }
}
