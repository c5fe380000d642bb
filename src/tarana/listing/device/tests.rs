use serde_json::json;

use super::{Device, decode_device};
use crate::station::{Interner, Position, Station};
use crate::tarana::listing::region::Region;

fn requested() -> Region {
    Region {
        id: 1073,
        name: Some("South Africa".into()),
    }
}

pub(super) fn decode(item: &str) -> Device {
    decode_device(item, Some(&requested()), &Interner::default())
}

/// A base node with the member at `path`, such as `a/b`, replaced by `value`.
fn with(path: &str, value: &str) -> String {
    const PLACEHOLDER: &str = "\"<value>\"";
    let mut item = json!({
        "serialNumber": "S1", "type": "BN", "hostName": "H", "connected": true, "band": "5ghz",
        "lastUpdateTimeSeconds": 9, "unknown": {"deep": [1, {"x": null}]},
        "installParams": {"latitude": -26.107_912, "longitude": 28.056_721, "height": 1598.6, "antennaAzimuth": 45.0},
        "ancestry": {
            "region": {"id": 1073, "name": "South Africa"}, "market": {"id": 9602, "name": "JHB"},
            "site": {"id": 94901, "name": "Reservoir"}, "cell": {"id": 95301, "name": 4},
            "cellDetails": {"id": 95301, "name": "X9001"}, "sector": {"id": 90501, "name": 1},
            "sectorDetails": {"id": 90501, "name": "X9001-BN-45"},
        },
    });
    let member = path
        .split('/')
        .filter(|key| !key.is_empty())
        .fold(&mut item, |at, key| &mut at[key]);
    *member = json!("<value>");
    item.to_string().replace(PLACEHOLDER, value)
}

fn station(item: &str) -> (Station, Vec<String>) {
    match decode(item) {
        Device::Base(base) => (
            base.station,
            base.notes.into_iter().map(|note| note.why).collect(),
        ),
        other => panic!("{item} became {other:?}"),
    }
}

fn full() -> Station {
    Station {
        serial: "S1".into(),
        hostname: Some("H".into()),
        site_name: Some("Reservoir".into()),
        market: Some("JHB".into()),
        region: Some("South Africa".into()),
        position: Some(Position {
            lat_e6: -26_107_912,
            lng_e6: 28_056_721,
        }),
        height_cm: Some(159_860),
        azimuth_cdeg: Some(4500),
        band: Some("5ghz".into()),
        connected: Some(true),
        active_connections: None,
        region_id: Some(1073),
        market_id: Some(9602),
        site_id: Some(94901),
        cell_id: Some(95301),
        sector_id: Some(90501),
        cell_name: Some("X9001".into()),
        sector_name: Some("X9001-BN-45".into()),
    }
}

#[test]
fn a_complete_record_is_decoded() {
    assert_eq!(station(&with("unknown", "1")), (full(), vec![]));
}

#[test]
fn fields_are_decoded() {
    type Change = fn(&mut Station);
    let cases: &[(&str, &str, Change)] = &[
        ("serialNumber", r#"" S1 ""#, |_| ()),
        ("hostName", "null", |s| s.hostname = None),
        ("hostName", r#""  ""#, |s| s.hostname = None),
        ("connected", "null", |s| s.connected = None),
        ("connected", "false", |s| s.connected = Some(false)),
        ("installParams", "null", |s| {
            (s.position, s.height_cm, s.azimuth_cdeg) = (None, None, None);
        }),
        ("installParams/latitude", "null", |s| s.position = None),
        ("installParams/latitude", "-90", |s| {
            s.position.as_mut().unwrap().lat_e6 = -90_000_000;
        }),
        ("installParams/latitude", "-26.1079124", |_| ()),
        ("installParams/height", "-3.005", |s| s.height_cm = Some(-301)),
        ("installParams/antennaAzimuth", "-90", |s| {
            s.azimuth_cdeg = Some(27_000);
        }),
        ("installParams/antennaAzimuth", "359.999", |s| {
            s.azimuth_cdeg = Some(0);
        }),
        ("installParams/antennaAzimuth", "725.5", |s| {
            s.azimuth_cdeg = Some(550);
        }),
        ("ancestry/site/id", r#""94901""#, |_| ()),
        ("ancestry/site/name", "7", |s| s.site_name = Some("7".into())),
        ("ancestry/region", "null", |_| ()),
        ("ancestry/region/name", "null", |_| ()),
        ("ancestry/region/id", "7", |s| s.region_id = Some(7)),
        ("ancestry/region", r#"{"id":7}"#, |s| {
            (s.region_id, s.region) = (Some(7), None);
        }),
        ("ancestry/cellDetails", "null", |s| s.cell_name = None),
        ("unknown", "1e400", |_| ()),
        ("unknown", r#""\ud800""#, |_| ()),
    ];
    for (path, value, change) in cases {
        let mut want = full();
        change(&mut want);
        assert_eq!(station(&with(path, value)), (want, vec![]), "{path} = {value}");
    }
    let item = r#"{"serialNumber":"S1","type":"BN","installParams":{"latitude":0,"longitude":0.0000001}}"#;
    let (orphan, notes) = station(item);
    assert_eq!(
        (orphan.position, orphan.region_id, orphan.region.as_deref()),
        (None, Some(1073), Some("South Africa"))
    );
    assert!(notes.is_empty());
}

#[test]
fn an_unusable_field_is_dropped_and_noted() {
    type Change = fn(&mut Station);
    let cases: &[(&str, &str, Change)] = &[
        ("hostName", r#""a\u0000b""#, |s| s.hostname = None),
        ("hostName", "{}", |s| s.hostname = None),
        ("connected", r#""true""#, |s| s.connected = None),
        ("installParams/height", "1e9", |s| s.height_cm = None),
        ("installParams/height", r#""12""#, |s| s.height_cm = None),
        ("installParams/antennaAzimuth", "1e6", |s| s.azimuth_cdeg = None),
        ("ancestry/site/id", "99999999999", |s| s.site_id = None),
        ("ancestry/market/id", "1.5", |s| s.market_id = None),
        ("ancestry/region/id", r#""x""#, |_| ()),
        ("ancestry/sector", "[1]", |s| s.sector_id = None),
    ];
    for (path, value, change) in cases {
        let mut want = full();
        change(&mut want);
        let (got, notes) = station(&with(path, value));
        assert_eq!(got, want, "{path} = {value}");
        assert_eq!(notes.len(), 1, "{path} = {value}: {notes:?}");
        assert!(notes[0].starts_with(&path.replace('/', ".")), "{notes:?}");
    }
}

fn assert_rejected(item: &str, serial: Option<&str>, why: &str) {
    match decode(item) {
        Device::Rejected(got) => assert_eq!((got.serial.as_deref(), &*got.why), (serial, why), "{item}"),
        other => panic!("{item} became {other:?}"),
    }
}

#[test]
fn a_record_without_a_serial_is_skipped() {
    for item in ["null", r#""text""#, r#"["S1","BN"]"#, "1e400"] {
        assert_rejected(item, None, "the record is not an object");
    }
    let long = format!("\"{}\"", "x".repeat(300));
    for (serial, why) in [
        ("null", "serialNumber is missing"),
        ("134", "serialNumber is not a text"),
        (r#"" ""#, "serialNumber is empty"),
        (r#""S\u0000""#, "serialNumber contains a NUL character"),
        (r#""\ud800""#, "serialNumber cannot be decoded"),
        (&long, "serialNumber is longer than 255 bytes"),
    ] {
        assert_rejected(&with("serialNumber", serial), None, why);
    }
}

#[test]
fn an_unusable_record_is_still_present() {
    let unreadable = "installParams cannot be read, and with it the coordinates";
    for (path, value, why) in [
        ("type", "null", "type is neither BN nor RN"),
        ("type", r#""XN""#, "type is neither BN nor RN"),
        (
            "installParams/latitude",
            "1e400",
            "installParams.latitude cannot be decoded",
        ),
        (
            "installParams/latitude",
            r#""-26.1""#,
            "installParams.latitude is not a number",
        ),
        (
            "installParams/latitude",
            "90.000001",
            "installParams.latitude is out of range",
        ),
        (
            "installParams/longitude",
            "-181",
            "installParams.longitude is out of range",
        ),
        ("installParams", "7", unreadable),
        ("hostName", r#""\ud800""#, "hostName cannot be decoded"),
        (
            "installParams/height",
            "1e400",
            "installParams.height cannot be decoded",
        ),
        ("ancestry/cell/id", "-1e999", "ancestry.cell.id cannot be decoded"),
    ] {
        assert_rejected(&with(path, value), Some("S1"), why);
    }
    let twice = with("unknown", "1").replace("\"H\"", "\"H\",\"hostName\":\"again\"");
    assert_rejected(&twice, Some("S1"), "the record cannot be decoded");
}

#[test]
fn a_remote_node_is_counted_if_it_is_connected() {
    for (connected, want) in [
        ("true", Some("S1")),
        ("false", None),
        ("null", None),
        ("\"true\"", None),
    ] {
        let item =
            format!(r#"{{"serialNumber":"R1","type":"RN","connected":{connected},"masterSerial":"S1 "}}"#);
        let Device::Remote(remote) = decode(&item) else {
            panic!("{item}")
        };
        assert_eq!(remote.served_by.as_deref(), want, "{item}");
    }
}

#[test]
fn nesting_does_not_exhaust_the_stack() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(station(&with("unknown", &deep)), (full(), vec![]));
    assert!(matches!(decode(&with("hostName", &deep)), Device::Base(_)));
    assert!(matches!(
        decode(&with("serialNumber", &deep)),
        Device::Rejected(_)
    ));
    assert!(matches!(decode(&deep), Device::Rejected(_)));
}
