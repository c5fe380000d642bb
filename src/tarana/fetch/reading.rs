//! One reading of all the lists that a listing has, side by side. Requests are bounded by the client's limits, whatever
//! the number of lists.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};

use super::Watch;
use crate::fault::Fault;
use crate::station::{Listing, Text};
use crate::tarana::client::Client;
use crate::tarana::device::Device;
use crate::tarana::gather::Gathering;
use crate::tarana::hierarchy::Names;
use crate::tarana::intern::Interner;
use crate::tarana::listing::operator_list::OperatorList;
use crate::tarana::listing::radio_search::RadioSearch;
use crate::tarana::listing::region_search::RegionSearch;
use crate::tarana::pages::{self, Shape, Source};
use crate::tarana::regions::Region;

/// Where a reading cuts its lists into pages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Where the server's page size says.
    AsUsual,
    /// Anywhere else.
    Otherwise,
}

/// A reading under way.
pub(super) struct Reading<'a> {
    client: &'a Client,
    cut: Cut,
    remotes: bool,
    interner: Interner,
    gathering: Mutex<Gathering>,
    sums: Mutex<Sums>,
    shapes: Mutex<Shapes>,
    progress: Watch<'a>,
}

/// What each list was like.
pub(super) struct Shapes(Vec<Option<Shape>>);

impl Shapes {
    /// Whether some list was cut into the same pages both times.
    pub(super) fn are_cut_like(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        pairs.any(|pair| matches!(pair, (Some(a), Some(b)) if a.is_cut_like(*b)))
    }
}

impl<'a> Reading<'a> {
    pub(super) fn new(client: &'a Client, cut: Cut, lists: usize, progress: Watch<'a>) -> Self {
        let remotes = client.config.count_connections;
        Self {
            client,
            cut,
            remotes,
            interner: Interner::default(),
            gathering: Mutex::new(Gathering::new(remotes)),
            sums: Mutex::new(Sums::new(lists)),
            shapes: Mutex::new(Shapes(vec![None; lists])),
            progress,
        }
    }

    /// What was read.
    pub(super) fn end(self) -> (Gathering, Shapes) {
        let gathering = self
            .gathering
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        (
            gathering,
            self.shapes.into_inner().unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Reads every region's list.
    pub(super) async fn regions(&self, regions: &[Region]) -> Result<(), Fault> {
        let key = |region: &Region| (Listing::RegionSearch, region.id);
        // Collected first: a stream that makes its futures by a closure is not seen to be `Send`.
        let lists: Vec<_> = regions
            .iter()
            .enumerate()
            .map(|(n, region)| self.list(n, key(region), self.of_region(region)))
            .collect();
        stream::iter(lists)
            .buffer_unordered(self.client.in_flight())
            .try_collect::<()>()
            .await
    }

    /// The list of a region, in pages of a size.
    pub(super) fn of_region<'s>(&'s self, region: &'s Region) -> impl Fn(u32) -> RegionSearch<'s> {
        move |page_size| RegionSearch {
            region,
            interner: &self.interner,
            page_size,
            remotes: self.remotes,
        }
    }

    /// Reads the operator's one list.
    pub(super) async fn operator(&self, operator_id: i64, regions: &[Region]) -> Result<(), Fault> {
        let source = self.of_operator(operator_id, regions);
        self.list(0, (Listing::OperatorList, 0), source).await
    }

    /// The operator's list, in pages of a size.
    pub(super) fn of_operator<'s>(
        &'s self,
        operator_id: i64,
        regions: &'s [Region],
    ) -> impl Fn(u32) -> OperatorList<'s> {
        let config = &self.client.config;
        let chosen = !(config.include_region_ids.is_empty() && config.exclude_region_ids.is_empty());
        move |page_size| OperatorList {
            operator_id,
            regions,
            chosen,
            interner: &self.interner,
            page_size,
            remotes: self.remotes,
        }
    }

    /// Reads the `n`th list, which tells its total.
    async fn list<S: Source<Row = Device>>(
        &self,
        n: usize,
        key: (Listing, i32),
        source: impl Fn(u32) -> S,
    ) -> Result<(), Fault> {
        let known = self.client.remember(|memory| memory.shapes.get(&key).copied());
        let (page_size, known) = match self.cut {
            Cut::AsUsual => (self.client.config.page_size, known),
            Cut::Otherwise => (known.map_or(1, Shape::another_page_size), None),
        };
        let source = source(page_size);
        let watch = |rows, total| self.watch(n, rows, total);
        let mut sink = |row, device| lock(&self.gathering).add(device, (n, row));
        let shape = pages::read(self.client, &source, known, &watch, &mut sink).await?;
        lock(&self.shapes).0[n] = Some(shape);
        if self.cut == Cut::AsUsual {
            self.client.remember(|memory| memory.shapes.insert(key, shape));
        }
        Ok(())
    }

    /// Reads every region's radios. Serials in the order in which they came, of each region; one that cannot be read is empty.
    pub(super) async fn radios(
        &self,
        regions: &[Region],
        names: &Names,
        backwards: bool,
    ) -> Result<Vec<Vec<Text>>, Fault> {
        // There are no remote nodes in it, so none is counted: a number that is not known stays as it is.
        *lock(&self.gathering) = Gathering::new(false);
        let lists: Vec<_> = regions
            .iter()
            .enumerate()
            .map(|(n, region)| self.trail(n, self.of_radios(region, names, backwards)))
            .collect();
        stream::iter(lists)
            .buffered(self.client.in_flight())
            .try_collect()
            .await
    }

    /// The radios of a region, from one end.
    pub(super) fn of_radios<'s>(
        &'s self,
        region: &'s Region,
        names: &'s Names,
        backwards: bool,
    ) -> RadioSearch<'s> {
        RadioSearch {
            region,
            names,
            interner: &self.interner,
            page_size: self.client.config.page_size,
            backwards,
        }
    }

    async fn trail(&self, n: usize, trail: RadioSearch<'_>) -> Result<Vec<Text>, Fault> {
        let (mut order, mut known) = (Vec::<Text>::new(), HashSet::<Text>::new());
        let mut sink = |row: u64, device: Device| {
            let serial: Text = device.serial().unwrap_or_default().into();
            let news = serial.is_empty() || known.insert(serial.clone());
            order.push(serial);
            lock(&self.gathering).add(device, (n, row));
            // How many there will be is not told.
            let (rows, _) = lock(&self.sums).set(n, (row + 1, 0));
            (self.progress)(rows, 0);
            news
        };
        pages::walk(self.client, &trail, &mut sink).await?;
        Ok(order)
    }

    fn watch(&self, n: usize, rows: u64, total: u64) {
        let (rows, total) = lock(&self.sums).set(n, (rows, total));
        lock(&self.gathering).reserve(total.saturating_sub(rows));
        (self.progress)(rows, total);
    }
}

/// Rows so far and in all, of each list and of all together: with many lists, none of them is added up again.
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it was held has already ended this fetch.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
