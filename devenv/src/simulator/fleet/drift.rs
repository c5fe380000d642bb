//! Pure: how the fleet changes between two runs; the same seed and history give the same changes.

use serde::Serialize;
use serde_json::{Value, json};

use super::generate::{node, site};
use super::geography::MARKETS;
use super::render::{base_node, base_serial, micro};
use super::{Fleet, Kind, Row};
use crate::simulator::rng::Rng;

/// What a drift did, by serial.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Devices with another status, name or position.
    pub changed: Vec<String>,
    /// New towers.
    pub added: Vec<String>,
    /// Towers that are gone.
    pub removed: Vec<String>,
}

impl Fleet {
    fn dice(&self, purpose: &str) -> Rng {
        Rng::new(
            self.seed
                .wrapping_add(self.generation.wrapping_mul(0x2545_F491_4F6C_DD1D)),
            purpose,
        )
    }

    /// Indices of base nodes in a random order.
    fn shuffled_base_nodes(&self, rng: &mut Rng) -> Vec<usize> {
        let nodes = self
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.kind == Kind::BaseNode);
        let nodes: Vec<usize> = nodes.map(|(index, _)| index).collect();
        rng.permutation(nodes.len())
            .into_iter()
            .map(|at| nodes[at])
            .collect()
    }

    /// Changes the given part of the base nodes (at least one of a fleet that is not empty, unless the part is zero): of
    /// twenty, eight flip their status, four are renamed, six move a few metres, one is new and one vanishes.
    pub(in crate::simulator) fn drift(&mut self, fraction: f64) -> Drift {
        let mut rng = self.dice("drift");
        let nodes = self.shuffled_base_nodes(&mut rng);
        let count = part_of(nodes.len(), fraction);
        let mut drift = Drift::default();
        let (mut gone, mut fresh) = (Vec::new(), 0);
        for (rank, index) in nodes.into_iter().take(count).enumerate() {
            match rank % 20 {
                18 => fresh += 1,
                19 => gone.push(self.rows[index].serial.to_string()),
                kind => {
                    let row = &mut self.rows[index];
                    let Ok(mut value) = row.value() else { continue };
                    alter(&mut value, kind, &mut rng);
                    row.raw = value.to_string().into();
                    drift.changed.push(row.serial.to_string());
                }
            }
        }
        self.rows
            .retain(|row| !gone.iter().any(|serial| **serial == *row.serial));
        drift.removed = gone;
        drift.added = self.add(fresh);
        drift
    }

    /// Takes `count` base nodes away, chosen by the seed.
    pub(in crate::simulator) fn vanish(&mut self, count: usize) -> Vec<String> {
        let mut rng = self.dice("vanish");
        let mut gone: Vec<usize> = self
            .shuffled_base_nodes(&mut rng)
            .into_iter()
            .take(count)
            .collect();
        gone.sort_unstable();
        let serials = gone
            .iter()
            .map(|index| self.rows[*index].serial.to_string())
            .collect();
        let mut index = 0;
        self.rows.retain(|_| {
            index += 1;
            gone.binary_search(&(index - 1)).is_err()
        });
        self.changed();
        serials
    }

    /// Builds `count` new towers with one base node each.
    pub(in crate::simulator) fn add(&mut self, count: usize) -> Vec<String> {
        let mut rng = self.dice("add");
        let mut serials = Vec::with_capacity(count);
        for _ in 0..count {
            let market = MARKETS[rng.below(MARKETS.len())];
            let tower = site(self.next_number, market, &mut rng);
            let base = node(self.next_number, 0, &tower, &mut rng);
            self.next_number += 1;
            let text = base_node(self.operator, &tower, &base, "");
            let row = Row::new(Kind::BaseNode, market.region.id, &base_serial(base.number), &text);
            serials.push(row.serial.to_string());
            self.rows.push(row);
        }
        self.changed();
        serials
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of a length, clamped to it"
)]
fn part_of(len: usize, fraction: f64) -> usize {
    #[expect(clippy::cast_precision_loss, reason = "no fleet has 2^52 devices")]
    let wanted = (len as f64 * fraction.clamp(0.0, 1.0)).ceil();
    (wanted as usize).min(len)
}

fn alter(device: &mut Value, kind: usize, rng: &mut Rng) {
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
            // Up to some ten metres; a device without a position is placed at last.
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
