//! Pure: decodes one item of a listing into a base node, a remote node, or a rejected record.

mod decode;
mod fields;
mod radio;
mod record;
mod shape;

pub(crate) use self::decode::decode_device;
pub(super) use self::radio::{FIELDS as RADIO_FIELDS, decode_radio};
pub(crate) use self::record::{Base, Device, Remote};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
