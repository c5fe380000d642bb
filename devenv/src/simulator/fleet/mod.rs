//! The devices of the simulated vendor.

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

/// The kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeviceKind {
    /// A sector radio on a tower.
    #[serde(rename = "BN")]
    BaseNode,
    /// A customer's radio.
    #[serde(rename = "RN")]
    RemoteNode,
}

/// One device of the fleet.
#[derive(Debug, Clone)]
pub struct Device {
    /// The original serial, by which [`edit`](super::Simulator::edit) finds it.
    pub serial: Arc<str>,
    /// Base or remote node.
    pub kind: DeviceKind,
    /// The region whose listing contains it, even when its own ancestry is missing.
    pub region: i64,
    /// Its JSON, exactly as the NQS listings send it.
    pub raw: Arc<str>,
}

impl Device {
    fn new(kind: DeviceKind, region: i64, serial: &str, raw: &str) -> Self {
        Self {
            serial: serial.into(),
            kind,
            region,
            raw: raw.into(),
        }
    }

    /// Parses the JSON. Fails for a device that was deliberately broken.
    pub fn value(&self) -> serde_json::Result<Value> {
        serde_json::from_str(&self.raw)
    }
}

/// The devices that a listing selects, and their order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Selection {
    /// `None` is the whole operator.
    pub(super) regions: Option<Vec<i64>>,
    pub(super) kind: Option<DeviceKind>,
    /// Whether the order is random. It changes whenever the fleet does, as in `OperatorList`.
    pub(super) shuffled: bool,
    /// Whether the order is reversed.
    pub(super) backwards: bool,
}

/// All devices, and the state for reproducible changes.
#[derive(Debug)]
pub(super) struct Fleet {
    devices: Vec<Device>,
    operator: i64,
    seed: u64,
    generation: u64,
    /// The next number of a base node or site; never reused.
    next_number: usize,
    /// Cached until the fleet changes: filtering 100,000 devices for each page would slow down benchmarks.
    selected: HashMap<Selection, Arc<[u32]>>,
}

impl Fleet {
    pub(super) fn new(seed: u64, operator: i64, config: &FleetConfig) -> Self {
        let devices = generate::fleet(seed, operator, config);
        let next_number = config.base_nodes;
        Self {
            devices,
            operator,
            seed,
            generation: 0,
            next_number,
            selected: HashMap::new(),
        }
    }

    pub(super) fn devices(&self) -> &[Device] {
        &self.devices
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn count(&self, kind: DeviceKind) -> usize {
        self.devices.iter().filter(|device| device.kind == kind).count()
    }

    /// At most `count` devices from `offset` on, and the total.
    pub(super) fn page(
        &mut self,
        selection: Selection,
        offset: usize,
        count: usize,
    ) -> (Vec<Arc<str>>, usize) {
        let chosen = self.select(selection);
        let page = chosen.iter().skip(offset).take(count);
        let rows = page.filter_map(|index| self.devices.get(usize::try_from(*index).ok()?));
        (rows.map(|device| Arc::clone(&device.raw)).collect(), chosen.len())
    }

    fn select(&mut self, selection: Selection) -> Arc<[u32]> {
        if let Some(known) = self.selected.get(&selection) {
            return Arc::clone(known);
        }
        let wanted = |device: &Device| {
            selection.kind.is_none_or(|kind| kind == device.kind)
                && selection
                    .regions
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&device.region))
        };
        let mut chosen: Vec<u32> = (0_u32..)
            .zip(&self.devices)
            .filter(|(_, device)| wanted(device))
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

    fn record_change(&mut self) {
        self.generation += 1;
        self.selected.clear();
    }

    /// Changes a device; false when the serial is unknown or its text is not JSON.
    pub(super) fn edit(&mut self, serial: &str, change: impl FnOnce(&mut Value)) -> bool {
        let Some(device) = self.devices.iter_mut().find(|device| &*device.serial == serial) else {
            return false;
        };
        let Ok(mut value) = device.value() else {
            return false;
        };
        change(&mut value);
        device.raw = value.to_string().into();
        self.record_change();
        true
    }

    /// Replaces the text of a device, valid JSON or not.
    pub(super) fn put_raw(&mut self, serial: &str, raw: &str) -> bool {
        let Some(device) = self.devices.iter_mut().find(|device| &*device.serial == serial) else {
            return false;
        };
        device.raw = raw.into();
        self.record_change();
        true
    }

    /// Appends a second record of the same device, after `change`.
    pub(super) fn duplicate(&mut self, serial: &str, change: impl FnOnce(&mut Value)) -> bool {
        let Some(device) = self.devices.iter().find(|device| &*device.serial == serial) else {
            return false;
        };
        let (mut twin, Ok(mut value)) = (device.clone(), device.value()) else {
            return false;
        };
        change(&mut value);
        twin.raw = value.to_string().into();
        self.devices.push(twin);
        self.record_change();
        true
    }

    /// Removes all records of that serial.
    pub(super) fn remove(&mut self, serial: &str) -> bool {
        let before = self.devices.len();
        self.devices.retain(|device| &*device.serial != serial);
        self.record_change();
        self.devices.len() < before
    }
}
