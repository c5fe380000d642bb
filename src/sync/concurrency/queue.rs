//! Pure: which of the waiting runs gets the next free slot. Namespaces take turns; within one, the oldest run is first.
//!
//! A run that makes no progress because a server does not respond keeps its right, but others may have its slot. So that such runs do not become
//! more and more, a server on which too many of them hang gets no further ones until one of them ends or goes on.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

/// How long a slot stays reserved for a run that does not take it, because it is gone or need not run any more.
const RESERVATION: Duration = Duration::from_secs(30);
/// After so long without progress others may have the slot of a run.
const HANGING: Duration = Duration::from_secs(10);
/// With a quarter of the slots, runs that hang on one server are too many.
const HANGING_SHARE: usize = 4;

/// Order within a namespace: creation time, then the uid.
type Position = (Option<Timestamp>, String);

/// The servers that a run needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// The vendor's API.
    pub vendor: String,
    /// The database.
    pub database: String,
}

/// The slots, who has them, and who waits for one. `W` wakes a waiting run.
#[derive(Debug)]
pub struct FairQueue<W> {
    limit: usize,
    /// By uid.
    slots: HashMap<String, Slot>,
    waiting: BTreeMap<String, BTreeMap<Position, Waiting<W>>>,
    /// Namespace and position of those that wait, by uid.
    places: HashMap<String, (String, Position)>,
    /// The namespace that got the last slot.
    last: String,
}

#[derive(Debug)]
struct Slot {
    state: State,
    /// Since when the slot is reserved, or the run has made no progress.
    since: Instant,
    /// The server that the run waits for if it makes no progress.
    uses: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The run has not come yet.
    Reserved,
    Taken,
    /// The run makes no progress: its slot does not count.
    Hanging,
}

#[derive(Debug)]
struct Waiting<W> {
    wake: W,
    servers: Servers,
}

/// A run that asks for a slot.
#[derive(Clone, Debug)]
pub struct Applicant<'a> {
    /// Its uid.
    pub uid: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// What it reads from and writes to.
    pub servers: Servers,
}

/// Whether a run has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has.
    Taken,
    /// It waits until another run ends.
    Full,
    /// It waits until a run that hangs on one of its servers ends or goes on.
    ServerHangs,
}

impl<W> FairQueue<W> {
    /// With so many slots, at least one.
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            slots: HashMap::new(),
            waiting: BTreeMap::new(),
            places: HashMap::new(),
            last: String::new(),
        }
    }

    /// Takes a slot, or waits for one. A run that waits keeps its place when it asks again.
    pub fn take(&mut self, run: Applicant<'_>, wake: W, now: Instant) -> Answer {
        if let Some(slot) = self.slots.get_mut(run.uid) {
            if slot.state == State::Reserved {
                (slot.state, slot.since) = (State::Taken, now);
            }
            return Answer::Taken;
        }
        let hangs = self.is_hanging(&run.servers);
        // Nobody who may have a slot waits while one is free, so that this one may have it.
        if !hangs && self.has_free_slot() {
            run.namespace.clone_into(&mut self.last);
            self.leave_place(run.uid);
            self.insert(run.uid.to_owned(), State::Taken, now);
            return Answer::Taken;
        }
        let position = (run.created, run.uid.to_owned());
        let place = (run.namespace.to_owned(), position.clone());
        self.places.insert(run.uid.to_owned(), place);
        let namespace = self.waiting.entry(run.namespace.to_owned()).or_default();
        let servers = run.servers;
        namespace.insert(position, Waiting { wake, servers });
        if hangs { Answer::ServerHangs } else { Answer::Full }
    }

    /// Gives back the slot of a run, or its place among those that wait. Call [`Self::reserve`] afterwards.
    pub fn leave(&mut self, uid: &str) {
        self.leave_place(uid);
        self.slots.remove(uid);
    }

    /// The run begins to use this server. Call [`Self::reserve`] afterwards.
    pub fn uses(&mut self, uid: &str, server: &str, now: Instant) {
        self.progressed(uid, now);
        if let Some(slot) = self.slots.get_mut(uid) {
            slot.uses = Some(server.to_owned());
        }
    }

    /// The run has made progress. Call [`Self::reserve`] afterwards. If others have its slot, there are more than the limit until one of them
    /// ends.
    pub fn progressed(&mut self, uid: &str, now: Instant) {
        if let Some(slot) = self.slots.get_mut(uid).filter(|s| s.state != State::Reserved) {
            (slot.state, slot.since) = (State::Taken, now);
        }
    }

    /// Finds the runs that hang, and the reservations that are not used, which are withdrawn. Call [`Self::reserve`] afterwards.
    pub fn expire(&mut self, now: Instant) {
        self.slots.retain(|_, slot| {
            let age = now.saturating_duration_since(slot.since);
            if slot.state == State::Taken && age >= HANGING {
                slot.state = State::Hanging;
            }
            slot.state != State::Reserved || age < RESERVATION
        });
    }

    /// Reserves a free slot for the run that is next, which must be woken. Call this until it returns `None`.
    pub fn reserve(&mut self, now: Instant) -> Option<(String, W)> {
        if !self.has_free_slot() {
            return None;
        }
        let (namespace, position) = self.next()?;
        let runs = self.waiting.get_mut(&namespace)?;
        let Waiting { wake, .. } = runs.remove(&position)?;
        if runs.is_empty() {
            self.waiting.remove(&namespace);
        }
        let (_, uid) = position;
        self.places.remove(&uid);
        self.last = namespace;
        self.insert(uid.clone(), State::Reserved, now);
        Some((uid, wake))
    }

    /// How many have a slot, and how many wait for one.
    pub fn counts(&self) -> (usize, usize) {
        (self.slots.len(), self.places.len())
    }

    fn has_free_slot(&self) -> bool {
        let count = self.slots.values().filter(|s| s.state != State::Hanging).count();
        count < self.limit
    }

    /// Whether too many runs hang on one of these servers.
    fn is_hanging(&self, servers: &Servers) -> bool {
        let most = (self.limit / HANGING_SHARE).max(1);
        let hanging = |server: &String| {
            let slots = self.slots.values().filter(|s| s.state == State::Hanging);
            slots.filter(|s| s.uses.as_ref() == Some(server)).count()
        };
        hanging(&servers.vendor) >= most || hanging(&servers.database) >= most
    }

    /// The run that is next: the oldest one of each namespace that may have a slot, and of these that of the namespace whose turn it is.
    fn next(&self) -> Option<(String, Position)> {
        let mut first = None;
        for (namespace, runs) in &self.waiting {
            let mut runs = runs.iter();
            let Some((position, _)) = runs.find(|(_, run)| !self.is_hanging(&run.servers)) else {
                continue;
            };
            let next = (namespace.clone(), position.clone());
            if *namespace > self.last {
                return Some(next);
            }
            first.get_or_insert(next);
        }
        first
    }

    fn insert(&mut self, uid: String, state: State, now: Instant) {
        let slot = Slot {
            state,
            since: now,
            uses: None,
        };
        self.slots.insert(uid, slot);
    }

    fn leave_place(&mut self, uid: &str) {
        if let Some((namespace, position)) = self.places.remove(uid)
            && let Some(runs) = self.waiting.get_mut(&namespace)
        {
            runs.remove(&position);
            if runs.is_empty() {
                self.waiting.remove(&namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests;
