//! Reads the operator's regions and selects those that the connection covers.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::context::ListingContext;
use super::pages::{CountedPages, read_counted};
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
}

/// A region, or `None` for an entry that cannot be decoded.
type Entry = Option<Region>;

impl CountedPages for RegionList {
    type Row = Entry;

    fn name(&self) -> String {
        "the list of regions".into()
    }

    fn page_size(&self) -> u32 {
        PAGE_SIZE
    }

    fn request(&self, from: u64) -> Request {
        let path = format!(
            "/api/tni/v2/operators/{}/regions?offset={from}&count={PAGE_SIZE}",
            self.operator_id
        );
        Request::get(RequestClass::Regions, path)
    }

    fn decode(&self, data: &RawValue) -> Result<Page<Entry>, String> {
        parse_page(data, decode_entry)
    }
}

/// The regions to read, sorted by id.
pub(crate) async fn read_regions(context: &ListingContext) -> Result<Vec<Region>, Fault> {
    let list = RegionList {
        operator_id: context.api.operator_id().await?,
    };
    let mut entries = Vec::new();
    read_counted(&context.api, &list, None, &|_, _| (), &mut |_, entry| {
        entries.push(entry);
    })
    .await?;
    let regions = select(entries, &context.config)?;
    context.with_cache(|cache| cache.regions.clone_from(&regions));
    Ok(regions)
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
            "the list of regions names a region twice, so another may be missing",
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
