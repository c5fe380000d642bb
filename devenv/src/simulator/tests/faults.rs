//! Every fault, as a client sees it that knows nothing of faults: those of time and wire here, those of what an answer says in
//! `content`.

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};

use super::{Portal, REGIONS, USERS, serials, told};
use crate::simulator::{Config, CutLength, Endpoint, Fault, Rule};

/// A portal whose searches suffer from one fault.
pub(super) async fn suffering(fault: Fault) -> Portal {
    let portal = Portal::open(Config::of(60)).await;
    portal.sim.script(vec![Rule::on(Endpoint::Search, fault)]);
    portal
}

/// The portal comes along: with it gone, so would be the rest of the answer.
pub(super) async fn answer(fault: Fault) -> (Portal, Response) {
    let portal = suffering(fault).await;
    let answer = portal.search(0, 20).send().await.unwrap();
    (portal, answer)
}

pub(super) async fn bytes(fault: Fault) -> Vec<u8> {
    let (_portal, answer) = answer(fault).await;
    answer.bytes().await.unwrap().to_vec()
}

pub(super) async fn body(fault: Fault) -> Value {
    serde_json::from_slice(&bytes(fault).await).unwrap()
}

/// The serials of the first twenty, in truth.
pub(super) async fn truth() -> Vec<String> {
    let portal = Portal::open(Config::of(60)).await;
    serials(&told(portal.search(0, 20)).await.1["data"]["items"])
}

#[tokio::test]
async fn latencies_add_up() {
    let portal = Portal::open(Config::of(4)).await;
    let slow = |ms| Rule::on(Endpoint::Users, Fault::Latency { ms });
    portal.sim.script(vec![slow(60), slow(40)]);
    let start = Instant::now();
    assert_eq!(told(portal.get(USERS)).await.0, 200);
    assert!(start.elapsed() >= Duration::from_millis(100));
    told(portal.search(0, 1)).await;
    assert_eq!(
        portal.sim.rules()[0].matched,
        1,
        "other endpoints are as quick as ever"
    );
}

#[tokio::test]
async fn a_status_has_its_own_body_or_the_envelope_of_the_endpoint() {
    let (status, body) = told(
        suffering(Fault::Status {
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
    let portal = suffering(Fault::Status {
        status: 500,
        body: None,
    })
    .await;
    portal.sim.script(vec![Rule::on(
        Endpoint::Radios,
        Fault::Status {
            status: 500,
            body: None,
        },
    )]);
    let (status, body) = told(portal.radios(0, 5)).await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!("INTERNAL_ERROR")));
    let (_portal, text) = answer(Fault::Status {
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
async fn a_throttle_says_how_long_in_either_form() {
    let (_portal, seconds) = answer(Fault::Throttle {
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
    let (_portal, date) = answer(Fault::Throttle {
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
async fn an_overload_refuses_who_comes_on_top() {
    let portal = Portal::open(Config {
        latency: Duration::from_millis(300),
        ..Config::of(60)
    })
    .await;
    portal.sim.script(vec![Rule::on(
        Endpoint::Search,
        Fault::Overload {
            limit: 2,
            status: 503,
            retry_after: None,
        },
    )]);
    let calls = (0..4).map(|_| told(portal.search(0, 1)));
    let answers = futures::future::join_all(calls).await;
    let refused = answers.iter().filter(|(status, _)| *status == 503).count();
    assert_eq!((refused, portal.sim.counters().overloaded), (2, 2));
    assert!((3..=4).contains(&portal.sim.counters().in_flight_max));
    assert_eq!(told(portal.search(0, 1)).await.0, 200);
    portal.sim.script(vec![Rule::on(
        Endpoint::Search,
        Fault::Overload {
            limit: 0,
            status: 429,
            retry_after: Some(3),
        },
    )]);
    let refused = portal.search(0, 1).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 429);
    assert_eq!(refused.headers()["retry-after"], "3");
    portal.sim.until(|counters| counters.in_flight == 0).await;
}

#[tokio::test]
async fn a_reset_comes_before_the_headers_or_in_the_body() {
    let portal = suffering(Fault::Reset { after_bytes: None }).await;
    assert!(portal.search(0, 20).send().await.unwrap_err().is_request());
    let (_portal, cut) = answer(Fault::Reset {
        after_bytes: Some(100),
    })
    .await;
    assert_eq!(cut.status(), 200);
    let error = cut.text().await.unwrap_err();
    assert!(
        format!("{error:?}").contains("ConnectionReset"),
        "a reset, not a polite close: {error:?}"
    );
}

#[tokio::test]
async fn a_cut_body_says_its_true_length_a_wrong_one_or_none() {
    let cut = |length| Fault::Cut { bytes: 100, length };
    let (_portal, right) = answer(cut(CutLength::Right)).await;
    assert_eq!(right.content_length(), Some(100));
    let text = right.text().await.unwrap();
    assert!(text.len() == 100 && serde_json::from_str::<Value>(&text).is_err());
    let (_portal, wrong) = answer(cut(CutLength::Wrong)).await;
    assert!(wrong.content_length().unwrap() > 100);
    let error = format!("{:?}", wrong.text().await.unwrap_err());
    assert!(!error.contains("ConnectionReset"), "{error}");
    let (_portal, chunked) = answer(cut(CutLength::Chunked)).await;
    assert_eq!(chunked.content_length(), None);
    assert!(chunked.text().await.is_err());
}

#[tokio::test]
async fn a_slow_body_dribbles_and_is_whole_in_the_end() {
    let portal = suffering(Fault::SlowBody {
        chunk: 4000,
        every_ms: 10,
    })
    .await;
    let start = Instant::now();
    let (_, slow) = told(portal.search(0, 20)).await;
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(serials(&slow["data"]["items"]), truth().await);
}

#[tokio::test]
async fn a_hang_lasts_until_it_is_released() {
    let portal = suffering(Fault::Hang { after_bytes: None }).await;
    let call = told(portal.search(0, 20));
    let release = async {
        portal.sim.until_hanging(1).await;
        assert_eq!(portal.sim.counters().in_flight, 1);
        portal.sim.release();
    };
    let ((status, _), ()) = tokio::join!(call, release);
    assert_eq!((status, portal.sim.hanging()), (200, 0));

    portal.sim.script(vec![
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
        "headers and the first bytes are there"
    );
    portal.sim.until_hanging(1).await;
    portal.sim.release();
    assert!(started.chunk().await.unwrap().is_some());
}

#[tokio::test]
async fn a_hang_ends_with_the_client_or_with_the_simulator() {
    let portal = suffering(Fault::Hang { after_bytes: None }).await;
    let impatient = portal
        .search(0, 20)
        .timeout(Duration::from_millis(50))
        .send()
        .await;
    assert!(impatient.unwrap_err().is_timeout());
    portal.sim.until(|counters| counters.in_flight == 0).await;
    assert_eq!(portal.sim.hanging(), 0);
    let call = portal.search(0, 20);
    let stop = async {
        portal.sim.until_hanging(1).await;
        portal.sim.stop().await;
    };
    let (ended, ()) = tokio::join!(call.send(), stop);
    assert!(ended.is_err());
}

#[tokio::test]
async fn a_login_may_take_effect_and_never_answer() {
    let portal = Portal::closed(Config::of(4)).await;
    portal.sim.script(vec![Rule::on(
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
async fn a_rule_hits_the_calls_that_it_names() {
    let portal = Portal::open(Config::of(200)).await;
    let refuse = |status| Fault::Status { status, body: None };
    portal.sim.script(vec![
        Rule::on(Endpoint::Search, refuse(500))
            .offset(20)
            .after(1)
            .times(2),
        Rule::on(Endpoint::Search, refuse(403)).region(1074),
        Rule::on(Endpoint::Search, Fault::ShortPage { items: 1 }).offset_from(40),
    ]);
    let status = async |offset| told(portal.search(offset, 5)).await.0;
    assert_eq!(
        [status(20).await, status(20).await, status(0).await],
        [200, 500, 200]
    );
    assert_eq!(
        [status(20).await, status(20).await],
        [500, 200],
        "twice after the first, and no more"
    );
    assert_eq!(told(portal.search_in(1074, 0, 5)).await.0, 403);
    assert_eq!(told(portal.search(39, 5)).await.1["data"]["count"], 5);
    assert_eq!(told(portal.search(45, 5)).await.1["data"]["count"], 1);
    assert_eq!(
        told(portal.get(&format!("{REGIONS}?offset=40&count=5"))).await.0,
        200
    );
    let rules = portal.sim.rules();
    assert_eq!(
        [rules[0].matched, rules[0].fired, rules[1].fired, rules[2].fired],
        [4, 2, 1, 1]
    );
    portal.sim.clear();
    assert_eq!(told(portal.search_in(1074, 0, 5)).await.0, 200);
}

#[tokio::test]
async fn all_rules_that_match_hit_together() {
    let portal = Portal::open(Config::of(60)).await;
    portal.sim.script(vec![
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
        .filter(|row| row.region == 1073)
        .count();
    assert_eq!(
        (&body["data"]["count"], &body["data"]["totalCount"]),
        (&json!(4), &json!(region + 1))
    );
}
