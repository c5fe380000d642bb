//! The timeline of a connection, and the attempts of a run.

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use super::client::{AdminClient, Response};
use crate::environment::{TestEnvironment, wait_until};
use crate::{chart, servers};

fn path(admin: &AdminClient, query: &str) -> String {
    format!(
        "/api/v1/namespaces/{}/connections/default/timeline{query}",
        admin.env.namespace
    )
}

async fn timeline(admin: &AdminClient, query: &str) -> Value {
    let response = admin.get(&admin.viewer, &path(admin, query)).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

/// The names of the objects with an entry of this type, newest first.
fn names(page: &Value, type_: &str) -> Vec<String> {
    let entries = items(page).iter().filter(|entry| entry["type"] == type_);
    entries
        .map(|entry| entry["object"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until the timeline has this number of entries of a type. The watch caches and Events lag behind.
async fn wait_for_entries(admin: &AdminClient, type_: &str, count: usize) -> Value {
    wait_until(&format!("the timeline has {count} of {type_}"), || async {
        let page = timeline(admin, "").await;
        (names(&page, type_).len() == count).then_some(page)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_shows_runs_approvals_suspensions_and_spec_changes() {
    let admin = AdminClient::with_connection().await;
    admin
        .env
        .run("first", json!({"trigger": {"actor": "thandi"}}))
        .await;
    let approved = json!({"deleteStale": true, "approvedDeletes": 3, "trigger": {"actor": "boss"}});
    admin.env.run("approved", approved).await;
    admin.env.tcs.set_rules(vec![servers::failing_search()]);
    admin.env.run("failing", json!({"backoffLimit": 0})).await;
    // Not of this connection.
    let own = json!({"schedule": "0 0 29 2 *"});
    let other = json!({"schedule": "0 0 29 2 *", "suspend": true, "template": {"spec": {"connectionRef": {"name": "other"}}}});
    admin.schedule("nightly", own).await;
    admin.schedule("others", other).await;
    wait_for_entries(&admin, "Created", 2).await;
    let page = suspend_and_resume(&admin).await;
    assert_eq!(names(&page, "ScheduleResumed"), ["nightly"]);
    assert_eq!(names(&page, "SyncStarted"), ["failing", "approved", "first"]);
    assert_eq!(names(&page, "SyncCompleted"), ["approved", "first"]);
    assert_eq!(names(&page, "SyncFailed"), ["failing"]);
    assert_eq!(names(&page, "DeletesApproved"), ["approved"]);
    assert!(!page.to_string().contains("others"), "{page}");
    let entry = |type_: &str, name: &str| {
        let mut entries = items(&page).iter();
        entries
            .find(|e| e["type"] == type_ && e["object"]["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(entry("SyncStarted", "first")["actor"], "thandi");
    assert_eq!(entry("DeletesApproved", "approved")["actor"], "boss");
    assert_eq!(entry("SyncFailed", "failing")["actor"], json!(null));
    let failure = entry("SyncFailed", "failing")["message"].clone();
    assert!(
        failure.as_str().unwrap().starts_with("requested: ApiUnavailable"),
        "{failure}"
    );
    assert_eq!(page["unread"], json!(null));
    // The field managers of an object have times of whole seconds: a change in the second of the creation belongs to it.
    let free_count = AtomicI64::new(20);
    wait_until("the change of the connection is shown", || async {
        let free_count = free_count.fetch_add(1, Ordering::Relaxed);
        let guard = json!({"deleteGuard": {"freeCount": free_count}});
        admin.env.change_connection("default", guard).await;
        let page = timeline(&admin, "").await;
        let changed = names(&page, "SpecChanged");
        changed.contains(&"default".to_owned()).then_some(())
    })
    .await;
    assert_pages_agree(&admin).await;

    // The log row stays; the approval was in the object.
    admin.env.delete("approved").await;
    let page = wait_for_entries(&admin, "DeletesApproved", 0).await;
    assert_eq!(names(&page, "SyncCompleted"), ["approved", "first"]);
}

/// Suspends and resumes the schedule. Returns the timeline afterwards.
async fn suspend_and_resume(admin: &AdminClient) -> Value {
    let schedule = format!("/api/v1/namespaces/{}/schedules/nightly", admin.env.namespace);
    let call = async |action: &str, body: Value| {
        let response = admin
            .post(&admin.editor, &format!("{schedule}/{action}"), &body)
            .await;
        assert_eq!(response.status, 202, "{response:?}");
    };
    call("suspend", json!({"reason": "the mast is painted"})).await;
    let page = wait_for_entries(admin, "ScheduleSuspended", 1).await;
    let suspended = items(&page)
        .iter()
        .find(|e| e["type"] == "ScheduleSuspended")
        .unwrap();
    let message = suspended["message"].as_str().unwrap();
    assert!(message.starts_with("the mast is painted"), "{message}");
    call("resume", json!({})).await;
    wait_for_entries(admin, "ScheduleResumed", 1).await
}

/// Pages of any size have the same entries, each once and newest first.
async fn assert_pages_agree(admin: &AdminClient) {
    let all = timeline(admin, "").await;
    let times: Vec<jiff::Timestamp> = items(&all)
        .iter()
        .map(|entry| entry["time"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    for limit in [1, 2, 5] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = timeline(admin, &format!("?limit={limit}{cursor}")).await;
            assert!(items(&page).len() <= limit);
            found.extend(items(&page).clone());
            let Some(next) = page["nextCursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(&found, items(&all), "pages of {limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_other_namespaces_are_not_in_the_timeline() {
    let admin = AdminClient::with_connection().await;
    let first = admin.env.run("first", json!({})).await;
    // A connection of the same name in another namespace, with the same tables; a row of another program; times that are equal.
    let insert = "insert into tarana_sync_logs (status, outcome, namespace, name, connection, started_at, completed_at)
                  select 'completed', 'completed', 'elsewhere', 'secret', 'default', now(), now() union all
                  select 'failed', null, null, null, null, t, t from (values (timestamptz '2020-01-01'), ('2020-01-01')) as v (t)";
    sqlx::query(insert).execute(&admin.env.db).await.unwrap();
    let page = timeline(&admin, "").await;
    assert!(!page.to_string().contains("secret"), "{page}");
    let old: Vec<_> = items(&page)
        .iter()
        .filter(|entry| entry["time"] == "2020-01-01T00:00:00Z")
        .map(|entry| entry["type"].as_str().unwrap())
        .collect();
    assert_eq!(old, ["SyncFailed", "SyncFailed"], "each has an end only");
    assert_pages_agree(&admin).await;
    let started = items(&page)
        .iter()
        .find(|entry| entry["type"] == "SyncStarted")
        .unwrap();
    assert_eq!(started["object"]["id"], json!(first.metadata.uid));

    assert_eq!(admin.get(&admin.no_roles, &path(&admin, "")).await.status, 403);
    let elsewhere = "/api/v1/namespaces/elsewhere/connections/default/timeline";
    assert_eq!(admin.get(&admin.viewer, elsewhere).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_queries_of_the_timeline_are_rejected() {
    let admin = AdminClient::with_connection().await;
    admin.env.run("first", json!({})).await;
    let page = timeline(&admin, "?limit=1").await;
    let cursor = page["nextCursor"].as_str().unwrap();
    let (head, tail) = cursor.split_at(5);
    let changed = if tail.starts_with('A') { 'B' } else { 'A' };
    let queries = [
        ("?limit=0".to_owned(), "limit"),
        ("?limit=501".to_owned(), "limit"),
        ("?limit=x".to_owned(), "limit"),
        ("?type=SyncStarted".to_owned(), "type"),
        ("?cursor=".to_owned(), "cursor"),
        (format!("?cursor={head}{changed}{}", &tail[1..]), "cursor"),
        (format!("?cursor={}", "A".repeat(5000)), "cursor"),
        (format!("?cursor={cursor}&cursor={cursor}"), "cursor"),
    ];
    for (query, field) in queries {
        let response = admin.get(&admin.viewer, &path(&admin, &query)).await;
        assert_eq!(response.status, 400, "{query}: {response:?}");
        assert_eq!(response.header("content-type"), "application/problem+json");
        assert!(response.text.contains(field), "{query}: {response:?}");
    }
    let missing = path(&admin, "").replace("/default/", "/none/");
    let response = admin.get(&admin.viewer, &missing).await;
    assert_eq!(response.status, 404, "{response:?}");
}

/// The role that the chart gives the operator in the namespace.
async fn chart_role(namespace: &str) -> String {
    let watched = format!("watchNamespaces={{{namespace}}}");
    let arguments = [
        "template",
        "tarana-operator",
        "charts/tarana-operator",
        "--show-only",
        "templates/rbac.yaml",
    ];
    chart::helm(&[&arguments[..], &["--namespace", namespace, "--set", &watched]].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_needs_only_the_role_of_the_chart_and_reports_an_older_one() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    let role = chart_role(&env.namespace).await;
    let kubectl = servers::plane().await.kubectl();
    kubectl.apply(&role).await.unwrap();
    env.cluster =
        servers::cluster_as(format!("system:serviceaccount:{}:tarana-operator", env.namespace)).await;
    let admin = AdminClient::start_in(env).await;
    admin.create_connection().await;
    admin.env.run("first", json!({})).await;
    let page = timeline(&admin, "").await;
    assert_eq!(
        (names(&page, "Created"), &page["unread"]),
        (vec!["default".to_owned()], &json!(null))
    );

    let older = role.replace("verbs: [create, patch, list]", "verbs: [create, patch]");
    assert_ne!(older, role);
    kubectl.apply(&older).await.unwrap();
    let page = wait_until("Events are not read any more", || async {
        let page = timeline(&admin, "").await;
        (page["unread"] == json!(["events"])).then_some(page)
    })
    .await;
    assert_eq!(names(&page, "SyncCompleted"), ["first"]);
}

async fn attempts(admin: &AdminClient, id: &str) -> Value {
    let response = admin
        .get(&admin.viewer, &format!("/api/v1/syncs/{id}/attempts"))
        .await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

/// Number and state of each attempt.
fn states(list: &Value) -> Vec<(i64, &str)> {
    let state = |item: &Value| item["number"].as_i64().unwrap();
    items(list)
        .iter()
        .map(|item| (state(item), item["state"].as_str().unwrap()))
        .collect()
}

/// The uid of a run, and the response with a part of its record.
async fn part(admin: &AdminClient, name: &str, part: &str) -> (String, Response) {
    let run = admin.env.syncs().get(name).await.unwrap();
    let id = run.metadata.uid.unwrap();
    let path = format!("/api/v1/syncs/{id}/{part}");
    let response = admin.get(&admin.viewer, &path).await;
    (id, response)
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_listed_with_and_without_the_object() {
    let admin = AdminClient::with_connection().await;
    admin.env.tcs.set_rules(vec![servers::failing_search()]);
    let backoff = json!({"initialSeconds": 1, "maxSeconds": 1});
    let spec = json!({"backoffLimit": 1, "backoff": backoff});
    let run = admin.env.run("failing", spec).await;
    let id = run.metadata.uid.unwrap();
    let with_object = wait_until("the cache has the end of the run", || async {
        let attempts = attempts(&admin, &id).await;
        (attempts["items"][1]["step"] == "Fetch").then_some(attempts)
    })
    .await;
    assert_eq!(states(&with_object), [(1, "Failed"), (2, "Failed")]);
    let list = items(&with_object);
    for attempt in list {
        assert_eq!(attempt["reason"], "ApiUnavailable", "{attempt}");
        assert!(attempt["message"].is_string(), "{attempt}");
    }
    let time = |value: &Value| -> jiff::Timestamp { value.as_str().unwrap().parse().unwrap() };
    assert!(time(&list[0]["startedAt"]) <= time(&list[0]["endedAt"]));
    assert!(time(&list[0]["endedAt"]) < time(&list[1]["endedAt"]));
    assert!(time(&list[0]["endedAt"]) < time(&list[1]["startedAt"]));

    admin.env.tcs.clear_rules();
    admin.env.tcs.set_rules(vec![servers::hanging_search()]);
    admin.env.sync("hanging", json!({})).await;
    let hanging = wait_until("the run has started", || async {
        let (id, response) = part(&admin, "hanging", "attempts").await;
        (response.status == 200 && response.json()["items"].get(0).is_some()).then_some(id)
    })
    .await;
    assert_eq!(states(&attempts(&admin, &hanging).await), [(1, "Running")]);
    admin.env.sync("waiting", json!({})).await;
    let waiting = wait_until("the waiting run has a log row", || async {
        let (id, response) = part(&admin, "waiting", "errors").await;
        (response.status == 200).then_some(id)
    })
    .await;
    // The status that says what it waits for follows the row.
    let pending = wait_until("the wait is shown", || async {
        let pending = attempts(&admin, &waiting).await;
        pending["waits"].is_array().then_some(pending)
    })
    .await;
    assert_eq!(
        (&pending["items"], &pending["waits"][0]["cause"]),
        (&json!([]), &json!("Sync"))
    );
    admin.env.cancel("hanging").await;
    admin.env.finished("hanging").await;
    assert_eq!(states(&attempts(&admin, &hanging).await), [(1, "Cancelled")]);

    admin.env.delete("failing").await;
    wait_until("the object is gone", || async {
        (attempts(&admin, &id).await == with_object).then_some(())
    })
    .await;
    reject_what_is_not_readable(&admin, &id).await;
}

async fn reject_what_is_not_readable(admin: &AdminClient, id: &str) {
    for (token, id, status) in [
        (&admin.no_roles, id, 404),
        (&admin.viewer, &uuid::Uuid::new_v4().to_string(), 404),
        (&admin.viewer, "first", 400),
    ] {
        let response = admin.get(token, &format!("/api/v1/syncs/{id}/attempts")).await;
        assert_eq!(response.status, status, "{response:?}");
        assert_eq!(response.header("content-type"), "application/problem+json");
    }
}
