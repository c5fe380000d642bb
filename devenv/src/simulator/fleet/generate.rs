//! Pure: generates a fleet from a seed, with the proportions of a real one.

use super::geography::{FIRST_NAMES, LAST_NAMES, MARKETS, Market, TRAINING_MARKET};
use super::render::{
    BaseNode, Position, Site, base_node, base_serial, micro, remote_node, remote_serial, tenths,
    unknown_fields,
};
use super::{Device, DeviceKind};
use crate::simulator::config::FleetConfig;
use crate::simulator::rng::Rng;

/// The proportions of a real fleet: of 718 base nodes, the number of sites, and of nodes that are offline or lack a value.
const REAL: usize = 718;
const REAL_SITES: usize = 380;
const REAL_OFFLINE: usize = 30;
const REAL_UNPLACED: usize = 14;
const REAL_ORPHANS: usize = 3;
const REAL_SILENT: usize = 2;

/// The number of unknown fields of heavy devices.
const HEAVY_FIELDS: usize = 320;

/// 2026-01-01T00:00:00Z: the fleet does not depend on the clock.
const EPOCH: u64 = 1_767_225_600;

/// Scales a number of the real fleet to `count` base nodes.
fn scale(count: usize, of_real: usize) -> usize {
    (count * of_real + REAL / 2) / REAL
}

/// The irregularities of base nodes, drawn without overlap.
struct Irregularities {
    order: Vec<usize>,
    offline: usize,
    unplaced: usize,
    orphans: usize,
    silent: usize,
}

impl Irregularities {
    fn draw(count: usize, rng: &mut Rng) -> Self {
        let mut order = vec![0; count];
        for (rank, index) in rng.permutation(count).into_iter().enumerate() {
            order[index] = rank;
        }
        Self {
            order,
            offline: scale(count, REAL_OFFLINE),
            unplaced: scale(count, REAL_UNPLACED),
            orphans: scale(count, REAL_ORPHANS),
            silent: scale(count, REAL_SILENT),
        }
    }

    fn apply(&self, index: usize, node: &mut BaseNode) {
        let rank = self.order.get(index).copied().unwrap_or(usize::MAX);
        let mut bound = self.offline;
        if rank < bound {
            node.connected = Some(false);
            return;
        }
        bound += self.unplaced;
        if rank < bound {
            node.position = [Position::Null, Position::Absent, Position::Zero][rank % 3];
            return;
        }
        bound += self.orphans;
        if rank < bound {
            node.orphan = true;
        } else if rank < bound + self.silent {
            node.connected = None;
        }
    }
}

/// Distributes `nodes` base nodes over sites, one to four each.
fn nodes_per_site(nodes: usize, rng: &mut Rng) -> Vec<usize> {
    let sites = scale(nodes, REAL_SITES).max(nodes.div_ceil(4));
    let mut load = vec![1; sites];
    let mut left = nodes.saturating_sub(sites);
    while left > 0 {
        let site = rng.below(sites);
        if load[site] < 4 {
            load[site] += 1;
            left -= 1;
        }
    }
    load
}

fn pick_market(rng: &mut Rng) -> Market {
    let mut mark = rng.below(100);
    for market in MARKETS {
        if mark < market.share {
            return market;
        }
        mark -= market.share;
    }
    MARKETS[0]
}

pub(super) fn site(number: usize, market: Market, rng: &mut Rng) -> Site {
    let name = if number == 0 {
        "Fictional Reservoir".to_owned()
    } else {
        let (first, last) = (rng.below(FIRST_NAMES.len()), rng.below(LAST_NAMES.len()));
        format!("{} {} {number}", FIRST_NAMES[first], LAST_NAMES[last])
    };
    Site {
        number,
        name,
        market,
        latitude: market.latitude + rng.between(-0.4, 0.4),
        longitude: market.longitude + rng.between(-0.4, 0.4),
        height: rng.between(5.0, 1750.0),
    }
}

pub(super) fn node(number: usize, sector: usize, site: &Site, rng: &mut Rng) -> BaseNode {
    let mut azimuth = [45.0, 135.0, 225.0, 315.0][sector % 4];
    if rng.below(10) == 0 {
        azimuth += [-45.0, 12.5, 30.0][rng.below(3)];
    }
    let (north, east) = (rng.between(-5e-5, 5e-5), rng.between(-5e-5, 5e-5));
    BaseNode {
        number,
        position: Position::At(micro(site.latitude + north), micro(site.longitude + east)),
        azimuth,
        sector: sector + 1,
        connected: Some(true),
        orphan: false,
        updated: EPOCH + rng.below(86_400) as u64,
        agl: tenths(rng.between(6.0, 60.0)),
        tilt: tenths(rng.between(-6.0, 2.0)),
    }
}

/// Generates the fleet: customers' base nodes, then those of the training region, then the remote nodes.
pub(super) fn fleet(seed: u64, operator: i64, config: &FleetConfig) -> Vec<Device> {
    let mut rng = Rng::new(seed, "fleet");
    let training = config.training_nodes.min(config.base_nodes);
    let serving = config.base_nodes - training;
    let odd = Irregularities::draw(serving, &mut rng);
    let (heavy_fields, light_fields) = (
        unknown_fields(HEAVY_FIELDS),
        unknown_fields(config.unknown_fields),
    );
    let mut devices = Vec::with_capacity(config.base_nodes + config.remote_nodes);
    let load = nodes_per_site(serving, &mut rng);
    let sites = load.into_iter().chain(std::iter::repeat_n(1, training));
    for (site_number, sectors) in sites.enumerate() {
        let market = match (site_number, devices.len()) {
            (0, 0) => MARKETS[0],
            (_, placed) if placed >= serving => TRAINING_MARKET,
            _ => pick_market(&mut rng),
        };
        let tower = site(site_number, market, &mut rng);
        for sector in 0..sectors {
            let number = devices.len();
            let mut base = node(number, sector, &tower, &mut rng);
            odd.apply(number, &mut base);
            let heavy = number < config.heavy_nodes;
            let unknown = if heavy { &heavy_fields } else { &light_fields };
            let text = base_node(operator, &tower, &base, unknown);
            devices.push(Device::new(
                DeviceKind::BaseNode,
                market.region.id,
                &base_serial(number),
                &text,
            ));
        }
    }
    add_remote_nodes(&mut devices, serving, config.remote_nodes, &mut rng);
    devices
}

/// Adds remote nodes, connected to base nodes outside the training region.
fn add_remote_nodes(devices: &mut Vec<Device>, masters: usize, count: usize, rng: &mut Rng) {
    if masters == 0 {
        return;
    }
    for number in 0..count {
        let master = &devices[rng.below(masters)];
        let Ok(value) = master.value() else { continue };
        let connected = rng.below(100) < 88;
        let offset = (rng.between(-0.05, 0.05), rng.between(-0.05, 0.05));
        let region = master.region;
        let text = remote_node(number, &value, connected, offset).to_string();
        devices.push(Device::new(
            DeviceKind::RemoteNode,
            region,
            &remote_serial(number),
            &text,
        ));
    }
}
