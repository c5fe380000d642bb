//! Pure: one item of a listing → a base node, a remote node, or a record that was rejected.
//!
//! Presence comes before validation: whatever is wrong with an item, its serial is still sought, because a station that
//! is present is never stale.

mod fields;
pub(super) mod radio;
mod shape;

use self::fields::Fields;
use self::shape::{Item, Presence, Raw};
use super::envelope::object;
use super::intern::Interner;
use super::regions::Region;
use super::scalar::{self, Flaw};
use crate::station::{Rejected, Station, Text};

/// Longest serial: the unique index on its column takes no more than about 2700 bytes, and real ones have 15.
const MAX_SERIAL: usize = 255;

/// What an item turned out to be.
#[derive(Debug)]
pub(super) enum Device {
    /// A usable base node, what was dropped from it, and how new it says it is.
    Base(Box<Base>),
    /// A remote node.
    Remote(Remote),
    /// A base node of a region that is not read, by its serial: only a row.
    Elsewhere(Text),
    /// None of these.
    Rejected(Rejected),
}

/// A usable base node.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) station: Station,
    pub(super) notes: Vec<Rejected>,
    pub(super) updated: Option<i64>,
}

/// As much of a remote node as counting needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) serial: Option<Text>,
    /// Serial of the base node that serves it now; `None` while it is not connected.
    pub(super) served_by: Option<Text>,
    pub(super) updated: Option<i64>,
}

/// Decodes one item of an NQS listing. `asked` is the one region that was asked for, if it was one: it stands in where
/// the item names none.
pub(super) fn decode(item: &str, asked: Option<&Region>, interner: &Interner) -> Device {
    let full: Item<'_> = match object(item) {
        Ok(full) => full,
        Err(None) => return rejected(None, "the record is not an object"),
        Err(Some(_)) => {
            let present = object::<Presence<'_>>(item)
                .ok()
                .and_then(|p| serial(p.serial).ok());
            return rejected(present, "the record cannot be decoded");
        }
    };
    match full.kind.map(|kind| scalar::string(kind.get())) {
        Some(Ok(Some(kind))) if kind == "RN" => return Device::Remote(remote(&full)),
        Some(Ok(Some(kind))) if kind == "BN" => {}
        _ => return rejected(serial(full.serial).ok(), "type is neither BN nor RN"),
    }
    let serial = match serial(full.serial) {
        Ok(serial) => serial,
        Err(why) => return rejected(None, why),
    };
    let mut fields = Fields {
        serial: &serial,
        notes: Vec::new(),
    };
    match fields.base(&full, asked, interner) {
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

fn rejected(serial: Option<Text>, why: impl Into<String>) -> Device {
    Device::Rejected(Rejected {
        serial,
        why: why.into(),
    })
}

fn serial(raw: Raw<'_>) -> Result<Text, String> {
    let text = match raw.map_or(Ok(None), |raw| scalar::string(raw.get())) {
        Ok(Some(text)) => text,
        Ok(None) => return Err("serialNumber is missing".into()),
        Err(Flaw::Undecodable) => return Err("serialNumber cannot be decoded".into()),
        Err(Flaw::Useless(why)) => return Err(format!("serialNumber {why}")),
    };
    match text.trim() {
        "" => Err("serialNumber is empty".into()),
        long if long.len() > MAX_SERIAL => Err(format!("serialNumber is longer than {MAX_SERIAL} bytes")),
        serial => Ok(serial.into()),
    }
}

/// A remote node is never rejected: it is only counted, and what cannot be read is not counted.
fn remote(item: &Item<'_>) -> Remote {
    let connected = item.connected.is_some_and(|raw| raw.get() == "true");
    Remote {
        serial: serial(item.serial).ok(),
        served_by: serial(item.master_serial).ok().filter(|_| connected),
        updated: item
            .last_update_time_seconds
            .and_then(|raw| scalar::integer(raw.get())),
    }
}

impl Device {
    /// Its serial, where it has a readable one.
    pub(super) fn serial(&self) -> Option<&str> {
        match self {
            Self::Base(base) => Some(&base.station.serial),
            Self::Remote(remote) => remote.serial.as_deref(),
            Self::Elsewhere(serial) => Some(serial),
            Self::Rejected(rejected) => rejected.serial.as_deref(),
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
