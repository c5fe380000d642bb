//! Pure: decodes one item of `RadioSearch`.
//!
//! Ids are strings, values are keyed by their path, and names come from the hierarchy.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{Fields, Unusable, azimuth, height, position};
use super::record::{Base, Device, Remote, parse_serial, rejected};
use super::shape::{Install, Presence, Raw};
use crate::station::{Interner, Station};
use crate::tarana::http::envelope::parse_object;
use crate::tarana::listing::hierarchy::{Level, Names};
use crate::tarana::listing::region::Region;
use crate::tarana::scalar::{self, Flaw, Parsed};

/// The fields that are requested, and read in [`Values`].
pub(crate) const FIELDS: [&str; 7] = [
    "/system/install/state/latitude",
    "/system/install/state/longitude",
    "/system/install/state/height",
    "/system/install/state/azimuth",
    "/radios/regulatory/state/band",
    "/system/state/hostname",
    "deviceStatus",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow, rename = "serialNumber")]
    serial: Raw<'a>,
    #[serde(borrow)]
    device_type: Raw<'a>,
    #[serde(borrow)]
    region_id: Raw<'a>,
    #[serde(borrow)]
    market_id: Raw<'a>,
    #[serde(borrow)]
    site_id: Raw<'a>,
    #[serde(borrow)]
    cell_id: Raw<'a>,
    #[serde(borrow)]
    sector_id: Raw<'a>,
    #[serde(borrow)]
    fields: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct Values<'a> {
    #[serde(borrow, rename = "/system/install/state/latitude")]
    latitude: Raw<'a>,
    #[serde(borrow, rename = "/system/install/state/longitude")]
    longitude: Raw<'a>,
    #[serde(borrow, rename = "/system/install/state/height")]
    height: Raw<'a>,
    #[serde(borrow, rename = "/system/install/state/azimuth")]
    azimuth: Raw<'a>,
    #[serde(borrow, rename = "/radios/regulatory/state/band")]
    band: Raw<'a>,
    #[serde(borrow, rename = "/system/state/hostname")]
    hostname: Raw<'a>,
    #[serde(borrow, rename = "deviceStatus")]
    status: Raw<'a>,
}

/// Decodes one item. A base node of another region than the requested one is [`Device::OtherRegion`].
pub(crate) fn decode_radio(item: &str, requested: &Region, names: &Names, interner: &Interner) -> Device {
    let full: Item<'_> = match parse_object(item) {
        Ok(full) => full,
        Err(None) => return rejected(None, "the record is not an object"),
        Err(Some(_)) => {
            let present = parse_object::<Presence<'_>>(item)
                .ok()
                .and_then(|p| parse_serial(p.serial).ok());
            return rejected(present, "the record cannot be decoded");
        }
    };
    match full.device_type.map(|kind| scalar::string(kind.get())) {
        Some(Ok(Some(kind))) if kind == "RN" => {
            return Device::Remote(Remote {
                serial: parse_serial(full.serial).ok(),
                served_by: None,
                updated: None,
            });
        }
        Some(Ok(Some(kind))) if kind == "BN" => {}
        _ => return rejected(parse_serial(full.serial).ok(), "deviceType is neither BN nor RN"),
    }
    let serial = match parse_serial(full.serial) {
        Ok(serial) => serial,
        Err(why) => return rejected(None, why),
    };
    let mut fields = Fields {
        serial: &serial,
        notes: Vec::new(),
    };
    match fields.radio(&full, requested, names, interner) {
        Ok(station) if station.region_id != Some(requested.id) => Device::OtherRegion(serial),
        Ok(mut station) => {
            let notes = fields.notes;
            station.serial = serial;
            Device::Base(Box::new(Base {
                station,
                notes,
                updated: None,
            }))
        }
        Err(why) => rejected(Some(serial), why),
    }
}

impl Fields<'_> {
    fn radio(
        &mut self,
        item: &Item<'_>,
        requested: &Region,
        names: &Names,
        interner: &Interner,
    ) -> Result<Station, Unusable> {
        let values: Values<'_> = match item.fields.map(|raw: &RawValue| parse_object(raw.get())) {
            None => Values::default(),
            Some(Ok(values)) => values,
            Some(Err(_)) => return Err("fields cannot be read, and with it the coordinates".into()),
        };
        let install = Install {
            latitude: values.latitude,
            longitude: values.longitude,
            ..Install::default()
        };
        let [market_id, site_id, cell_id, sector_id] = [
            self.read("marketId", item.market_id, scalar::id)?,
            self.read("siteId", item.site_id, scalar::id)?,
            self.read("cellId", item.cell_id, scalar::id)?,
            self.read("sectorId", item.sector_id, scalar::id)?,
        ];
        let region_id = self
            .read("regionId", item.region_id, scalar::id)?
            .unwrap_or(requested.id);
        let name_of = |id: Option<i32>, level: fn(&Names) -> &Level| id.and_then(|id| level(names).get(&id));
        Ok(Station {
            position: position(&install)?,
            hostname: self.text("fields./system/state/hostname", values.hostname)?,
            connected: self.read("fields.deviceStatus", values.status, status)?,
            band: self
                .read("fields./radios/regulatory/state/band", values.band, scalar::name)?
                .map(|b| interner.intern(&b)),
            height_cm: self.read("fields./system/install/state/height", values.height, height)?,
            azimuth_cdeg: self.read("fields./system/install/state/azimuth", values.azimuth, azimuth)?,
            region: requested.name.as_ref().map(Arc::clone),
            region_id: Some(region_id),
            market: name_of(market_id, |n| &n.markets).map(|name| interner.intern(name)),
            site_name: name_of(site_id, |n| &n.sites).cloned(),
            cell_name: name_of(cell_id, |n| &n.cells).cloned(),
            sector_name: name_of(sector_id, |n| &n.sectors).cloned(),
            market_id,
            site_id,
            cell_id,
            sector_id,
            ..Station::default()
        })
    }
}

/// 1 is connected and 0 is not; anything else is unusable.
fn status(raw: &str) -> Parsed<bool> {
    match raw {
        "null" => Ok(None),
        "1" => Ok(Some(true)),
        "0" => Ok(Some(false)),
        _ => Err(Flaw::Unusable("is neither 1 nor 0")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::station::Position;

    fn decode(item: &Value) -> Device {
        let region = Region {
            id: 1073,
            name: Some("South Africa".into()),
        };
        let names = crate::tarana::listing::hierarchy::parse_names(
            r#"{"regions":[{"id":1073,"name":"x","markets":[{"id":"9602","name":"JHB","sites":[{"id":94901,"name":"Reservoir",
               "cells":[{"id":95301,"name":"X9001","sectors":[{"id":90501,"name":"X9001-BN-45"},7]}]}]}]}]}"#,
        )
        .unwrap();
        decode_radio(&item.to_string(), &region, &names, &Interner::default())
    }

    /// The vendor's example with one member replaced.
    fn with(path: &str, value: Value) -> Value {
        let mut item = json!({
            "serialNumber": "S1", "deviceType": "BN", "regionId": "1073", "marketId": "9602", "siteId": "94901",
            "cellId": "95301", "sectorId": "90501",
            "fields": {"/system/install/state/latitude": -26.107_912, "/system/install/state/longitude": 28.056_721,
                "/system/install/state/height": 1598.58, "/system/install/state/azimuth": 45.0,
                "/radios/regulatory/state/band": "5ghz", "/system/state/hostname": "H", "deviceStatus": 1},
        });
        match path.strip_prefix("fields.") {
            Some(field) => item["fields"][field] = value,
            None => item[path] = value,
        }
        item
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
            height_cm: Some(159_858),
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
    fn fields_are_decoded() {
        type Change = fn(&mut Station);
        let cases: &[(&str, Value, Change, usize)] = &[
            ("unknown", json!(1), |_| (), 0),
            ("fields.deviceStatus", json!(0), |s| s.connected = Some(false), 0),
            ("fields.deviceStatus", json!(null), |s| s.connected = None, 0),
            ("fields.deviceStatus", json!(2), |s| s.connected = None, 1),
            ("fields.deviceStatus", json!(true), |s| s.connected = None, 1),
            ("regionId", json!(null), |_| (), 0),
            (
                "siteId",
                json!("7"),
                |s| (s.site_id, s.site_name) = (Some(7), None),
                0,
            ),
            (
                "siteId",
                json!("x"),
                |s| (s.site_id, s.site_name) = (None, None),
                1,
            ),
            ("marketId", json!(9602), |_| (), 0),
            (
                "fields",
                json!(null),
                |s| {
                    (s.position, s.height_cm, s.azimuth_cdeg, s.band) = (None, None, None, None);
                    (s.hostname, s.connected) = (None, None);
                },
                0,
            ),
        ];
        for (path, value, change, notes) in cases {
            let mut want = full();
            change(&mut want);
            let Device::Base(base) = decode(&with(path, value.clone())) else {
                panic!("{path} = {value}")
            };
            assert_eq!(
                (base.station, base.notes.len()),
                (want, *notes),
                "{path} = {value}"
            );
        }
    }

    #[test]
    fn other_items_are_not_base_nodes_of_the_region() {
        for (item, want) in [
            (with("regionId", json!("1079")), "OtherRegion(\"S1\")"),
            (with("deviceType", json!("RN")), "Remote("),
            (with("deviceType", json!("XN")), "Rejected("),
            (with("serialNumber", json!(7)), "Rejected(Rejected { serial: None"),
            (
                with("fields", json!([])),
                "Rejected(Rejected { serial: Some(\"S1\")",
            ),
            (json!("text"), "Rejected(Rejected { serial: None"),
        ] {
            let got = format!("{:?}", decode(&item));
            assert!(got.starts_with(want), "{item}: {got}");
        }
    }
}
