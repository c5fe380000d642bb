//! The devices that the simulated vendor has, and how they change.

mod drift;
mod generate;
mod geography;
mod hierarchy;
mod render;

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use drift::Drift;
pub(super) use geography::REGIONS;
pub(super) use hierarchy::network_hierarchy;

use super::config::FleetConfig;
use super::rng::Rng;

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A sector radio on a tower.
    #[serde(rename = "BN")]
    BaseNode,
    /// A customer's radio.
    #[serde(rename = "RN")]
    RemoteNode,
}

/// One device of the fleet.
#[derive(Debug, Clone)]
pub struct Row {
    /// The serial it was made with, which is also what [`edit`](super::Simulator::edit) finds it by.
    pub serial: Arc<str>,
    /// Base or remote node.
    pub kind: Kind,
    /// The region whose listing it is in, even when its own ancestry is missing.
    pub region: i64,
    /// Its JSON, letter for letter as the NQS listings send it.
    pub raw: Arc<str>,
}

impl Row {
    fn new(kind: Kind, region: i64, serial: &str, raw: &str) -> Self {
        Self {
            serial: serial.into(),
            kind,
            region,
            raw: raw.into(),
        }
    }

    /// The JSON, read. Fails on a row that was deliberately broken.
    pub fn value(&self) -> serde_json::Result<Value> {
        serde_json::from_str(&self.raw)
    }
}

/// Which rows a listing asks for, and in which order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Selection {
    /// `None` is the whole operator.
    pub(super) regions: Option<Vec<i64>>,
    pub(super) kind: Option<Kind>,
    /// The operator's listing promises no order: it changes whenever the fleet does.
    pub(super) shuffled: bool,
    /// From the last to the first.
    pub(super) backwards: bool,
}

/// Every device, and what is needed to change them reproducibly.
#[derive(Debug)]
pub(super) struct Fleet {
    rows: Vec<Row>,
    operator: i64,
    seed: u64,
    generation: u64,
    /// Numbers of base nodes and sites that come later; never given out twice.
    next_number: usize,
    /// Remembered until the fleet changes: filtering 100,000 rows anew for each page would show in a benchmark.
    selected: HashMap<Selection, Arc<[u32]>>,
}

impl Fleet {
    pub(super) fn new(seed: u64, operator: i64, config: &FleetConfig) -> Self {
        let rows = generate::fleet(seed, operator, config);
        let next_number = config.base_nodes;
        Self {
            rows,
            operator,
            seed,
            generation: 0,
            next_number,
            selected: HashMap::new(),
        }
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        self.rows.iter().filter(|row| row.kind == kind).count()
    }

    /// The rows from `offset` on, at most `count`, and how many there are in all.
    pub(super) fn page(
        &mut self,
        selection: Selection,
        offset: usize,
        count: usize,
    ) -> (Vec<Arc<str>>, usize) {
        let chosen = self.select(selection);
        let page = chosen.iter().skip(offset).take(count);
        let rows = page.filter_map(|index| self.rows.get(usize::try_from(*index).ok()?));
        (rows.map(|row| Arc::clone(&row.raw)).collect(), chosen.len())
    }

    fn select(&mut self, selection: Selection) -> Arc<[u32]> {
        if let Some(known) = self.selected.get(&selection) {
            return Arc::clone(known);
        }
        let wanted = |row: &Row| {
            selection.kind.is_none_or(|kind| kind == row.kind)
                && selection
                    .regions
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&row.region))
        };
        let mut chosen: Vec<u32> = (0_u32..)
            .zip(&self.rows)
            .filter(|(_, row)| wanted(row))
            .map(|(i, _)| i)
            .collect();
        if selection.shuffled {
            let mut rng = Rng::new(self.seed ^ self.generation, "order");
            chosen = rng
                .permutation(chosen.len())
                .into_iter()
                .map(|at| chosen[at])
                .collect();
        }
        if selection.backwards {
            chosen.reverse();
        }
        let chosen: Arc<[u32]> = chosen.into();
        self.selected.insert(selection, Arc::clone(&chosen));
        chosen
    }

    fn changed(&mut self) {
        self.generation += 1;
        self.selected.clear();
    }

    /// Hands the device to `change`; false when there is none of that serial, or its text is not JSON any more.
    pub(super) fn edit(&mut self, serial: &str, change: impl FnOnce(&mut Value)) -> bool {
        let Some(row) = self.rows.iter_mut().find(|row| &*row.serial == serial) else {
            return false;
        };
        let Ok(mut value) = row.value() else { return false };
        change(&mut value);
        row.raw = value.to_string().into();
        self.changed();
        true
    }

    /// Replaces the text of a device, valid or not.
    pub(super) fn put_raw(&mut self, serial: &str, raw: &str) -> bool {
        let Some(row) = self.rows.iter_mut().find(|row| &*row.serial == serial) else {
            return false;
        };
        row.raw = raw.into();
        self.changed();
        true
    }

    /// Puts a second row of the same device at the end of the fleet, after `change` had it.
    pub(super) fn duplicate(&mut self, serial: &str, change: impl FnOnce(&mut Value)) -> bool {
        let Some(row) = self.rows.iter().find(|row| &*row.serial == serial) else {
            return false;
        };
        let (mut twin, Ok(mut value)) = (row.clone(), row.value()) else {
            return false;
        };
        change(&mut value);
        twin.raw = value.to_string().into();
        self.rows.push(twin);
        self.changed();
        true
    }

    /// Takes every row of that serial away.
    pub(super) fn remove(&mut self, serial: &str) -> bool {
        let before = self.rows.len();
        self.rows.retain(|row| &*row.serial != serial);
        self.changed();
        self.rows.len() < before
    }
}
