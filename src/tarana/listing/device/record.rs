//! Pure: what an item of a listing can be.

use super::shape::Raw;
use crate::station::{Rejected, Station, Text};
use crate::tarana::scalar::{self, Flaw};

/// Longest serial. The unique index on its column takes at most about 2700 bytes; real serials have 15.
const MAX_SERIAL: usize = 255;

/// A decoded item.
#[derive(Debug)]
pub(crate) enum Device {
    /// A usable base node.
    Base(Box<Base>),
    /// A remote node.
    Remote(Remote),
    /// The serial of a base node of a region that is not read. It only counts as a row.
    OtherRegion(Text),
    /// An unusable record.
    Rejected(Rejected),
}

/// A usable base node.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) station: Station,
    /// The fields that were dropped.
    pub(crate) notes: Vec<Rejected>,
    /// When the record was last updated, in seconds.
    pub(crate) updated: Option<i64>,
}

/// The part of a remote node that is needed to count it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) serial: Option<Text>,
    /// Serial of the base node that serves it; `None` while it is not connected.
    pub(crate) served_by: Option<Text>,
    /// When the record was last updated, in seconds.
    pub(crate) updated: Option<i64>,
}

impl Device {
    /// The serial, if it is readable.
    pub(crate) fn serial(&self) -> Option<&str> {
        match self {
            Self::Base(base) => Some(&base.station.serial),
            Self::Remote(remote) => remote.serial.as_deref(),
            Self::OtherRegion(serial) => Some(serial),
            Self::Rejected(rejected) => rejected.serial.as_deref(),
        }
    }
}

pub(super) fn rejected(serial: Option<Text>, why: impl Into<String>) -> Device {
    Device::Rejected(Rejected {
        serial,
        why: why.into(),
    })
}

pub(super) fn parse_serial(raw: Raw<'_>) -> Result<Text, String> {
    let text = match raw.map_or(Ok(None), |raw| scalar::string(raw.get())) {
        Ok(Some(text)) => text,
        Ok(None) => return Err("serialNumber is missing".into()),
        Err(Flaw::Undecodable) => return Err("serialNumber cannot be decoded".into()),
        Err(Flaw::Unusable(why)) => return Err(format!("serialNumber {why}")),
    };
    match text.trim() {
        "" => Err("serialNumber is empty".into()),
        long if long.len() > MAX_SERIAL => Err(format!("serialNumber is longer than {MAX_SERIAL} bytes")),
        serial => Ok(serial.into()),
    }
}
