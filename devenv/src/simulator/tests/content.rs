//! Faults in what an answer says.

use serde_json::{Value, json};

use super::faults::{answer, body, bytes, suffering, truth};
use super::{Portal, serials, told};
use crate::simulator::{Blemish, Config, Endpoint, ErrorShape, Fault, Rule};

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
                Blemish::LongSerial => item["serialNumber"].as_str().unwrap().len() == 300,
                Blemish::NulInSerial => item["serialNumber"].as_str().unwrap().contains('\0'),
                Blemish::UnknownType => item["type"] == "XN",
                Blemish::CoordinatesZero => params["latitude"] == 0 && params["longitude"] == 0,
                Blemish::ParamsAsList => params.is_array(),
                Blemish::FractionalId => item["ancestry"]["site"]["id"] == 94_901.5,
                Blemish::IdAsText => item["ancestry"]["site"]["id"].is_string(),
                Blemish::NegativeAzimuth => params["antennaAzimuth"].as_f64().unwrap() < 0.0,
                Blemish::HeightAsText => params["height"].is_string(),
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
async fn a_page_comes_from_elsewhere() {
    let truth = truth().await;
    let other = body(Fault::OtherPage { offset: 5 }).await;
    assert_eq!(serials(&other["data"]["items"])[..10], truth[5..15]);
    assert_eq!(
        (&other["data"]["offset"], &other["error"]),
        (&json!(0), &Value::Null)
    );
    let portal = suffering(Fault::OtherRegion { region: 1074 }).await;
    let asked = told(portal.search(0, 5)).await.1;
    portal.sim.clear();
    assert_eq!(told(portal.search_in(1074, 0, 5)).await.1, asked);
    assert_ne!(told(portal.search(0, 5)).await.1, asked);
}

#[tokio::test]
async fn pages_have_more_rows_or_other_kinds_than_asked() {
    let portal = suffering(Fault::LongPage { items: 9 }).await;
    assert_eq!(told(portal.search(0, 4)).await.1["data"]["count"], 9);
    portal
        .sim
        .script(vec![Rule::on(Endpoint::Search, Fault::AnyKind)]);
    let all = told(portal.search(0, 1000)).await.1;
    let kinds: std::collections::BTreeSet<String> = all["data"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["type"].to_string())
        .collect();
    assert_eq!(kinds.len(), 2);
    assert_eq!(all["data"]["count"], all["data"]["totalCount"]);
}

#[tokio::test]
async fn hidden_rows_leave_no_trace() {
    let truth = truth().await;
    let portal = suffering(Fault::Hide { rows: 2 }).await;
    let (_, first) = told(portal.search(0, 10)).await;
    let (_, second) = told(portal.search(10, 8)).await;
    let seen = [
        serials(&first["data"]["items"]),
        serials(&second["data"]["items"]),
    ]
    .concat();
    assert_eq!(seen, truth[2..]);
    portal.sim.clear();
    let total = told(portal.search(0, 1)).await.1["data"]["totalCount"]
        .as_i64()
        .unwrap();
    assert_eq!(first["data"]["totalCount"], total - 2);
    portal
        .sim
        .script(vec![Rule::on(Endpoint::Regions, Fault::Hide { rows: 3 })]);
    let regions = told(portal.get(&format!("{}?offset=0&count=10", super::REGIONS)))
        .await
        .1;
    assert_eq!(
        (&regions["data"]["items"][0]["id"], &regions["data"]["totalCount"]),
        (&json!(1079), &json!(1))
    );
}

#[tokio::test]
async fn a_page_says_other_numbers_than_it_has() {
    let offset = body(Fault::WrongOffset { by: -1 }).await;
    assert_eq!(offset["data"]["offset"], -1);
    let count = body(Fault::WrongCount { by: 2 }).await;
    assert_eq!(
        (
            &count["data"]["count"],
            count["data"]["items"].as_array().unwrap().len()
        ),
        (&json!(22), 20)
    );
    let text = body(Fault::NumbersAsText).await;
    assert_eq!(
        (&text["data"]["count"], &text["data"]["offset"]),
        (&json!("20"), &json!("0"))
    );
    assert!(text["data"]["totalCount"].is_string());
}

#[tokio::test]
async fn bytes_and_their_name_are_not_those_of_json() {
    let name = "application/problem+json".to_owned();
    let (_portal, answer) = answer(Fault::ContentType { name: name.clone() }).await;
    assert_eq!(answer.headers()["content-type"], name.as_str());
    let latin = bytes(Fault::Latin1).await;
    let whole = Portal::open(Config::of(60)).await;
    whole.sim.script(vec![Rule::on(Endpoint::Search, Fault::Latin1)]);
    let all = whole.search(0, 1000).send().await.unwrap().bytes().await.unwrap();
    assert!(latin.len() < all.len() && std::str::from_utf8(&all).is_err());
    assert!(!whole.sim.base_nodes().iter().all(|row| row.raw.is_ascii()));
}

#[tokio::test]
async fn blemished_records_are_remembered_by_serial() {
    let fault = Fault::Record {
        blemish: Blemish::MissingSerial,
        at: 1,
        size: None,
    };
    let portal = suffering(fault).await;
    told(portal.search(0, 5)).await;
    let truth = truth().await;
    assert_eq!(
        portal.sim.spoilt(),
        [(truth[1].clone(), Blemish::MissingSerial)].into()
    );
    portal.sim.clear();
    assert_eq!(portal.sim.spoilt(), [].into());
}
