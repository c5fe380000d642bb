//! `RegionSearch` is proven by its totals. If a serial repeats, it is read a second time as well.

use futures::future::try_join;

use super::rejection::{ReadError, classify};
use super::result::{REPEATS_UNEXPLAINED, build, has_serials, region_ids};
use crate::fault::{Fault, Reason};
use crate::station::{Fetched, Listing, Proof};
use crate::tarana::listing::builder::ListingBuilder;
use crate::tarana::listing::context::{ListingContext, Progress};
use crate::tarana::listing::pages::{CountedPages, incomplete};
use crate::tarana::listing::reading::{PageBoundaries, Reading};
use crate::tarana::listing::region::Region;
use crate::tarana::listing::regions::read_regions;

pub(super) async fn read_region_search(
    context: &ListingContext,
    progress: Progress<'_>,
) -> Result<Fetched, ReadError> {
    let (regions, first) = read_first(context, progress).await.map_err(ReadError::Other)?;
    let mut outcome = match first {
        Ok(first) => prove(context, &regions, first, progress).await,
        Err(fault) => Err(fault),
    };
    // Rows of another region and unexplained repeats are only seen when all lists are complete.
    if is_incomplete(&outcome) {
        outcome = match read_all(context, &regions, progress, PageBoundaries::Default).await {
            Ok(again) => prove(context, &regions, again, progress).await,
            Err(fault) => Err(fault),
        };
    }
    match outcome {
        Ok(fetched) => Ok(fetched),
        Err(fault) => {
            let reading = Reading::new(context, PageBoundaries::Default, regions.len(), progress);
            let probes = regions
                .iter()
                .map(|region| reading.region_search(region)(1).request(0));
            Err(classify(context, Listing::RegionSearch, fault, probes.collect()).await)
        }
    }
}

fn is_incomplete(outcome: &Result<Fetched, Fault>) -> bool {
    matches!(outcome, Err(fault) if fault.reason == Reason::FetchIncomplete)
}

async fn prove(
    context: &ListingContext,
    regions: &[Region],
    first: Reading<'_>,
    progress: Progress<'_>,
) -> Result<Fetched, Fault> {
    let (builder, first_shapes) = first.finish();
    let mut builder = check_regions(builder, regions)?;
    if !builder.repeats().is_empty() {
        // Serials repeat if the set changes between pages or if a page is not what it claims; then other rows are missing. Or
        // the vendor does list them twice: then the serials are the same with other page boundaries.
        let first_serials = builder.into_serials();
        let (second, second_shapes) = read_all(context, regions, progress, PageBoundaries::Shifted)
            .await?
            .finish();
        builder = check_regions(second, regions)?;
        if first_shapes.has_same_pages(&second_shapes) {
            return Err(incomplete("the listing", REPEATS_UNEXPLAINED));
        }
        if !has_serials(&builder, &first_serials) {
            let gap = "serials repeat in it, and a second reading has other serials";
            return Err(incomplete("the listing", gap));
        }
    }
    build(builder, Proof::Total, regions, region_ids(regions))
}

/// Reads the regions and then their lists, or both at once with the regions of the previous fetch. If the regions have
/// changed, the lists are read again.
async fn read_first<'a>(
    context: &'a ListingContext,
    progress: Progress<'a>,
) -> Result<(Vec<Region>, Result<Reading<'a>, Fault>), Fault> {
    let expected = context.with_cache(|cache| cache.regions.clone());
    let speculative = async {
        // A fault only counts if the regions have not changed.
        Ok(if expected.is_empty() {
            None
        } else {
            Some(read_all(context, &expected, progress, PageBoundaries::Default).await)
        })
    };
    let (regions, speculative) = try_join(read_regions(context), speculative).await?;
    let first = match speculative {
        Some(first) if regions == expected => first,
        _ => read_all(context, &regions, progress, PageBoundaries::Default).await,
    };
    Ok((regions, first))
}

async fn read_all<'a>(
    context: &'a ListingContext,
    regions: &[Region],
    progress: Progress<'a>,
    boundaries: PageBoundaries,
) -> Result<Reading<'a>, Fault> {
    let reading = Reading::new(context, boundaries, regions.len(), progress);
    reading.read_region_searches(regions).await?;
    Ok(reading)
}

/// A cache in front of the API could return the page of another region. Then the stations of the requested region would
/// look absent.
fn check_regions(builder: ListingBuilder, regions: &[Region]) -> Result<ListingBuilder, Fault> {
    match builder.misplaced(regions) {
        None => Ok(builder),
        Some((requested, own)) => Err(incomplete(
            &format!("the listing of region {requested}"),
            &format!("it has a device of region {own}"),
        )),
    }
}
