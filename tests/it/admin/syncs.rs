//! Runs over HTTP: those that have objects, and those whose objects are gone.

use kube::Api;
use serde_json::{Value, json};
use tarana_operator::api::schedule::TaranaSyncSchedule;

use super::client::{AdminClient, Response, send, with_json};
use crate::environment::wait_until;

const SYNCS: &str = "/api/v1/syncs";

/// Sorted ids: creation times have a resolution of one second.
fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    let mut ids: Vec<String> = items
        .map(|sync| sync["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_with_and_without_their_objects() {
    let admin = AdminClient::with_connection().await;
    let mut expected = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let run = admin.env.run(name, json!({"dryRun": name == "c"})).await;
        expected.insert(0, run.metadata.uid.unwrap());
    }
    let before: Vec<Value> = list(&admin, "").await["items"].as_array().unwrap().clone();
    let times: Vec<&str> = before
        .iter()
        .map(|sync| sync["createdAt"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    expected.sort();
    for name in ["b", "d", "e"] {
        admin.env.delete(name).await;
    }
    wait_until("the objects are gone", || async {
        (admin.runs().await.len() == 2).then_some(())
    })
    .await;
    assert_eq!(ids(&list(&admin, "").await), expected);
    assert_eq!(ids(&list(&admin, "&phase=Completed").await), expected);
    assert!(ids(&list(&admin, "&phase=Failed").await).is_empty());
    assert!(ids(&list(&admin, "&connection=other").await).is_empty());

    assert_eq!(list_in_pages(&admin).await, expected, "every run once");
    for sync in before {
        assert_same_without_object(&admin, &sync).await;
    }
}

async fn list_in_pages(admin: &AdminClient) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(admin, &format!("&limit=2{cursor}")).await;
        found.extend(ids(&page));
        let Some(next) = page["nextCursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    found.sort();
    found
}

/// Asserts that these fields of a run are the same without its object.
async fn assert_same_without_object(admin: &AdminClient, before: &Value) {
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
    let path = format!("{SYNCS}/{}", before["id"].as_str().unwrap());
    let now = admin.get(&admin.viewer, &path).await.json();
    for field in fields {
        assert_eq!(now[field], before[field], "{field} of {now}");
    }
}

async fn list(admin: &AdminClient, query: &str) -> Value {
    let path = format!("{SYNCS}?namespace={}{query}", admin.env.namespace);
    let response = admin.get(&admin.viewer, &path).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_returns_the_same_run() {
    let admin = AdminClient::with_connection().await;
    let create = async |token: &str, key: &str, body: Value| -> Response {
        let request = admin
            .request("POST", SYNCS)
            .bearer_auth(token)
            .header("Idempotency-Key", key);
        send(with_json(request, &body)).await
    };
    let first = create(&admin.editor, "k1", json!({"dryRun": true})).await;
    assert_eq!(first.status, 201, "{first:?}");
    let location = first.header("location").to_owned();
    assert_eq!(
        location,
        format!("{SYNCS}/{}", first.json()["id"].as_str().unwrap())
    );
    let again = create(&admin.editor, "k1", json!({"dryRun": true})).await;
    assert_eq!((again.status, &again.json()["id"]), (200, &first.json()["id"]));
    let other = create(&admin.editor, "k1", json!({})).await;
    assert_eq!(other.status, 422, "{other:?}");
    let second = create(&admin.editor, "k2", json!({"dryRun": true})).await;
    assert_eq!(second.status, 201);
    assert_ne!(second.json()["id"], first.json()["id"]);
    let shown = wait_until("the run can be read", || async {
        let response = admin.get(&admin.viewer, &location).await;
        (response.status == 200).then(|| response.json())
    })
    .await;
    assert_eq!(shown["trigger"]["type"], "Api");
    assert_eq!(
        shown["trigger"]["actor"],
        format!("system:serviceaccount:{}:editor", admin.env.namespace)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_once_and_can_be_rerun() {
    let admin = AdminClient::start().await;
    admin
        .env
        .sync("waits", json!({"deleteStale": true, "approvedDeletes": 3}))
        .await;
    let sync = admin
        .env
        .wait_for_sync("waits", "waits", |s| s.status.is_some())
        .await;
    let id = sync.metadata.uid.unwrap();
    let cancelled = admin
        .post(&admin.editor, &format!("{SYNCS}/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(cancelled.status, 202, "{cancelled:?}");
    admin.env.finished("waits").await;
    wait_until("the cancelled run is shown", || async {
        let shown = admin.get(&admin.viewer, &format!("{SYNCS}/{id}")).await.json();
        (shown["phase"] == "Cancelled").then_some(())
    })
    .await;
    let again = admin
        .post(&admin.editor, &format!("{SYNCS}/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(again.status, 409, "{again:?}");

    let rejected = admin
        .post(&admin.editor, &format!("{SYNCS}/{id}/rerun"), &json!({}))
        .await;
    assert_eq!(rejected.status, 422, "there is no connection: {rejected:?}");
    admin.env.create_secrets_and_connection().await;
    wait_until("the run is repeated", || async {
        let response = admin
            .post(&admin.editor, &format!("{SYNCS}/{id}/rerun"), &json!({}))
            .await;
        (response.status == 201).then(|| response.json())
    })
    .await;
    let rerun = wait_until("the repeated run is listed", || async {
        let page = list(&admin, "").await;
        let mut runs = page["items"].as_array().unwrap().iter();
        runs.find(|sync| sync["id"] != id.as_str()).cloned()
    })
    .await;
    assert_eq!(
        (&rerun["deleteStale"], &rerun["trigger"]["type"]),
        (&json!(true), &json!("Api"))
    );
    let object = admin
        .env
        .syncs()
        .get(rerun["name"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(object.spec.approved_deletes, None, "an approval is not repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_can_be_triggered_suspended_and_resumed() {
    let admin = AdminClient::with_connection().await;
    admin.schedule("nightly", json!({"schedule": "0 0 29 2 *"})).await;
    let path = format!("/api/v1/namespaces/{}/schedules/nightly", admin.env.namespace);
    let suspended = wait_until("the schedule can be suspended", || async {
        let response = admin
            .post(
                &admin.editor,
                &format!("{path}/suspend"),
                &json!({"reason": "maintenance"}),
            )
            .await;
        (response.status == 202).then(|| response.json())
    })
    .await;
    assert_eq!(
        (&suspended["suspend"], &suspended["suspendReason"]),
        (&json!(true), &json!("maintenance"))
    );
    let long = json!({"reason": "x".repeat(257)});
    let too_long = admin.post(&admin.editor, &format!("{path}/suspend"), &long).await;
    assert_eq!(too_long.status, 422, "{too_long:?}");
    let asked = admin
        .post(&admin.editor, &format!("{path}/run"), &json!({"dryRun": true}))
        .await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let child = wait_until("the run has completed", || async {
        let page = list(&admin, "&phase=Completed").await;
        page["items"].get(0).cloned()
    })
    .await;
    assert_eq!(child["trigger"]["schedule"], "nightly");
    assert_eq!(
        (&child["dryRun"], &child["deleteStale"]),
        (&json!(true), &json!(false))
    );
    let unknown = admin
        .post(&admin.editor, &format!("{path}/run"), &json!({"force": true}))
        .await;
    assert_eq!(unknown.status, 400, "{unknown:?}");
    let resumed = admin
        .post(&admin.editor, &format!("{path}/resume"), &json!({}))
        .await;
    let resumed = resumed.json();
    assert_eq!(
        (&resumed["suspend"], &resumed["suspendReason"]),
        (&json!(false), &json!(null))
    );
    let api = Api::<TaranaSyncSchedule>::namespaced(admin.env.client.clone(), &admin.env.namespace);
    assert_eq!(api.get("nightly").await.unwrap().spec.suspend_reason, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn withheld_deletions_can_be_approved_once_with_the_verb_approve() {
    let admin = AdminClient::start().await;
    admin.env.secret("tcs", &crate::servers::credentials()).await;
    admin
        .env
        .secret("database", &json!({"url": admin.env.database_url}))
        .await;
    let guard = json!({"deleteGuard": {"freeCount": 0, "maxPercent": 0}});
    admin.env.connection("default", guard).await;
    let first = admin.env.run("first", json!({})).await;
    let serials: Vec<String> = admin
        .env
        .tcs
        .base_nodes()
        .iter()
        .take(3)
        .map(|row| row.serial.to_string())
        .collect();
    for serial in &serials {
        assert!(admin.env.tcs.remove(serial));
    }
    let second = admin.env.run("second", json!({"deleteStale": true})).await;
    let withheld = second.status.clone().unwrap().counts.unwrap().withheld;
    assert!(withheld > 0);

    let approve = |id: &str| format!("{SYNCS}/{id}/approve");
    let id = second.metadata.uid.unwrap();
    let denied = admin.post(&admin.editor, &approve(&id), &json!({})).await;
    assert_eq!(denied.status, 403, "{denied:?}");
    assert!(
        denied.text.contains("approve taranasyncs.tarana.dev"),
        "{denied:?}"
    );
    let body = json!({"deleteStale": true, "approvedDeletes": 1});
    let denied = admin.post(&admin.editor, SYNCS, &body).await;
    assert_eq!(denied.status, 403, "{denied:?}");
    let nothing = admin
        .post(
            &admin.approver,
            &approve(&first.metadata.uid.unwrap()),
            &json!({}),
        )
        .await;
    assert_eq!(nothing.status, 409, "{nothing:?}");

    let approved = admin.post(&admin.approver, &approve(&id), &json!({})).await;
    assert_eq!(approved.status, 201, "{approved:?}");
    let name = approved.json()["name"].as_str().unwrap().to_owned();
    let again = admin.post(&admin.approver, &approve(&id), &json!({})).await;
    assert_eq!((again.status, &again.json()["name"]), (200, &json!(name)));
    let run = admin.env.finished(&name).await;
    assert_eq!(run.spec.approved_deletes.map(i64::from), Some(withheld));
    let counts = run.status.unwrap().counts.unwrap();
    assert_eq!((counts.deleted, counts.withheld), (withheld, 0));
}
