//! How each listing is read until nothing can be missing, or until that cannot be said.

use std::collections::BTreeSet;

use futures::future::try_join;

use super::Watch;
use super::reading::{Cut, Reading};
use crate::fault::{Fault, Reason};
use crate::station::{Fetched, Listing, Proof, Rejected, Text};
use crate::tarana::choice;
use crate::tarana::client::Client;
use crate::tarana::gather::Gathering;
use crate::tarana::hierarchy;
use crate::tarana::pages::{self, Source, Trail};
use crate::tarana::regions::{self, Region};
use crate::tarana::wire::Request;

/// A listing without a total, or without an order, is read so often before it is given up.
const READINGS: usize = 3;
/// So many regions are asked whether it is the listing that is refused, or one region.
const PROBES: usize = 8;

/// Why there is no reading.
pub(super) enum Stop {
    /// The listing refuses, whatever it is asked.
    Listing(Fault),
    /// Anything else.
    Else(Fault),
}

/// Reads the listing.
pub(super) async fn read(client: &Client, listing: Listing, progress: Watch<'_>) -> Result<Fetched, Stop> {
    let fetched = match listing {
        Listing::RegionSearch => region_search(client, progress).await,
        Listing::OperatorList => operator_list(client, progress).await,
        Listing::RadioSearch => radio_search(client, progress).await,
    }?;
    Ok(Fetched { listing, ..fetched })
}

/// Proven by its totals. If a serial repeats, by a second reading as well.
async fn region_search(client: &Client, progress: Watch<'_>) -> Result<Fetched, Stop> {
    let (regions, first) = begin(client, progress).await.map_err(Stop::Else)?;
    let outcome = match first {
        Ok(first) => decide(client, &regions, first, progress).await,
        Err(fault) => Err(fault),
    };
    match outcome {
        Ok(fetched) => Ok(fetched),
        Err(fault) => {
            let reading = Reading::new(client, Cut::AsUsual, regions.len(), progress);
            let probes = regions
                .iter()
                .map(|region| reading.of_region(region)(1).request(0));
            Err(blame(client, Listing::RegionSearch, fault, probes.collect()).await)
        }
    }
}

async fn decide(
    client: &Client,
    regions: &[Region],
    first: Reading<'_>,
    progress: Watch<'_>,
) -> Result<Fetched, Fault> {
    let (gathering, before_shapes) = first.end();
    let mut gathering = of_these(gathering, regions)?;
    let repeats = gathering.repeats();
    if !repeats.is_empty() {
        // Rows repeat when the set changes while it is read, or when a page is not what it says; then others are missing.
        // Or the vendor means it: then the list is the same however it is cut into pages.
        let before = gathering.into_serials();
        let (again, shapes) = every_region(client, regions, progress, Cut::Otherwise)
            .await?
            .end();
        gathering = of_these(again, regions)?;
        if before_shapes.are_cut_like(&shapes) {
            let hole = "it names serials more than once, and pages of another size are not to be had, which would show \
                        whether others are missing";
            return Err(pages::incomplete("the listing", hole));
        }
        if !same(&gathering, &before) {
            let hole = "it names serials more than once, and others when it is read again";
            return Err(pages::incomplete("the listing", hole));
        }
    }
    finish(gathering, Proof::Total, regions, ids(regions))
}

/// The regions and a first reading of them: one after the other, or both at once where the regions are likely the
/// same as the last time. If they are not, what was read ahead is dropped.
async fn begin<'a>(
    client: &'a Client,
    progress: Watch<'a>,
) -> Result<(Vec<Region>, Result<Reading<'a>, Fault>), Fault> {
    let likely = client.remember(|memory| memory.regions.clone());
    let ahead = async {
        // A failure ahead only counts if the regions are right.
        Ok(if likely.is_empty() {
            None
        } else {
            Some(every_region(client, &likely, progress, Cut::AsUsual).await)
        })
    };
    let (regions, ahead) = try_join(regions::read(client), ahead).await?;
    let first = match ahead {
        Some(first) if regions == likely => first,
        _ => every_region(client, &regions, progress, Cut::AsUsual).await,
    };
    Ok((regions, first))
}

async fn every_region<'a>(
    client: &'a Client,
    regions: &[Region],
    progress: Watch<'a>,
    cut: Cut,
) -> Result<Reading<'a>, Fault> {
    let reading = Reading::new(client, cut, regions.len(), progress);
    reading.regions(regions).await?;
    Ok(reading)
}

/// It tells a total, but has no order: two readings must hold the same serials. A device that went while it was read
/// is in the first and not in the second; one that moved over a page's edge would have made another repeat.
async fn operator_list(client: &Client, progress: Watch<'_>) -> Result<Fetched, Stop> {
    let regions = regions::read(client).await.map_err(Stop::Else)?;
    let operator_id = client.operator_id().await.map_err(Stop::Else)?;
    let mut before: Option<(Vec<Text>, _)> = None;
    for cut in [Cut::AsUsual, Cut::Otherwise].into_iter().cycle().take(READINGS) {
        let reading = Reading::new(client, cut, 1, progress);
        if let Err(fault) = reading.operator(operator_id, &regions).await {
            let probe = reading.of_operator(operator_id, &regions)(1).request(0);
            return Err(blame(client, Listing::OperatorList, fault, vec![probe]).await);
        }
        let (gathering, shapes) = reading.end();
        if let Some((serials, earlier)) = &before
            && same(&gathering, serials)
        {
            if !gathering.repeats().is_empty() && shapes.are_cut_like(earlier) {
                let hole = "it names serials more than once, and pages of another size are not to be had, which would \
                            show whether others are missing";
                return Err(Stop::Else(pages::incomplete(
                    "the list of the operator's devices",
                    hole,
                )));
            }
            return of_operator(gathering, &regions).map_err(Stop::Else);
        }
        before = Some((gathering.into_serials(), shapes));
    }
    let hole = "no reading of it held the same serials as the one before";
    Err(Stop::Else(pages::incomplete(
        "the list of the operator's devices",
        hole,
    )))
}

/// A region of which the list names nobody may be one that the account does not see there: nothing in it is absent.
fn of_operator(mut gathering: Gathering, regions: &[Region]) -> Result<Fetched, Fault> {
    let seen = gathering.regions();
    for region in regions.iter().filter(|region| !seen.contains(&region.id)) {
        gathering.note(Rejected {
            serial: None,
            why: format!(
                "the operator's list names no base node of region {}, so none of its rows counts as absent",
                region.id
            ),
        });
    }
    let covered = ids(regions).intersection(&seen).copied().collect();
    finish(gathering, Proof::TwoReadings, regions, covered)
}

/// There is no total, and a page without rows may be a hole: it is read from both its ends. What is cut short at the
/// same row from either end is not the same list, unless it is whole.
async fn radio_search(client: &Client, progress: Watch<'_>) -> Result<Fetched, Stop> {
    let regions = regions::read(client).await.map_err(Stop::Else)?;
    let (names, nameless) = hierarchy::read(client).await.map_err(Stop::Else)?;
    let mut before: Option<Vec<Vec<Text>>> = None;
    for backwards in [false, true].into_iter().cycle().take(READINGS) {
        let reading = Reading::new(client, Cut::AsUsual, regions.len(), progress);
        let orders = match reading.radios(&regions, &names, backwards).await {
            Ok(orders) => orders,
            Err(fault) => {
                let first = |region| reading.of_radios(region, &names, backwards).request(0);
                let probes = regions.iter().map(first).collect();
                return Err(blame(client, Listing::RadioSearch, fault, probes).await);
            }
        };
        if let Some(before) = &before
            && sorted(before) == sorted(&orders)
        {
            let turned = before.iter().zip(&orders).all(|(a, b)| a.iter().rev().eq(b));
            let (mut gathering, _) = reading.end();
            let proof = if gathering.has_others() {
                Proof::None(
                    "it tells no total, and lists radios of other regions than the one that was asked for"
                        .into(),
                )
            } else if turned {
                Proof::TwoReadings
            } else {
                Proof::None(
                    "it tells no total, and does not list from its other end, which would show that its end is the true one"
                        .into(),
                )
            };
            if let Some(note) = nameless {
                gathering.note(note);
            }
            return finish(gathering, proof, &regions, ids(&regions)).map_err(Stop::Else);
        }
        before = Some(orders);
    }
    let hole = "it tells no total, and no reading of it held the same serials as the one before";
    Err(Stop::Else(pages::incomplete("the listing of radios", hole)))
}

fn sorted(orders: &[Vec<Text>]) -> Vec<Vec<&str>> {
    orders.iter().map(|order| in_order(order)).collect()
}

fn in_order(serials: &[Text]) -> Vec<&str> {
    let mut serials: Vec<&str> = serials.iter().map(|serial| &**serial).collect();
    serials.sort_unstable();
    serials
}

fn finish(
    gathering: Gathering,
    proof: Proof,
    regions: &[Region],
    covered: BTreeSet<i32>,
) -> Result<Fetched, Fault> {
    let repeats = gathering.repeats();
    let fetched = gathering.settle(&repeats, covered);
    if fetched.is_empty() {
        Err(empty(regions))
    } else {
        Ok(Fetched { proof, ..fetched })
    }
}

/// A page of another region, from a cache that forgot which one was asked: then the stations of the one that was asked
/// would pass for gone.
fn of_these(gathering: Gathering, regions: &[Region]) -> Result<Gathering, Fault> {
    match gathering.stray(regions) {
        None => Ok(gathering),
        Some((asked, own)) => Err(pages::incomplete(
            &format!("the listing of region {asked}"),
            &format!("it holds a device of region {own}"),
        )),
    }
}

fn same(gathering: &Gathering, before: &[Text]) -> bool {
    gathering
        .serials()
        .into_iter()
        .eq(before.iter().map(|serial| &**serial))
}

fn ids(regions: &[Region]) -> BTreeSet<i32> {
    regions.iter().map(|region| region.id).collect()
}

/// Whether it is the listing itself that refuses. One that answers anything at all works: then it is a region, or a page.
async fn blame(client: &Client, listing: Listing, fault: Fault, probes: Vec<Request>) -> Stop {
    let refuses = |fault: &Fault| {
        let reasons = [Reason::AccessDenied, Reason::ApiRejected, Reason::ApiUnavailable];
        reasons.contains(&fault.reason) && fault.retry_after.is_none()
    };
    if client.config.listing.is_some() || !refuses(&fault) {
        return Stop::Else(fault);
    }
    let (times, known) = client.remember(|memory| {
        let times = memory.troubles.get(&listing).copied().unwrap_or_default();
        (times.saturating_add(1), memory.choice.is_some())
    });
    if !choice::stays(&fault, times, known) {
        // It is only counted yet: no reason to ask a server in trouble for more.
        return Stop::Listing(fault);
    }
    for probe in probes.iter().take(PROBES) {
        match client.call(probe, |_| Ok(())).await {
            Err(again) if refuses(&again) => {}
            Ok(()) | Err(_) => return Stop::Else(fault),
        }
    }
    Stop::Listing(fault)
}

fn empty(regions: &[Region]) -> Fault {
    let message = format!(
        "the listing of {} region(s) holds no base node; an empty fleet is never written: check the account's rights in TCS, \
         spec.api.includeRegionIds and spec.api.excludeRegionIds",
        regions.len()
    );
    Fault::new(Reason::FetchEmpty, message)
}
