//! Pure: the vendor's listings, from a call to a page and from a page to its envelope.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::call::{Answer, Call, Endpoint};
use super::config::Config;
use super::fleet::{Fleet, Kind, REGIONS, Selection};

/// Which envelope a page is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dialect {
    Nqs,
    /// TMQ v1, with the fields that were asked for.
    Tmq(BTreeSet<String>),
}

/// A page before it is written: what the faults of a listing change.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) dialect: Dialect,
    pub(super) items: Vec<Arc<str>>,
    pub(super) offset: usize,
    /// `None` is left out.
    pub(super) total: Option<i64>,
    /// False leaves the list itself out.
    pub(super) has_items: bool,
    /// How far what the page says of its begin and of its rows is from the truth.
    pub(super) offset_off_by: i64,
    pub(super) count_off_by: i64,
    pub(super) numbers_as_text: bool,
}

/// What is listed in place of what was asked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Instead {
    pub(super) offset: Option<usize>,
    pub(super) region: Option<i64>,
    /// The least number of rows on a page.
    pub(super) at_least: usize,
    pub(super) any_kind: bool,
    /// So many of the first rows are not in the list at all.
    pub(super) hidden: usize,
}

impl Instead {
    /// A page of the rows that are left of a selection, and how many those are.
    fn cut(
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
        let (offset, count) = self.place(offset, count);
        let (items, total) = fleet.page(selection, offset, count);
        (items, total.saturating_sub(self.hidden))
    }

    fn place(self, offset: usize, count: usize) -> (usize, usize) {
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

    /// The page in its envelope.
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
                    self.told(self.items.len(), self.count_off_by),
                    self.told(self.offset, self.offset_off_by),
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
            body.pop(); // the comma that would have led to the list
        }
        body.extend_from_slice(after.as_bytes());
        body
    }

    fn told(&self, truth: usize, off_by: i64) -> String {
        self.number(i64::try_from(truth).unwrap_or(i64::MAX).saturating_add(off_by))
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

/// The page that a call asks for, or why there is none.
pub(super) fn page(
    call: &Call,
    fleet: &mut Fleet,
    config: &Config,
    instead: Instead,
) -> Result<Page, Answer> {
    match call.endpoint {
        Endpoint::Search => region_search(call, fleet, config, instead),
        Endpoint::OperatorDevices => Ok(operator_list(call, fleet, config, instead)),
        Endpoint::Radios => radio_search(call, fleet, config, instead),
        Endpoint::Regions => regions(call, config, instead),
        other => Err(Answer::error(other, 404, "no such listing")),
    }
}

fn paging(call: &Call) -> Result<(usize, usize), Answer> {
    let missing = || Answer::error(call.endpoint, 400, "pagination is missing or not a number");
    let offset = call.offset().ok_or_else(missing)?;
    let count = call.count().filter(|count| *count > 0).ok_or_else(missing)?;
    Ok((offset, count))
}

fn regions(call: &Call, config: &Config, instead: Instead) -> Result<Page, Answer> {
    let (offset, count) = paging(call)?;
    // The sister endpoint is known to omit regions.
    let omitted = if call.path.starts_with("/api/nqs/") { 2 } else { 0 };
    let known = &REGIONS[..REGIONS.len() - omitted];
    let (from, rows) = instead.place(offset, count);
    let items = known.iter().skip(from).take(rows).map(|region| {
        let item = json!({
            "id": region.id, "name": region.name, "operatorId": config.operator_id, "status": "ACTIVE",
            "createTimeSeconds": 1_700_000_000 + region.id, "timeZone": "Africa/Johannesburg",
        });
        Arc::from(item.to_string())
    });
    let total = known.len().saturating_sub(instead.hidden);
    Ok(Page::of(Dialect::Nqs, offset, (items.collect(), total)))
}

fn known_regions(call: &Call, ids: Vec<i64>) -> Result<Vec<i64>, Answer> {
    let unknown = ids
        .iter()
        .find(|id| REGIONS.iter().all(|region| region.id != **id));
    match unknown {
        Some(id) => Err(Answer::error(
            call.endpoint,
            404,
            &format!("region {id} not found"),
        )),
        None => Ok(ids),
    }
}

fn kind_of(call: &Call, name: &Value) -> Result<Option<Kind>, Answer> {
    match name.as_str() {
        None if name.is_null() => Ok(None),
        Some("BN") => Ok(Some(Kind::BaseNode)),
        Some("RN") => Ok(Some(Kind::RemoteNode)),
        _ => Err(Answer::error(
            call.endpoint,
            400,
            "bad filter: unknown device type",
        )),
    }
}

/// `POST …/regions/devices/search`
fn region_search(call: &Call, fleet: &mut Fleet, config: &Config, instead: Instead) -> Result<Page, Answer> {
    let bad = |message: &str| Answer::error(call.endpoint, 400, message);
    let (offset, count) = paging(call)?;
    let ids = call
        .regions()
        .filter(|ids| !ids.is_empty())
        .ok_or_else(|| bad("bad filter: ids"))?;
    let filter = call.json["deviceFilter"]
        .as_object()
        .ok_or_else(|| bad("bad filter: deviceFilter"))?;
    let known = ["type", "savedConfig", "reportedConfig", "reportedState"];
    if let Some(key) = filter.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(bad(&format!("bad filter: {key}")));
    }
    let kind = kind_of(call, filter.get("type").unwrap_or(&Value::Null))?;
    let mut ids = known_regions(call, ids)?;
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
        instead.cut(fleet, selection, offset, count.min(config.page_cap)),
    ))
}

/// `GET …/operators/{op}/devices`: `limit` is ignored, and nothing has to be given.
fn operator_list(call: &Call, fleet: &mut Fleet, config: &Config, instead: Instead) -> Page {
    let asked = call.count().filter(|count| *count > 0 && config.honour_count);
    let count = asked.unwrap_or(config.operator_list_page);
    let kind = call
        .query("type")
        .filter(|_| config.honour_type)
        .and_then(|name| match name {
            "BN" => Some(Kind::BaseNode),
            "RN" => Some(Kind::RemoteNode),
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
        instead.cut(fleet, selection, offset, count.min(config.page_cap)),
    )
}

/// `POST …/radios/search`
fn radio_search(call: &Call, fleet: &mut Fleet, config: &Config, instead: Instead) -> Result<Page, Answer> {
    let bad = |message: &str| Answer::error(call.endpoint, 400, message);
    let (offset, count) = paging(call)?;
    let kind =
        kind_of(call, &call.json["query"]["deviceType"])?.ok_or_else(|| bad("deviceType is missing"))?;
    let fields = call.json["outputSchema"]["deviceFields"]
        .as_array()
        .ok_or_else(|| bad("outputSchema"))?;
    let fields = fields
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let regions = call.regions().map(|ids| known_regions(call, ids)).transpose()?;
    let selection = Selection {
        regions,
        kind: Some(kind),
        shuffled: false,
        backwards: config.honour_sort && call.json["query"]["sort"][0]["direction"] == "DESC",
    };
    let (items, total) = instead.cut(fleet, selection, offset, count.min(config.page_cap));
    let items = items.iter().map(|item| radio(item, &fields)).collect();
    Ok(Page::of(Dialect::Tmq(fields), offset, (items, total)))
}

/// Where TMQ keeps what NQS calls by another name.
const RADIO_FIELDS: [(&str, &str); 6] = [
    ("/system/install/state/latitude", "/installParams/latitude"),
    ("/system/install/state/longitude", "/installParams/longitude"),
    ("/system/install/state/height", "/installParams/height"),
    ("/system/install/state/azimuth", "/installParams/antennaAzimuth"),
    ("/radios/regulatory/state/band", "/band"),
    ("/system/state/hostname", "/hostName"),
];

/// A device as TMQ writes it. What is no JSON object stays as it is: a broken row is broken in every dialect.
fn radio(item: &Arc<str>, fields: &BTreeSet<String>) -> Arc<str> {
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
    let mut told = Map::new();
    for (name, path) in RADIO_FIELDS
        .into_iter()
        .filter(|(name, _)| fields.contains(*name))
    {
        if let Some(value) = device.pointer(path) {
            told.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(connected) = device["connected"]
        .as_bool()
        .filter(|_| fields.contains("deviceStatus"))
    {
        told.insert("deviceStatus".to_owned(), json!(i32::from(connected)));
    }
    out.insert("fields".to_owned(), Value::Object(told));
    Value::Object(out).to_string().into()
}
