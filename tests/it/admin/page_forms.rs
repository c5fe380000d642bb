//! The forms of the pages: what they change, for whom, and what they reject.

use serde_json::json;
use tarana_operator::api::sync::Phase;

use super::client::AdminClient;
use super::page_client::{
    APPROVE, BASE_STATIONS, Browser, CANCEL, RERUN, RESUME, RUN_SCHEDULE, SCHEDULES, SIGN_IN, SUSPEND, SYNC,
    form, read,
};
use crate::environment::{phase, wait_until};
use crate::servers;

/// The fields of a form of the connection `default`.
fn change<'a>(
    admin: &'a AdminClient,
    token: &'a str,
    fields: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let target = [
        ("namespace", admin.env.namespace.as_str()),
        ("connection", "default"),
    ];
    [&target[..], fields, &[("csrf_token", token)]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_starts_nothing_if_it_is_forged_invalid_or_of_a_user_who_may_not() {
    let admin = AdminClient::with_connection().await;
    let editor = Browser::signed_in(&admin, &admin.editor).await;
    let viewer = Browser::signed_in(&admin, &admin.viewer).await;
    let (token, viewer_token) = (editor.csrf_token().await, viewer.csrf_token().await);
    let signed_out = Browser::new(&admin);
    let response = signed_out.post(SYNC, &change(&admin, &token, &[])).await;
    assert_eq!((response.status, response.header("location")), (303, SIGN_IN));
    let foreign = form(editor.request("POST", SYNC), &change(&admin, &token, &[]));
    assert_eq!(
        read(foreign.header("sec-fetch-site", "same-site")).await.status,
        403
    );
    let other = |namespace| {
        vec![
            ("namespace", namespace),
            ("connection", "x"),
            ("csrf_token", token.as_str()),
        ]
    };
    for (fields, status) in [
        (change(&admin, &token, &[])[..2].to_vec(), 403),
        (change(&admin, "wrong", &[]), 403),
        (change(&admin, &viewer_token, &[]), 403),
        (vec![("csrf_token", token.as_str())], 400),
        (change(&admin, &token, &[("dry_run", "maybe")]), 400),
        (other(""), 400),
        (other("kube-system"), 403),
    ] {
        let response = editor.post(SYNC, &fields).await;
        assert_eq!(response.status, status, "{fields:?}: {response:?}");
    }
    let denied = viewer.post(SYNC, &change(&admin, &viewer_token, &[])).await;
    assert_eq!(denied.status, 403, "{denied:?}");
    assert!(denied.text.contains("may not create taranasyncs"), "{denied:?}");
    assert!(admin.runs().await.is_empty(), "nothing was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_is_started_and_cancelled_by_a_form_of_a_user_who_may() {
    let admin = AdminClient::with_connection().await;
    admin.env.tcs.set_rules(vec![servers::hanging_search()]);
    let editor = Browser::signed_in(&admin, &admin.editor).await;
    let viewer = Browser::signed_in(&admin, &admin.viewer).await;
    let (token, viewer_token) = (editor.csrf_token().await, viewer.csrf_token().await);
    let deletes = change(&admin, &token, &[("delete_stale", "true")]);
    let asks = editor.post(SYNC, &deletes).await;
    assert_eq!((asks.status, asks.header("location")), (303, SYNC), "{asks:?}");
    let asks = editor.get(SYNC).await;
    assert_eq!(asks.status, 200, "{asks:?}");
    assert!(asks.text.contains("Delete stale stations?"), "{asks:?}");
    assert!(admin.runs().await.is_empty(), "nothing was started");

    let dry_run = change(&admin, &token, &[("dry_run", "true")]);
    let started = editor.post(SYNC, &dry_run).await;
    assert_eq!((started.status, started.header("location")), (303, BASE_STATIONS));
    let run = admin.runs().await.pop().unwrap();
    assert!(run.spec.dry_run && !run.spec.delete_stale);
    assert!(run.spec.trigger.actor.unwrap().ends_with(":editor"));
    let busy = wait_until("the run is cached", || async {
        let response = editor.post(SYNC, &dry_run).await;
        (response.status == 409).then_some(response)
    })
    .await;
    assert!(busy.text.contains("A sync is already under way"), "{busy:?}");
    let id = run.metadata.uid.unwrap();
    for (browser, token, status) in [(&viewer, &viewer_token, 403), (&editor, &token, 303)] {
        let fields = change(&admin, token, &[("id", &id)]);
        assert_eq!(browser.post(CANCEL, &fields).await.status, status);
    }
    let name = run.metadata.name.unwrap();
    assert_eq!(phase(&admin.env.finished(&name).await), Phase::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_repeated_once_for_each_page_by_a_user_who_may() {
    let admin = AdminClient::with_connection().await;
    let editor = Browser::signed_in(&admin, &admin.editor).await;
    let viewer = Browser::signed_in(&admin, &admin.viewer).await;
    let (token, viewer_token) = (editor.csrf_token().await, viewer.csrf_token().await);
    let first = admin.env.run("first", json!({"dryRun": true})).await;
    let id = first.metadata.uid.unwrap();
    let key = ("key", "00000000-0000-0000-0000-000000000001");
    let fields = |token, key| change(&admin, token, &[("id", id.as_str()), key]);
    for path in [RERUN, APPROVE] {
        let signed_out = Browser::new(&admin).post(path, &fields(&token, key)).await;
        assert_eq!((signed_out.status, signed_out.header("location")), (303, SIGN_IN));
        assert_eq!(editor.post(path, &fields("wrong", key)).await.status, 403);
        assert_eq!(viewer.post(path, &fields(&viewer_token, key)).await.status, 403);
        let incomplete = editor.post(path, &change(&admin, &token, &[])).await;
        assert_eq!(incomplete.status, 400, "{incomplete:?}");
    }
    assert_eq!(editor.post(APPROVE, &fields(&token, key)).await.status, 403);
    let mut locations = Vec::new();
    for key in [key, key, ("key", "00000000-0000-0000-0000-000000000002")] {
        let response = editor.post(RERUN, &fields(&token, key)).await;
        assert_eq!(response.status, 303, "{response:?}");
        locations.push(response.header("location").to_owned());
    }
    assert_eq!(locations[0], locations[1], "a double click creates one run");
    assert_ne!(locations[0], locations[2]);
    let shown = editor.get(&locations[0]).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    assert_eq!(admin.runs().await.len(), 3);
}

/// The fields of a form of the schedule `rare`.
fn of_schedule<'a>(
    admin: &'a AdminClient,
    token: &'a str,
    fields: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    change(admin, token, &[&[("schedule", "rare")][..], fields].concat())
}

/// A schedule that is due on 29 February.
async fn with_schedule() -> AdminClient {
    let admin = AdminClient::with_connection().await;
    let template = json!({"spec": {"connectionRef": {"name": "default"}}});
    let spec = json!({"schedule": "0 0 29 2 *", "template": template});
    admin.schedule("rare", spec).await;
    admin
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_changes_no_schedule_if_it_is_forged_invalid_or_of_a_user_who_may_not() {
    let admin = with_schedule().await;
    let editor = Browser::signed_in(&admin, &admin.editor).await;
    let viewer = Browser::signed_in(&admin, &admin.viewer).await;
    let (token, viewer_token) = (editor.csrf_token().await, viewer.csrf_token().await);
    let reason = ("reason", "maintenance");
    let forms = |token| of_schedule(&admin, token, &[reason]);
    for path in [RUN_SCHEDULE, SUSPEND, RESUME] {
        let signed_out = Browser::new(&admin).post(path, &forms(&token)).await;
        assert_eq!(
            (signed_out.status, signed_out.header("location")),
            (303, SIGN_IN),
            "{path}"
        );
        let unknown = [("schedule", "none"), reason];
        for (browser, fields, status) in [
            (&editor, forms("wrong"), 403),
            (&viewer, forms(&viewer_token), 403),
            (&editor, change(&admin, &token, &[]), 400),
            (&editor, change(&admin, &token, &unknown), 404),
        ] {
            let response = browser.post(path, &fields).await;
            assert_eq!(response.status, status, "{path}: {fields:?}: {response:?}");
        }
    }
    // What a confirmation shows is about the connection of the schedule.
    let mut other = of_schedule(&admin, &token, &[("delete_stale", "true")]);
    other[1] = ("connection", "east");
    let other = editor.post(RUN_SCHEDULE, &other).await;
    assert_eq!(other.status, 409, "{other:?}");
    assert!(other.text.contains("syncs of another connection"), "{other:?}");
    let blank = of_schedule(&admin, &token, &[("reason", "  ")]);
    let blank = editor.post(SUSPEND, &blank).await;
    assert_eq!(blank.status, 400, "{blank:?}");
    assert!(blank.text.contains("Reason: say why"), "{blank:?}");
    assert!(admin.runs().await.is_empty(), "nothing was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_changed_by_a_form_of_a_user_who_may() {
    let admin = with_schedule().await;
    let editor = Browser::signed_in(&admin, &admin.editor).await;
    let token = editor.csrf_token().await;
    let path = format!("/api/v1/namespaces/{}/schedules/rare", admin.env.namespace);
    let maintenance = json!("vendor maintenance");
    for (form, suspend, reason) in [(SUSPEND, true, maintenance), (RESUME, false, json!(null))] {
        let fields = of_schedule(&admin, &token, &[("reason", " vendor maintenance ")]);
        let changed = editor.post(form, &fields).await;
        assert_eq!(
            (changed.status, changed.header("location")),
            (303, SCHEDULES),
            "{form}"
        );
        wait_until("the change is cached", || async {
            let schedule = admin.get(&admin.viewer, &path).await.json();
            (schedule["suspend"] == suspend && schedule["suspendReason"] == reason).then_some(())
        })
        .await;
    }
    let deletes = of_schedule(&admin, &token, &[("delete_stale", "true")]);
    let asks = editor.post(RUN_SCHEDULE, &deletes).await;
    let confirmation = format!("{SYNC}?schedule=rare");
    assert_eq!(
        (asks.status, asks.header("location")),
        (303, confirmation.as_str())
    );
    let asks = editor.get(&confirmation).await;
    assert!(
        asks.text.contains(&format!("action=\"{RUN_SCHEDULE}\"")),
        "{asks:?}"
    );
    assert!(admin.runs().await.is_empty(), "nothing was started");
    let confirmed = [deletes, vec![("confirmed", "true")]].concat();
    assert_eq!(editor.post(RUN_SCHEDULE, &confirmed).await.status, 303);
    let run = wait_until("the run is created", || async { admin.runs().await.pop() }).await;
    assert!(run.spec.delete_stale && !run.spec.dry_run);
}
