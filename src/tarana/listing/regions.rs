//! Reads the operator's regions and selects those that the connection covers.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::context::ListingContext;
use super::pages::{CountedPages, MAX_REREADS, read_counted};
use super::region::Region;
use crate::fault::{Fault, Reason};
use crate::tarana::config::Config;
use crate::tarana::http::envelope::{Page, parse_object, parse_page};
use crate::tarana::http::{Request, RequestClass};
use crate::tarana::scalar;

/// The API's default; there are few regions.
const PAGE_SIZE: u32 = 1000;

struct RegionList {
    operator_id: i64,
    page_size: u32,
}

/// A region, or `None` for an entry that cannot be decoded.
type Entry = Option<Region>;

impl CountedPages for RegionList {
    type Row = Entry;

    fn name(&self) -> String {
        "the list of regions".into()
    }

    fn page_size(&self) -> u32 {
        self.page_size
    }

    fn request(&self, from: u64) -> Request {
        let path = format!(
            "/api/tni/v2/operators/{}/regions?offset={from}&count={}",
            self.operator_id, self.page_size
        );
        Request::get(RequestClass::Regions, path)
    }

    fn decode(&self, data: &RawValue) -> Result<Page<Entry>, String> {
        parse_page(data, decode_entry)
    }
}

/// The regions to read, sorted by id.
pub(crate) async fn read_regions(context: &ListingContext) -> Result<Vec<Region>, Fault> {
    let regions = select(read_consistent_entries(context).await?, &context.config)?;
    context.with_cache(|cache| cache.regions.clone_from(&regions));
    Ok(regions)
}

/// The entries, sorted by id. A list that does not add up is read again.
async fn read_consistent_entries(context: &ListingContext) -> Result<Vec<Entry>, Fault> {
    let operator_id = context.api.operator_id().await?;
    let (mut page_size, mut former) = (PAGE_SIZE, None);
    let mut fault = Fault::new(
        Reason::FetchIncomplete,
        "the list of regions names a region twice, and other readings differ, so another region may be missing",
    );
    for _ in 0..=MAX_REREADS {
        let mut entries = match read_entries(context, operator_id, page_size).await {
            Err(incomplete) if incomplete.reason == Reason::FetchIncomplete => {
                fault = incomplete;
                continue;
            }
            entries => entries?,
        };
        if !has_repeats(&entries) {
            return Ok(entries);
        }
        // Either the vendor lists a region twice, or a page was wrong and hides another region. In pages of another size, a wrong page would
        // hide another one.
        if former.is_some_and(|(size, former)| size != page_size && former == entries) {
            entries.dedup();
            return Ok(entries);
        }
        let smaller = entries.len().min(page_size as usize) * 2 / 3;
        former = Some((page_size, entries));
        page_size = u32::try_from(smaller).unwrap_or(PAGE_SIZE).max(1);
    }
    Err(fault)
}

/// The entries, sorted by id.
async fn read_entries(
    context: &ListingContext,
    operator_id: i64,
    page_size: u32,
) -> Result<Vec<Entry>, Fault> {
    let list = RegionList {
        operator_id,
        page_size,
    };
    let mut entries = Vec::new();
    read_counted(&context.api, &list, None, &|_, _| (), &mut |_, entry| {
        entries.push(entry);
    })
    .await?;
    entries.sort_by_key(|entry: &Entry| entry.as_ref().map(|region| (region.id, region.name.clone())));
    Ok(entries)
}

/// Whether the same region occurs twice. Entries that cannot be decoded are not regions.
fn has_repeats(entries: &[Entry]) -> bool {
    entries
        .windows(2)
        .any(|pair| pair[0].is_some() && pair[0] == pair[1])
}

fn decode_entry(item: &str) -> Entry {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        name: Option<&'a RawValue>,
    }
    let item: Item<'_> = parse_object(item).ok()?;
    let id = scalar::id(item.id?.get()).ok()??;
    let name = item
        .name
        .and_then(|raw| scalar::name(raw.get()).ok()?)
        .map(Arc::from);
    Some(Region { id, name })
}

/// Applies inclusion, then exclusion. An entry that cannot be decoded is an error only if all regions are to be read.
fn select(entries: Vec<Entry>, config: &Config) -> Result<Vec<Region>, Fault> {
    let listed = entries.len();
    let mut regions: Vec<Region> = entries.into_iter().flatten().collect();
    if config.include_region_ids.is_empty() && regions.len() < listed {
        let message = "the list of regions holds an entry without a usable id: name the regions to read in spec.api.includeRegionIds";
        return Err(Fault::new(Reason::ApiChanged, message));
    }
    regions.sort_by_key(|region| region.id);
    if regions.windows(2).any(|pair| pair[0].id == pair[1].id) {
        // A list that changes between pages can repeat one entry and hide another.
        return Err(Fault::new(
            Reason::FetchIncomplete,
            "the list of regions has two regions of the same id, so another may be missing",
        ));
    }
    let include: BTreeSet<i32> = config.include_region_ids.iter().copied().collect();
    let absent: Vec<String> = include
        .iter()
        .filter(|id| regions.iter().all(|r| r.id != **id))
        .map(ToString::to_string)
        .collect();
    if !absent.is_empty() {
        let message = format!(
            "spec.api.includeRegionIds names {}, which the account cannot see: correct the list, or the account's rights",
            absent.join(", ")
        );
        return Err(Fault::new(Reason::RegionNotFound, message));
    }
    let visible = regions.len();
    regions.retain(|r| include.is_empty() || include.contains(&r.id));
    regions.retain(|r| !config.exclude_region_ids.contains(&r.id));
    if regions.is_empty() {
        Err(none_left(visible))
    } else {
        Ok(regions)
    }
}

fn none_left(visible: usize) -> Fault {
    let message = if visible == 0 {
        "the account sees no region: check its rights in TCS, and spec.api.operatorId".to_owned()
    } else {
        format!(
            "none of {visible} regions is left: check spec.api.includeRegionIds and spec.api.excludeRegionIds"
        )
    };
    Fault::new(Reason::NoRegions, message)
}
