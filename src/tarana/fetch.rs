//! One fetch: regions, their listings side by side, the proof, the records.

use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, try_join};
use futures::stream::{self, StreamExt, TryStreamExt};

use super::client::Client;
use super::gather::Gathering;
use super::intern::Interner;
use super::listing::region_search::RegionSearch;
use super::listing::{Listing, Part};
use super::pages;
use super::regions::{self, Region};
use crate::fault::{Fault, Reason};
use crate::station::Fetched;

type Watch<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// Reads everything that the connection covers.
pub(super) async fn read(client: &Client, progress: Watch<'_>) -> Result<Fetched, Fault> {
    let listing = RegionSearch {
        remotes: client.config.count_connections,
    };
    let (regions, mut gathering) = begin(client, &listing, progress).await?;
    let repeats = gathering.repeats();
    if gathering.goes_in_circles(&repeats) {
        return Err(circles());
    }
    if !repeats.is_empty() {
        // Rows repeat when the set changes while it is read, and then others are missing; or the vendor means it.
        gathering = once(client, &listing, &regions, progress).await?;
        if gathering.repeats() != repeats {
            return Err(pages::incomplete(
                "the listing",
                "it names some serials twice, others each time it is read",
            ));
        }
    }
    let fetched = gathering.settle(&repeats, regions.iter().map(|region| region.id).collect());
    if fetched.is_empty() {
        Err(empty(&regions))
    } else {
        Ok(fetched)
    }
}

/// The regions and a first reading of them: one after the other, or both at once where the regions are likely the
/// same as the last time. If they are not, what was read ahead is dropped.
async fn begin<L: Listing>(
    client: &Client,
    listing: &L,
    progress: Watch<'_>,
) -> Result<(Vec<Region>, Gathering), Fault> {
    let likely = client.remember(|memory| memory.regions.clone());
    let ahead = async {
        // A failure ahead only counts if the regions are right.
        Ok(if likely.is_empty() {
            None
        } else {
            Some(once(client, listing, &likely, progress).await)
        })
    };
    match try_join(regions::read(client), ahead).await? {
        (regions, Some(gathering)) if regions == likely => gathering.map(|gathering| (regions, gathering)),
        (regions, _) => once(client, listing, &regions, progress)
            .await
            .map(|gathering| (regions, gathering)),
    }
}

/// One reading of all regions. Requests are bounded by the client's limits, whatever the number of regions.
async fn once<L: Listing>(
    client: &Client,
    listing: &L,
    regions: &[Region],
    progress: Watch<'_>,
) -> Result<Gathering, Fault> {
    let interner = Interner::default();
    let gathering = Mutex::new(Gathering::new(client.config.count_connections));
    let sums = Mutex::new(vec![(0, 0); regions.len()]);
    let parts = regions.iter().enumerate().map(|(n, region)| {
        let part = Part {
            listing,
            region,
            interner: &interner,
            page_size: client.config.page_size,
        };
        let (gathering, sums) = (&gathering, &sums);
        async move {
            let watch = |rows: u64, total: u64| {
                lock(gathering).reserve(total.saturating_sub(rows));
                let (rows, total) = sum(&mut lock(sums), n, (rows, total));
                progress(rows, total);
            };
            let shape = client.remember(|memory| memory.shapes.get(&region.id).copied());
            let mut sink = |row, device| lock(gathering).add(device, (n, row));
            let shape = pages::read(client, &part, shape, &watch, &mut sink).await?;
            client.remember(|memory| match shape {
                Some(shape) => memory.shapes.insert(region.id, shape),
                None => memory.shapes.remove(&region.id),
            });
            Ok(())
        }
        .boxed()
    });
    // Boxed and collected: a closure in the stream's own type would keep the whole fetch from being `Send`.
    let parts: Vec<BoxFuture<'_, Result<(), Fault>>> = parts.collect();
    stream::iter(parts)
        .buffer_unordered(client.in_flight())
        .try_collect::<()>()
        .await?;
    Ok(gathering.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn sum(parts: &mut [(u64, u64)], n: usize, part: (u64, u64)) -> (u64, u64) {
    parts[n] = part;
    parts
        .iter()
        .fold((0, 0), |(rows, total), part| (rows + part.0, total + part.1))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic while it was held has already ended this fetch.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn circles() -> Fault {
    pages::incomplete(
        "the listing",
        "so many serials repeat that the API seems to give the same page again and again",
    )
}

fn empty(regions: &[Region]) -> Fault {
    let message = format!(
        "the listing of {} region(s) holds no base node; an empty fleet is never written: check the account's rights in TCS, \
         spec.api.includeRegionIds and spec.api.excludeRegionIds",
        regions.len()
    );
    Fault::new(Reason::FetchEmpty, message)
}
