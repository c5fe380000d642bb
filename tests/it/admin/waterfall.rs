//! Where the time of a run went: waits, attempts and steps, over the API and on its page.

use devenv::simulator::{Endpoint, Fault, Rule};
use serde_json::{Value, json};

use super::client::AdminClient;
use super::page_client::{Browser, RUNS};
use crate::environment::{TestEnvironment, of, step, wait_until};
use crate::servers;

async fn attempts(admin: &AdminClient, id: &str) -> Value {
    let path = format!("/api/v1/syncs/{id}/attempts");
    admin.get(&admin.viewer, &path).await.json()
}

fn entries(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn causes(waits: &Value) -> Vec<&str> {
    let waits = entries(waits).iter();
    waits.map(|wait| wait["cause"].as_str().unwrap()).collect()
}

/// Asserts that everything has ended, and not before it began.
fn assert_ended(periods: &Value) {
    for period in entries(periods) {
        let time = |name: &str| -> jiff::Timestamp { period[name].as_str().unwrap().parse().unwrap() };
        assert!(time("startedAt") <= time("endedAt"), "{period}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_attempts_and_steps_of_a_run_are_shown() {
    let admin = AdminClient::with_connection().await;
    let env = &admin.env;
    env.tcs.set_rules(vec![servers::hanging_search()]);
    env.sync("blocker", json!({})).await;
    env.wait_for_sync("blocker", "reads", |s| step(s).is_some()).await;
    let spec = json!({"backoffLimit": 9, "backoff": {"initialSeconds": 2, "maxSeconds": 2}});
    let run = env.sync("slow", spec).await;
    let id = run.metadata.uid.unwrap();
    env.wait_for_sync("slow", "waits", |s| of(s, "Reconciling").1 == "Queued")
        .await;
    let pending = wait_until("the wait is shown while it lasts", || async {
        let shown = attempts(&admin, &id).await;
        (causes(&shown["waits"]) == ["Sync"]).then_some(shown)
    })
    .await;
    let wait = &pending["waits"][0];
    assert!(
        wait["detail"].as_str().unwrap().contains("TaranaSync blocker"),
        "{wait}"
    );
    assert_eq!(wait["endedAt"], json!(null));

    env.tcs.set_rules(vec![servers::failing_search()]);
    env.cancel("blocker").await;
    wait_until("an attempt has failed", || async {
        let shown = attempts(&admin, &id).await;
        (shown["items"][0]["state"] == "Failed").then_some(())
    })
    .await;
    let throttle = Fault::Throttle {
        seconds: 1,
        as_date: false,
    };
    env.tcs.set_rules(vec![Rule {
        times: Some(1),
        ..Rule::on(Endpoint::Search, throttle)
    }]);
    let run = env.finished("slow").await;
    let shown = attempts(&admin, &id).await;
    println!("{shown:#}");
    assert_eq!(env.log_row(&run).await["status"], "completed");
    assert_shown(&shown);
    assert_on_page(&admin, &id).await;
}

/// A wait for another run, a failed attempt, and one that the vendor throttled.
fn assert_shown(shown: &Value) {
    assert_eq!(causes(&shown["waits"])[..2], ["Sync", "Backoff"]);
    assert_ended(&shown["waits"]);
    assert!(shown["waits"][1]["until"].is_string());
    let items = entries(&shown["items"]);
    let (first, last) = (&items[0], items.last().unwrap());
    assert_eq!(
        (&first["state"], &first["step"]),
        (&json!("Failed"), &json!("Fetch"))
    );
    let names = |attempt: &Value| -> Vec<String> {
        let steps = entries(&attempt["steps"]).iter();
        steps
            .map(|step| format!("{} {}", step["step"], step["failed"]).replace('"', ""))
            .collect()
    };
    assert_eq!(names(first), ["Open false", "Fetch true"]);
    assert_eq!(names(last), ["Open false", "Fetch false", "Apply false"]);
    assert!(
        last["steps"][1]["pages"].as_i64().unwrap() >= 4,
        "one for each region: {last}"
    );
    assert!(causes(&last["waits"]).contains(&"Throttling"), "{last}");
    for attempt in items {
        assert_ended(&json!([attempt]));
        assert_ended(&attempt["steps"]);
        assert_ended(&attempt["waits"]);
    }
}

async fn assert_on_page(admin: &AdminClient, id: &str) {
    let viewer = Browser::signed_in(admin, &admin.viewer).await;
    let page = viewer.get(&format!("{RUNS}/{id}")).await;
    assert_eq!(page.status, 200, "{page:?}");
    for text in [
        "Wait for another sync",
        "Attempt 1 failed",
        "Read the listing: failed",
        "Wait before the next attempt",
        "Wait: the vendor asked for a pause",
        "Write the changes",
        "class=\"bar bar-failed\"",
    ] {
        assert!(page.text.contains(text), "{text}: {page:?}");
    }
    assert!(!page.text.contains("so far"), "{page:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_continues_the_attempt_and_shows_the_interruption() {
    let mut env = TestEnvironment::new().await;
    env.ready().await;
    env.tcs.set_rules(vec![servers::hanging_search()]);
    env.sync("interrupted", json!({})).await;
    env.wait_for_sync("interrupted", "reads", |s| step(s).is_some())
        .await;
    env.kill_operator().await;
    env.tcs.clear_rules();
    env.tcs.release_hanging();
    env.start_operator();
    let run = env.finished("interrupted").await;
    let row = env.log_row(&run).await;
    assert_eq!(
        (&row["status"], &row["attempt"]),
        (&json!("completed"), &json!(1))
    );
    let spans = entries(&row["spans"]);
    println!("{:#}", row["spans"]);
    let of_kind = |kind: &str| spans.iter().filter(|span| span["kind"] == kind).count();
    assert_eq!(of_kind("attempt"), 1, "the attempt continues: {spans:?}");
    let interruption = spans.iter().find(|span| span["cause"] == "interruption").unwrap();
    assert_eq!(interruption["attempt"], 1);
    assert!(interruption["endedAt"].is_string());
    let steps = spans.iter().filter(|span| span["kind"] == "step");
    let names: Vec<_> = steps.map(|span| span["step"].as_str().unwrap()).collect();
    // The process may have been killed before it recorded that it reads.
    assert_eq!(names[names.len() - 2..], ["Fetch", "Apply"]);
}
