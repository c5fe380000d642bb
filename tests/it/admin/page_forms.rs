//! The forms of the pages: what they change, for whom, and what they reject.

use serde_json::json;
use tarana_operator::api::sync::Phase;

use super::client::AdminClient;
use super::page_client::{APPROVE, BASE_STATIONS, Browser, CANCEL, RERUN, SIGN_IN, SYNC, form, read};
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
