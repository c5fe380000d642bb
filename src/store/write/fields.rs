//! Pure: the values of a row that can be dropped one by one, if the application's constraints reject them.

use crate::station::{Row, UNKNOWN_SITE};

/// One value, or two that belong together: a latitude without its longitude is another place.
pub(super) struct Field {
    /// Its columns, for messages.
    pub name: &'static str,
    differs: fn(&Row, &Row) -> bool,
    copy: fn(&mut Row, &Row),
}

macro_rules! fields {
    ($($name:literal $field:ident),* $(,)?) => {
        [$(Field {
            name: $name,
            differs: |a, b| a.$field != b.$field,
            copy: |to, from| to.$field.clone_from(&from.$field),
        }),*]
    };
}

/// All values but the serial.
pub(super) static FIELDS: [Field; 17] = fields![
    "hostname" hostname,
    "site_name" site_name,
    "active_connections" active_connections,
    "market" market,
    "lat, lng" position,
    "region" region,
    "height_m" height_cm,
    "azimuth_deg" azimuth_cdeg,
    "band" band,
    "device_status" device_status,
    "region_id" region_id,
    "market_id" market_id,
    "site_id" site_id,
    "cell_id" cell_id,
    "sector_id" sector_id,
    "cell_name" cell_name,
    "sector_name" sector_name,
];

/// Numbers of the fields that differ.
pub(super) fn differing(a: &Row, b: &Row) -> Vec<usize> {
    let differs = |at: &usize| (FIELDS[*at].differs)(a, b);
    (0..FIELDS.len()).filter(differs).collect()
}

/// `row` with the value that `from` has in this field.
pub(super) fn with_field_of(row: &Row, from: &Row, field: usize) -> Row {
    let mut copy = row.clone();
    (FIELDS[field].copy)(&mut copy, from);
    copy
}

/// A new row without any value that can be dropped: as if the vendor had sent only serial and position.
pub(super) fn minimal(row: &Row) -> Row {
    Row {
        serial: row.serial.clone(),
        hostname: row.serial.clone(),
        site_name: UNKNOWN_SITE.into(),
        position: row.position,
        active_connections: None,
        market: None,
        region: None,
        height_cm: None,
        azimuth_cdeg: None,
        band: None,
        device_status: None,
        region_id: None,
        market_id: None,
        site_id: None,
        cell_id: None,
        sector_id: None,
        cell_name: None,
        sector_name: None,
    }
}
