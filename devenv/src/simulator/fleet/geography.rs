//! Pure: the regions and markets of the simulated vendor.

/// A region as `GET …/regions` lists it.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) struct Region {
    pub(in crate::simulator) id: i64,
    pub(in crate::simulator) name: &'static str,
}

/// A market: an area of about 45 km around its centre.
#[derive(Debug, Clone, Copy)]
pub(super) struct Market {
    pub(super) id: i64,
    pub(super) name: &'static str,
    pub(super) region: Region,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    /// Its share of the sites, in percent.
    pub(super) share: usize,
}

const MAIN: Region = Region {
    id: 1073,
    name: "South Africa",
};
const CAPE: Region = Region {
    id: 1074,
    name: "Western Cape",
};
const LOWVELD: Region = Region {
    id: 1075,
    name: "Lowveld",
};
/// The region without customers.
pub(super) const TRAINING: Region = Region {
    id: 1079,
    name: "Training",
};

pub(in crate::simulator) const REGIONS: [Region; 4] = [MAIN, CAPE, LOWVELD, TRAINING];

const fn market(
    id: i64,
    name: &'static str,
    region: Region,
    (latitude, longitude): (f64, f64),
    share: usize,
) -> Market {
    Market {
        id,
        name,
        region,
        latitude,
        longitude,
        share,
    }
}

/// The seven markets with customers; their shares add up to 100.
pub(super) const MARKETS: [Market; 7] = [
    market(9602, "JHB Gauteng", MAIN, (-26.10, 28.05), 30),
    market(9603, "PTA Gauteng", MAIN, (-25.75, 28.20), 16),
    market(9604, "Durban Coast", MAIN, (-29.85, 30.90), 14),
    market(9605, "Polokwane North", MAIN, (-23.35, 29.45), 8),
    market(9606, "Cape Metro", CAPE, (-33.92, 18.60), 18),
    market(9607, "Garden Route", CAPE, (-33.98, 22.45), 8),
    market(9608, "Lowveld East", LOWVELD, (-25.45, 31.60), 6),
];

/// The market of the training region.
pub(super) const TRAINING_MARKET: Market = market(9690, "Training Lab", TRAINING, (-26.20, 27.90), 0);

/// First and second part of the invented site names; some are not ASCII, like real ones.
pub(super) const FIRST_NAMES: [&str; 16] = [
    "Fictional",
    "Upper",
    "Lower",
    "Old",
    "New",
    "North",
    "Müller's",
    "Groot",
    "Klein",
    "Doring",
    "Rooi",
    "Vaal",
    "Sundown",
    "Two Rivers",
    "O'Kiep",
    "Blinkwater",
];
pub(super) const LAST_NAMES: [&str; 12] = [
    "Reservoir",
    "Ridge",
    "Koppie",
    "Silo",
    "Water Tower",
    "Hospital",
    "Mall",
    "Hoërskool",
    "Depot",
    "Mast",
    "Quarry",
    "Farm",
];
