//! Reads one listing.

use super::operator_list::read_operator_list;
use super::radio_search::read_radio_search;
use super::region_search::read_region_search;
use super::rejection::ReadError;
use crate::station::{Fetched, Listing};
use crate::tarana::listing::context::{ListingContext, Progress};

/// Reads `listing` and proves it complete as far as it can be.
pub(crate) async fn read(
    context: &ListingContext,
    listing: Listing,
    progress: Progress<'_>,
) -> Result<Fetched, ReadError> {
    let fetched = match listing {
        Listing::RegionSearch => read_region_search(context, progress).await,
        Listing::OperatorList => read_operator_list(context, progress).await,
        Listing::RadioSearch => read_radio_search(context, progress).await,
    }?;
    Ok(Fetched { listing, ..fetched })
}
