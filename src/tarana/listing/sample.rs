//! Reads one page, to see whether the account may read the listing and whether its devices can be decoded.

use super::context::ListingContext;
use super::device::Device;
use super::endpoints::{OperatorList, RadioSearch, RegionSearch};
use super::hierarchy::read_names;
use super::pages::{CountedPages, read_first_page, read_first_rows};
use super::region::Region;
use crate::fault::{Fault, Reason};
use crate::station::{Interner, Listing};

/// What the first page of a listing has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The listing.
    pub listing: Listing,
    /// The list whose page this is, for messages.
    pub list: String,
    /// Devices on the page.
    pub devices: usize,
    /// Devices in the list; `None` if the listing does not report it.
    pub total: Option<u64>,
    /// Why the first device that cannot be used is rejected, and how many are.
    pub rejected: Option<(usize, String)>,
}

/// Reads the first page of `listing`, for the operator and its regions.
pub(crate) async fn read_sample(
    context: &ListingContext,
    listing: Listing,
    (operator_id, regions): (i64, &[Region]),
) -> Result<Sample, Fault> {
    let (api, interner) = (&context.api, Interner::default());
    let (page_size, with_remotes) = (context.config.page_size, context.config.count_connections);
    let region = first(regions)?;
    let (list, devices, total) = match listing {
        Listing::RegionSearch => {
            let list = RegionSearch {
                region,
                interner: &interner,
                page_size,
                with_remotes,
            };
            let page = read_first_page(api, &list).await?;
            (list.name(), page.rows, Some(page.total))
        }
        Listing::OperatorList => {
            let list = OperatorList {
                operator_id,
                regions,
                is_partial: false,
                interner: &interner,
                page_size,
                with_remotes,
            };
            let page = read_first_page(api, &list).await?;
            (list.name(), page.rows, Some(page.total))
        }
        Listing::RadioSearch => {
            let (names, _) = read_names(api).await?;
            let list = RadioSearch {
                region,
                names: &names,
                interner: &interner,
                page_size,
                descending: false,
            };
            (region.listing_name(), read_first_rows(api, &list).await?, None)
        }
    };
    Ok(Sample {
        listing,
        list,
        devices: devices.len(),
        total,
        rejected: rejected(&devices),
    })
}

/// There is at least one region, or they would not have been verified.
fn first(regions: &[Region]) -> Result<&Region, Fault> {
    regions
        .first()
        .ok_or_else(|| Fault::new(Reason::NoRegions, "the account sees no region"))
}

fn rejected(devices: &[Device]) -> Option<(usize, String)> {
    let reasons = devices.iter().filter_map(|device| match device {
        Device::Rejected(rejected) => Some(rejected.why.clone()),
        _ => None,
    });
    let reasons: Vec<String> = reasons.collect();
    let first = reasons.first()?.clone();
    Some((reasons.len(), first))
}
