//! Events about runs are delivered to the sink of their connection, and no run depends on it.

pub mod receiver;

use serde_json::{Value, json};
use tarana_operator::api::condition::EVENT_SINK_READY;
use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::sync::{Phase, TaranaSync};

use self::receiver::{Answer, Received, Receiver};
use super::environment::{TestEnvironment, condition, id_of, phase, wait_until};
use super::servers;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// A user of the application.
const USER: &str = "00000000-0000-0000-0000-00000000000a";
const PREVIOUS: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// An operator whose connection has this sink, which is known already.
async fn with_sink(sink: &Receiver, changes: Value) -> TestEnvironment {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.start_operator();
    env.secret("signing", &json!({"secret": SECRET, "previousSecret": PREVIOUS}))
        .await;
    env.create_secrets_and_connection().await;
    env.ready().await;
    let mut spec = json!({"url": sink.url, "signingSecretRef": {"name": "signing"}, "timeoutSeconds": 1});
    servers::merge(&mut spec, changes);
    env.change_connection("default", json!({"eventSink": spec})).await;
    wait_for_sink(&env, "NoEventYet").await;
    env
}

/// Waits for the reason of the condition of the sink, and returns its message.
async fn wait_for_sink(env: &TestEnvironment, reason: &str) -> String {
    let is_so = |connection: &TaranaConnection| sink_condition(connection).1 == reason;
    let connection = env.wait_for_connection("default", reason, is_so).await;
    sink_condition(&connection).2
}

/// Status, reason and message of the condition of the sink; empty without it.
fn sink_condition(connection: &TaranaConnection) -> (String, String, String) {
    condition(
        &connection.status.clone().unwrap_or_default().conditions,
        EVENT_SINK_READY,
    )
}

/// Waits until the sink has received this number of requests.
async fn wait_for_requests(sink: &Receiver, number: usize) -> Vec<Received> {
    wait_until(&format!("{number} requests"), || async {
        let received = sink.received();
        (received.len() >= number).then_some(received)
    })
    .await
}

/// The types of the events of a run, in the order in which they arrived.
fn kinds_of(received: &[Received], run: &TaranaSync) -> Vec<String> {
    let id = json!(id_of(run));
    let of_run = received
        .iter()
        .filter(|request| request.event()["data"]["sync_log_id"] == id);
    of_run.map(Received::kind).collect()
}

/// Makes events due that wait to be sent again.
async fn make_due(env: &TestEnvironment) {
    let update = "update tarana_sync_outbox set next_attempt_at = now() where delivered_at is null";
    sqlx::query(update).execute(&env.db).await.unwrap();
}

/// A dry run, and runs that complete, fail and are cancelled.
async fn run_to_every_end(env: &TestEnvironment) -> [TaranaSync; 4] {
    let spec = json!({"dryRun": true, "trigger": {"type": "Api", "adminUserId": USER}});
    let planned = env.run("planned", spec).await;
    let completed = env.run("completed", json!({"deleteStale": true})).await;
    env.tcs.set_rules(vec![servers::failing_search()]);
    let failed = env.run("failed", json!({"backoffLimit": 0})).await;
    assert_eq!(phase(&failed), Phase::Failed);
    env.tcs.clear_rules();
    env.change_connection("default", json!({"suspend": true})).await;
    env.sync("cancelled", json!({})).await;
    env.wait_for_sync("cancelled", "waits", |sync| sync.status.is_some())
        .await;
    env.cancel("cancelled").await;
    let cancelled = env.finished("cancelled").await;
    [planned, completed, failed, cancelled]
}

#[tokio::test(flavor = "multi_thread")]
async fn events_have_exactly_these_data_in_order_and_two_signatures() {
    let sink = Receiver::start().await;
    let env = with_sink(&sink, json!({})).await;
    let [planned, completed, failed, cancelled] = run_to_every_end(&env).await;
    let received = wait_for_requests(&sink, 8).await;
    for (run, end) in [
        (&planned, "completed"),
        (&completed, "completed"),
        (&failed, "failed"),
        (&cancelled, "cancelled"),
    ] {
        assert_eq!(kinds_of(&received, run), ["requested", end]);
    }
    for request in &received {
        assert_is_cloud_event(&env, request);
    }
    let data = |run: &TaranaSync, kind: &str| {
        let id = json!(id_of(run));
        let mut events = received
            .iter()
            .filter(|request| request.kind() == kind)
            .map(Received::event);
        events.find(|event| event["data"]["sync_log_id"] == id).unwrap()["data"].clone()
    };
    let options = json!({"dryRun": true, "deleteStale": false});
    assert_eq!(
        data(&planned, "requested"),
        json!({"triggered_by": "manual", "admin_user_id": USER, "sync_log_id": id_of(&planned), "options": options})
    );
    let counts = completed.status.clone().unwrap();
    let (counts, duration) = (counts.counts.unwrap(), counts.duration_ms);
    assert_eq!(
        data(&completed, "completed"),
        json!({"sync_log_id": id_of(&completed), "inserted": counts.inserted, "updated": counts.updated,
               "deleted": counts.deleted, "duration_ms": duration})
    );
    let error = env.log_row(&failed).await["message"].clone();
    assert_eq!(
        data(&failed, "failed"),
        json!({"sync_log_id": id_of(&failed), "error": error, "attempt": 1})
    );
    assert_eq!(
        data(&cancelled, "cancelled"),
        json!({"sync_log_id": id_of(&cancelled)})
    );
    wait_for_sink(&env, "EventsDelivered").await;
    let undelivered = "select count(*) from tarana_sync_outbox where delivered_at is null";
    assert_eq!(env.number(undelivered).await, 0);
    assert_eq!(sink.received().len(), 8, "each once");
}

fn assert_is_cloud_event(env: &TestEnvironment, request: &Received) {
    let event = request.event();
    assert_eq!(request.headers["content-type"], "application/cloudevents+json");
    assert_eq!(request.headers["webhook-id"], event["id"].as_str().unwrap());
    let source = format!(
        "/apis/tarana.dev/v1alpha1/namespaces/{}/taranaconnections/default",
        env.namespace
    );
    assert_eq!(
        (&event["specversion"], &event["source"]),
        (&json!("1.0"), &json!(source))
    );
    assert!(request.is_signed_by(SECRET) && request.is_signed_by(PREVIOUS));
    assert!(!request.is_signed_by("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_fails_gets_every_event_later_in_order_and_delays_no_run() {
    let sink = Receiver::start().await;
    let env = with_sink(&sink, json!({})).await;
    sink.answer(&[
        Answer::Status(500),
        Answer::Redirect,
        Answer::Silence,
        Answer::Status(429),
    ]);
    let run = env.run("run", json!({})).await;
    assert_eq!(phase(&run), Phase::Completed);
    for (requests, why) in [
        (1, "answered 500"),
        (2, "answered 302, and redirects are not followed"),
        (3, "did not answer within 1 s"),
        (4, "answered 429"),
    ] {
        wait_for_requests(&sink, requests).await;
        wait_until(why, || async {
            let message = wait_for_sink(&env, "EventNotDelivered").await;
            assert!(!message.contains("do-not-show"), "{message}");
            message.contains(why).then_some(())
        })
        .await;
        make_due(&env).await;
    }
    let received = wait_for_requests(&sink, 6).await;
    let expected = [
        "requested",
        "requested",
        "requested",
        "requested",
        "requested",
        "completed",
    ];
    assert_eq!(kinds_of(&received, &run), expected);
    let ids: Vec<_> = received
        .iter()
        .take(5)
        .map(|request| request.event()["id"].clone())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "the id is stable: {ids:?}");
    wait_for_sink(&env, "EventsDelivered").await;
    let events = env.events("default").await;
    assert!(events.contains(&"EventNotDelivered".to_owned()), "{events:?}");
    assert!(events.contains(&"EventsDelivered".to_owned()), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_given_up_after_a_day_and_the_next_one_is_sent() {
    let sink = Receiver::start().await;
    let env = with_sink(&sink, json!({})).await;
    sink.answer(&[Answer::Status(500); 2]);
    let run = env.run("run", json!({})).await;
    wait_for_sink(&env, "EventNotDelivered").await;
    let age =
        "update tarana_sync_outbox set created_at = created_at - interval '1 day', next_attempt_at = now()
               where type = 'tarana/sync.requested'";
    // Else it would be one from before the sink.
    let since = json!({"status": {"eventSinkSince": "2020-01-01T00:00:00Z"}});
    let patch = kube::api::Patch::Merge(since);
    env.connections()
        .patch_status("default", &kube::api::PatchParams::default(), &patch)
        .await
        .unwrap();
    sqlx::query(age).execute(&env.db).await.unwrap();
    let received = wait_for_requests(&sink, 3).await;
    assert_eq!(kinds_of(&received, &run), ["requested", "requested", "completed"]);
    let abandoned = "select count(*) from tarana_sync_outbox where abandoned_at is not null and last_error like '%answered 500%'";
    assert_eq!(env.number(abandoned).await, 1);
    wait_until("an Event names it", || async {
        let events = env.events("default").await;
        events.contains(&"EventAbandoned".to_owned()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_before_the_sink_are_not_sent_and_a_forbidden_address_is_named() {
    let sink = Receiver::start().await;
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.start_operator();
    env.create_secrets_and_connection().await;
    let before = env.run("before", json!({})).await;
    let forbidden = json!({"eventSink": {"url": "http://169.254.169.254/latest/meta-data/"}});
    env.change_connection("default", forbidden).await;
    wait_for_sink(&env, "NoEventYet").await;
    let after = env.run("after", json!({})).await;
    let message = wait_for_sink(&env, "EventNotDelivered").await;
    assert!(
        message.contains("169.254.169.254:80 is called by plain http"),
        "{message}"
    );
    assert!(
        message.contains("--sink-allow-cidr") && !message.contains("meta-data"),
        "{message}"
    );
    env.change_connection("default", json!({"eventSink": {"url": sink.url}}))
        .await;
    make_due(&env).await;
    let received = wait_for_requests(&sink, 2).await;
    assert_eq!(kinds_of(&received, &after), ["requested", "completed"]);
    assert!(kinds_of(&received, &before).is_empty());
    assert!(!received[0].headers.contains_key("webhook-signature"));
    env.change_connection("default", json!({"eventSink": null})).await;
    env.wait_for_connection("default", "forgets the sink", |connection| {
        let status = connection.status.clone().unwrap_or_default();
        status.event_sink_since.is_none() && sink_condition(connection).1.is_empty()
    })
    .await;
}
