//! Runs that the trigger annotation requests.

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use super::{REQUEST, create, get, reason, runs, trigger, wait_for_schedule};
use crate::environment::{TestEnvironment, phase, wait_until};
use crate::servers;
use tarana_operator::api::reason::Reason;
use tarana_operator::api::sync::Phase;
use tarana_operator::notify::{EventSpec, Notifier};

/// The Events about a schedule with this reason, oldest first.
async fn events(env: &TestEnvironment, name: &str, reason: &str) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(env.client.clone(), &env.namespace);
    let mut events = api.list(&ListParams::default()).await.unwrap().items;
    let is_about = |event: &Event| event.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(name);
    events.retain(|event| is_about(event) && event.reason.as_deref() == Some(reason));
    events.sort_by_key(|event| event.event_time.as_ref().map(|t| t.0));
    events
}

/// Sets the annotation and waits until it is handled.
async fn trigger_and_wait(env: &TestEnvironment, value: &str) {
    trigger(env, "s", value).await;
    wait_for_schedule(env, "s", "has handled the request", |s| {
        let handled = s.status.as_ref().and_then(|s| s.last_handled_trigger.as_ref());
        handled.is_some_and(|handled| handled[..10] == value[..10] && handled.len() <= 64)
            && handled.is_some_and(|handled| handled == value || value.len() > 64)
    })
    .await;
}

/// Invalid values: one Event each, and no run.
async fn report_invalid_values(env: &TestEnvironment) {
    trigger_and_wait(env, "2099-01-01T00:00:00Z dryrun").await;
    let long = "2099-01-01".repeat(20_000);
    trigger_and_wait(env, &long).await;
    let invalid = wait_until("both values are reported", || async {
        Some(events(env, "s", "InvalidTrigger").await).filter(|events| events.len() == 2)
    })
    .await;
    for event in &invalid {
        let note = event.note.as_ref().unwrap();
        assert!(note.contains("<RFC 3339 time>[ dryRun][ deleteStale]"), "{note}");
    }
    assert!(runs(env).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trigger_annotation_sets_options_and_reports_invalid_values_once() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    create(&env, "s", json!({"suspend": true})).await;
    env.start_operator();
    env.ready().await;
    wait_for_schedule(&env, "s", "is suspended", |s| reason(s) == "Suspended").await;

    report_invalid_values(&env).await;
    // A dry run is no success.
    let dry = format!("{REQUEST} dryRun deleteStale");
    trigger_and_wait(&env, &dry).await;
    let after_dry = wait_for_schedule(&env, "s", "records the dry run", |s| {
        s.status.as_ref().is_some_and(|s| s.last_sync.is_some())
    })
    .await;
    let status = after_dry.status.unwrap();
    assert!(status.last_sync.as_ref().unwrap().dry_run);
    assert_eq!(status.last_successful_time, None);
    let dry_run = runs(&env).await.pop().unwrap();
    assert_eq!((dry_run.spec.dry_run, dry_run.spec.delete_stale), (true, true));
    assert_eq!(phase(&dry_run), Phase::Completed);

    trigger_and_wait(&env, REQUEST).await;
    wait_for_schedule(&env, "s", "records the success", |s| {
        s.status
            .as_ref()
            .is_some_and(|s| s.last_successful_time.is_some())
    })
    .await;
    // The earlier value again: its run exists, and the Event says so.
    trigger_and_wait(&env, &dry).await;
    let triggered = wait_until("three requests are reported", || async {
        Some(events(&env, "s", "Triggered").await).filter(|events| events.len() == 3)
    })
    .await;
    let related: Vec<_> = triggered
        .iter()
        .map(|event| event.related.as_ref().unwrap().name.clone().unwrap())
        .collect();
    let names: Vec<String> = runs(&env).await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(related[0], dry_run.name_any());
    assert_eq!(related[0], related[2]);
    assert!(names.contains(&related[1]) && related[0] != related[1]);
    let note = triggered[2].note.as_ref().unwrap();
    assert!(note.contains("set the annotation to the current time"), "{note}");
    // A repeated reconcile reports nothing again.
    env.stop_operator().await;
    env.start_operator();
    env.ready().await;
    let stored = get(&env, "s").await;
    assert_eq!(stored.status.unwrap().last_handled_trigger, Some(dry));
    assert_eq!(events(&env, "s", "InvalidTrigger").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_counted_only_if_their_notes_are_equal() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let schedule = create(&env, "s", json!({})).await;
    let notifier = Notifier::new(env.client.clone(), "test".into());
    for note in ["first", "second", "first", "first"] {
        let event = EventSpec::normal(Reason::RunCreated, note);
        notifier.publish(&schedule.object_ref(&()), &event).await;
    }
    let count = |event: &Event| event.series.as_ref().map(|series| series.count);
    let published: Vec<_> = events(&env, "s", "RunCreated")
        .await
        .iter()
        .map(|event| (event.note.clone().unwrap(), count(event)))
        .collect();
    assert_eq!(
        published,
        [("first".to_owned(), Some(3)), ("second".to_owned(), None)]
    );
}
