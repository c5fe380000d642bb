//! Pure: one device as the NQS listings write it.
//!
//! Devices are rendered once, when they come into being, and kept as text: serving a page is then copying, which keeps the
//! simulator cheap enough to stand in benchmarks.

use serde_json::{Value, json};

use super::geography::Market;

/// What the vendor knows of a place, or how it says that it knows nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Position {
    At(f64, f64),
    Null,
    Absent,
    /// 0/0, which means "not set".
    Zero,
}

/// The tower that a device hangs on.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) market: Market,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) height: f64,
}

/// Everything of a base node that differs from its neighbour's.
#[derive(Debug, Clone)]
pub(super) struct BaseNode {
    pub(super) number: usize,
    pub(super) position: Position,
    pub(super) azimuth: f64,
    pub(super) sector: usize,
    pub(super) connected: Option<bool>,
    pub(super) orphan: bool,
    pub(super) updated: u64,
    pub(super) agl: f64,
    pub(super) tilt: f64,
}

pub(super) fn base_serial(number: usize) -> String {
    format!("S134F{:010}", number + 101)
}

pub(super) fn remote_serial(number: usize) -> String {
    format!("S150F{:010}", number + 777)
}

/// The whole ancestry of a sector.
fn ancestry(operator: i64, site: &Site, sector_id: usize, sector: usize, host: &str) -> Value {
    let market = &site.market;
    let (site_id, cell_id) = (94_901 + site.number, 95_301 + site.number);
    json!({
        "operator": {"id": operator, "name": "OPCO"},
        "region": {"id": market.region.id, "name": market.region.name},
        "market": {"id": market.id, "name": market.name},
        "site": {"id": site_id, "name": site.name, "latitude": 0, "longitude": 0},
        "cell": {"id": cell_id, "name": 4},
        "cellDetails": {"id": cell_id, "name": cell_name(site)},
        "sector": {"id": sector_id, "name": sector},
        "sectorDetails": {"id": sector_id, "name": host},
    })
}

fn cell_name(site: &Site) -> String {
    format!("X{}", site.number + 9001)
}

/// A base node, and `unknown` fields that no client has heard of.
pub(super) fn base_node(operator: i64, site: &Site, node: &BaseNode, unknown: usize) -> Value {
    let serial = base_serial(node.number);
    let host = format!("{}-BN-{}", cell_name(site), node.azimuth);
    let mut device = json!({
        "id": format!("device:{serial}"),
        "serialNumber": serial,
        "type": "BN",
        "hostName": host,
        "linkState": null,
        "band": if node.number % 9 == 8 { "6ghz" } else { "5ghz" },
        "softwareVersion": "SYS.A3.B10.XXX.3.000.000.00",
        "lastUpdateTimeSeconds": node.updated,
        "retailerId": null,
        "installParams": install_params(site, node),
        "carriers": {"0": {"frequency": 5_755_000, "channelWidth": 40, "enabled": true, "txPower": 26.8}},
    });
    if let Some(connected) = node.connected {
        device["connected"] = json!(connected);
    }
    if !node.orphan {
        device["ancestry"] = ancestry(operator, site, 90_501 + node.number, node.sector, &host);
    }
    add_unknown(&mut device, unknown);
    device
}

fn install_params(site: &Site, node: &BaseNode) -> Value {
    let mut params = json!({
        "height": tenths(site.height + node.agl),
        "heightAgl": node.agl,
        "antennaAzimuth": node.azimuth,
        "tilt": node.tilt,
    });
    let (latitude, longitude) = match node.position {
        Position::At(latitude, longitude) => (json!(latitude), json!(longitude)),
        Position::Null => (Value::Null, Value::Null),
        Position::Zero => (json!(0), json!(0)),
        Position::Absent => return params,
    };
    params["latitude"] = latitude;
    params["longitude"] = longitude;
    params
}

/// A remote node served by `master`, a base node in its rendered form.
pub(super) fn remote_node(number: usize, master: &Value, connected: bool, offset: (f64, f64)) -> Value {
    let serial = remote_serial(number);
    let place = &master["installParams"];
    let near = |axis: &str, by: f64| place[axis].as_f64().map(|at| micro(at + by));
    let site = &master["ancestry"]["site"];
    json!({
        "id": format!("device:{serial}"),
        "serialNumber": serial,
        "type": "RN",
        "connected": connected,
        "linkState": if connected { "connected" } else { "disconnected" },
        "masterSerial": master["serialNumber"],
        "retailerId": 1020,
        "installParams": {"latitude": near("latitude", offset.0), "longitude": near("longitude", offset.1)},
        "ancestry": {"site": {"id": site["id"], "name": site["name"]}},
    })
}

/// Fields with names and shapes that a tolerant reader has to walk over.
fn add_unknown(device: &mut Value, count: usize) {
    let Some(fields) = device.as_object_mut() else {
        return;
    };
    for index in 0..count {
        let value = match index % 5 {
            0 => json!(1_767_225_600_000_u64 + index as u64),
            1 => json!(null),
            2 => json!({"name": "x", "values": [1, 2.5, "three", {"four": null}]}),
            3 => json!("an \"escaped\" \\ text \u{e9}"),
            _ => json!(-0.125),
        };
        fields.insert(format!("vendorField{index:03}"), value);
    }
}

/// Rounded to six decimals, about ten centimetres.
pub(super) fn micro(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}

/// Rounded to one decimal.
pub(super) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
