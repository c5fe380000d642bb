//! Filters and orders of the list of runs, with and without their objects.

use kube::api::PostParams;
use serde_json::{Value, json};

use super::client::AdminClient;
use crate::environment::wait_until;

/// Creates a run as a schedule creates it, and waits for its end.
async fn run_of_schedule(admin: &AdminClient, name: &str, schedule: &str) {
    let trigger = json!({"type": "Schedule", "scheduledTime": "2026-01-01T00:00:00Z"});
    let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
        "metadata": {"name": name, "labels": {"tarana.dev/schedule": schedule}}, "spec": {"trigger": trigger}});
    let object = serde_json::from_value(object).unwrap();
    let created = admin.env.syncs().create(&PostParams::default(), &object).await;
    created.unwrap();
    admin.env.finished(name).await;
}

async fn names(admin: &AdminClient, query: &str) -> Vec<String> {
    let path = format!("/api/v1/syncs?namespace={}&{query}", admin.env.namespace);
    let response = admin.get(&admin.viewer, &path).await;
    assert_eq!(response.status, 200, "{response:?}");
    let items = response.json()["items"].as_array().unwrap().clone();
    let mut names: Vec<String> = items
        .iter()
        .map(|run| run["name"].as_str().unwrap().to_owned())
        .collect();
    if !query.contains("sort=") {
        names.sort();
    }
    names
}

/// Asserts what each filter selects. `api` is the name of the run that the API created, if filters see it as such.
async fn assert_filters(admin: &AdminClient, api: &str, has_object: bool) {
    let all = ["by-hand", "nightly-29453760", "nightly-old-29453761", api];
    let sorted = |names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        names.sort();
        names
    };
    let by_api: &[&str] = if has_object { &[api] } else { &[] };
    let by_hand: &[&str] = if has_object {
        &["by-hand"]
    } else {
        &["by-hand", api]
    };
    let not_by_hand: Vec<&str> = all
        .iter()
        .copied()
        .filter(|name| !by_hand.contains(name))
        .collect();
    for (query, expected) in [
        ("schedule=nightly", &["nightly-29453760"][..]),
        ("schedule=nightly-old", &["nightly-old-29453761"]),
        ("schedule=night", &[]),
        ("trigger=Schedule", &["nightly-29453760", "nightly-old-29453761"]),
        ("trigger=Manual", by_hand),
        ("trigger=Api", by_api),
        ("notTrigger=Schedule", &["by-hand", api]),
        ("notTrigger=Manual", &not_by_hand),
        ("trigger=Manual&notTrigger=Manual", &[]),
        ("schedule=nightly&trigger=Manual", &[]),
        ("endedFrom=2000-01-01T00:00:00Z", &all),
        ("endedBefore=2000-01-01T00:00:00Z", &[]),
        ("endedFrom=2999-01-01T00:00:00Z", &[]),
        (
            "endedFrom=2000-01-01T00:00:00Z&endedBefore=2999-01-01T00:00:00Z&phase=Completed",
            &all,
        ),
    ] {
        assert_eq!(
            names(admin, query).await,
            sorted(expected),
            "{query}, objects: {has_object}"
        );
    }
}

/// The whole list by duration, one run per page.
async fn by_duration(admin: &AdminClient) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!(
            "/api/v1/syncs?namespace={}&sort=duration&limit=1{cursor}",
            admin.env.namespace
        );
        let page = admin.get(&admin.viewer, &path).await.json();
        found.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["nextCursor"].as_str() else {
            return found;
        };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_filtered_and_sorted_with_and_without_their_objects() {
    let admin = AdminClient::with_connection().await;
    admin.env.run("by-hand", json!({})).await;
    run_of_schedule(&admin, "nightly-29453760", "nightly").await;
    run_of_schedule(&admin, "nightly-old-29453761", "nightly-old").await;
    let created = admin
        .post(&admin.editor, "/api/v1/syncs", &json!({}))
        .await
        .json();
    let api = created["name"].as_str().unwrap();
    admin.env.finished(api).await;
    wait_until("the cache has the end of the run", || async {
        (names(&admin, "phase=Completed").await.len() == 4).then_some(())
    })
    .await;
    assert_filters(&admin, api, true).await;
    let with_objects = by_duration(&admin).await;
    for name in ["by-hand", "nightly-29453760", "nightly-old-29453761", api] {
        admin.env.delete(name).await;
    }
    wait_until("the objects are gone", || async {
        admin.runs().await.is_empty().then_some(())
    })
    .await;
    wait_until("the cache has no objects", || async {
        names(&admin, "trigger=Api").await.is_empty().then_some(())
    })
    .await;
    assert_filters(&admin, api, false).await;
    for list in [&with_objects, &by_duration(&admin).await] {
        assert_eq!(list.len(), 4, "every run once");
        assert!(
            list.is_sorted_by_key(|run| std::cmp::Reverse(run["durationMs"].as_i64().unwrap())),
            "{list:?}"
        );
    }
    let scheduled = names(&admin, "schedule=nightly&sort=duration").await;
    assert_eq!(scheduled, ["nightly-29453760"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_filters_are_rejected() {
    let admin = AdminClient::start().await;
    let namespace = &admin.env.namespace;
    let newest = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (query, field) in [
        ("trigger=cron", "cron"),
        ("notTrigger=", "notTrigger"),
        ("endedFrom=yesterday", "endedFrom"),
        ("endedBefore=2026-01-01", "endedBefore"),
        ("sort=name", "name"),
        ("limit=0", "limit"),
        (&format!("cursor={newest}"), "cursor"),
        ("order=asc", "order"),
    ] {
        let path = format!("/api/v1/syncs?namespace={namespace}&{query}");
        let response = admin.get(&admin.viewer, &path).await;
        assert_eq!(response.status, 400, "{query}: {response:?}");
        let detail = response.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(field), "{query}: {detail}");
    }
}
