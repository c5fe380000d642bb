//! Invalid schedules are rejected, or reported in a condition and one Event.

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tarana_operator::api::schedule::SlotOutcome::{Missed, Skipped};

use super::{
    create, create_due, events_with, newest, outcomes, reason, runs, schedules, slot_name, wait_for_schedule,
};
use crate::environment::{TestEnvironment, condition};
use crate::servers;

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_rejects_invalid_schedules() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let template = |spec: Value| json!({"template": {"spec": spec}});
    for (name, spec, message) in [
        ("s", json!({"schedule": "0 0 0 * * *"}), "five fields"),
        ("s", json!({"schedule": "@every 5m"}), "five fields"),
        ("s", json!({"schedule": "TZ=UTC 0 0 * * *"}), "spec.timeZone"),
        ("s", json!({"schedule": "0 0 ? * 1"}), "? L W #"),
        ("s", json!({"schedule": "0 0 * * 5#2"}), "? L W #"),
        ("s", json!({"schedule": ""}), "at least 1"),
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
            kube::Api::<kube::api::DynamicObject>::namespaced_with(env.client.clone(), &env.namespace, &kind);
        let error = api
            .create(&PostParams::default(), &object)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{spec}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_accepts_valid_schedules() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let longest = "x".repeat(52);
    create(&env, &longest, json!({})).await;
    for pattern in [
        "@daily",
        " 0\t0 * * * ",
        "*/5 0-3,7 1-7 jan-mar MON-fri",
        "0 0 1,15 * */2",
    ] {
        let patch = Patch::Merge(json!({"spec": {"schedule": pattern}}));
        let patched = schedules(&env)
            .patch(&longest, &PatchParams::default(), &patch)
            .await;
        assert!(patched.is_ok(), "{pattern}: {patched:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_errors_become_a_condition_and_one_event() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    env.start_operator();
    env.ready().await;
    let nowhere = json!({"template": {"spec": {"connectionRef": {"name": "nowhere"}}}});
    for (name, spec, expected, message) in [
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
        create(&env, name, spec).await;
        let schedule = wait_for_schedule(&env, name, "reports the error", |s| reason(s) == expected).await;
        let conditions = schedule.status.unwrap().conditions;
        assert!(
            condition(&conditions, "Ready").2.contains(message),
            "{conditions:?}"
        );
        assert_eq!(condition(&conditions, "Stalled").0, "True");
        assert_eq!(events_with(&env, name, expected).await, [expected]);
    }
    assert!(runs(&env).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_or_rejected_template_skips_the_slot() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    let foreign = slot_name("taken", newest());
    env.sync(&foreign, json!({})).await;
    create_due(&env, "taken", json!({})).await;
    let labels = json!({"template": {"metadata": {"labels": {"not a label!": "x"}}}});
    create_due(&env, "rejected", labels).await;
    env.start_operator();
    for (name, expected, message) in [
        ("taken", "NameTaken", foreign.as_str()),
        ("rejected", "RunRefused", "not a label!"),
    ] {
        let schedule = wait_for_schedule(&env, name, "reports the error", |s| reason(s) == expected).await;
        let status = schedule.status.unwrap();
        assert!(
            condition(&status.conditions, "Ready").2.contains(message),
            "{status:?}"
        );
        assert_eq!(outcomes(&status), [Skipped, Missed]);
        let newest_slot = &status.recent_slots[0];
        assert_eq!(
            (newest_slot.reason.as_str(), newest_slot.time.0),
            (expected, newest())
        );
        assert_eq!(events_with(&env, name, expected).await, ["SlotMissed", expected]);
        assert!(status.next_schedule_time.is_some());
    }
    env.finished(&foreign).await;
    assert_eq!(runs(&env).await.len(), 1);
    // Ready recovers once the object is deleted, or the template is edited. The slots stay skipped.
    env.syncs()
        .delete(&foreign, &DeleteParams::default())
        .await
        .unwrap();
    let labels = json!({"spec": {"template": {"metadata": {"labels": null}}}});
    schedules(&env)
        .patch("rejected", &PatchParams::default(), &Patch::Merge(&labels))
        .await
        .unwrap();
    for name in ["taken", "rejected"] {
        wait_for_schedule(&env, name, "is ready again", |s| reason(s) == "Scheduled").await;
    }
    assert!(runs(&env).await.is_empty());
}
