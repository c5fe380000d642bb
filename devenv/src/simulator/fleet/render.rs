//! Pure: renders a device as the NQS listings send it.
//!
//! Devices are rendered once and kept as text. Serving a page then only copies, so that the simulator is fast enough for
//! benchmarks.

use serde_json::{Value, json};

use super::geography::Market;

/// A position, or how the vendor represents a missing one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Position {
    At(f64, f64),
    Null,
    Absent,
    /// 0/0, which means "not set".
    Zero,
}

/// A site.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) market: Market,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) height: f64,
}

/// The values of a base node.
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

fn cell_name(site: &Site) -> String {
    format!("X{}", site.number + 9001)
}

/// A name as a JSON string.
fn quoted(name: &str) -> String {
    Value::from(name).to_string()
}

/// Renders a base node with the fields of [`unknown_fields`]. It formats text directly: building a JSON tree for each of
/// 100,000 devices takes 20 s instead of 2 s in a debug build.
pub(super) fn base_node(operator: i64, site: &Site, node: &BaseNode, unknown: &str) -> String {
    let serial = base_serial(node.number);
    let host = format!("{}-BN-{}", cell_name(site), node.azimuth);
    let band = if node.number % 9 == 8 { "6ghz" } else { "5ghz" };
    let connected = node
        .connected
        .map(|on| format!(r#""connected":{on},"#))
        .unwrap_or_default();
    let params = install_params(site, node);
    let ancestry = if node.orphan {
        String::new()
    } else {
        ancestry(operator, site, node, &host)
    };
    let updated = node.updated;
    format!(
        r#"{{"id":"device:{serial}","serialNumber":"{serial}","type":"BN","hostName":"{host}",{connected}"linkState":null,"band":"{band}","softwareVersion":"SYS.A3.B10.XXX.3.000.000.00","lastUpdateTimeSeconds":{updated},"retailerId":null,"installParams":{params},"carriers":{{"0":{{"frequency":5755000,"channelWidth":40,"enabled":true,"txPower":26.8}}}}{ancestry}{unknown}}}"#
    )
}

/// Renders the ancestry of a sector, the last member of its device.
fn ancestry(operator: i64, site: &Site, node: &BaseNode, host: &str) -> String {
    let (market, region) = (&site.market, &site.market.region);
    let (site_id, cell_id, sector_id) = (94_901 + site.number, 95_301 + site.number, 90_501 + node.number);
    let (site_name, cell, sector) = (quoted(&site.name), cell_name(site), node.sector);
    let above = format!(
        r#""operator":{{"id":{operator},"name":"OPCO"}},"region":{{"id":{},"name":"{}"}},"market":{{"id":{},"name":"{}"}}"#,
        region.id, region.name, market.id, market.name
    );
    format!(
        r#","ancestry":{{{above},"site":{{"id":{site_id},"name":{site_name},"latitude":0,"longitude":0}},"cell":{{"id":{cell_id},"name":4}},"cellDetails":{{"id":{cell_id},"name":"{cell}"}},"sector":{{"id":{sector_id},"name":{sector}}},"sectorDetails":{{"id":{sector_id},"name":"{host}"}}}}"#
    )
}

fn install_params(site: &Site, node: &BaseNode) -> String {
    let position = match node.position {
        Position::At(latitude, longitude) => format!(r#""latitude":{latitude:?},"longitude":{longitude:?},"#),
        Position::Null => r#""latitude":null,"longitude":null,"#.to_owned(),
        Position::Zero => r#""latitude":0,"longitude":0,"#.to_owned(),
        Position::Absent => String::new(),
    };
    let (height, agl) = (tenths(site.height + node.agl), node.agl);
    let (azimuth, tilt) = (node.azimuth, node.tilt);
    format!(
        r#"{{{position}"height":{height:?},"heightAgl":{agl:?},"antennaAzimuth":{azimuth:?},"tilt":{tilt:?}}}"#
    )
}

/// A remote node connected to `master`, a rendered base node.
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

/// Members of various shapes that a client must ignore, each with a leading comma.
pub(super) fn unknown_fields(count: usize) -> String {
    let fields = (0..count).map(|index| {
        let value = match index % 5 {
            0 => json!(1_767_225_600_000_u64 + index as u64),
            1 => json!(null),
            2 => json!({"name": "x", "values": [1, 2.5, "three", {"four": null}]}),
            3 => json!("an \"escaped\" \\ text \u{e9}"),
            _ => json!(-0.125),
        };
        format!(r#","vendorField{index:03}":{value}"#)
    });
    fields.collect()
}

/// Rounded to six decimals, about ten centimetres.
pub(super) fn micro(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}

/// Rounded to one decimal.
pub(super) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
