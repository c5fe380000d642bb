//! What is wrong with a schedule is refused, or said once.

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{create, due, events_with, newest, reason, runs, schedule_when, schedules, slot_name};
use crate::servers;
use crate::world::{World, condition};

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_refuses_what_it_can() {
    let w = World::bare(servers::tcs()).await;
    let template = |spec: Value| json!({"template": {"spec": spec}});
    for (name, spec, words) in [
        ("s", json!({"schedule": "0 0 0 * * *"}), "five fields"),
        ("s", json!({"schedule": "@every 5m"}), "five fields"),
        ("s", json!({"schedule": "TZ=UTC 0 0 * * *"}), "spec.timeZone"),
        ("s", json!({"schedule": "0 0 ? * 1"}), "? L W #"),
        ("s", json!({"schedule": "0 0 * * 5#2"}), "? L W #"),
        ("s", json!({"schedule": ""}), "at least 1"),
        (
            "s",
            json!({"jitterSeconds": 600, "startingDeadlineSeconds": 60}),
            "must not exceed",
        ),
        ("s", json!({"concurrencyPolicy": "Allow"}), "Forbid"),
        ("s", template(json!({"cancel": true})), "leave them out"),
        (
            "s",
            template(json!({"trigger": {"actor": "me"}})),
            "leave them out",
        ),
        (
            "s",
            template(json!({"ttlSecondsAfterFinished": 1})),
            "HistoryLimit",
        ),
        (
            "s",
            template(json!({"deleteStale": true, "approvedDeletes": 1})),
            "deleteGuard",
        ),
        (&"x".repeat(53), json!({}), "at most 52"),
    ] {
        let mut full = json!({"schedule": "0 0 * * *"});
        servers::merge(&mut full, spec.clone());
        let object = json!({
            "apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule", "metadata": {"name": name}, "spec": full,
        });
        let object = serde_json::from_value::<kube::api::DynamicObject>(object).unwrap();
        let kind = kube::api::ApiResource::erase::<tarana_operator::api::schedule::TaranaSyncSchedule>(&());
        let api =
            kube::Api::<kube::api::DynamicObject>::namespaced_with(w.client.clone(), &w.namespace, &kind);
        let refused = api
            .create(&PostParams::default(), &object)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains(words), "{spec}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_takes_what_is_right() {
    let w = World::bare(servers::tcs()).await;
    let longest = "x".repeat(52);
    create(&w, &longest, json!({})).await;
    for good in [
        "@daily",
        " 0\t0 * * * ",
        "*/5 0-3,7 1-7 jan-mar MON-fri",
        "0 0 1,15 * */2",
    ] {
        let patch = Patch::Merge(json!({"spec": {"schedule": good}}));
        let patched = schedules(&w)
            .patch(&longest, &PatchParams::default(), &patch)
            .await;
        assert!(patched.is_ok(), "{good}: {patched:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_is_a_condition_and_one_event() {
    let mut w = World::bare(servers::tcs()).await;
    w.secrets_and_connection().await;
    w.start_operator();
    w.ready().await;
    let nowhere = json!({"template": {"spec": {"connectionRef": {"name": "nowhere"}}}});
    for (name, spec, expected, words) in [
        (
            "never",
            json!({"schedule": "0 0 30 2 *"}),
            "NeverDue",
            "has no slot",
        ),
        (
            "range",
            json!({"schedule": "0 0 * * 5-1"}),
            "InvalidSchedule",
            "the range runs down",
        ),
        (
            "value",
            json!({"schedule": "61 0 * * *"}),
            "InvalidSchedule",
            "in the field minute",
        ),
        (
            "zone",
            json!({"timeZone": "Mars/Olympus"}),
            "InvalidSchedule",
            "Mars/Olympus",
        ),
        ("nowhere", nowhere, "ConnectionNotFound", "nowhere"),
    ] {
        create(&w, name, spec).await;
        let told = schedule_when(&w, name, "says what is wrong", |s| reason(s) == expected).await;
        let conditions = told.status.unwrap().conditions;
        assert!(
            condition(&conditions, "Ready").2.contains(words),
            "{conditions:?}"
        );
        assert_eq!(condition(&conditions, "Stalled").0, "True");
        assert_eq!(events_with(&w, name, expected).await, [expected]);
    }
    assert!(runs(&w).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_and_a_template_that_makes_no_run_cost_their_slot() {
    let mut w = World::bare(servers::tcs()).await;
    w.secrets_and_connection().await;
    let foreign = slot_name("taken", newest());
    w.sync(&foreign, json!({})).await;
    due(&w, "taken", json!({})).await;
    let labels = json!({"template": {"metadata": {"labels": {"not a label!": "x"}}}});
    due(&w, "refused", labels).await;
    w.start_operator();
    for (name, expected, words) in [
        ("taken", "NameTaken", foreign.as_str()),
        ("refused", "RunRefused", "not a label!"),
    ] {
        let told = schedule_when(&w, name, "says so", |s| reason(s) == expected).await;
        let status = told.status.unwrap();
        assert!(
            condition(&status.conditions, "Ready").2.contains(words),
            "{status:?}"
        );
        let skipped = status.last_skipped.unwrap();
        assert_eq!((skipped.reason.as_str(), skipped.time.0), (expected, newest()));
        assert_eq!(events_with(&w, name, expected).await, [expected]);
        assert!(status.next_schedule_time.is_some());
    }
    w.finished(&foreign).await;
    assert_eq!(runs(&w).await.len(), 1);
}
