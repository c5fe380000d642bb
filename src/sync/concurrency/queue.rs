//! Pure: which of the waiting runs gets the next free slot. Namespaces take turns; within one, the oldest run is first.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

/// How long a slot stays reserved for a run that does not take it, because it is gone or need not run any more.
const RESERVATION: Duration = Duration::from_secs(30);

/// Order within a namespace: creation time, then the uid.
type Position = (Option<Timestamp>, String);

/// The slots, who has them, and who waits for one. `W` wakes a waiting run.
#[derive(Debug)]
pub struct FairQueue<W> {
    limit: usize,
    /// By uid: since when a slot is reserved; `None` once the run has taken it.
    slots: HashMap<String, Option<Instant>>,
    waiting: BTreeMap<String, BTreeMap<Position, W>>,
    /// Namespace and position of those that wait, by uid.
    places: HashMap<String, (String, Position)>,
    /// The namespace that got the last slot.
    last: String,
}

/// A run that asks for a slot.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// Its uid.
    pub uid: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// When it was created.
    pub created: Option<Timestamp>,
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
    pub fn take(&mut self, run: Applicant<'_>, wake: W) -> bool {
        if let Some(slot) = self.slots.get_mut(run.uid) {
            *slot = None;
            return true;
        }
        // Nobody waits while a slot is free, so that this one may have it.
        if self.slots.len() < self.limit {
            run.namespace.clone_into(&mut self.last);
            self.slots.insert(run.uid.to_owned(), None);
            return true;
        }
        let position = (run.created, run.uid.to_owned());
        let place = (run.namespace.to_owned(), position.clone());
        self.places.insert(run.uid.to_owned(), place);
        let namespace = self.waiting.entry(run.namespace.to_owned()).or_default();
        namespace.insert(position, wake);
        false
    }

    /// Gives back the slot of a run, or its place among those that wait. Returns the run that gets the slot, which must be woken.
    pub fn leave(&mut self, uid: &str, now: Instant) -> Option<(String, W)> {
        if let Some((namespace, position)) = self.places.remove(uid)
            && let Some(runs) = self.waiting.get_mut(&namespace)
        {
            runs.remove(&position);
            if runs.is_empty() {
                self.waiting.remove(&namespace);
            }
        }
        self.slots.remove(uid)?;
        self.reserve_next(now)
    }

    /// The runs that do not take the slots that were reserved for them.
    pub fn absent(&self, now: Instant) -> Vec<String> {
        let is_absent = |since: &Option<Instant>| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= RESERVATION)
        };
        let slots = self.slots.iter().filter(|(_, since)| is_absent(since));
        slots.map(|(uid, _)| uid.clone()).collect()
    }

    /// How many have a slot, and how many wait for one.
    pub fn counts(&self) -> (usize, usize) {
        (self.slots.len(), self.places.len())
    }

    fn reserve_next(&mut self, now: Instant) -> Option<(String, W)> {
        let after = |name: &&String| **name > self.last;
        let namespace = self.waiting.keys().find(after);
        let namespace = namespace.or_else(|| self.waiting.keys().next())?.clone();
        let runs = self.waiting.get_mut(&namespace)?;
        let ((_, uid), wake) = runs.pop_first()?;
        if runs.is_empty() {
            self.waiting.remove(&namespace);
        }
        self.places.remove(&uid);
        self.last = namespace;
        self.slots.insert(uid.clone(), Some(now));
        Some((uid, wake))
    }
}

#[cfg(test)]
mod tests;
