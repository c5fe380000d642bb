//! The route that tests the event sink of a connection.

use serde_json::json;

use super::client::AdminClient;
use crate::delivery::receiver::{Answer, Receiver};
use crate::environment::wait_until;

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_is_sent_once_and_its_result_is_returned() {
    let admin = AdminClient::with_connection().await;
    let path = format!(
        "/api/v1/namespaces/{}/connections/default/test-event",
        admin.env.namespace
    );
    let without = admin.post(&admin.editor, &path, &json!({})).await;
    assert_eq!(without.status, 409, "{without:?}");
    assert!(without.text.contains("set spec.eventSink"), "{without:?}");

    let sink = Receiver::start().await;
    let change = json!({"eventSink": {"url": sink.url}});
    admin.env.change_connection("default", change).await;
    let accepted = wait_until("the sink is in the cache", || async {
        let response = admin.post(&admin.editor, &path, &json!({})).await;
        (response.status == 200).then(|| response.json())
    })
    .await;
    assert_eq!(accepted["accepted"], json!(true), "{accepted}");
    let received = sink.received();
    assert_eq!(received.len(), 1);
    let event = received[0].event();
    assert_eq!(
        (&event["type"], &event["id"], &event["data"]),
        (
            &json!("tarana/test"),
            &accepted["id"],
            &json!({"connection": "default"})
        )
    );
    sink.answer(&[Answer::Status(410)]);
    let rejected = admin.post(&admin.editor, &path, &json!({})).await.json();
    assert_eq!(rejected["accepted"], json!(false));
    let message = rejected["message"].as_str().unwrap();
    assert!(
        message.ends_with("answered 410: check spec.eventSink.url"),
        "{message}"
    );
    assert_eq!(sink.received().len(), 2, "it is not sent again");
    wait_until("an Event names the caller", || async {
        let events = admin.env.events("default").await;
        events.contains(&"TestEventSent".to_owned()).then_some(())
    })
    .await;
    let forbidden = admin.post(&admin.viewer, &path, &json!({})).await;
    assert_eq!(forbidden.status, 403, "{forbidden:?}");
}
