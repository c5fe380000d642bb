//! Pure: the vendor's listings: selects the page of a call and writes it in its envelope.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::call::{ApiResponse, Call, Endpoint};
use super::config::Config;
use super::fleet::{DeviceKind, Fleet, REGIONS, Selection};

/// The envelope of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dialect {
    Nqs,
    /// TMQ v1, with the requested fields.
    Tmq(BTreeSet<String>),
}

/// A page before it is serialized; listing faults modify it.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) dialect: Dialect,
    pub(super) items: Vec<Arc<str>>,
    pub(super) offset: usize,
    /// `None` is left out.
    pub(super) total: Option<i64>,
    /// Whether the list itself is present.
    pub(super) has_items: bool,
    /// Errors of the reported offset and count.
    pub(super) offset_off_by: i64,
    pub(super) count_off_by: i64,
    pub(super) numbers_as_text: bool,
}

/// Overrides of the requested page by faults.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ListingOverride {
    pub(super) offset: Option<usize>,
    pub(super) region: Option<i64>,
    /// The minimum number of rows on a page.
    pub(super) at_least: usize,
    pub(super) any_kind: bool,
    /// The number of rows hidden at the start of the list.
    pub(super) hidden: usize,
}

impl ListingOverride {
    /// Selects a page after the overrides; returns its rows and the total.
    fn select_page(
        self,
        fleet: &mut Fleet,
        mut selection: Selection,
        offset: usize,
        count: usize,
    ) -> (Vec<Arc<str>>, usize) {
        if let (Some(regions), Some(region)) = (&mut selection.regions, self.region) {
            *regions = vec![region];
        }
        selection.kind = selection.kind.filter(|_| !self.any_kind);
        let (offset, count) = self.page_bounds(offset, count);
        let (items, total) = fleet.page(selection, offset, count);
        (items, total.saturating_sub(self.hidden))
    }

    fn page_bounds(self, offset: usize, count: usize) -> (usize, usize) {
        (
            self.offset.unwrap_or(offset).saturating_add(self.hidden),
            count.max(self.at_least),
        )
    }
}

impl Page {
    fn of(dialect: Dialect, offset: usize, (items, total): (Vec<Arc<str>>, usize)) -> Self {
        Self {
            dialect,
            items,
            offset,
            total: i64::try_from(total).ok(),
            has_items: true,
            offset_off_by: 0,
            count_off_by: 0,
            numbers_as_text: false,
        }
    }

    /// Serializes the page.
    pub(super) fn write(&self) -> Vec<u8> {
        let (before, after) = match &self.dialect {
            Dialect::Tmq(_) => (
                r#"{"version":"1.0","name":"radios","data":{"deviceType":"BN","#.to_owned(),
                "}}".to_owned(),
            ),
            Dialect::Nqs => {
                let total = self
                    .total
                    .map(|total| format!(r#","totalCount":{}"#, self.number(total)));
                let (count, offset) = (
                    self.reported_number(self.items.len(), self.count_off_by),
                    self.reported_number(self.offset, self.offset_off_by),
                );
                let tail = format!(
                    r#""count":{count},"offset":{offset}{}}},"error":null}}"#,
                    total.unwrap_or_default()
                );
                (r#"{"data":{"#.to_owned(), tail)
            }
        };
        let size: usize = self.items.iter().map(|item| item.len() + 1).sum();
        let mut body = Vec::with_capacity(size + before.len() + after.len() + 16);
        body.extend_from_slice(before.as_bytes());
        if self.has_items {
            self.write_items(&mut body);
        } else if matches!(self.dialect, Dialect::Tmq(_)) {
            body.pop(); // the comma before the list
        }
        body.extend_from_slice(after.as_bytes());
        body
    }

    fn reported_number(&self, actual: usize, off_by: i64) -> String {
        self.number(i64::try_from(actual).unwrap_or(i64::MAX).saturating_add(off_by))
    }

    fn number(&self, number: i64) -> String {
        if self.numbers_as_text {
            format!("\"{number}\"")
        } else {
            number.to_string()
        }
    }

    fn write_items(&self, body: &mut Vec<u8>) {
        let (name, end): (&[u8], &[u8]) = match self.dialect {
            Dialect::Nqs => (br#""items":["#, b"],"),
            Dialect::Tmq(_) => (br#""devices":["#, b"]"),
        };
        body.extend_from_slice(name);
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(item.as_bytes());
        }
        body.extend_from_slice(end);
    }
}

/// The requested page, or an error response.
pub(super) fn page(
    call: &Call,
    fleet: &mut Fleet,
    config: &Config,
    overrides: ListingOverride,
) -> Result<Page, ApiResponse> {
    match call.endpoint {
        Endpoint::Search => region_search(call, fleet, config, overrides),
        Endpoint::OperatorDevices => Ok(operator_list(call, fleet, config, overrides)),
        Endpoint::Radios => radio_search(call, fleet, config, overrides),
        Endpoint::Regions => regions(call, config, overrides),
        other => Err(ApiResponse::error(other, 404, "no such listing")),
    }
}

fn parse_paging(call: &Call) -> Result<(usize, usize), ApiResponse> {
    let missing = || ApiResponse::error(call.endpoint, 400, "pagination is missing or not a number");
    let offset = call.offset().ok_or_else(missing)?;
    let count = call.count().filter(|count| *count > 0).ok_or_else(missing)?;
    Ok((offset, count))
}

fn regions(call: &Call, config: &Config, overrides: ListingOverride) -> Result<Page, ApiResponse> {
    let (offset, count) = parse_paging(call)?;
    // The endpoint under /api/nqs/ omits regions, like the real one.
    let omitted = if call.path.starts_with("/api/nqs/") { 2 } else { 0 };
    let repeated = REGIONS.iter().take(config.repeated_regions);
    let known: Vec<_> = REGIONS[..REGIONS.len() - omitted]
        .iter()
        .chain(repeated)
        .collect();
    let (from, rows) = overrides.page_bounds(offset, count);
    let items = known.iter().skip(from).take(rows).map(|region| {
        let item = json!({
            "id": region.id, "name": region.name, "operatorId": config.operator_id, "status": "ACTIVE",
            "createTimeSeconds": 1_700_000_000 + region.id, "timeZone": "Africa/Johannesburg",
        });
        Arc::from(item.to_string())
    });
    let total = known.len().saturating_sub(overrides.hidden);
    Ok(Page::of(Dialect::Nqs, offset, (items.collect(), total)))
}

fn check_regions(call: &Call, ids: Vec<i64>) -> Result<Vec<i64>, ApiResponse> {
    let unknown = ids
        .iter()
        .find(|id| REGIONS.iter().all(|region| region.id != **id));
    match unknown {
        Some(id) => Err(ApiResponse::error(
            call.endpoint,
            404,
            &format!("region {id} not found"),
        )),
        None => Ok(ids),
    }
}

fn parse_kind(call: &Call, name: &Value) -> Result<Option<DeviceKind>, ApiResponse> {
    match name.as_str() {
        None if name.is_null() => Ok(None),
        Some("BN") => Ok(Some(DeviceKind::BaseNode)),
        Some("RN") => Ok(Some(DeviceKind::RemoteNode)),
        _ => Err(ApiResponse::error(
            call.endpoint,
            400,
            "bad filter: unknown device type",
        )),
    }
}

/// `POST …/regions/devices/search`
fn region_search(
    call: &Call,
    fleet: &mut Fleet,
    config: &Config,
    overrides: ListingOverride,
) -> Result<Page, ApiResponse> {
    let bad_request = |message: &str| ApiResponse::error(call.endpoint, 400, message);
    let (offset, count) = parse_paging(call)?;
    let ids = call
        .regions()
        .filter(|ids| !ids.is_empty())
        .ok_or_else(|| bad_request("bad filter: ids"))?;
    let filter = call.json["deviceFilter"]
        .as_object()
        .ok_or_else(|| bad_request("bad filter: deviceFilter"))?;
    let known = ["type", "savedConfig", "reportedConfig", "reportedState"];
    if let Some(key) = filter.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(bad_request(&format!("bad filter: {key}")));
    }
    let kind = parse_kind(call, filter.get("type").unwrap_or(&Value::Null))?;
    let mut ids = check_regions(call, ids)?;
    ids.sort_unstable();
    let selection = Selection {
        regions: Some(ids),
        kind,
        shuffled: false,
        backwards: false,
    };
    Ok(Page::of(
        Dialect::Nqs,
        offset,
        overrides.select_page(fleet, selection, offset, count.min(config.page_cap)),
    ))
}

/// `GET …/operators/{op}/devices`: ignores `limit`, all parameters are optional.
fn operator_list(call: &Call, fleet: &mut Fleet, config: &Config, overrides: ListingOverride) -> Page {
    let requested = call.count().filter(|count| *count > 0 && config.honour_count);
    let count = requested.unwrap_or(config.operator_list_page);
    let kind = call
        .query("type")
        .filter(|_| config.honour_type)
        .and_then(|name| match name {
            "BN" => Some(DeviceKind::BaseNode),
            "RN" => Some(DeviceKind::RemoteNode),
            _ => None,
        });
    let offset = call.offset().unwrap_or(0);
    let selection = Selection {
        regions: None,
        kind,
        shuffled: true,
        backwards: false,
    };
    Page::of(
        Dialect::Nqs,
        offset,
        overrides.select_page(fleet, selection, offset, count.min(config.page_cap)),
    )
}

/// `POST …/radios/search`
fn radio_search(
    call: &Call,
    fleet: &mut Fleet,
    config: &Config,
    overrides: ListingOverride,
) -> Result<Page, ApiResponse> {
    let bad_request = |message: &str| ApiResponse::error(call.endpoint, 400, message);
    let (offset, count) = parse_paging(call)?;
    let kind = parse_kind(call, &call.json["query"]["deviceType"])?
        .ok_or_else(|| bad_request("deviceType is missing"))?;
    let fields = call.json["outputSchema"]["deviceFields"]
        .as_array()
        .ok_or_else(|| bad_request("outputSchema"))?;
    let fields = fields
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let regions = call.regions().map(|ids| check_regions(call, ids)).transpose()?;
    let selection = Selection {
        regions,
        kind: Some(kind),
        shuffled: false,
        backwards: config.honour_sort && call.json["query"]["sort"][0]["direction"] == "DESC",
    };
    let (items, total) = overrides.select_page(fleet, selection, offset, count.min(config.page_cap));
    let items = items.iter().map(|item| to_tmq(item, &fields)).collect();
    Ok(Page::of(Dialect::Tmq(fields), offset, (items, total)))
}

/// JSON pointers of the same value in TMQ and in NQS.
const RADIO_FIELDS: [(&str, &str); 6] = [
    ("/system/install/state/latitude", "/installParams/latitude"),
    ("/system/install/state/longitude", "/installParams/longitude"),
    ("/system/install/state/height", "/installParams/height"),
    ("/system/install/state/azimuth", "/installParams/antennaAzimuth"),
    ("/radios/regulatory/state/band", "/band"),
    ("/system/state/hostname", "/hostName"),
];

/// Converts a device to TMQ's format. Invalid JSON stays as it is.
fn to_tmq(item: &Arc<str>, fields: &BTreeSet<String>) -> Arc<str> {
    let Ok(device @ Value::Object(_)) = serde_json::from_str::<Value>(item) else {
        return Arc::clone(item);
    };
    let mut out = Map::new();
    for key in ["serialNumber", "type"] {
        if let Some(value) = device.get(key) {
            let key = if key == "type" { "deviceType" } else { key };
            out.insert(key.to_owned(), value.clone());
        }
    }
    for level in ["region", "market", "site", "cell", "sector"] {
        let id = &device["ancestry"][level]["id"];
        if !id.is_null() {
            out.insert(
                format!("{level}Id"),
                Value::String(id.to_string().replace('"', "")),
            );
        }
    }
    let mut reported = Map::new();
    for (name, path) in RADIO_FIELDS
        .into_iter()
        .filter(|(name, _)| fields.contains(*name))
    {
        if let Some(value) = device.pointer(path) {
            reported.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(connected) = device["connected"]
        .as_bool()
        .filter(|_| fields.contains("deviceStatus"))
    {
        reported.insert("deviceStatus".to_owned(), json!(i32::from(connected)));
    }
    out.insert("fields".to_owned(), Value::Object(reported));
    Value::Object(out).to_string().into()
}
