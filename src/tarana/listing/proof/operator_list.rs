//! `OperatorList` reports a total but has no order, so two readings must hold the same serials. A device that was removed
//! during a reading is in the first and not in the second; one that moved across a page boundary made another one repeat.

use super::rejection::{ReadError, classify};
use super::result::{REPEATS_UNEXPLAINED, build, has_serials, region_ids};
use crate::fault::Fault;
use crate::station::{Fetched, Listing, Proof, Rejected, Text};
use crate::tarana::listing::builder::ListingBuilder;
use crate::tarana::listing::context::{ListingContext, Progress};
use crate::tarana::listing::pages::{CountedPages, incomplete};
use crate::tarana::listing::reading::{MAX_READINGS, PageBoundaries, Reading};
use crate::tarana::listing::region::Region;
use crate::tarana::listing::regions::read_regions;

const LIST: &str = "the list of the operator's devices";

pub(super) async fn read_operator_list(
    context: &ListingContext,
    progress: Progress<'_>,
) -> Result<Fetched, ReadError> {
    let regions = read_regions(context).await.map_err(ReadError::Other)?;
    let operator_id = context.api.operator_id().await.map_err(ReadError::Other)?;
    let mut previous: Option<(Vec<Text>, _)> = None;
    let boundaries = [PageBoundaries::Default, PageBoundaries::Shifted];
    for boundaries in boundaries.into_iter().cycle().take(MAX_READINGS) {
        let reading = Reading::new(context, boundaries, 1, progress);
        if let Err(fault) = reading.read_operator_list(operator_id, &regions).await {
            let probe = reading.operator_list(operator_id, &regions)(1).request(0);
            return Err(classify(context, Listing::OperatorList, fault, vec![probe]).await);
        }
        let (builder, shapes) = reading.finish();
        if let Some((serials, previous_shapes)) = &previous
            && has_serials(&builder, serials)
        {
            if !builder.repeats().is_empty() && shapes.has_same_pages(previous_shapes) {
                return Err(ReadError::Other(incomplete(LIST, REPEATS_UNEXPLAINED)));
            }
            return build_covered(builder, &regions).map_err(ReadError::Other);
        }
        previous = Some((builder.into_serials(), shapes));
    }
    let gap = "no two readings in a row have the same serials";
    Err(ReadError::Other(incomplete(LIST, gap)))
}

/// The account may not see a region of which the list has no base node, so that region is not covered.
fn build_covered(mut builder: ListingBuilder, regions: &[Region]) -> Result<Fetched, Fault> {
    let listed = builder.regions();
    for region in regions.iter().filter(|region| !listed.contains(&region.id)) {
        builder.add_note(Rejected {
            serial: None,
            why: format!(
                "the operator's list has no base node of region {}, so none of its rows counts as absent",
                region.id
            ),
        });
    }
    let covered = region_ids(regions).intersection(&listed).copied().collect();
    build(builder, Proof::TwoReadings, regions, covered)
}
