//! Every fault as a client sees it: delays, rejections and connection faults. `content` tests those of the content.

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};

use super::{Portal, REGIONS, USERS, send, serials};
use crate::simulator::{Config, CutLength, Endpoint, Fault, Rule};

/// A portal whose searches have this fault.
pub(super) async fn portal_with_fault(fault: Fault) -> Portal {
    let portal = Portal::logged_in(Config::with_base_nodes(60)).await;
    portal.sim.set_rules(vec![Rule::on(Endpoint::Search, fault)]);
    portal
}

/// Returns the portal as well: dropping it would end the response.
pub(super) async fn respond(fault: Fault) -> (Portal, Response) {
    let portal = portal_with_fault(fault).await;
    let response = portal.search(0, 20).send().await.unwrap();
    (portal, response)
}

pub(super) async fn bytes(fault: Fault) -> Vec<u8> {
    let (_portal, response) = respond(fault).await;
    response.bytes().await.unwrap().to_vec()
}

pub(super) async fn body(fault: Fault) -> Value {
    serde_json::from_slice(&bytes(fault).await).unwrap()
}

/// The serials of the first twenty devices, without faults.
pub(super) async fn intact_serials() -> Vec<String> {
    let portal = Portal::logged_in(Config::with_base_nodes(60)).await;
    serials(&send(portal.search(0, 20)).await.1["data"]["items"])
}

#[tokio::test]
async fn latencies_add_up() {
    let portal = Portal::logged_in(Config::with_base_nodes(4)).await;
    let slow = |ms| Rule::on(Endpoint::Users, Fault::Latency { ms });
    portal.sim.set_rules(vec![slow(60), slow(40)]);
    let start = Instant::now();
    assert_eq!(send(portal.get(USERS)).await.0, 200);
    assert!(start.elapsed() >= Duration::from_millis(100));
    send(portal.search(0, 1)).await;
    assert_eq!(
        portal.sim.rules()[0].matched,
        1,
        "other endpoints are not delayed"
    );
}

#[tokio::test]
async fn a_status_has_its_own_body_or_the_envelope_of_the_endpoint() {
    let (status, body) = send(
        portal_with_fault(Fault::Status {
            status: 500,
            body: None,
        })
        .await
        .search(0, 20),
    )
    .await;
    assert_eq!(
        (status, &body["error"]["status"]),
        (500, &json!("Internal Server Error"))
    );
    let portal = portal_with_fault(Fault::Status {
        status: 500,
        body: None,
    })
    .await;
    portal.sim.set_rules(vec![Rule::on(
        Endpoint::Radios,
        Fault::Status {
            status: 500,
            body: None,
        },
    )]);
    let (status, body) = send(portal.radios(0, 5)).await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!("INTERNAL_ERROR")));
    let (_portal, text) = respond(Fault::Status {
        status: 403,
        body: Some("RBAC: access denied".into()),
    })
    .await;
    assert_eq!(
        (
            text.status().as_u16(),
            text.headers()["content-type"].to_str().unwrap()
        ),
        (403, "text/plain")
    );
}

#[tokio::test]
async fn a_throttle_sends_retry_after_in_seconds_or_as_a_date() {
    let (_portal, seconds) = respond(Fault::Throttle {
        seconds: 7,
        as_date: false,
    })
    .await;
    assert_eq!(
        (
            seconds.status().as_u16(),
            seconds.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "7")
    );
    let (_portal, date) = respond(Fault::Throttle {
        seconds: 90,
        as_date: true,
    })
    .await;
    let date = date.headers()["retry-after"].to_str().unwrap();
    let then = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
    #[expect(clippy::disallowed_methods, reason = "the date is a wall-clock one")]
    let ahead = then.as_second() - jiff::Timestamp::now().as_second();
    assert!(date.ends_with(" GMT") && (85..=91).contains(&ahead), "{date}");
}

#[tokio::test]
async fn an_overload_rejects_calls_beyond_the_limit() {
    let portal = Portal::logged_in(Config {
        latency: Duration::from_millis(300),
        ..Config::with_base_nodes(60)
    })
    .await;
    portal.sim.set_rules(vec![Rule::on(
        Endpoint::Search,
        Fault::Overload {
            limit: 2,
            status: 503,
            retry_after: None,
        },
    )]);
    let calls = (0..4).map(|_| send(portal.search(0, 1)));
    let responses = futures::future::join_all(calls).await;
    let rejected = responses.iter().filter(|(status, _)| *status == 503).count();
    assert_eq!((rejected, portal.sim.counters().overloaded), (2, 2));
    assert!((3..=4).contains(&portal.sim.counters().in_flight_max));
    assert_eq!(send(portal.search(0, 1)).await.0, 200);
    portal.sim.set_rules(vec![Rule::on(
        Endpoint::Search,
        Fault::Overload {
            limit: 0,
            status: 429,
            retry_after: Some(3),
        },
    )]);
    let rejected = portal.search(0, 1).send().await.unwrap();
    assert_eq!(rejected.status().as_u16(), 429);
    assert_eq!(rejected.headers()["retry-after"], "3");
    portal.sim.wait_until(|counters| counters.in_flight == 0).await;
}

#[tokio::test]
async fn a_reset_comes_before_the_headers_or_in_the_body() {
    let portal = portal_with_fault(Fault::Reset { after_bytes: None }).await;
    assert!(portal.search(0, 20).send().await.unwrap_err().is_request());
    let (_portal, cut) = respond(Fault::Reset {
        after_bytes: Some(100),
    })
    .await;
    assert_eq!(cut.status(), 200);
    let error = cut.text().await.unwrap_err();
    assert!(
        format!("{error:?}").contains("ConnectionReset"),
        "a reset, not a normal close: {error:?}"
    );
}

#[tokio::test]
async fn a_truncated_body_announces_the_right_a_wrong_or_no_length() {
    let cut = |length| Fault::Cut { bytes: 100, length };
    let (_portal, right) = respond(cut(CutLength::Right)).await;
    assert_eq!(right.content_length(), Some(100));
    let text = right.text().await.unwrap();
    assert!(text.len() == 100 && serde_json::from_str::<Value>(&text).is_err());
    let (_portal, wrong) = respond(cut(CutLength::Wrong)).await;
    assert!(wrong.content_length().unwrap() > 100);
    let error = format!("{:?}", wrong.text().await.unwrap_err());
    assert!(!error.contains("ConnectionReset"), "{error}");
    let (_portal, chunked) = respond(cut(CutLength::Chunked)).await;
    assert_eq!(chunked.content_length(), None);
    assert!(chunked.text().await.is_err());
}

#[tokio::test]
async fn a_slow_body_is_complete() {
    let portal = portal_with_fault(Fault::SlowBody {
        chunk: 4000,
        every_ms: 10,
    })
    .await;
    let start = Instant::now();
    let (_, slow) = send(portal.search(0, 20)).await;
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(serials(&slow["data"]["items"]), intact_serials().await);
}

#[tokio::test]
async fn a_call_hangs_until_it_is_released() {
    let portal = portal_with_fault(Fault::Hang { after_bytes: None }).await;
    let call = send(portal.search(0, 20));
    let release = async {
        portal.sim.wait_until_hanging(1).await;
        assert_eq!(portal.sim.counters().in_flight, 1);
        portal.sim.release_hanging();
    };
    let ((status, _), ()) = tokio::join!(call, release);
    assert_eq!((status, portal.sim.hanging_calls()), (200, 0));

    portal.sim.set_rules(vec![
        Rule::on(
            Endpoint::Search,
            Fault::Hang {
                after_bytes: Some(100),
            },
        )
        .once(),
    ]);
    let mut started = portal.search(0, 20).send().await.unwrap();
    assert_eq!(
        started.chunk().await.unwrap().unwrap().len(),
        100,
        "headers and first bytes arrive"
    );
    portal.sim.wait_until_hanging(1).await;
    portal.sim.release_hanging();
    assert!(started.chunk().await.unwrap().is_some());
}

#[tokio::test]
async fn a_hanging_call_ends_with_the_client_or_the_simulator() {
    let portal = portal_with_fault(Fault::Hang { after_bytes: None }).await;
    let impatient = portal
        .search(0, 20)
        .timeout(Duration::from_millis(50))
        .send()
        .await;
    assert!(impatient.unwrap_err().is_timeout());
    portal.sim.wait_until(|counters| counters.in_flight == 0).await;
    assert_eq!(portal.sim.hanging_calls(), 0);
    let call = portal.search(0, 20);
    let stop = async {
        portal.sim.wait_until_hanging(1).await;
        portal.sim.stop().await;
    };
    let (ended, ()) = tokio::join!(call.send(), stop);
    assert!(ended.is_err());
}

#[tokio::test]
async fn a_login_can_take_effect_without_a_response() {
    let portal = Portal::logged_out(Config::with_base_nodes(4)).await;
    portal.sim.set_rules(vec![Rule::on(
        Endpoint::Login,
        Fault::Hang { after_bytes: Some(0) },
    )]);
    let login = portal
        .login()
        .timeout(Duration::from_secs(1))
        .send()
        .await
        .unwrap();
    assert!(login.text().await.unwrap_err().is_timeout());
    assert_eq!(portal.sim.counters().logins, 1);
}

#[tokio::test]
async fn a_rule_hits_only_matching_calls() {
    let portal = Portal::logged_in(Config::with_base_nodes(200)).await;
    let status_fault = |status| Fault::Status { status, body: None };
    portal.sim.set_rules(vec![
        Rule::on(Endpoint::Search, status_fault(500))
            .offset(20)
            .after(1)
            .times(2),
        Rule::on(Endpoint::Search, status_fault(403)).region(1074),
        Rule::on(Endpoint::Search, Fault::ShortPage { items: 1 }).offset_from(40),
    ]);
    let status = async |offset| send(portal.search(offset, 5)).await.0;
    assert_eq!(
        [status(20).await, status(20).await, status(0).await],
        [200, 500, 200]
    );
    assert_eq!(
        [status(20).await, status(20).await],
        [500, 200],
        "only the two hits after the first match"
    );
    assert_eq!(send(portal.search_in(1074, 0, 5)).await.0, 403);
    assert_eq!(send(portal.search(39, 5)).await.1["data"]["count"], 5);
    assert_eq!(send(portal.search(45, 5)).await.1["data"]["count"], 1);
    assert_eq!(
        send(portal.get(&format!("{REGIONS}?offset=40&count=5"))).await.0,
        200
    );
    let rules = portal.sim.rules();
    assert_eq!(
        [rules[0].matched, rules[0].fired, rules[1].fired, rules[2].fired],
        [4, 2, 1, 1]
    );
    portal.sim.clear_rules();
    assert_eq!(send(portal.search_in(1074, 0, 5)).await.0, 200);
}

#[tokio::test]
async fn all_matching_rules_apply() {
    let portal = Portal::logged_in(Config::with_base_nodes(60)).await;
    portal.sim.set_rules(vec![
        Rule::on(Endpoint::Any, Fault::Latency { ms: 30 }),
        Rule::on(Endpoint::Search, Fault::ShortPage { items: 4 }),
        Rule::on(Endpoint::Search, Fault::WrongTotal { by: 1, step: 0 }),
        Rule::on(Endpoint::Search, Fault::ByteOrderMark),
    ]);
    let start = Instant::now();
    let text = portal.search(0, 20).send().await.unwrap().bytes().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(30));
    let body: Value = serde_json::from_slice(&text[3..]).unwrap();
    let region = portal
        .sim
        .base_nodes()
        .iter()
        .filter(|device| device.region == 1073)
        .count();
    assert_eq!(
        (&body["data"]["count"], &body["data"]["totalCount"]),
        (&json!(4), &json!(region + 1))
    );
}
