//! Pure: merges a station into its row. `None` means that the vendor sent no value, and never erases a known one.

use std::sync::Arc;

use crate::station::{Rejected, Row, Station, UNKNOWN_SITE};

/// Defaults for new rows. They never replace a value of an existing row.
pub(super) struct Fallbacks {
    site_name: &'static str,
    market: Arc<str>,
    region: Arc<str>,
}

impl Default for Fallbacks {
    fn default() -> Self {
        Self {
            site_name: UNKNOWN_SITE,
            market: "Unknown".into(),
            region: "South Africa".into(),
        }
    }
}

impl Fallbacks {
    /// The row of a new station.
    pub(super) fn row(&self, station: Station) -> Result<Row, Rejected> {
        let Some(position) = station.position else {
            return Err(Rejected {
                serial: Some(station.serial),
                why:
                    "installParams.latitude and installParams.longitude are not set, and a new row needs them"
                        .to_owned(),
            });
        };
        Ok(Row {
            hostname: station.hostname.unwrap_or_else(|| station.serial.clone()),
            serial: station.serial,
            site_name: station.site_name.unwrap_or_else(|| self.site_name.into()),
            active_connections: Some(station.active_connections.unwrap_or(0)),
            market: Some(station.market.unwrap_or_else(|| self.market.clone())),
            position,
            region: Some(station.region.unwrap_or_else(|| self.region.clone())),
            height_cm: station.height_cm,
            azimuth_cdeg: station.azimuth_cdeg,
            band: station.band,
            device_status: Some(i32::from(station.connected.unwrap_or(false))),
            region_id: station.region_id,
            market_id: station.market_id,
            site_id: station.site_id,
            cell_id: station.cell_id,
            sector_id: station.sector_id,
            cell_name: station.cell_name,
            sector_name: station.sector_name,
        })
    }
}

/// The row before and after the values of `station`, or `None` if nothing differs. Moves values out of the station, but not
/// its serial.
pub(super) fn overlay(row: Row, station: &mut Station) -> Option<(Box<Row>, Box<Row>)> {
    let mut overlay = Overlay {
        before: row,
        after: None,
    };
    overlay.set(|r| &mut r.hostname, station.hostname.take());
    overlay.set(|r| &mut r.site_name, station.site_name.take());
    overlay.set(|r| &mut r.position, station.position);
    overlay.set_nullable(|r| &mut r.active_connections, station.active_connections);
    overlay.set_nullable(|r| &mut r.market, station.market.take());
    overlay.set_nullable(|r| &mut r.region, station.region.take());
    overlay.set_nullable(|r| &mut r.height_cm, station.height_cm);
    overlay.set_nullable(|r| &mut r.azimuth_cdeg, station.azimuth_cdeg);
    overlay.set_nullable(|r| &mut r.band, station.band.take());
    overlay.set_nullable(|r| &mut r.device_status, station.connected.map(i32::from));
    overlay.set_nullable(|r| &mut r.region_id, station.region_id);
    overlay.set_nullable(|r| &mut r.market_id, station.market_id);
    overlay.set_nullable(|r| &mut r.site_id, station.site_id);
    overlay.set_nullable(|r| &mut r.cell_id, station.cell_id);
    overlay.set_nullable(|r| &mut r.sector_id, station.sector_id);
    overlay.set_nullable(|r| &mut r.cell_name, station.cell_name.take());
    overlay.set_nullable(|r| &mut r.sector_name, station.sector_name.take());
    let after = overlay.after?;
    Some((Box::new(overlay.before), after))
}

/// A row, and its copy from the first difference on.
struct Overlay {
    before: Row,
    after: Option<Box<Row>>,
}

impl Overlay {
    /// Sets a column if the vendor sent another value.
    fn set<T: PartialEq>(&mut self, column: fn(&mut Row) -> &mut T, sent: Option<T>) {
        if let Some(value) = sent.filter(|value| value != column(&mut self.before)) {
            let after = self.after.get_or_insert_with(|| Box::new(self.before.clone()));
            *column(after) = value;
        }
    }

    /// The same for a nullable column.
    fn set_nullable<T: PartialEq>(&mut self, column: fn(&mut Row) -> &mut Option<T>, sent: Option<T>) {
        self.set(column, sent.map(Some));
    }
}
