//! Pure: the fields of one base node: taken, dropped and noted, or fatal to the record.

use std::sync::Arc;

use serde::Deserialize;

use super::shape::{Ancestry, Install, Item, Named, Raw};
use crate::station::{Position, Rejected, Station, Text};
use crate::tarana::envelope::object;
use crate::tarana::intern::Interner;
use crate::tarana::regions::Region;
use crate::tarana::scalar::{self, Flaw, Read};

/// What `numeric(8,2)` and `numeric(5,2)` hold, in hundredths.
const MAX_HEIGHT_CM: i32 = 99_999_999;
const MAX_AZIMUTH_CDEG: i32 = 99_999;

/// Collects what had to be dropped while the fields of one record are read.
pub(super) struct Fields<'s> {
    pub(super) serial: &'s str,
    pub(super) notes: Vec<Rejected>,
}

/// The whole record is of no use; says why.
pub(super) type Fatal = String;

impl Fields<'_> {
    /// All of them, but for the serial.
    pub(super) fn base(
        &mut self,
        item: &Item<'_>,
        asked: Option<&Region>,
        interner: &Interner,
    ) -> Result<Station, Fatal> {
        let install: Install<'_> = nested(item.install_params)
            .map_err(|_| "installParams cannot be read, and with it the coordinates")?
            .unwrap_or_default();
        let mut station = Station {
            position: position(&install)?,
            hostname: self.text("hostName", item.host_name)?,
            connected: self.take("connected", item.connected, scalar::boolean)?,
            band: self
                .take("band", item.band, scalar::name)?
                .map(|b| interner.get(&b)),
            height_cm: self.take("installParams.height", install.height, height)?,
            azimuth_cdeg: self.take("installParams.antennaAzimuth", install.antenna_azimuth, azimuth)?,
            ..Station::default()
        };
        self.place(&mut station, item.ancestry, asked, interner)?;
        Ok(station)
    }

    /// Where in the hierarchy the record stands. All of it may be missing.
    fn place(
        &mut self,
        to: &mut Station,
        from: Raw<'_>,
        asked: Option<&Region>,
        interner: &Interner,
    ) -> Result<(), Fatal> {
        let ancestry: Ancestry<'_> = self.object("ancestry", from)?;
        let region: Named<'_> = self.object("ancestry.region", ancestry.region)?;
        let market: Named<'_> = self.object("ancestry.market", ancestry.market)?;
        let site: Named<'_> = self.object("ancestry.site", ancestry.site)?;
        let cell: Named<'_> = self.object("ancestry.cell", ancestry.cell)?;
        let sector: Named<'_> = self.object("ancestry.sector", ancestry.sector)?;
        let cell_details: Named<'_> = self.object("ancestry.cellDetails", ancestry.cell_details)?;
        let sector_details: Named<'_> = self.object("ancestry.sectorDetails", ancestry.sector_details)?;

        let region_id = self.id("ancestry.region.id", &region)?.or(asked.map(|a| a.id));
        let own_name = self
            .take("ancestry.region.name", region.name, scalar::name)?
            .map(|n| interner.get(&n));
        let asked_name = asked
            .filter(|a| region_id == Some(a.id))
            .and_then(|a| a.name.as_ref().map(Arc::clone));
        to.region_id = region_id;
        to.region = own_name.or(asked_name);
        to.market_id = self.id("ancestry.market.id", &market)?;
        to.market = self
            .take("ancestry.market.name", market.name, scalar::name)?
            .map(|n| interner.get(&n));
        to.site_id = self.id("ancestry.site.id", &site)?;
        to.site_name = self.text("ancestry.site.name", site.name)?;
        to.cell_id = self.id("ancestry.cell.id", &cell)?;
        to.cell_name = self.text("ancestry.cellDetails.name", cell_details.name)?;
        to.sector_id = self.id("ancestry.sector.id", &sector)?;
        to.sector_name = self.text("ancestry.sectorDetails.name", sector_details.name)?;
        Ok(())
    }

    pub(super) fn text(&mut self, field: &str, raw: Raw<'_>) -> Result<Option<Text>, Fatal> {
        Ok(self.take(field, raw, scalar::name)?.map(Text::from))
    }

    fn id(&mut self, field: &str, of: &Named<'_>) -> Result<Option<i32>, Fatal> {
        self.take(field, of.id, scalar::id)
    }

    pub(super) fn object<'a, T: Deserialize<'a> + Default>(
        &mut self,
        field: &str,
        raw: Raw<'a>,
    ) -> Result<T, Fatal> {
        self.note(field, nested(raw)).map(Option::unwrap_or_default)
    }

    pub(super) fn take<'a, T>(
        &mut self,
        field: &str,
        raw: Raw<'a>,
        read: fn(&'a str) -> Read<T>,
    ) -> Result<Option<T>, Fatal> {
        self.note(field, raw.map_or(Ok(None), |raw| read(raw.get())))
    }

    /// An optional field of no use is dropped and noted; one that cannot be decoded takes its record along.
    fn note<T>(&mut self, field: &str, read: Read<T>) -> Result<Option<T>, Fatal> {
        match read {
            Ok(value) => Ok(value),
            Err(Flaw::Undecodable) => Err(format!("{field} cannot be decoded")),
            Err(Flaw::Useless(why)) => {
                self.notes.push(Rejected {
                    serial: Some(self.serial.into()),
                    why: format!("{field} {why}: left as it was"),
                });
                Ok(None)
            }
        }
    }
}

fn nested<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Read<T> {
    match raw.map(|raw| object(raw.get())) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(None)) => Err(Flaw::Useless("is not an object")),
        Some(Err(Some(_))) => Err(Flaw::Undecodable),
    }
}

/// `None` where unset: absent, null, or 0/0 after rounding. Anything else that is no place on Earth costs the record.
pub(super) fn position(install: &Install<'_>) -> Result<Option<Position>, Fatal> {
    let lat_e6 = degrees("installParams.latitude", install.latitude, 90_000_000)?;
    let lng_e6 = degrees("installParams.longitude", install.longitude, 180_000_000)?;
    match (lat_e6, lng_e6) {
        (None, _) | (_, None) | (Some(0), Some(0)) => Ok(None),
        (Some(lat_e6), Some(lng_e6)) => Ok(Some(Position { lat_e6, lng_e6 })),
    }
}

fn degrees(field: &str, raw: Raw<'_>, max_e6: i64) -> Result<Option<i64>, Fatal> {
    match raw.map_or(Ok(None), |raw| scalar::number(raw.get())) {
        Ok(None) => Ok(None),
        Ok(Some(value)) => match scalar::fixed(value, 6, max_e6) {
            Some(e6) => Ok(Some(e6)),
            None => Err(format!("{field} is out of range")),
        },
        Err(Flaw::Undecodable) => Err(format!("{field} cannot be decoded")),
        Err(Flaw::Useless(why)) => Err(format!("{field} {why}")),
    }
}

pub(super) fn height(raw: &str) -> Read<i32> {
    hundredths(raw, MAX_HEIGHT_CM)
}

/// Modulo a full turn, after rounding: 359.999 is north.
pub(super) fn azimuth(raw: &str) -> Read<i32> {
    Ok(hundredths(raw, MAX_AZIMUTH_CDEG)?.map(|cdeg| cdeg.rem_euclid(36_000)))
}

fn hundredths(raw: &str, max: i32) -> Read<i32> {
    let Some(value) = scalar::number(raw)? else {
        return Ok(None);
    };
    scalar::fixed(value, 2, max.into())
        .and_then(|value| i32::try_from(value).ok())
        .map(Some)
        .ok_or(Flaw::Useless("is out of range"))
}
