//! `RadioSearch` reports no total, and an empty page may be a gap, so it is read in both orders. If the
//! server cuts the list short, the two readings contain different serials; equal serials prove that the list is complete.

use super::rejection::{ReadError, classify};
use super::result::{build, region_ids};
use crate::station::{Fetched, Listing, Proof, Text};
use crate::tarana::listing::context::{ListingContext, Progress};
use crate::tarana::listing::hierarchy::read_names;
use crate::tarana::listing::pages::{UncountedPages, incomplete};
use crate::tarana::listing::reading::{MAX_READINGS, PageBoundaries, Reading};
use crate::tarana::listing::regions::read_regions;

pub(super) async fn read_radio_search(
    context: &ListingContext,
    progress: Progress<'_>,
) -> Result<Fetched, ReadError> {
    let regions = read_regions(context).await.map_err(ReadError::Other)?;
    let (names, names_note) = read_names(&context.api).await.map_err(ReadError::Other)?;
    let mut previous: Option<Vec<Vec<Text>>> = None;
    for descending in [false, true].into_iter().cycle().take(MAX_READINGS) {
        let reading = Reading::new(context, PageBoundaries::Default, regions.len(), progress);
        let orders = match reading.read_radio_searches(&regions, &names, descending).await {
            Ok(orders) => orders,
            Err(fault) => {
                let first_page = |region| reading.radio_search(region, &names, descending).request(0);
                let probes = regions.iter().map(first_page).collect();
                return Err(classify(context, Listing::RadioSearch, fault, probes).await);
            }
        };
        if let Some(previous) = &previous
            && sorted(previous) == sorted(&orders)
        {
            let (mut builder, _) = reading.finish();
            let proof = if builder.has_other_regions() {
                unproven("lists radios of other regions than the requested one")
            } else if is_reversed(previous, &orders) {
                Proof::TwoReadings
            } else {
                unproven(
                    "ignores the sort direction, so a list that is cut short cannot be distinguished from a complete one",
                )
            };
            if let Some(note) = names_note {
                builder.add_note(note);
            }
            return build(builder, proof, &regions, region_ids(&regions)).map_err(ReadError::Other);
        }
        previous = Some(orders);
    }
    let gap = "it reports no total, and no two readings in a row have the same serials";
    Err(ReadError::Other(incomplete("the listing of radios", gap)))
}

fn unproven(why: &str) -> Proof {
    Proof::None(format!("it reports no total, and {why}").into())
}

fn is_reversed(previous: &[Vec<Text>], orders: &[Vec<Text>]) -> bool {
    previous.iter().zip(orders).all(|(a, b)| a.iter().rev().eq(b))
}

/// The serials of each list, sorted.
fn sorted(orders: &[Vec<Text>]) -> Vec<Vec<&str>> {
    let mut sorted: Vec<Vec<&str>> = orders
        .iter()
        .map(|order| order.iter().map(|serial| &**serial).collect())
        .collect();
    for serials in &mut sorted {
        serials.sort_unstable();
    }
    sorted
}
