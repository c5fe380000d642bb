//! Builds the result of a proven listing.

use std::collections::BTreeSet;

use crate::fault::{Fault, Reason};
use crate::station::{Fetched, Proof, Text};
use crate::tarana::listing::builder::ListingBuilder;
use crate::tarana::listing::region::Region;

/// The gap of a listing whose repeated serials a second reading could not explain.
pub(super) const REPEATS_UNEXPLAINED: &str = "serials repeat in it, and the server does not return pages of another size, \
                                              which would show whether other serials are missing";

/// One record per serial, proven by `proof`. An empty fleet is a fault.
pub(super) fn build(
    builder: ListingBuilder,
    proof: Proof,
    regions: &[Region],
    covered: BTreeSet<i32>,
) -> Result<Fetched, Fault> {
    let repeats = builder.repeats();
    let fetched = builder.build(&repeats, covered);
    if fetched.is_empty() {
        Err(empty_fleet(regions))
    } else {
        Ok(Fetched { proof, ..fetched })
    }
}

/// Whether a reading holds the same serials as an earlier one.
pub(super) fn has_serials(builder: &ListingBuilder, earlier: &[Text]) -> bool {
    builder
        .serials()
        .into_iter()
        .eq(earlier.iter().map(|serial| &**serial))
}

pub(super) fn region_ids(regions: &[Region]) -> BTreeSet<i32> {
    regions.iter().map(|region| region.id).collect()
}

fn empty_fleet(regions: &[Region]) -> Fault {
    let message = format!(
        "the listing of {} region(s) has no base node; an empty fleet is never written: check the account's rights in TCS, \
         spec.api.includeRegionIds and spec.api.excludeRegionIds",
        regions.len()
    );
    Fault::new(Reason::FetchEmpty, message)
}
