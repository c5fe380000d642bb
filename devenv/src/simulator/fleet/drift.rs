//! Pure: changes of the fleet. The same seed and history produce the same changes.

use serde::Serialize;
use serde_json::{Value, json};

use super::generate::{node, site};
use super::geography::MARKETS;
use super::render::{base_node, base_serial, micro};
use super::{Device, DeviceKind, Fleet};
use crate::simulator::rng::Rng;

/// The changes of a drift, by serial.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Devices with another status, name or position.
    pub changed: Vec<String>,
    /// New devices.
    pub added: Vec<String>,
    /// Removed devices.
    pub removed: Vec<String>,
}

impl Fleet {
    fn rng_for(&self, purpose: &str) -> Rng {
        Rng::new(
            self.seed
                .wrapping_add(self.generation.wrapping_mul(0x2545_F491_4F6C_DD1D)),
            purpose,
        )
    }

    /// Indices of base nodes in a random order.
    fn shuffled_base_nodes(&self, rng: &mut Rng) -> Vec<usize> {
        let nodes = self
            .devices
            .iter()
            .enumerate()
            .filter(|(_, device)| device.kind == DeviceKind::BaseNode);
        let nodes: Vec<usize> = nodes.map(|(index, _)| index).collect();
        rng.permutation(nodes.len())
            .into_iter()
            .map(|at| nodes[at])
            .collect()
    }

    /// Changes the given fraction of the base nodes, at least one unless the fraction is zero or the fleet is empty. Of twenty,
    /// eight flip their status, four are renamed, six move a few metres, one is added and one removed.
    pub(in crate::simulator) fn drift(&mut self, fraction: f64) -> Drift {
        let mut rng = self.rng_for("drift");
        let nodes = self.shuffled_base_nodes(&mut rng);
        let count = fraction_of(nodes.len(), fraction);
        let mut drift = Drift::default();
        let (mut gone, mut fresh) = (Vec::new(), 0);
        for (rank, index) in nodes.into_iter().take(count).enumerate() {
            match rank % 20 {
                18 => fresh += 1,
                19 => gone.push(self.devices[index].serial.to_string()),
                kind => {
                    let device = &mut self.devices[index];
                    let Ok(mut value) = device.value() else { continue };
                    change_device(&mut value, kind, &mut rng);
                    device.raw = value.to_string().into();
                    drift.changed.push(device.serial.to_string());
                }
            }
        }
        self.devices
            .retain(|device| !gone.iter().any(|serial| **serial == *device.serial));
        drift.removed = gone;
        drift.added = self.add(fresh);
        drift
    }

    /// Removes `count` base nodes, chosen by the seed.
    pub(in crate::simulator) fn vanish(&mut self, count: usize) -> Vec<String> {
        let mut rng = self.rng_for("vanish");
        let mut gone: Vec<usize> = self
            .shuffled_base_nodes(&mut rng)
            .into_iter()
            .take(count)
            .collect();
        gone.sort_unstable();
        let serials = gone
            .iter()
            .map(|index| self.devices[*index].serial.to_string())
            .collect();
        let mut index = 0;
        self.devices.retain(|_| {
            index += 1;
            gone.binary_search(&(index - 1)).is_err()
        });
        self.record_change();
        serials
    }

    /// Adds `count` sites with one base node each.
    pub(in crate::simulator) fn add(&mut self, count: usize) -> Vec<String> {
        let mut rng = self.rng_for("add");
        let mut serials = Vec::with_capacity(count);
        for _ in 0..count {
            let market = MARKETS[rng.below(MARKETS.len())];
            let tower = site(self.next_number, market, &mut rng);
            let base = node(self.next_number, 0, &tower, &mut rng);
            self.next_number += 1;
            let text = base_node(self.operator, &tower, &base, "");
            let device = Device::new(
                DeviceKind::BaseNode,
                market.region.id,
                &base_serial(base.number),
                &text,
            );
            serials.push(device.serial.to_string());
            self.devices.push(device);
        }
        self.record_change();
        serials
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of a length, clamped to it"
)]
fn fraction_of(len: usize, fraction: f64) -> usize {
    #[expect(clippy::cast_precision_loss, reason = "no fleet has 2^52 devices")]
    let wanted = (len as f64 * fraction.clamp(0.0, 1.0)).ceil();
    (wanted as usize).min(len)
}

fn change_device(device: &mut Value, kind: usize, rng: &mut Rng) {
    match kind {
        0..8 => {
            let was = device["connected"].as_bool().unwrap_or(false);
            device["connected"] = json!(!was);
        }
        8..12 => {
            let name = device["hostName"].as_str().unwrap_or("unnamed");
            device["hostName"] = json!(format!("{name}-R{}", rng.below(1000)));
        }
        _ => {
            // Up to about ten metres; a device without a position gets one.
            for (axis, home) in [("latitude", -26.1), ("longitude", 28.0)] {
                let place = &mut device["installParams"][axis];
                let was = place.as_f64().filter(|at| *at != 0.0).unwrap_or(home);
                let step = rng.between(2e-6, 9e-5);
                *place = json!(micro(was + step));
            }
        }
    }
    let updated = device["lastUpdateTimeSeconds"].as_u64().unwrap_or(0);
    device["lastUpdateTimeSeconds"] = json!(updated + 60);
}
