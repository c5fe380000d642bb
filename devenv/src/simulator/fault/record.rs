//! Pure: defects of one record of a page.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A defect of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordDefect {
    /// `null` in place of the device.
    NullItem,
    /// A string in place of the device.
    TextItem,
    /// A list in place of the device.
    ListItem,
    /// The serial is a number.
    NumberSerial,
    /// The serial is missing.
    MissingSerial,
    /// The serial consists of spaces.
    BlankSerial,
    /// The serial has leading and trailing spaces.
    PaddedSerial,
    /// The serial has 300 letters.
    LongSerial,
    /// A NUL in the serial.
    NulInSerial,
    /// The type is neither `BN` nor `RN`.
    UnknownType,
    /// Half of a surrogate pair in the name.
    LoneSurrogate,
    /// A height of 1e400, which overflows a float.
    HugeExponent,
    /// A NUL in the name.
    NulInName,
    /// Latitude and longitude are strings.
    CoordinatesAsText,
    /// Latitude 91, longitude 181.
    CoordinatesOutOfRange,
    /// Latitude and longitude are 0, which means "not set".
    CoordinatesZero,
    /// `installParams` is a list.
    ParamsAsList,
    /// The site's id is 4,294,967,296.
    IdOverInt4,
    /// The site's id is 94901.5.
    FractionalId,
    /// The site's id is a string.
    IdAsText,
    /// Azimuth 1e6.
    HugeAzimuth,
    /// The azimuth minus 360 degrees.
    NegativeAzimuth,
    /// Height 1e9.
    HugeHeight,
    /// The height is a string.
    HeightAsText,
    /// `connected` is missing.
    ConnectedAbsent,
    /// `connected` is a string.
    ConnectedAsText,
    /// A name of `size` bytes (default 10,000,000).
    LongName,
    /// An unknown field nested `size` deep (default 100,000).
    DeepNesting,
}

/// A placeholder for text that [`Value`] cannot represent.
const PLACEHOLDER: &str = "@raw@";

/// A property in both dialects, each as a JSON pointer to the parent and a key.
struct Property {
    nqs: (&'static str, &'static str),
    tmq: (&'static str, &'static str),
}

const SERIAL: Property = Property {
    nqs: ("", "serialNumber"),
    tmq: ("", "serialNumber"),
};
const TYPE: Property = Property {
    nqs: ("", "type"),
    tmq: ("", "deviceType"),
};
const PARAMS: Property = Property {
    nqs: ("", "installParams"),
    tmq: ("", "fields"),
};
const NAME: Property = Property {
    nqs: ("", "hostName"),
    tmq: ("/fields", "/system/state/hostname"),
};
const CONNECTED: Property = Property {
    nqs: ("", "connected"),
    tmq: ("/fields", "deviceStatus"),
};
const LATITUDE: Property = Property {
    nqs: ("/installParams", "latitude"),
    tmq: ("/fields", "/system/install/state/latitude"),
};
const LONGITUDE: Property = Property {
    nqs: ("/installParams", "longitude"),
    tmq: ("/fields", "/system/install/state/longitude"),
};
const HEIGHT: Property = Property {
    nqs: ("/installParams", "height"),
    tmq: ("/fields", "/system/install/state/height"),
};
const AZIMUTH: Property = Property {
    nqs: ("/installParams", "antennaAzimuth"),
    tmq: ("/fields", "/system/install/state/azimuth"),
};
const SITE_ID: Property = Property {
    nqs: ("/ancestry/site", "id"),
    tmq: ("", "siteId"),
};
const UNKNOWN: Property = Property {
    nqs: ("", "vendorBlob"),
    tmq: ("", "vendorBlob"),
};

impl Property {
    fn read<'a>(&self, device: &'a Value) -> Option<&'a Value> {
        let (parent, key) = if device.get("fields").is_some() {
            self.tmq
        } else {
            self.nqs
        };
        device.pointer(parent)?.get(key)
    }

    fn write(&self, device: &mut Value, value: Option<Value>) {
        let (parent, key) = if device.get("fields").is_some() {
            self.tmq
        } else {
            self.nqs
        };
        let Some(object) = device.pointer_mut(parent).and_then(Value::as_object_mut) else {
            return;
        };
        match value {
            Some(value) => drop(object.insert(key.to_owned(), value)),
            None => drop(object.remove(key)),
        }
    }
}

impl RecordDefect {
    /// All defects.
    pub const ALL: [Self; 28] = [
        Self::NullItem,
        Self::TextItem,
        Self::ListItem,
        Self::NumberSerial,
        Self::MissingSerial,
        Self::BlankSerial,
        Self::PaddedSerial,
        Self::LongSerial,
        Self::NulInSerial,
        Self::UnknownType,
        Self::LoneSurrogate,
        Self::HugeExponent,
        Self::NulInName,
        Self::CoordinatesAsText,
        Self::CoordinatesOutOfRange,
        Self::CoordinatesZero,
        Self::ParamsAsList,
        Self::IdOverInt4,
        Self::FractionalId,
        Self::IdAsText,
        Self::HugeAzimuth,
        Self::NegativeAzimuth,
        Self::HugeHeight,
        Self::HeightAsText,
        Self::ConnectedAbsent,
        Self::ConnectedAsText,
        Self::LongName,
        Self::DeepNesting,
    ];

    /// The device's text with this defect. `size` applies to defects that have one.
    pub fn apply(self, item: &str, size: Option<usize>) -> String {
        let mut device: Value = serde_json::from_str(item).unwrap_or_default();
        let mut raw = None;
        match self {
            Self::NullItem => return "null".to_owned(),
            Self::TextItem => return "\"S134F0000000101\"".to_owned(),
            Self::ListItem => return "[]".to_owned(),
            Self::NumberSerial => SERIAL.write(&mut device, Some(json!(134_000_101))),
            Self::MissingSerial => SERIAL.write(&mut device, None),
            Self::BlankSerial => SERIAL.write(&mut device, Some(json!("   "))),
            Self::PaddedSerial => {
                let serial = device["serialNumber"].as_str().unwrap_or_default();
                let padded = json!(format!("  {serial} "));
                SERIAL.write(&mut device, Some(padded));
            }
            Self::LongSerial => SERIAL.write(&mut device, Some(json!("S".repeat(300)))),
            Self::NulInSerial => SERIAL.write(&mut device, Some(json!("S134F\u{0}01"))),
            Self::UnknownType => TYPE.write(&mut device, Some(json!("XN"))),
            Self::NulInName => NAME.write(&mut device, Some(json!("X9001\u{0}BN"))),
            Self::CoordinatesAsText => set_coordinates(&mut device, &json!("-26.1"), &json!("28.0")),
            Self::CoordinatesOutOfRange => set_coordinates(&mut device, &json!(91.0), &json!(181.0)),
            Self::CoordinatesZero => set_coordinates(&mut device, &json!(0), &json!(0)),
            Self::ParamsAsList => PARAMS.write(&mut device, Some(json!([-26.1, 28.0]))),
            Self::FractionalId => SITE_ID.write(&mut device, Some(json!(94_901.5))),
            Self::IdAsText => site_id_to_string(&mut device),
            Self::IdOverInt4 => SITE_ID.write(&mut device, Some(json!(4_294_967_296_u64))),
            Self::HugeAzimuth => AZIMUTH.write(&mut device, Some(json!(1e6))),
            Self::NegativeAzimuth => subtract_full_turn(&mut device),
            Self::HeightAsText => HEIGHT.write(&mut device, Some(json!("1598.6"))),
            Self::HugeHeight => HEIGHT.write(&mut device, Some(json!(1e9))),
            Self::ConnectedAbsent => CONNECTED.write(&mut device, None),
            Self::ConnectedAsText => CONNECTED.write(&mut device, Some(json!("yes"))),
            Self::LongName => NAME.write(&mut device, Some(json!("x".repeat(size.unwrap_or(10_000_000))))),
            Self::LoneSurrogate => {
                NAME.write(&mut device, Some(json!(PLACEHOLDER)));
                raw = Some(r#""X9001-\ud800-BN""#.to_owned());
            }
            Self::HugeExponent => {
                HEIGHT.write(&mut device, Some(json!(PLACEHOLDER)));
                raw = Some("1e400".to_owned());
            }
            Self::DeepNesting => {
                UNKNOWN.write(&mut device, Some(json!(PLACEHOLDER)));
                let depth = size.unwrap_or(100_000);
                raw = Some(format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
            }
        }
        let text = device.to_string();
        match raw {
            None => text,
            Some(raw) => text.replacen(&format!("\"{PLACEHOLDER}\""), &raw, 1),
        }
    }
}

fn set_coordinates(device: &mut Value, latitude: &Value, longitude: &Value) {
    LATITUDE.write(device, Some(latitude.clone()));
    LONGITUDE.write(device, Some(longitude.clone()));
}

fn site_id_to_string(device: &mut Value) {
    let id = SITE_ID
        .read(device)
        .map(|id| json!(id.to_string().replace('"', "")));
    SITE_ID.write(device, id);
}

fn subtract_full_turn(device: &mut Value) {
    let azimuth = AZIMUTH.read(device).and_then(Value::as_f64);
    AZIMUTH.write(device, azimuth.map(|azimuth| json!(azimuth - 360.0)));
}
