use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::Device;
use super::tests::decode;
use crate::station::{Position, Station};

/// A station as the vendor renders it.
fn render(s: &Station) -> Value {
    let scaled = |n: Option<i32>, by: f64| n.map(|n| f64::from(n) / by);
    let e6 = |n: i64| i32::try_from(n).unwrap();
    let named = |id: Option<i32>, name: Option<&str>| json!({"id": id, "name": name});
    json!({
        "serialNumber": s.serial.as_str(), "type": "BN", "hostName": s.hostname.as_deref(), "connected": s.connected,
        "band": s.band.as_deref(),
        "installParams": {
            "latitude": scaled(s.position.map(|p| e6(p.lat_e6)), 1e6), "longitude": scaled(s.position.map(|p| e6(p.lng_e6)), 1e6),
            "height": scaled(s.height_cm, 100.0), "antennaAzimuth": scaled(s.azimuth_cdeg, 100.0),
        },
        "ancestry": {
            "region": named(s.region_id, s.region.as_deref()), "market": named(s.market_id, s.market.as_deref()),
            "site": named(s.site_id, s.site_name.as_deref()), "cell": named(s.cell_id, None),
            "cellDetails": named(None, s.cell_name.as_deref()), "sector": named(s.sector_id, None),
            "sectorDetails": named(None, s.sector_name.as_deref()),
        },
    })
}

fn any_name() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[^\0\\s][^\0]{0,12}")
}

fn any_station() -> impl Strategy<Value = Station> {
    let position = prop::option::of((-90_000_000..=90_000_000_i64, 1..=180_000_000_i64));
    let ids = (any::<i32>(), prop::array::uniform4(any::<Option<i32>>()));
    let names = prop::array::uniform8(any_name());
    let numbers = (
        prop::option::of(-99_999_999..=99_999_999_i32),
        prop::option::of(0..36_000_i32),
    );
    (position, ids, names, numbers, any::<Option<bool>>()).prop_map(
        |(position, ids, names, numbers, connected)| {
            let [serial, hostname, site, market, region, band, cell, sector] = names;
            let boxed = |name: Option<String>| name.map(crate::station::Text::from);
            let shared = |name: Option<String>| name.map(std::sync::Arc::from);
            let [market_id, site_id, cell_id, sector_id] = ids.1;
            Station {
                serial: format!("S{}", serial.unwrap_or_default().trim_end()).into(),
                hostname: boxed(hostname),
                site_name: boxed(site),
                market: shared(market),
                // A region without a name would get the name of the requested region if their ids are equal.
                region: shared(Some(region.unwrap_or_default() + "R")),
                position: position.map(|(lat_e6, lng_e6)| Position { lat_e6, lng_e6 }),
                height_cm: numbers.0,
                azimuth_cdeg: numbers.1,
                band: shared(band),
                connected,
                active_connections: None,
                region_id: Some(ids.0),
                market_id,
                site_id,
                cell_id,
                sector_id,
                cell_name: boxed(cell),
                sector_name: boxed(sector),
            }
        },
    )
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop_oneof![Just("BN"), Just("RN"), Just("S1")].prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "serialNumber",
        "type",
        "hostName",
        "connected",
        "band",
        "lastUpdateTimeSeconds",
        "installParams",
        "ancestry",
        "masterSerial",
        "latitude",
        "longitude",
        "height",
        "antennaAzimuth",
        "region",
        "market",
        "site",
        "cell",
        "cellDetails",
        "sector",
        "sectorDetails",
        "id",
        "name",
        "other",
    ]);
    leaf.prop_recursive(4, 64, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..12)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_rendered_station_is_read_back(station in any_station()) {
        let Device::Base(base) = decode(&render(&station).to_string()) else { panic!("{station:?}") };
        prop_assert_eq!(base.station, station);
        prop_assert_eq!(base.notes, vec![]);
    }

    #[test]
    fn any_json_is_decoded(mut item in any_json(), base in any::<bool>()) {
        if base && let Value::Object(members) = &mut item {
            members.insert("type".into(), "BN".into());
        }
        match decode(&item.to_string()) {
            Device::Base(base) => {
                prop_assert_eq!(base.station.serial.trim(), &*base.station.serial);
                let azimuth = base.station.azimuth_cdeg.unwrap_or_default();
                prop_assert_eq!(azimuth, azimuth.clamp(0, 35_999));
            }
            Device::Remote(_) => prop_assert_eq!(&item["type"], "RN"),
            Device::OtherRegion(_) => unreachable!("only a listing knows the regions"),
            Device::Rejected(rejected) => prop_assert_eq!(rejected.why.is_empty(), false),
        }
    }

    #[test]
    fn no_text_causes_a_panic(item in ".{0,64}") {
        decode(&item);
    }
}
