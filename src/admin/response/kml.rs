//! Pure: stations as KML (OGC KML 2.2).

use std::fmt::Write;

use super::station::position;
use crate::store::StationRow;

/// What precedes the first placemark. Colors are alpha, blue, green, red.
pub const KML_START: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2"><Document><name>Base stations</name>
<Style id="online"><IconStyle><color>ff3a7010</color></IconStyle></Style>
<Style id="offline"><IconStyle><color>ff1e26b3</color></IconStyle></Style>
"#;
/// What follows the last placemark. Without it the document is not XML, so that a part of it does not look complete.
pub const KML_END: &str = "</Document></kml>\n";

/// A station as a placemark.
pub fn kml_placemark(row: &StationRow) -> String {
    let status = if row.online { "online" } else { "offline" };
    let number = |value: Option<f64>| value.map(|value| value.to_string());
    let fields = [
        ("serial", Some(row.serial.clone())),
        ("hostname", Some(row.hostname.clone())),
        ("siteName", Some(row.site_name.clone())),
        ("online", Some(row.online.to_string())),
        ("activeConnections", row.active_connections.map(|n| n.to_string())),
        ("market", row.market.clone()),
        ("region", row.region.clone()),
        ("heightM", number(row.height_m)),
        ("azimuthDeg", number(row.azimuth_deg)),
        ("band", row.band.clone()),
        ("cellName", row.cell_name.clone()),
        ("sectorName", row.sector_name.clone()),
        ("lastUpdated", row.last_updated.map(|time| time.to_string())),
    ];
    let mut placemark = format!(
        "<Placemark><name>{}</name><styleUrl>#{status}</styleUrl><ExtendedData>",
        escape(&row.hostname)
    );
    for (name, value) in fields {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(
                placemark,
                "<Data name=\"{name}\"><value>{}</value></Data>",
                escape(&value)
            );
        }
    }
    placemark.push_str("</ExtendedData>");
    if let Some([lng, lat]) = position(row) {
        let _ = write!(placemark, "<Point><coordinates>{lng},{lat}</coordinates></Point>");
    }
    placemark.push_str("</Placemark>\n");
    placemark
}

/// Text as the content of an element. XML cannot contain most control characters, not even escaped: they are replaced.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A parser would read it as a line feed.
            '\r' => escaped.push_str("&#13;"),
            '\t' | '\n' => escaped.push(char),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn text_is_escaped() {
        let cases = [
            ("Hill 7", "Hill 7"),
            ("<script>", "&lt;script&gt;"),
            ("]]>", "]]&gt;"),
            ("a & b", "a &amp; b"),
            ("&amp;", "&amp;amp;"),
            ("two\r\nlines\t", "two&#13;\nlines\t"),
            ("\u{1}\u{fffe}\u{1f5fc}", "\u{fffd}\u{fffd}\u{1f5fc}"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(escape(text), expected, "{text:?}");
        }
    }
}
