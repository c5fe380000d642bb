//! Every fault, as a client sees it that knows nothing of faults.

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};

use super::{Portal, REGIONS, USERS, serials, told};
use crate::simulator::{Blemish, Config, CutLength, Endpoint, ErrorShape, Fault, Rule};

/// A portal whose searches suffer from one fault.
async fn suffering(fault: Fault) -> Portal {
    let portal = Portal::open(Config::of(60)).await;
    portal.sim.script(vec![Rule::on(Endpoint::Search, fault)]);
    portal
}

/// The portal comes along: with it gone, so would be the rest of the answer.
async fn answer(fault: Fault) -> (Portal, Response) {
    let portal = suffering(fault).await;
    let answer = portal.search(0, 20).send().await.unwrap();
    (portal, answer)
}

async fn bytes(fault: Fault) -> Vec<u8> {
    let (_portal, answer) = answer(fault).await;
    answer.bytes().await.unwrap().to_vec()
}

async fn body(fault: Fault) -> Value {
    serde_json::from_slice(&bytes(fault).await).unwrap()
}

/// The serials of the first twenty, in truth.
async fn truth() -> Vec<String> {
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
    let start = Instant::now();
    told(portal.search(0, 1)).await;
    assert!(
        start.elapsed() < Duration::from_millis(100),
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
        latency: Duration::from_millis(50),
        ..Config::of(60)
    })
    .await;
    portal.sim.script(vec![Rule::on(
        Endpoint::Search,
        Fault::Overload {
            limit: 2,
            status: 503,
        },
    )]);
    let calls = (0..4).map(|_| told(portal.search(0, 1)));
    let answers = futures::future::join_all(calls).await;
    assert!(
        answers.iter().any(|(status, _)| *status == 503) && answers.iter().any(|(status, _)| *status == 200)
    );
    assert!((3..=4).contains(&portal.sim.counters().in_flight_max));
    assert_eq!(told(portal.search(0, 1)).await.0, 200);
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
        .timeout(Duration::from_millis(100))
        .send()
        .await
        .unwrap();
    assert!(login.text().await.unwrap_err().is_timeout());
    assert_eq!(portal.sim.counters().logins, 1);
}

#[tokio::test]
async fn pages_are_short_empty_or_without_a_list() {
    let short = body(Fault::ShortPage { items: 3 }).await;
    assert_eq!(serials(&short["data"]["items"]), truth().await[..3]);
    assert_eq!(short["data"]["count"], 3);
    let empty = body(Fault::EmptyPage).await;
    assert_eq!(
        (&empty["data"]["items"], &empty["error"]),
        (&json!([]), &Value::Null)
    );
    assert!(empty["data"]["totalCount"].as_i64().unwrap() > 20);
    let missing = body(Fault::MissingItems).await;
    assert!(missing["data"].get("items").is_none() && missing["data"]["totalCount"].is_i64());
    let portal = suffering(Fault::EmptyPage).await;
    portal
        .sim
        .script(vec![Rule::on(Endpoint::Radios, Fault::MissingItems)]);
    assert_eq!(
        told(portal.radios(0, 5)).await.1["data"],
        json!({"deviceType": "BN"})
    );
}

#[tokio::test]
async fn rows_are_dropped_or_repeated_behind_honest_numbers() {
    let truth = truth().await;
    let dropped = body(Fault::DropRows { rows: 2 }).await;
    assert_eq!(serials(&dropped["data"]["items"]), truth[2..]);
    let repeated = body(Fault::RepeatRows {
        rows: 2,
        different: false,
    })
    .await;
    let items = &repeated["data"]["items"];
    let seen = serials(items);
    assert_eq!(
        (&seen[..18], &seen[18..], &repeated["data"]["count"]),
        (&truth[..18], &truth[..2], &json!(20))
    );
    assert_eq!(items[0], items[18]);
    let other = body(Fault::RepeatRows {
        rows: 2,
        different: true,
    })
    .await;
    let items = &other["data"]["items"];
    assert_eq!(items[0]["serialNumber"], items[18]["serialNumber"]);
    for key in ["hostName", "connected", "lastUpdateTimeSeconds"] {
        assert_ne!(items[0][key], items[18][key], "{key}");
    }
}

#[tokio::test]
async fn totals_are_wrong_drift_or_are_not_there() {
    let portal = Portal::open(Config::of(60)).await;
    let total = async || told(portal.search(0, 1)).await.1["data"]["totalCount"].as_i64();
    let truth = total().await.unwrap();
    portal.sim.script(vec![Rule::on(
        Endpoint::Search,
        Fault::WrongTotal { by: -3, step: 2 },
    )]);
    assert_eq!(
        [total().await, total().await, total().await],
        [Some(truth - 3), Some(truth - 1), Some(truth + 1)]
    );
    portal
        .sim
        .script(vec![Rule::on(Endpoint::Search, Fault::NoTotal)]);
    assert_eq!(total().await, None);
}

#[tokio::test]
async fn an_error_hides_under_200_in_three_shapes() {
    let under = |shape| body(Fault::ErrorUnder200 { shape });
    let nqs = under(ErrorShape::Nqs).await;
    assert!(nqs["data"].is_null() && nqs["error"]["code"] == 500);
    let tmq = under(ErrorShape::Tmq).await;
    assert!(tmq["success"] == false && tmq["error"]["code"] == "INTERNAL_ERROR");
    let both = under(ErrorShape::Both).await;
    assert!(both["data"]["items"].as_array().unwrap().len() == 20 && both["error"]["code"] == 500);
}

#[tokio::test]
async fn a_login_page_comes_in_place_of_json_or_by_redirect() {
    let (_portal, html) = answer(Fault::Html).await;
    assert_eq!(html.status(), 200);
    assert!(
        html.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(html.text().await.unwrap().starts_with("<!doctype html>"));
    let portal = suffering(Fault::Redirect { to: None }).await;
    let away = portal.search(0, 20).send().await.unwrap();
    assert_eq!(
        (
            away.status().as_u16(),
            away.headers()["location"].to_str().unwrap()
        ),
        (302, "/login")
    );
    assert!(
        portal
            .get("/login")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("Sign in")
    );
}

#[tokio::test]
async fn bodies_are_huge_endless_zipped_or_marked() {
    let huge = bytes(Fault::HugeBody { bytes: 1_000_000 }).await;
    assert!(huge.len() > 1_000_000);
    assert_eq!(
        serde_json::from_slice::<Value>(&huge).unwrap()["data"]["count"],
        20
    );
    let (_portal, mut endless) = answer(Fault::EndlessBody).await;
    let mut received = 0;
    while received < 20_000_000 {
        received += endless.chunk().await.unwrap().unwrap().len();
    }
    let marked = bytes(Fault::ByteOrderMark).await;
    assert_eq!(marked[..4], *b"\xEF\xBB\xBF{");
}

#[tokio::test]
async fn gzip_is_what_gzip_reads() {
    let (_portal, zipped) = answer(Fault::Gzip).await;
    assert_eq!(zipped.headers()["content-encoding"], "gzip");
    let zipped = zipped.bytes().await.unwrap();
    let path = std::env::temp_dir().join(format!("tcs-sim-{}.gz", std::process::id()));
    std::fs::write(&path, &zipped).unwrap();
    let plain = std::process::Command::new("gzip")
        .arg("-dc")
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(
        plain.status.success(),
        "{}",
        String::from_utf8_lossy(&plain.stderr)
    );
    let body: Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert_eq!(body["data"]["count"], 20);
}

#[tokio::test]
async fn a_blemish_spoils_one_record_and_no_other() {
    let clean = truth().await;
    for blemish in Blemish::ALL {
        let fault = Fault::Record {
            blemish,
            at: 1,
            size: Some(50),
        };
        let text = String::from_utf8(bytes(fault).await).unwrap();
        let unreadable = matches!(blemish, Blemish::LoneSurrogate | Blemish::HugeExponent);
        let mended = text.replace(r"\ud800", "").replace("1e400", "1");
        assert_eq!(mended != text, unreadable, "{blemish:?}");
        let body: Value = serde_json::from_str(&mended).unwrap();
        let items = &body["data"]["items"];
        for at in (0..20).filter(|at| *at != 1) {
            assert_eq!(items[at]["serialNumber"], clean[at], "{blemish:?}");
        }
        let item = &items[1];
        let params = &item["installParams"];
        assert!(
            match blemish {
                Blemish::NullItem => item.is_null(),
                Blemish::TextItem => item.is_string(),
                Blemish::ListItem => item.is_array(),
                Blemish::NumberSerial => item["serialNumber"].is_number(),
                Blemish::MissingSerial => item.get("serialNumber").is_none() && item.is_object(),
                Blemish::BlankSerial => item["serialNumber"] == "   ",
                Blemish::PaddedSerial => item["serialNumber"] == format!("  {} ", clean[1]),
                Blemish::LoneSurrogate => item["hostName"] == "X9001--BN",
                Blemish::HugeExponent => params["height"] == 1,
                Blemish::NulInName => item["hostName"].as_str().unwrap().contains('\0'),
                Blemish::CoordinatesAsText =>
                    params["latitude"].is_string() && params["longitude"].is_string(),
                Blemish::CoordinatesOutOfRange => params["latitude"] == 91.0 && params["longitude"] == 181.0,
                Blemish::IdOverInt4 => item["ancestry"]["site"]["id"] == 4_294_967_296_u64,
                Blemish::HugeAzimuth => params["antennaAzimuth"] == 1e6,
                Blemish::HugeHeight => params["height"] == 1e9,
                Blemish::ConnectedAbsent => item.get("connected").is_none(),
                Blemish::ConnectedAsText => item["connected"].is_string(),
                Blemish::LongName => item["hostName"].as_str().unwrap().len() == 50,
                Blemish::DeepNesting => item["vendorBlob"].to_string().len() == 100,
            },
            "{blemish:?}: {item}"
        );
    }
}

#[tokio::test]
async fn blemishes_speak_tmq_too() {
    let portal = Portal::open(Config::of(60)).await;
    let fault = Fault::Record {
        blemish: Blemish::CoordinatesAsText,
        at: 0,
        size: None,
    };
    portal.sim.script(vec![Rule::on(Endpoint::Radios, fault)]);
    let (_, body) = told(portal.radios(0, 2)).await;
    assert!(body["data"]["devices"][0]["fields"]["/system/install/state/latitude"].is_string());
    assert!(!body["data"]["devices"][1]["fields"]["/system/install/state/latitude"].is_string());
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
