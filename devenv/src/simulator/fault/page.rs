//! Pure: faults in what a page lists.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Blemish, Fault, Hit};
use crate::simulator::listing::{Instead, Page};

/// What is listed in place of what was asked.
pub(in crate::simulator) fn instead(hits: &[Hit]) -> Instead {
    let mut instead = Instead::default();
    for hit in hits {
        match hit.fault {
            Fault::OtherPage { offset } => instead.offset = Some(offset),
            Fault::OtherRegion { region } => instead.region = Some(region),
            Fault::LongPage { items } => instead.at_least = items,
            Fault::AnyKind => instead.any_kind = true,
            Fault::Hide { rows } => instead.hidden = rows,
            _ => {}
        }
    }
    instead
}

/// Applies every fault that concerns a page, in order. Tells the serials of records that it blemished.
pub(in crate::simulator) fn spoil(page: &mut Page, hits: &[Hit]) -> Vec<(String, Blemish)> {
    let mut spoilt = Vec::new();
    for hit in hits {
        match &hit.fault {
            Fault::ShortPage { items } => page.items.truncate(*items),
            Fault::EmptyPage => page.items.clear(),
            Fault::MissingItems => page.has_items = false,
            Fault::NoTotal => page.total = None,
            Fault::WrongTotal { by, step } => {
                page.total = page.total.map(|total| total + by + step * i64::from(hit.nth));
            }
            Fault::DropRows { rows } => drop(page.items.drain(..(*rows).min(page.items.len()))),
            Fault::RepeatRows { rows, different } => repeat(&mut page.items, *rows, *different),
            Fault::Record { blemish, at, size } => {
                if let Some(item) = page.items.get_mut(*at) {
                    spoilt.extend(serial(item).map(|serial| (serial, *blemish)));
                    *item = blemish.apply(item, *size).into();
                }
            }
            Fault::WrongOffset { by } => page.offset_off_by += by,
            Fault::WrongCount { by } => page.count_off_by += by,
            Fault::NumbersAsText => page.numbers_as_text = true,
            _ => {}
        }
    }
    spoilt
}

fn serial(item: &str) -> Option<String> {
    let device: Value = serde_json::from_str(item).ok()?;
    Some(device["serialNumber"].as_str()?.trim().to_owned())
}

fn repeat(items: &mut [Arc<str>], rows: usize, different: bool) {
    let rows = rows.min(items.len() / 2);
    let (first, last) = items.split_at_mut(items.len() - rows);
    for (copy, original) in last.iter_mut().zip(first) {
        *copy = if different {
            differing(original)
        } else {
            Arc::clone(original)
        };
    }
}

/// The same device as somebody else saw it a minute later.
fn differing(item: &Arc<str>) -> Arc<str> {
    let Ok(mut device @ Value::Object(_)) = serde_json::from_str::<Value>(item) else {
        return Arc::clone(item);
    };
    if device.get("fields").is_some() {
        device["fields"]["/system/state/hostname"] = json!("SEEN-TWICE");
    } else {
        device["hostName"] = json!("SEEN-TWICE");
        device["connected"] = json!(device["connected"] != json!(true));
        let updated = device["lastUpdateTimeSeconds"].as_u64().unwrap_or(0);
        device["lastUpdateTimeSeconds"] = json!(updated + 60);
    }
    device.to_string().into()
}
