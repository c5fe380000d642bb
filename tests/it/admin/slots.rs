//! Slots over HTTP.

use serde_json::{Value, json};

use super::client::AdminClient;
use crate::environment::wait_until;

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_what_the_operator_would_do() {
    let admin = AdminClient::start().await;
    let preview = async |query: &str| {
        let path = format!("/api/v1/schedules/preview?{query}");
        admin.get(&admin.no_roles, &path).await
    };
    let spring =
        preview("schedule=30+2+*+*+*&timeZone=Europe/Berlin&after=2026-03-27T12:00:00Z&count=2").await;
    assert_eq!(spring.status, 200, "{spring:?}");
    assert_eq!(
        spring.json(),
        json!({"items": [
            {"at": "2026-03-28T01:30:00Z", "local": "2026-03-28 02:30 CET"},
            {"at": "2026-03-29T01:00:00Z", "local": "2026-03-29 03:00 CEST", "offsetEffect": "Moved"},
        ]})
    );
    let never = preview("schedule=0+0+30+2+*").await;
    assert_eq!((never.status, never.json()), (200, json!({"items": []})));
    let in_utc = preview("schedule=@daily&after=2026-01-01T00:00:00Z&count=100")
        .await
        .json();
    let items = in_utc["items"].as_array().unwrap();
    assert_eq!(
        (items.len(), &items[99]["at"]),
        (100, &json!("2026-04-11T00:00:00Z"))
    );
    for (query, field) in [
        ("schedule=60+*+*+*+*", "minute"),
        ("schedule=0+0+0+*+*+*", "6 fields"),
        ("schedule=@daily&timeZone=Mars/Olympus", "time zone"),
        ("timeZone=Etc/UTC", "schedule"),
        ("schedule=@daily&count=0", "count"),
        ("schedule=@daily&count=101", "count"),
        ("schedule=@daily&after=now", "after"),
        ("schedule=@daily&before=now", "before"),
    ] {
        let response = preview(query).await;
        assert_eq!(response.status, 400, "{query}: {response:?}");
        let detail = response.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(field), "{query}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_shows_its_next_and_newest_slots() {
    let admin = AdminClient::with_connection().await;
    let spec = json!({"schedule": "* * * * *", "suspend": true, "jitterSeconds": 30});
    admin.schedule("suspended", spec).await;
    admin.schedule("rubbish", json!({"schedule": "61 * * * *"})).await;
    let get = async |path: &str| -> Value {
        let path = format!("/api/v1/namespaces/{}/schedules/{path}", admin.env.namespace);
        let response = admin.get(&admin.viewer, &path).await;
        assert_eq!(response.status, 200, "{response:?}");
        response.json()
    };
    wait_until("both schedules are cached", || async {
        let path = format!("/api/v1/schedules?namespace={}", admin.env.namespace);
        let list = admin.get(&admin.viewer, &path).await.json();
        (list["items"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    let next = get("suspended/next?count=3").await;
    assert_eq!(next["suspend"], true);
    let slots = next["items"].as_array().unwrap();
    assert_eq!(slots.len(), 3);
    for slot in slots {
        let time = |field: &str| slot[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let jitter = time("startsAt").duration_since(time("at")).as_secs();
        assert!((0..=30).contains(&jitter), "{slot}");
    }
    let invalid = get("rubbish/next").await;
    assert_eq!(invalid["items"], json!([]));
    assert!(
        invalid["invalid"].as_str().unwrap().contains("minute"),
        "{invalid}"
    );
    admin
        .schedule("every-minute", json!({"schedule": "* * * * *"}))
        .await;
    let recorded = wait_until("a slot is recorded", || async {
        let path = format!(
            "/api/v1/namespaces/{}/schedules/every-minute/slots",
            admin.env.namespace
        );
        let history = admin.get(&admin.viewer, &path).await;
        (history.status == 200).then(|| history.json()["items"].get(0).cloned())?
    })
    .await;
    assert_eq!(
        (&recorded["outcome"], &recorded["reason"]),
        (&json!("Ran"), &json!("RunCreated"))
    );
}
