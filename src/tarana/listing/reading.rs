//! One reading of all lists of a listing, concurrently. The client's limits bound the requests, whatever the number of
//! lists.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};

use super::builder::ListingBuilder;
use super::context::{ListingContext, Progress};
use super::device::Device;
use super::endpoints::{OperatorList, RadioSearch, RegionSearch};
use super::hierarchy::Names;
use super::pages::{CountedPages, ListShape, MAX_REREADS, read_counted, read_uncounted};
use super::region::Region;
use crate::fault::{Fault, Reason};
use crate::station::{Interner, Listing, Text};

/// Most readings of a listing that needs two equal ones.
pub(super) const MAX_READINGS: usize = 3;

/// Where a reading splits its lists into pages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PageBoundaries {
    /// At the configured page size.
    Default,
    /// At other rows.
    Shifted,
}

/// A reading in progress.
pub(super) struct Reading<'a> {
    context: &'a ListingContext,
    boundaries: PageBoundaries,
    with_remotes: bool,
    interner: Interner,
    builder: Mutex<ListingBuilder>,
    progress: Mutex<ListProgress>,
    shapes: Mutex<ListShapes>,
    report: Progress<'a>,
}

/// The shape of each list.
pub(super) struct ListShapes(Vec<Option<ListShape>>);

impl ListShapes {
    /// Whether any list had the same page boundaries in both readings.
    pub(super) fn has_same_pages(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        pairs.any(|pair| matches!(pair, (Some(a), Some(b)) if a.has_same_pages(*b)))
    }
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        context: &'a ListingContext,
        boundaries: PageBoundaries,
        lists: usize,
        report: Progress<'a>,
    ) -> Self {
        let with_remotes = context.config.count_connections;
        Self {
            context,
            boundaries,
            with_remotes,
            interner: Interner::default(),
            builder: Mutex::new(ListingBuilder::new(with_remotes)),
            progress: Mutex::new(ListProgress::new(lists)),
            shapes: Mutex::new(ListShapes(vec![None; lists])),
            report,
        }
    }

    /// The records that were read, and the shapes of the lists.
    pub(super) fn finish(self) -> (ListingBuilder, ListShapes) {
        let builder = self.builder.into_inner().unwrap_or_else(PoisonError::into_inner);
        (
            builder,
            self.shapes.into_inner().unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Reads the `RegionSearch` list of every region.
    pub(super) async fn read_region_searches(&self, regions: &[Region]) -> Result<(), Fault> {
        let key = |region: &Region| (Listing::RegionSearch, region.id);
        // Collected first: the compiler cannot prove that a stream of futures from a closure is `Send`.
        let lists: Vec<_> = regions
            .iter()
            .enumerate()
            .map(|(n, region)| self.read_list(n, key(region), self.region_search(region)))
            .collect();
        stream::iter(lists)
            .buffer_unordered(self.context.api.max_in_flight())
            .try_collect::<()>()
            .await
    }

    /// The list of a region, as a function of the page size.
    pub(super) fn region_search<'s>(&'s self, region: &'s Region) -> impl Fn(u32) -> RegionSearch<'s> {
        move |page_size| RegionSearch {
            region,
            interner: &self.interner,
            page_size,
            with_remotes: self.with_remotes,
        }
    }

    /// Reads the operator's list.
    pub(super) async fn read_operator_list(&self, operator_id: i64, regions: &[Region]) -> Result<(), Fault> {
        let list = self.operator_list(operator_id, regions);
        self.read_list(0, (Listing::OperatorList, 0), list).await
    }

    /// The operator's list, as a function of the page size.
    pub(super) fn operator_list<'s>(
        &'s self,
        operator_id: i64,
        regions: &'s [Region],
    ) -> impl Fn(u32) -> OperatorList<'s> {
        let config = &self.context.config;
        let is_partial = !(config.include_region_ids.is_empty() && config.exclude_region_ids.is_empty());
        move |page_size| OperatorList {
            operator_id,
            regions,
            is_partial,
            interner: &self.interner,
            page_size,
            with_remotes: self.with_remotes,
        }
    }

    /// Reads the `n`th list, which reports its total.
    async fn read_list<S: CountedPages<Row = Device>>(
        &self,
        n: usize,
        key: (Listing, i32),
        list: impl Fn(u32) -> S,
    ) -> Result<(), Fault> {
        let known = self.context.with_cache(|cache| cache.shapes.get(&key).copied());
        let (page_size, known) = match self.boundaries {
            PageBoundaries::Default => (self.context.config.page_size, known),
            PageBoundaries::Shifted => (known.map_or(1, ListShape::other_page_size), None),
        };
        let list = list(page_size);
        let shape = self.read_until_consistent(n, &list, known).await?;
        lock(&self.shapes).0[n] = Some(shape);
        if self.boundaries == PageBoundaries::Default {
            self.context.with_cache(|cache| cache.shapes.insert(key, shape));
        }
        Ok(())
    }

    /// A list that does not add up is read again, alone: it may have changed while it was read, or one page was wrong.
    async fn read_until_consistent<S: CountedPages<Row = Device>>(
        &self,
        n: usize,
        list: &S,
        known: Option<ListShape>,
    ) -> Result<ListShape, Fault> {
        let progress = |rows, total| self.report_page(n, rows, total);
        let mut rereads = 0..MAX_REREADS;
        loop {
            let mut sink = |row, device| lock(&self.builder).add(device, (n, row));
            // What was known of the list may be what is wrong.
            let known = known.filter(|_| rereads.start == 0);
            match read_counted(&self.context.api, list, known, &progress, &mut sink).await {
                Err(fault) if fault.reason == Reason::FetchIncomplete && rereads.next().is_some() => {
                    tracing::info!("{}: it is read again", fault.message);
                    lock(&self.builder).remove_list(n);
                }
                result => return result,
            }
        }
    }

    /// Reads the `RadioSearch` list of every region. Returns for each region the serials in the order of arrival; an
    /// unreadable serial is empty.
    pub(super) async fn read_radio_searches(
        &self,
        regions: &[Region],
        names: &Names,
        descending: bool,
    ) -> Result<Vec<Vec<Text>>, Fault> {
        // This listing has no remote nodes, so the stored counts are kept.
        *lock(&self.builder) = ListingBuilder::new(false);
        let lists: Vec<_> = regions
            .iter()
            .enumerate()
            .map(|(n, region)| self.read_radios(n, self.radio_search(region, names, descending)))
            .collect();
        stream::iter(lists)
            .buffered(self.context.api.max_in_flight())
            .try_collect()
            .await
    }

    /// The radios of a region.
    pub(super) fn radio_search<'s>(
        &'s self,
        region: &'s Region,
        names: &'s Names,
        descending: bool,
    ) -> RadioSearch<'s> {
        RadioSearch {
            region,
            names,
            interner: &self.interner,
            page_size: self.context.config.page_size,
            descending,
        }
    }

    /// Reads the `n`th list, which reports no total.
    async fn read_radios(&self, n: usize, list: RadioSearch<'_>) -> Result<Vec<Text>, Fault> {
        let (mut order, mut known) = (Vec::<Text>::new(), HashSet::<Text>::new());
        let mut sink = |row: u64, device: Device| {
            let serial: Text = device.serial().unwrap_or_default().into();
            let is_new = serial.is_empty() || known.insert(serial.clone());
            order.push(serial);
            lock(&self.builder).add(device, (n, row));
            is_new
        };
        // The total is unknown.
        let progress = |rows| {
            let (rows, _) = lock(&self.progress).set(n, (rows, 0));
            (self.report)(rows, 0);
        };
        read_uncounted(&self.context.api, &list, &progress, &mut sink).await?;
        Ok(order)
    }

    fn report_page(&self, n: usize, rows: u64, total: u64) {
        let (rows, total) = lock(&self.progress).set(n, (rows, total));
        lock(&self.builder).reserve(total.saturating_sub(rows));
        (self.report)(rows, total);
    }
}

/// Rows read and total, of each list and of all lists. The sum is updated incrementally, because there can be many lists.
struct ListProgress {
    lists: Vec<(u64, u64)>,
    sum: (u64, u64),
}

impl ListProgress {
    fn new(lists: usize) -> Self {
        Self {
            lists: vec![(0, 0); lists],
            sum: (0, 0),
        }
    }

    /// Sets the progress of list `n`. Returns the sum.
    fn set(&mut self, n: usize, progress: (u64, u64)) -> (u64, u64) {
        let before = std::mem::replace(&mut self.lists[n], progress);
        self.sum.0 = self.sum.0 - before.0 + progress.0;
        self.sum.1 = self.sum.1 - before.1 + progress.1;
        self.sum
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it was locked has already ended this fetch.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
