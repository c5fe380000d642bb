//! The regions of an operator: which there are, and which of them are read.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::Client;
use super::config::Config;
use super::envelope::{self, Page, object};
use super::pages::{self, Source};
use super::scalar;
use super::wire::Request;
use crate::fault::{Fault, Reason};

/// The API's own default; regions are few.
const PAGE: u32 = 1000;

/// A region that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its id.
    pub id: i32,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
}

struct Regions {
    operator_id: i64,
}

/// A region, or an entry that is none.
type Entry = Option<Region>;

impl Source for Regions {
    type Row = Entry;

    fn what(&self) -> String {
        "the list of regions".into()
    }

    fn asks(&self) -> u32 {
        PAGE
    }

    fn request(&self, from: u64) -> Request {
        Request::get(format!(
            "/api/tni/v2/operators/{}/regions?offset={from}&count={PAGE}",
            self.operator_id
        ))
    }

    fn read(&self, data: &RawValue) -> Result<Page<Entry>, String> {
        envelope::page(data, entry)
    }
}

/// The regions to read, by id: complete, or a fault.
pub(super) async fn read(client: &Client) -> Result<Vec<Region>, Fault> {
    let source = Regions {
        operator_id: client.operator_id().await?,
    };
    let mut entries = Vec::new();
    pages::read(client, &source, None, &|_, _| (), &mut |_, entry| {
        entries.push(entry);
    })
    .await?;
    let regions = choose(entries, &client.config)?;
    client.remember(|memory| memory.regions.clone_from(&regions));
    Ok(regions)
}

fn entry(item: &str) -> Entry {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        name: Option<&'a RawValue>,
    }
    let item: Item<'_> = object(item).ok()?;
    let id = scalar::id(item.id?.get()).ok()??;
    let name = item
        .name
        .and_then(|raw| scalar::name(raw.get()).ok()?)
        .map(Arc::from);
    Some(Region { id, name })
}

/// Inclusion, then exclusion. An entry that cannot be read only matters while everything listed is to be read.
fn choose(entries: Vec<Entry>, config: &Config) -> Result<Vec<Region>, Fault> {
    let listed = entries.len();
    let mut regions: Vec<Region> = entries.into_iter().flatten().collect();
    if config.include_region_ids.is_empty() && regions.len() < listed {
        let message = "the list of regions holds an entry without a usable id: name the regions to read in spec.api.includeRegionIds";
        return Err(Fault::new(Reason::ApiChanged, message));
    }
    regions.sort_by_key(|region| region.id);
    if regions.windows(2).any(|pair| pair[0].id == pair[1].id) {
        // Paging over a list that changes can show one entry twice, and then hides another.
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
            "spec.api.includeRegionIds names {}, which the account does not see: correct the list, or the account's rights",
            absent.join(", ")
        );
        return Err(Fault::new(Reason::RegionNotFound, message));
    }
    let seen = regions.len();
    regions.retain(|r| include.is_empty() || include.contains(&r.id));
    regions.retain(|r| !config.exclude_region_ids.contains(&r.id));
    if regions.is_empty() {
        Err(none_left(seen))
    } else {
        Ok(regions)
    }
}

fn none_left(seen: usize) -> Fault {
    let message = if seen == 0 {
        "the account sees no region: check its rights in TCS, and spec.api.operatorId".to_owned()
    } else {
        format!(
            "none of {seen} regions is left: check spec.api.includeRegionIds and spec.api.excludeRegionIds"
        )
    };
    Fault::new(Reason::NoRegions, message)
}
