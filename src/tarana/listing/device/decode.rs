//! Pure: decodes one item of `RegionSearch` or `OperatorList`.
//!
//! Presence comes before validation: the serial is parsed even if the rest is unusable, because a station that is present
//! is never stale.

use super::fields::Fields;
use super::record::{Base, Device, Remote, parse_serial, rejected};
use super::shape::{Item, Presence};
use crate::station::Interner;
use crate::tarana::http::envelope::parse_object;
use crate::tarana::listing::region::Region;
use crate::tarana::scalar;

/// Decodes one item. `requested` is the region that was requested, if it was only one: an item without a region belongs to
/// it.
pub(crate) fn decode_device(item: &str, requested: Option<&Region>, interner: &Interner) -> Device {
    let full: Item<'_> = match parse_object(item) {
        Ok(full) => full,
        Err(None) => return rejected(None, "the record is not an object"),
        Err(Some(_)) => {
            let present = parse_object::<Presence<'_>>(item)
                .ok()
                .and_then(|p| parse_serial(p.serial).ok());
            return rejected(present, "the record cannot be decoded");
        }
    };
    match full.kind.map(|kind| scalar::string(kind.get())) {
        Some(Ok(Some(kind))) if kind == "RN" => return Device::Remote(decode_remote(&full)),
        Some(Ok(Some(kind))) if kind == "BN" => {}
        _ => return rejected(parse_serial(full.serial).ok(), "type is neither BN nor RN"),
    }
    let serial = match parse_serial(full.serial) {
        Ok(serial) => serial,
        Err(why) => return rejected(None, why),
    };
    let mut fields = Fields {
        serial: &serial,
        notes: Vec::new(),
    };
    match fields.station(&full, requested, interner) {
        Ok(mut station) => {
            let notes = fields.notes;
            station.serial = serial;
            let updated = full
                .last_update_time_seconds
                .and_then(|raw| scalar::integer(raw.get()));
            Device::Base(Box::new(Base {
                station,
                notes,
                updated,
            }))
        }
        Err(why) => rejected(Some(serial), why),
    }
}

/// A remote node is never rejected: it is only counted, and unreadable fields leave it uncounted.
fn decode_remote(item: &Item<'_>) -> Remote {
    let connected = item.connected.is_some_and(|raw| raw.get() == "true");
    Remote {
        serial: parse_serial(item.serial).ok(),
        served_by: parse_serial(item.master_serial).ok().filter(|_| connected),
        updated: item
            .last_update_time_seconds
            .and_then(|raw| scalar::integer(raw.get())),
    }
}
