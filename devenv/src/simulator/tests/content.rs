//! Faults in the content of a response.

use serde_json::{Value, json};

use super::faults::{body, bytes, intact_serials, portal_with_fault, respond};
use super::{Portal, send, serials};
use crate::simulator::{Config, Endpoint, ErrorShape, Fault, RecordDefect, Rule};

#[tokio::test]
async fn pages_can_be_short_empty_or_without_a_list() {
    let short = body(Fault::ShortPage { items: 3 }).await;
    assert_eq!(serials(&short["data"]["items"]), intact_serials().await[..3]);
    assert_eq!(short["data"]["count"], 3);
    let empty = body(Fault::EmptyPage).await;
    assert_eq!(
        (&empty["data"]["items"], &empty["error"]),
        (&json!([]), &Value::Null)
    );
    assert!(empty["data"]["totalCount"].as_i64().unwrap() > 20);
    let missing = body(Fault::MissingItems).await;
    assert!(missing["data"].get("items").is_none() && missing["data"]["totalCount"].is_i64());
    let portal = portal_with_fault(Fault::EmptyPage).await;
    portal
        .sim
        .set_rules(vec![Rule::on(Endpoint::Radios, Fault::MissingItems)]);
    assert_eq!(
        send(portal.radios(0, 5)).await.1["data"],
        json!({"deviceType": "BN"})
    );
}

#[tokio::test]
async fn rows_are_dropped_or_repeated_while_the_counts_stay_valid() {
    let intact = intact_serials().await;
    let dropped = body(Fault::DropRows { rows: 2 }).await;
    assert_eq!(serials(&dropped["data"]["items"]), intact[2..]);
    let repeated = body(Fault::RepeatRows {
        rows: 2,
        different: false,
    })
    .await;
    let items = &repeated["data"]["items"];
    let seen = serials(items);
    assert_eq!(
        (&seen[..18], &seen[18..], &repeated["data"]["count"]),
        (&intact[..18], &intact[..2], &json!(20))
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
async fn totals_can_be_wrong_drifting_or_missing() {
    let portal = Portal::logged_in(Config::with_base_nodes(60)).await;
    let total = async || send(portal.search(0, 1)).await.1["data"]["totalCount"].as_i64();
    let intact = total().await.unwrap();
    portal.sim.set_rules(vec![Rule::on(
        Endpoint::Search,
        Fault::WrongTotal { by: -3, step: 2 },
    )]);
    assert_eq!(
        [total().await, total().await, total().await],
        [Some(intact - 3), Some(intact - 1), Some(intact + 1)]
    );
    portal
        .sim
        .set_rules(vec![Rule::on(Endpoint::Search, Fault::NoTotal)]);
    assert_eq!(total().await, None);
}

#[tokio::test]
async fn an_error_under_200_has_three_shapes() {
    let under = |shape| body(Fault::ErrorUnder200 { shape });
    let nqs = under(ErrorShape::Nqs).await;
    assert!(nqs["data"].is_null() && nqs["error"]["code"] == 500);
    let tmq = under(ErrorShape::Tmq).await;
    assert!(tmq["success"] == false && tmq["error"]["code"] == "INTERNAL_ERROR");
    let both = under(ErrorShape::Both).await;
    assert!(both["data"]["items"].as_array().unwrap().len() == 20 && both["error"]["code"] == 500);
}

#[tokio::test]
async fn a_login_page_replaces_json_directly_or_by_redirect() {
    let (_portal, html) = respond(Fault::Html).await;
    assert_eq!(html.status(), 200);
    assert!(
        html.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(html.text().await.unwrap().starts_with("<!doctype html>"));
    let portal = portal_with_fault(Fault::Redirect { to: None }).await;
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
async fn bodies_can_be_huge_endless_or_start_with_a_bom() {
    let huge = bytes(Fault::HugeBody { bytes: 1_000_000 }).await;
    assert!(huge.len() > 1_000_000);
    assert_eq!(
        serde_json::from_slice::<Value>(&huge).unwrap()["data"]["count"],
        20
    );
    let (_portal, mut endless) = respond(Fault::EndlessBody).await;
    let mut received = 0;
    while received < 20_000_000 {
        received += endless.chunk().await.unwrap().unwrap().len();
    }
    let marked = bytes(Fault::ByteOrderMark).await;
    assert_eq!(marked[..4], *b"\xEF\xBB\xBF{");
}

#[tokio::test]
async fn gzip_bodies_are_valid() {
    let (_portal, zipped) = respond(Fault::Gzip).await;
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
async fn a_defect_changes_exactly_one_record() {
    let clean = intact_serials().await;
    for defect in RecordDefect::ALL {
        let fault = Fault::Record {
            defect,
            at: 1,
            size: Some(50),
        };
        let text = String::from_utf8(bytes(fault).await).unwrap();
        let unreadable = matches!(defect, RecordDefect::LoneSurrogate | RecordDefect::HugeExponent);
        let mended = text.replace(r"\ud800", "").replace("1e400", "1");
        assert_eq!(mended != text, unreadable, "{defect:?}");
        let body: Value = serde_json::from_str(&mended).unwrap();
        let items = &body["data"]["items"];
        for at in (0..20).filter(|at| *at != 1) {
            assert_eq!(items[at]["serialNumber"], clean[at], "{defect:?}");
        }
        let item = &items[1];
        let params = &item["installParams"];
        assert!(
            match defect {
                RecordDefect::NullItem => item.is_null(),
                RecordDefect::TextItem => item.is_string(),
                RecordDefect::ListItem => item.is_array(),
                RecordDefect::NumberSerial => item["serialNumber"].is_number(),
                RecordDefect::MissingSerial => item.get("serialNumber").is_none() && item.is_object(),
                RecordDefect::BlankSerial => item["serialNumber"] == "   ",
                RecordDefect::PaddedSerial => item["serialNumber"] == format!("  {} ", clean[1]),
                RecordDefect::LongSerial => item["serialNumber"].as_str().unwrap().len() == 300,
                RecordDefect::NulInSerial => item["serialNumber"].as_str().unwrap().contains('\0'),
                RecordDefect::UnknownType => item["type"] == "XN",
                RecordDefect::CoordinatesZero => params["latitude"] == 0 && params["longitude"] == 0,
                RecordDefect::ParamsAsList => params.is_array(),
                RecordDefect::FractionalId => item["ancestry"]["site"]["id"] == 94_901.5,
                RecordDefect::IdAsText => item["ancestry"]["site"]["id"].is_string(),
                RecordDefect::NegativeAzimuth => params["antennaAzimuth"].as_f64().unwrap() < 0.0,
                RecordDefect::HeightAsText => params["height"].is_string(),
                RecordDefect::LoneSurrogate => item["hostName"] == "X9001--BN",
                RecordDefect::HugeExponent => params["height"] == 1,
                RecordDefect::NulInName => item["hostName"].as_str().unwrap().contains('\0'),
                RecordDefect::CoordinatesAsText =>
                    params["latitude"].is_string() && params["longitude"].is_string(),
                RecordDefect::CoordinatesOutOfRange =>
                    params["latitude"] == 91.0 && params["longitude"] == 181.0,
                RecordDefect::IdOverInt4 => item["ancestry"]["site"]["id"] == 4_294_967_296_u64,
                RecordDefect::HugeAzimuth => params["antennaAzimuth"] == 1e6,
                RecordDefect::HugeHeight => params["height"] == 1e9,
                RecordDefect::ConnectedAbsent => item.get("connected").is_none(),
                RecordDefect::ConnectedAsText => item["connected"].is_string(),
                RecordDefect::LongName => item["hostName"].as_str().unwrap().len() == 50,
                RecordDefect::DeepNesting => item["vendorBlob"].to_string().len() == 100,
            },
            "{defect:?}: {item}"
        );
    }
}

#[tokio::test]
async fn defects_apply_to_tmq() {
    let portal = Portal::logged_in(Config::with_base_nodes(60)).await;
    let fault = Fault::Record {
        defect: RecordDefect::CoordinatesAsText,
        at: 0,
        size: None,
    };
    portal.sim.set_rules(vec![Rule::on(Endpoint::Radios, fault)]);
    let (_, body) = send(portal.radios(0, 2)).await;
    assert!(body["data"]["devices"][0]["fields"]["/system/install/state/latitude"].is_string());
    assert!(!body["data"]["devices"][1]["fields"]["/system/install/state/latitude"].is_string());
}

#[tokio::test]
async fn a_page_can_come_from_another_offset_or_region() {
    let intact = intact_serials().await;
    let other = body(Fault::OtherPage { offset: 5 }).await;
    assert_eq!(serials(&other["data"]["items"])[..10], intact[5..15]);
    assert_eq!(
        (&other["data"]["offset"], &other["error"]),
        (&json!(0), &Value::Null)
    );
    let portal = portal_with_fault(Fault::OtherRegion { region: 1074 }).await;
    let other_region = send(portal.search(0, 5)).await.1;
    portal.sim.clear_rules();
    assert_eq!(send(portal.search_in(1074, 0, 5)).await.1, other_region);
    assert_ne!(send(portal.search(0, 5)).await.1, other_region);
}

#[tokio::test]
async fn pages_can_have_more_rows_or_other_kinds_than_requested() {
    let portal = portal_with_fault(Fault::LongPage { items: 9 }).await;
    assert_eq!(send(portal.search(0, 4)).await.1["data"]["count"], 9);
    portal
        .sim
        .set_rules(vec![Rule::on(Endpoint::Search, Fault::AnyKind)]);
    let all = send(portal.search(0, 1000)).await.1;
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
async fn hidden_rows_are_consistent_in_all_counts() {
    let intact = intact_serials().await;
    let portal = portal_with_fault(Fault::Hide { rows: 2 }).await;
    let (_, first) = send(portal.search(0, 10)).await;
    let (_, second) = send(portal.search(10, 8)).await;
    let seen = [
        serials(&first["data"]["items"]),
        serials(&second["data"]["items"]),
    ]
    .concat();
    assert_eq!(seen, intact[2..]);
    portal.sim.clear_rules();
    let total = send(portal.search(0, 1)).await.1["data"]["totalCount"]
        .as_i64()
        .unwrap();
    assert_eq!(first["data"]["totalCount"], total - 2);
    portal
        .sim
        .set_rules(vec![Rule::on(Endpoint::Regions, Fault::Hide { rows: 3 })]);
    let regions = send(portal.get(&format!("{}?offset=0&count=10", super::REGIONS)))
        .await
        .1;
    assert_eq!(
        (&regions["data"]["items"][0]["id"], &regions["data"]["totalCount"]),
        (&json!(1079), &json!(1))
    );
}

#[tokio::test]
async fn offset_and_count_can_be_wrong_or_strings() {
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
async fn content_type_and_encoding_can_be_wrong() {
    let name = "application/problem+json".to_owned();
    let (_portal, response) = respond(Fault::ContentType { name: name.clone() }).await;
    assert_eq!(response.headers()["content-type"], name.as_str());
    let latin = bytes(Fault::Latin1).await;
    let whole = Portal::logged_in(Config::with_base_nodes(60)).await;
    whole
        .sim
        .set_rules(vec![Rule::on(Endpoint::Search, Fault::Latin1)]);
    let all = whole.search(0, 1000).send().await.unwrap().bytes().await.unwrap();
    assert!(latin.len() < all.len() && std::str::from_utf8(&all).is_err());
    assert!(!whole.sim.base_nodes().iter().all(|device| device.raw.is_ascii()));
}

#[tokio::test]
async fn defective_records_are_recorded_by_serial() {
    let fault = Fault::Record {
        defect: RecordDefect::MissingSerial,
        at: 1,
        size: None,
    };
    let portal = portal_with_fault(fault).await;
    send(portal.search(0, 5)).await;
    let intact = intact_serials().await;
    assert_eq!(
        portal.sim.defective_records(),
        [(intact[1].clone(), RecordDefect::MissingSerial)].into()
    );
    portal.sim.clear_rules();
    assert_eq!(portal.sim.defective_records(), [].into());
}
