//! The fuzz targets for the decoders of the vendor's answers, see [`crate::fuzzing`].

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use serde_json::value::RawValue;

use super::http::envelope::{decode_text, extract_data, parse_page};
use super::http::faults::from_envelope_error;
use super::http::retry_after;
use super::http::tokens::Tokens;
use super::listing::Region;
use super::listing::device::{Device, decode_device};
use crate::station::{Interner, Rejected, Station};

/// Decodes a body: text, envelope, page, or the fault of a body that is none of these.
///
/// # Panics
/// If an assertion fails.
pub fn envelope(body: &[u8]) {
    let text = decode_text(body.to_vec());
    match extract_data(&text) {
        Ok(data) => {
            let Ok(page) = parse_page(data, str::len) else {
                return;
            };
            assert!(
                page.rows.iter().sum::<usize>() <= text.len(),
                "rows exceed the body"
            );
        }
        Err(error) => {
            let fault = from_envelope_error("GET /x", &error, None);
            assert!(
                fault.message.len() < 500 && fault.message.chars().all(|c| !c.is_control()),
                "{fault}"
            );
        }
    }
}

/// One item of a listing.
///
/// # Panics
/// If an assertion fails.
pub fn device(item: &[u8]) {
    let item = decode_text(item.to_vec());
    let requested = Region {
        id: 1,
        name: Some("R".into()),
    };
    match decode_device(&item, Some(&requested), &Interner::default()) {
        Device::Base(base) => {
            assert_storable(&base.station);
            base.notes.iter().for_each(assert_showable);
        }
        Device::Remote(remote) => {
            for text in [remote.serial, remote.served_by].into_iter().flatten() {
                assert_serial(&text);
            }
        }
        Device::OtherRegion(serial) => assert_serial(&serial),
        Device::Rejected(rejected) => {
            if let Some(text) = &rejected.serial {
                assert_serial(text);
            }
            assert_showable(&rejected);
        }
    }
}

/// Parses the answer of a login: `Set-Cookie` lines up to an empty one, then the data of the body.
///
/// # Panics
/// If an assertion fails.
pub fn cookie(answer: &[u8]) {
    let end = answer.windows(2).position(|pair| pair == b"\n\n");
    let (lines, body) = answer.split_at(end.unwrap_or(answer.len()));
    let lines = lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| HeaderValue::from_bytes(line).ok());
    let headers: HeaderMap = lines.map(|line| (SET_COOKIE, line)).collect();
    let body = decode_text(body.to_vec());
    let data = serde_json::from_str::<&RawValue>(&body).unwrap_or(RawValue::NULL);
    let Some(tokens) = Tokens::parse(&headers, data) else {
        return;
    };
    for (cookie, max) in [(tokens.call_cookie(), 2), (tokens.refresh_cookie(), 4)] {
        let text = cookie
            .as_ref()
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        assert!(text.split(';').count() <= max, "a value was split");
    }
    assert!(tokens.call_cookie().is_some(), "the tokens cannot be sent back");
    assert!((1..=86_400).contains(&tokens.lifetime.as_secs()));
    let _ = tokens.operator_id();
}

/// Parses `Retry-After`, a line break, `Date`.
///
/// # Panics
/// If an assertion fails.
pub fn retry_after(headers: &[u8]) {
    let text = String::from_utf8_lossy(headers);
    let mut lines = text.split('\n');
    let value = lines.next().unwrap_or_default();
    if let Some(wait) = retry_after::parse(value, lines.next()) {
        assert!(
            (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&wait),
            "{wait:?}"
        );
    }
}

/// Asserts that the table's columns can hold the station.
fn assert_storable(station: &Station) {
    assert_serial(&station.serial);
    let texts = [
        &station.hostname,
        &station.site_name,
        &station.cell_name,
        &station.sector_name,
    ];
    let shared = [&station.market, &station.region, &station.band];
    let all = texts.into_iter().flatten().map(|text| &**text);
    for text in all.chain(shared.into_iter().flatten().map(|text| &**text)) {
        assert!(text.len() <= 4096 && !text.contains('\0') && !text.trim().is_empty());
    }
    if let Some(position) = station.position {
        assert!(position.lat_e6.abs() <= 90_000_000 && position.lng_e6.abs() <= 180_000_000);
        assert!((position.lat_e6, position.lng_e6) != (0, 0), "0/0 means unset");
    }
    assert!((0..36_000).contains(&station.azimuth_cdeg.unwrap_or_default()));
    assert!(station.height_cm.unwrap_or_default().abs() <= 99_999_999);
}

fn assert_serial(text: &str) {
    assert!(!text.is_empty() && text.len() <= 255 && text.trim() == text && !text.contains('\0'));
}

/// Asserts that the note fits a log row.
fn assert_showable(rejected: &Rejected) {
    assert!(!rejected.why.is_empty() && rejected.why.len() < 200 && !rejected.why.contains('\0'));
}
