//! One fetch: regions, their listings side by side, the proof, the records.

use std::sync::{Mutex, PoisonError};

use futures::future::try_join;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::client::Client;
use super::gather::Gathering;
use super::intern::Interner;
use super::listing::region_search::RegionSearch;
use super::listing::{Listing, Part};
use super::pages::{self, Shape, Source};
use super::regions::{self, Region};
use crate::fault::{Fault, Reason};
use crate::station::Fetched;

type Watch<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// Reads everything that the connection covers.
pub(super) async fn read(client: &Client, progress: Watch<'_>) -> Result<Fetched, Fault> {
    let (regions, mut gathering) = begin(client, progress).await?;
    let repeats = gathering.repeats();
    if !repeats.is_empty() {
        // Rows repeat when the set changes while it is read, or when a page is not what it says; then others are missing.
        // Or the vendor means it: then the list is the same however it is cut into pages.
        let before = gathering.into_serials();
        gathering = once(client, &regions, progress, Cut::Otherwise).await?;
        let same = gathering
            .serials()
            .into_iter()
            .eq(before.iter().map(|serial| &**serial));
        if !same {
            let hole = "it names serials more than once, and others when it is read again";
            return Err(pages::incomplete("the listing", hole));
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
async fn begin(client: &Client, progress: Watch<'_>) -> Result<(Vec<Region>, Gathering), Fault> {
    let likely = client.remember(|memory| memory.regions.clone());
    let ahead = async {
        // A failure ahead only counts if the regions are right.
        Ok(if likely.is_empty() {
            None
        } else {
            Some(once(client, &likely, progress, Cut::AsUsual).await)
        })
    };
    let (regions, ahead) = try_join(regions::read(client), ahead).await?;
    let gathering = match ahead {
        Some(gathering) if regions == likely => gathering?,
        _ => once(client, &regions, progress, Cut::AsUsual).await?,
    };
    Ok((regions, gathering))
}

/// Where a reading cuts the list into pages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Where the server's page size says.
    AsUsual,
    /// Anywhere else.
    Otherwise,
}

/// One reading of all regions. Requests are bounded by the client's limits, whatever the number of regions.
async fn once(
    client: &Client,
    regions: &[Region],
    progress: Watch<'_>,
    cut: Cut,
) -> Result<Gathering, Fault> {
    let remotes = client.config.count_connections;
    let reading = Reading {
        client,
        listing: RegionSearch { remotes },
        cut,
        interner: Interner::default(),
        gathering: Mutex::new(Gathering::new(remotes)),
        sums: Mutex::new(Sums::new(regions.len())),
        progress,
    };
    // Collected first: a stream that makes its futures by a closure is not seen to be `Send`.
    let parts: Vec<_> = regions
        .iter()
        .enumerate()
        .map(|(n, region)| reading.part(n, region))
        .collect();
    stream::iter(parts)
        .buffer_unordered(client.in_flight())
        .try_collect::<()>()
        .await?;
    let gathering = reading
        .gathering
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match gathering.stray(regions) {
        None => Ok(gathering),
        // A cache that forgot which region was asked: its own stations would pass for gone.
        Some((asked, own)) => Err(pages::incomplete(
            &format!("the listing of region {asked}"),
            &format!("it holds a device of region {own}"),
        )),
    }
}

/// A reading under way.
struct Reading<'a, L> {
    client: &'a Client,
    listing: L,
    cut: Cut,
    interner: Interner,
    gathering: Mutex<Gathering>,
    sums: Mutex<Sums>,
    progress: Watch<'a>,
}

impl<L: Listing> Reading<'_, L> {
    /// Reads the `n`th region.
    async fn part(&self, n: usize, region: &Region) -> Result<(), Fault> {
        let before = self
            .client
            .remember(|memory| memory.shapes.get(&region.id).copied());
        let (page_size, known) = match self.cut {
            Cut::AsUsual => (self.client.config.page_size, before),
            Cut::Otherwise => (before.map_or(1, Shape::another_page_size), None),
        };
        let (listing, interner) = (&self.listing, &self.interner);
        let source = Part {
            listing,
            region,
            interner,
            page_size,
        };
        let watch = |rows, total| self.watch(n, rows, total);
        let mut sink = |row, device| lock(&self.gathering).add(device, (n, row));
        let shape = pages::read(self.client, &source, known, &watch, &mut sink).await?;
        match (self.cut, before) {
            (Cut::AsUsual, _) => {
                self.client
                    .remember(|memory| memory.shapes.insert(region.id, shape));
                Ok(())
            }
            (Cut::Otherwise, Some(before)) if shape.is_cut_like(before) => {
                let hole = "serials repeat, and it comes in the same pages whatever is asked for";
                Err(pages::incomplete(&source.what(), hole))
            }
            (Cut::Otherwise, _) => Ok(()),
        }
    }

    fn watch(&self, n: usize, rows: u64, total: u64) {
        let (rows, total) = lock(&self.sums).set(n, (rows, total));
        lock(&self.gathering).reserve(total.saturating_sub(rows));
        (self.progress)(rows, total);
    }
}

/// Rows so far and in all, of each region and of all together: with many regions, none of them is added up again.
struct Sums {
    parts: Vec<(u64, u64)>,
    all: (u64, u64),
}

impl Sums {
    fn new(parts: usize) -> Self {
        Self {
            parts: vec![(0, 0); parts],
            all: (0, 0),
        }
    }

    fn set(&mut self, n: usize, part: (u64, u64)) -> (u64, u64) {
        let before = std::mem::replace(&mut self.parts[n], part);
        self.all.0 = self.all.0 - before.0 + part.0;
        self.all.1 = self.all.1 - before.1 + part.1;
        self.all
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic while it was held has already ended this fetch.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn empty(regions: &[Region]) -> Fault {
    let message = format!(
        "the listing of {} region(s) holds no base node; an empty fleet is never written: check the account's rights in TCS, \
         spec.api.includeRegionIds and spec.api.excludeRegionIds",
        regions.len()
    );
    Fault::new(Reason::FetchEmpty, message)
}
