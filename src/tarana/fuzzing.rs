//! What `fuzz/` asserts of what decodes the vendor's bytes, see [`crate::fuzzing`].

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use serde_json::value::RawValue;

use super::device::{self, Device};
use super::envelope;
use super::intern::Interner;
use super::regions::Region;
use super::tokens::Tokens;
use super::{refusal, retry_after};
use crate::station::{Rejected, Station};

/// A body, as it comes: text, envelope, page, and the fault that it becomes if it is none of these.
///
/// # Panics
/// Where it does not hold.
pub fn envelope(body: &[u8]) {
    let text = envelope::text(body.to_vec());
    match envelope::data(&text) {
        Ok(data) => {
            let Ok(page) = envelope::page(data, str::len) else {
                return;
            };
            assert!(
                page.rows.iter().sum::<usize>() <= text.len(),
                "rows are parts of the body"
            );
        }
        Err(problem) => {
            let fault = refusal::problem("GET /x", &problem, None);
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
/// Where it does not hold.
pub fn device(item: &[u8]) {
    let item = envelope::text(item.to_vec());
    let asked = Region {
        id: 1,
        name: Some("R".into()),
    };
    match device::decode(&item, Some(&asked), &Interner::default()) {
        Device::Base(base) => {
            storable(&base.station);
            base.notes.iter().for_each(showable);
        }
        Device::Remote(remote) => {
            for text in [remote.serial, remote.served_by].into_iter().flatten() {
                serial(&text);
            }
        }
        Device::Elsewhere(serial) => self::serial(&serial),
        Device::Rejected(rejected) => {
            if let Some(text) = &rejected.serial {
                serial(text);
            }
            showable(&rejected);
        }
    }
}

/// The answer of a login: lines of `Set-Cookie` up to an empty one, then the data of the body.
///
/// # Panics
/// Where it does not hold.
pub fn cookie(answer: &[u8]) {
    let end = answer.windows(2).position(|pair| pair == b"\n\n");
    let (lines, body) = answer.split_at(end.unwrap_or(answer.len()));
    let lines = lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| HeaderValue::from_bytes(line).ok());
    let headers: HeaderMap = lines.map(|line| (SET_COOKIE, line)).collect();
    let body = envelope::text(body.to_vec());
    let data = serde_json::from_str::<&RawValue>(&body).unwrap_or(RawValue::NULL);
    let Some(tokens) = Tokens::read(&headers, data) else {
        return;
    };
    for (cookie, most) in [(tokens.call_cookie(), 2), (tokens.refresh_cookie(), 4)] {
        let text = cookie
            .as_ref()
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        assert!(text.split(';').count() <= most, "a value became two");
    }
    assert!(tokens.call_cookie().is_some(), "what was read can be sent back");
    assert!((1..=86_400).contains(&tokens.lifetime.as_secs()));
    let _ = tokens.operator_id();
}

/// `Retry-After`, a line break, `Date`.
///
/// # Panics
/// Where it does not hold.
pub fn retry_after(headers: &[u8]) {
    let text = String::from_utf8_lossy(headers);
    let mut lines = text.split('\n');
    let wish = lines.next().unwrap_or_default();
    if let Some(wait) = retry_after::parse(wish, lines.next()) {
        assert!(
            (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&wait),
            "{wait:?}"
        );
    }
}

/// What the table's columns take.
fn storable(station: &Station) {
    serial(&station.serial);
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
        assert!((position.lat_e6, position.lng_e6) != (0, 0), "unset is no place");
    }
    assert!((0..36_000).contains(&station.azimuth_cdeg.unwrap_or_default()));
    assert!(station.height_cm.unwrap_or_default().abs() <= 99_999_999);
}

fn serial(text: &str) {
    assert!(!text.is_empty() && text.len() <= 255 && text.trim() == text && !text.contains('\0'));
}

/// What goes into a log row: short, and nothing of the record but its serial.
fn showable(rejected: &Rejected) {
    assert!(!rejected.why.is_empty() && rejected.why.len() < 200 && !rejected.why.contains('\0'));
}
