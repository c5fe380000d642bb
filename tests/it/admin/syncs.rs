//! Runs over HTTP: the same that kubectl shows, and those whose objects are gone.

use serde_json::{Value, json};

use super::desk::{Answer, Desk, answer, json as with_json};
use crate::world::until;

const SYNCS: &str = "/api/v1/syncs";

/// Sorted: Kubernetes' times are whole seconds, so that runs of one second are in no order.
fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    let mut ids: Vec<String> = items
        .map(|sync| sync["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn all_runs_are_listed_page_by_page_whether_their_objects_exist_or_not() {
    let desk = Desk::open().await;
    let mut expected = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let run = desk.w.run(name, json!({"dryRun": name == "c"})).await;
        expected.insert(0, run.metadata.uid.unwrap());
    }
    let before: Vec<Value> = list(&desk, "").await["items"].as_array().unwrap().clone();
    let times: Vec<&str> = before
        .iter()
        .map(|sync| sync["createdAt"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    expected.sort();
    for name in ["b", "d", "e"] {
        desk.w.delete(name).await;
    }
    until("the objects are gone", || async {
        (desk.runs().await.len() == 2).then_some(())
    })
    .await;
    assert_eq!(ids(&list(&desk, "").await), expected);
    assert_eq!(ids(&list(&desk, "&phase=Completed").await), expected);
    assert!(ids(&list(&desk, "&phase=Failed").await).is_empty());
    assert!(ids(&list(&desk, "&connection=other").await).is_empty());

    assert_eq!(page_by_page(&desk).await, expected, "each once");
    for was in before {
        is_shown_alike(&desk, &was).await;
    }
}

async fn page_by_page(desk: &Desk) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(desk, &format!("&limit=2{cursor}")).await;
        found.extend(ids(&page));
        let Some(next) = page["nextCursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    found.sort();
    found
}

/// What is shown of a run is the same with and without its object, but for what the row does not know.
async fn is_shown_alike(desk: &Desk, was: &Value) {
    let fields = [
        "id",
        "name",
        "namespace",
        "connection",
        "phase",
        "dryRun",
        "deleteStale",
        "durationMs",
        "counts",
        "reason",
        "listing",
        "proof",
    ];
    let path = format!("{SYNCS}/{}", was["id"].as_str().unwrap());
    let now = desk.get(&desk.viewer, &path).await.json();
    for field in fields {
        assert_eq!(now[field], was[field], "{field} of {now}");
    }
}

async fn list(desk: &Desk, query: &str) -> Value {
    let path = format!("{SYNCS}?namespace={}{query}", desk.w.namespace);
    let answer = desk.get(&desk.viewer, &path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_a_repetition_the_same_run() {
    let desk = Desk::open().await;
    let create = async |token: &str, key: &str, body: Value| -> Answer {
        let request = desk
            .request("POST", SYNCS)
            .bearer_auth(token)
            .header("Idempotency-Key", key);
        answer(with_json(request, &body)).await
    };
    let first = create(&desk.editor, "k1", json!({"dryRun": true})).await;
    assert_eq!(first.status, 201, "{first:?}");
    let location = first.header("location").to_owned();
    assert_eq!(
        location,
        format!("{SYNCS}/{}", first.json()["id"].as_str().unwrap())
    );
    let again = create(&desk.editor, "k1", json!({"dryRun": true})).await;
    assert_eq!((again.status, &again.json()["id"]), (200, &first.json()["id"]));
    let other = create(&desk.editor, "k1", json!({})).await;
    assert_eq!(other.status, 422, "{other:?}");
    let second = create(&desk.editor, "k2", json!({"dryRun": true})).await;
    assert_eq!(second.status, 201);
    assert_ne!(second.json()["id"], first.json()["id"]);
    let shown = desk.get(&desk.viewer, &location).await.json();
    assert_eq!(shown["trigger"]["type"], "Api");
    assert_eq!(
        shown["trigger"]["actor"],
        format!("system:serviceaccount:{}:editor", desk.w.namespace)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_once_and_run_again() {
    let desk = Desk::closed().await;
    desk.w
        .sync("waits", json!({"deleteStale": true, "approvedDeletes": 3}))
        .await;
    let sync = desk.w.sync_when("waits", "waits", |s| s.status.is_some()).await;
    let id = sync.metadata.uid.unwrap();
    let cancelled = desk
        .post(&desk.editor, &format!("{SYNCS}/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(cancelled.status, 202, "{cancelled:?}");
    desk.w.finished("waits").await;
    until("the cache has its end", || async {
        let shown = desk.get(&desk.viewer, &format!("{SYNCS}/{id}")).await.json();
        (shown["phase"] == "Cancelled").then_some(())
    })
    .await;
    let again = desk
        .post(&desk.editor, &format!("{SYNCS}/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(again.status, 409, "{again:?}");

    let refused = desk
        .post(&desk.editor, &format!("{SYNCS}/{id}/rerun"), &json!({}))
        .await;
    assert_eq!(refused.status, 422, "there is no connection: {refused:?}");
    desk.w.secrets_and_connection().await;
    until("it is run again", || async {
        let answer = desk
            .post(&desk.editor, &format!("{SYNCS}/{id}/rerun"), &json!({}))
            .await;
        (answer.status == 201).then(|| answer.json())
    })
    .await;
    let page = list(&desk, "").await;
    let runs = page["items"].as_array().unwrap();
    let rerun = runs.iter().find(|sync| sync["id"] != id.as_str()).unwrap();
    assert_eq!(
        (&rerun["deleteStale"], &rerun["trigger"]["type"]),
        (&json!(true), &json!("Api"))
    );
    let object = desk.w.syncs().get(rerun["name"].as_str().unwrap()).await.unwrap();
    assert_eq!(
        object.spec.approved_deletes, None,
        "what was approved then is not for now"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_run_now_suspended_and_resumed() {
    let desk = Desk::open().await;
    desk.schedule("nightly", json!({"schedule": "0 0 29 2 *"})).await;
    let path = format!("/api/v1/namespaces/{}/schedules/nightly", desk.w.namespace);
    let suspended = until("it can be suspended", || async {
        let answer = desk
            .post(&desk.editor, &format!("{path}/suspend"), &json!({}))
            .await;
        (answer.status == 202).then(|| answer.json())
    })
    .await;
    assert_eq!(suspended["suspend"], true);
    let asked = desk.post(&desk.editor, &format!("{path}/run"), &json!({})).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let child = until("it has run", || async {
        let page = list(&desk, "&phase=Completed").await;
        page["items"].get(0).cloned()
    })
    .await;
    assert_eq!(child["trigger"]["schedule"], "nightly");
    let resumed = desk
        .post(&desk.editor, &format!("{path}/resume"), &json!({}))
        .await;
    assert_eq!(resumed.json()["suspend"], false);
}
