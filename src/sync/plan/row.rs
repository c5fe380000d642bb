//! Pure: one station and its row. `None` means that the vendor did not say, and never erases a known value.

use std::sync::Arc;

use crate::station::{Rejected, Row, Station};

/// What a new row gets where the vendor does not say. An existing row never gets one of these.
pub(super) struct Fallbacks {
    site_name: &'static str,
    market: Arc<str>,
    region: Arc<str>,
}

impl Default for Fallbacks {
    fn default() -> Self {
        Self {
            site_name: "Unknown Site",
            market: "Unknown".into(),
            region: "South Africa".into(),
        }
    }
}

impl Fallbacks {
    /// The row of a station that the table does not have yet.
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

/// `row` and what it becomes by what `station` says, or `None` where that is nothing new.
/// Takes the station's values where it needs them; its serial stays.
pub(super) fn overlay(row: Row, station: &mut Station) -> Option<(Box<Row>, Box<Row>)> {
    let mut overlay = Overlay {
        before: row,
        after: None,
    };
    overlay.set(|r| &mut r.hostname, station.hostname.take());
    overlay.set(|r| &mut r.site_name, station.site_name.take());
    overlay.set(|r| &mut r.position, station.position);
    overlay.know(|r| &mut r.active_connections, station.active_connections);
    overlay.know(|r| &mut r.market, station.market.take());
    overlay.know(|r| &mut r.region, station.region.take());
    overlay.know(|r| &mut r.height_cm, station.height_cm);
    overlay.know(|r| &mut r.azimuth_cdeg, station.azimuth_cdeg);
    overlay.know(|r| &mut r.band, station.band.take());
    overlay.know(|r| &mut r.device_status, station.connected.map(i32::from));
    overlay.know(|r| &mut r.region_id, station.region_id);
    overlay.know(|r| &mut r.market_id, station.market_id);
    overlay.know(|r| &mut r.site_id, station.site_id);
    overlay.know(|r| &mut r.cell_id, station.cell_id);
    overlay.know(|r| &mut r.sector_id, station.sector_id);
    overlay.know(|r| &mut r.cell_name, station.cell_name.take());
    overlay.know(|r| &mut r.sector_name, station.sector_name.take());
    let after = overlay.after?;
    Some((Box::new(overlay.before), after))
}

/// A row, and the copy of it that is made when the first difference shows.
struct Overlay {
    before: Row,
    after: Option<Box<Row>>,
}

impl Overlay {
    /// Gives a column the value that the vendor told, if it did and it is another one.
    fn set<T: PartialEq>(&mut self, column: fn(&mut Row) -> &mut T, told: Option<T>) {
        if let Some(value) = told.filter(|value| value != column(&mut self.before)) {
            let after = self.after.get_or_insert_with(|| Box::new(self.before.clone()));
            *column(after) = value;
        }
    }

    /// The same for a column that may be NULL.
    fn know<T: PartialEq>(&mut self, column: fn(&mut Row) -> &mut Option<T>, told: Option<T>) {
        self.set(column, told.map(Some));
    }
}
