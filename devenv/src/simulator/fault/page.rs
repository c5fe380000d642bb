//! Pure: faults in the content of a page.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Fault, Hit, RecordDefect};
use crate::simulator::listing::{ListingOverride, Page};

/// The overrides of the requested page.
pub(in crate::simulator) fn listing_override(hits: &[Hit]) -> ListingOverride {
    let mut overrides = ListingOverride::default();
    for hit in hits {
        match hit.fault {
            Fault::OtherPage { offset } => overrides.offset = Some(offset),
            Fault::OtherRegion { region } => overrides.region = Some(region),
            Fault::LongPage { items } => overrides.at_least = items,
            Fault::AnyKind => overrides.any_kind = true,
            Fault::Hide { rows } => overrides.hidden = rows,
            _ => {}
        }
    }
    overrides
}

/// Applies the page faults in order. Returns the serials of the records that became defective.
pub(in crate::simulator) fn apply_page_faults(page: &mut Page, hits: &[Hit]) -> Vec<(String, RecordDefect)> {
    let mut defective = Vec::new();
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
            Fault::RepeatRows { rows, different } => repeat_rows(&mut page.items, *rows, *different),
            Fault::Record { defect, at, size } => {
                if let Some(item) = page.items.get_mut(*at) {
                    defective.extend(parse_serial(item).map(|serial| (serial, *defect)));
                    *item = defect.apply(item, *size).into();
                }
            }
            Fault::WrongOffset { by } => page.offset_off_by += by,
            Fault::WrongCount { by } => page.count_off_by += by,
            Fault::NumbersAsText => page.numbers_as_text = true,
            _ => {}
        }
    }
    defective
}

fn parse_serial(item: &str) -> Option<String> {
    let device: Value = serde_json::from_str(item).ok()?;
    Some(device["serialNumber"].as_str()?.trim().to_owned())
}

fn repeat_rows(items: &mut [Arc<str>], rows: usize, different: bool) {
    let rows = rows.min(items.len() / 2);
    let (first, last) = items.split_at_mut(items.len() - rows);
    for (copy, original) in last.iter_mut().zip(first) {
        *copy = if different {
            altered_copy(original)
        } else {
            Arc::clone(original)
        };
    }
}

/// The same device with another name, status and time of update.
fn altered_copy(item: &Arc<str>) -> Arc<str> {
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
