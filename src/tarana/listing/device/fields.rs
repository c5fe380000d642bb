//! Pure: validates the fields of one base node. A field is taken, dropped with a note, or makes the record unusable.

use std::sync::Arc;

use serde::Deserialize;

use super::shape::{Ancestry, Install, Item, Named, Raw};
use crate::station::{Interner, Position, Rejected, Station, Text};
use crate::tarana::http::envelope::parse_object;
use crate::tarana::listing::region::Region;
use crate::tarana::scalar::{self, Flaw, Parsed};

/// Largest values of `numeric(8,2)` and `numeric(5,2)`, in hundredths.
const MAX_HEIGHT_CM: i32 = 99_999_999;
const MAX_AZIMUTH_CDEG: i32 = 99_999;

/// Reads the fields of one record and collects notes on those that are dropped.
pub(super) struct Fields<'s> {
    pub(super) serial: &'s str,
    pub(super) notes: Vec<Rejected>,
}

/// Why the whole record is unusable.
pub(super) type Unusable = String;

impl Fields<'_> {
    /// All fields except the serial.
    pub(super) fn station(
        &mut self,
        item: &Item<'_>,
        requested: Option<&Region>,
        interner: &Interner,
    ) -> Result<Station, Unusable> {
        let install: Install<'_> = nested(item.install_params)
            .map_err(|_| "installParams cannot be read, and with it the coordinates")?
            .unwrap_or_default();
        let mut station = Station {
            position: position(&install)?,
            hostname: self.text("hostName", item.host_name)?,
            connected: self.read("connected", item.connected, scalar::boolean)?,
            band: self
                .read("band", item.band, scalar::name)?
                .map(|b| interner.intern(&b)),
            height_cm: self.read("installParams.height", install.height, height)?,
            azimuth_cdeg: self.read("installParams.antennaAzimuth", install.antenna_azimuth, azimuth)?,
            ..Station::default()
        };
        self.read_ancestry(&mut station, item.ancestry, requested, interner)?;
        Ok(station)
    }

    /// The position in the hierarchy. All of it may be missing.
    fn read_ancestry(
        &mut self,
        to: &mut Station,
        from: Raw<'_>,
        requested: Option<&Region>,
        interner: &Interner,
    ) -> Result<(), Unusable> {
        let ancestry: Ancestry<'_> = self.object("ancestry", from)?;
        let region: Named<'_> = self.object("ancestry.region", ancestry.region)?;
        let market: Named<'_> = self.object("ancestry.market", ancestry.market)?;
        let site: Named<'_> = self.object("ancestry.site", ancestry.site)?;
        let cell: Named<'_> = self.object("ancestry.cell", ancestry.cell)?;
        let sector: Named<'_> = self.object("ancestry.sector", ancestry.sector)?;
        let cell_details: Named<'_> = self.object("ancestry.cellDetails", ancestry.cell_details)?;
        let sector_details: Named<'_> = self.object("ancestry.sectorDetails", ancestry.sector_details)?;

        let region_id = self
            .id("ancestry.region.id", &region)?
            .or(requested.map(|r| r.id));
        let own_name = self
            .read("ancestry.region.name", region.name, scalar::name)?
            .map(|n| interner.intern(&n));
        let requested_name = requested
            .filter(|r| region_id == Some(r.id))
            .and_then(|r| r.name.as_ref().map(Arc::clone));
        to.region_id = region_id;
        to.region = own_name.or(requested_name);
        to.market_id = self.id("ancestry.market.id", &market)?;
        to.market = self
            .read("ancestry.market.name", market.name, scalar::name)?
            .map(|n| interner.intern(&n));
        to.site_id = self.id("ancestry.site.id", &site)?;
        to.site_name = self.text("ancestry.site.name", site.name)?;
        to.cell_id = self.id("ancestry.cell.id", &cell)?;
        to.cell_name = self.text("ancestry.cellDetails.name", cell_details.name)?;
        to.sector_id = self.id("ancestry.sector.id", &sector)?;
        to.sector_name = self.text("ancestry.sectorDetails.name", sector_details.name)?;
        Ok(())
    }

    pub(super) fn text(&mut self, field: &str, raw: Raw<'_>) -> Result<Option<Text>, Unusable> {
        Ok(self.read(field, raw, scalar::name)?.map(Text::from))
    }

    fn id(&mut self, field: &str, of: &Named<'_>) -> Result<Option<i32>, Unusable> {
        self.read(field, of.id, scalar::id)
    }

    pub(super) fn object<'a, T: Deserialize<'a> + Default>(
        &mut self,
        field: &str,
        raw: Raw<'a>,
    ) -> Result<T, Unusable> {
        self.note_unusable(field, nested(raw))
            .map(Option::unwrap_or_default)
    }

    pub(super) fn read<'a, T>(
        &mut self,
        field: &str,
        raw: Raw<'a>,
        parse: fn(&'a str) -> Parsed<T>,
    ) -> Result<Option<T>, Unusable> {
        self.note_unusable(field, raw.map_or(Ok(None), |raw| parse(raw.get())))
    }

    /// Drops and notes an unusable field. A field that cannot be decoded makes the record unusable.
    fn note_unusable<T>(&mut self, field: &str, parsed: Parsed<T>) -> Result<Option<T>, Unusable> {
        match parsed {
            Ok(value) => Ok(value),
            Err(Flaw::Undecodable) => Err(format!("{field} cannot be decoded")),
            Err(Flaw::Unusable(why)) => {
                self.notes.push(Rejected {
                    serial: Some(self.serial.into()),
                    why: format!("{field} {why}: the stored value is kept"),
                });
                Ok(None)
            }
        }
    }
}

fn nested<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Parsed<T> {
    match raw.map(|raw| parse_object(raw.get())) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(None)) => Err(Flaw::Unusable("is not an object")),
        Some(Err(Some(_))) => Err(Flaw::Undecodable),
    }
}

/// `None` if unset: absent, null, or 0/0 after rounding. Coordinates out of range make the record unusable.
pub(super) fn position(install: &Install<'_>) -> Result<Option<Position>, Unusable> {
    let lat_e6 = degrees("installParams.latitude", install.latitude, 90_000_000)?;
    let lng_e6 = degrees("installParams.longitude", install.longitude, 180_000_000)?;
    match (lat_e6, lng_e6) {
        (None, _) | (_, None) | (Some(0), Some(0)) => Ok(None),
        (Some(lat_e6), Some(lng_e6)) => Ok(Some(Position { lat_e6, lng_e6 })),
    }
}

fn degrees(field: &str, raw: Raw<'_>, max_e6: i64) -> Result<Option<i64>, Unusable> {
    match raw.map_or(Ok(None), |raw| scalar::number(raw.get())) {
        Ok(None) => Ok(None),
        Ok(Some(value)) => match scalar::fixed(value, 6, max_e6) {
            Some(e6) => Ok(Some(e6)),
            None => Err(format!("{field} is out of range")),
        },
        Err(Flaw::Undecodable) => Err(format!("{field} cannot be decoded")),
        Err(Flaw::Unusable(why)) => Err(format!("{field} {why}")),
    }
}

pub(super) fn height(raw: &str) -> Parsed<i32> {
    hundredths(raw, MAX_HEIGHT_CM)
}

/// Rounded, then modulo 360 degrees: 359.999 becomes 0.
pub(super) fn azimuth(raw: &str) -> Parsed<i32> {
    Ok(hundredths(raw, MAX_AZIMUTH_CDEG)?.map(|cdeg| cdeg.rem_euclid(36_000)))
}

fn hundredths(raw: &str, max: i32) -> Parsed<i32> {
    let Some(value) = scalar::number(raw)? else {
        return Ok(None);
    };
    scalar::fixed(value, 2, max.into())
        .and_then(|value| i32::try_from(value).ok())
        .map(Some)
        .ok_or(Flaw::Unusable("is out of range"))
}
