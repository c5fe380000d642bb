//! Pure: decodes rows of [`super::columns`] from PostgreSQL's binary COPY format.
//!
//! The stream is a header, then for each row the number of columns and for each column a length (-1 for NULL) and the bytes,
//! then -1. For `numeric` see [`super::encode`].

use std::sync::Arc;

use super::columns::COLUMNS;
use crate::station::{Interner, Position, Row};

/// Signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;

/// Decodes rows from chunks that may end anywhere.
#[derive(Default)]
pub(super) struct RowDecoder {
    pending: Vec<u8>,
    header_read: bool,
    names: Interner,
}

/// The stream violates the format.
#[derive(Debug)]
pub(super) struct Malformed;

impl RowDecoder {
    /// Passes the rows that this chunk completes to `each`.
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Row)) -> Result<(), Malformed> {
        self.pending.extend_from_slice(chunk);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        if !self.header_read && rest.len() >= HEADER.len() {
            rest = rest.strip_prefix(HEADER).ok_or(Malformed)?;
            self.header_read = true;
        }
        while self.header_read && starts_with_row(rest)? {
            each(self.row(&mut rest)?);
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    fn row(&mut self, rest: &mut &[u8]) -> Result<Row, Malformed> {
        *rest = &rest[2..];
        Ok(Row {
            serial: text(rest)?.unwrap_or_default().into(),
            hostname: text(rest)?.unwrap_or_default().into(),
            site_name: text(rest)?.unwrap_or_default().into(),
            active_connections: int(rest)?,
            market: self.shared(text(rest)?),
            position: Position {
                lat_e6: fixed(rest, 6)?.unwrap_or_default(),
                lng_e6: fixed(rest, 6)?.unwrap_or_default(),
            },
            region: self.shared(text(rest)?),
            height_cm: hundredths(rest)?,
            azimuth_cdeg: hundredths(rest)?,
            band: self.shared(text(rest)?),
            device_status: int(rest)?,
            region_id: int(rest)?,
            market_id: int(rest)?,
            site_id: int(rest)?,
            cell_id: int(rest)?,
            sector_id: int(rest)?,
            cell_name: text(rest)?.map(Into::into),
            sector_name: text(rest)?.map(Into::into),
        })
    }

    /// Shares one copy of each market, region and band among thousands of rows.
    fn shared(&self, name: Option<&str>) -> Option<Arc<str>> {
        name.map(|name| self.names.intern(name))
    }
}

/// Decodes the values of one row of a query.
pub(super) fn row_of_values<'v>(
    values: impl IntoIterator<Item = Option<&'v [u8]>>,
) -> Result<Row, Malformed> {
    let mut bytes = vec![0, 0];
    for value in values {
        let length = value.map_or(Ok(-1), |value| i32::try_from(value.len()));
        bytes.extend_from_slice(&length.map_err(|_| Malformed)?.to_be_bytes());
        bytes.extend_from_slice(value.unwrap_or_default());
    }
    RowDecoder::default().row(&mut bytes.as_slice())
}

/// Whether `rest` begins with a complete row. The trailer is not a row.
fn starts_with_row(rest: &[u8]) -> Result<bool, Malformed> {
    let Some((count, mut rest)) = rest.split_first_chunk::<2>() else {
        return Ok(false);
    };
    let count = i16::from_be_bytes(*count);
    if count >= 0 && usize::from(count.unsigned_abs()) != COLUMNS.len() {
        return Err(Malformed);
    }
    for _ in 0..count {
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            return Ok(false);
        };
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        let Some(after) = after.get(length..) else {
            return Ok(false);
        };
        rest = after;
    }
    Ok(count >= 0)
}

fn value<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let (length, after) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
        *rest = after;
        return Ok(None);
    };
    let (value, after) = after.split_at_checked(length).ok_or(Malformed)?;
    *rest = after;
    Ok(Some(value))
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a str>, Malformed> {
    value(rest)?
        .map(std::str::from_utf8)
        .transpose()
        .map_err(|_| Malformed)
}

fn int(rest: &mut &[u8]) -> Result<Option<i32>, Malformed> {
    let bytes = value(rest)?
        .map(<[u8; 4]>::try_from)
        .transpose()
        .map_err(|_| Malformed)?;
    Ok(bytes.map(i32::from_be_bytes))
}

/// A `numeric` with a scale of 2 and at most six digits before the point.
fn hundredths(rest: &mut &[u8]) -> Result<Option<i32>, Malformed> {
    let units = fixed(rest, 2)?;
    units.map(i32::try_from).transpose().map_err(|_| Malformed)
}

/// A `numeric` in units of 10^-`scale`, which is the scale of its column. NaN is read as NULL.
fn fixed(rest: &mut &[u8], scale: u32) -> Result<Option<i64>, Malformed> {
    let Some(bytes) = value(rest)? else {
        return Ok(None);
    };
    let mut words = bytes.chunks_exact(2).map(|w| u16::from_be_bytes([w[0], w[1]]));
    let mut word = || words.next().ok_or(Malformed);
    let (_count, weight, sign, _scale) = (word()?, word()?.cast_signed(), word()?, word()?);
    if sign & NAN == NAN {
        return Ok(None);
    }
    // First in units of the last group after the point, then of the scale.
    let groups_after = scale.div_ceil(4);
    let mut exponent = i32::from(weight) + i32::try_from(groups_after).unwrap_or_default();
    let mut total = 0_i64;
    for digit in words {
        let place = u32::try_from(exponent)
            .ok()
            .and_then(|e| 10_000_i64.checked_pow(e))
            .ok_or(Malformed)?;
        total = place
            .checked_mul(i64::from(digit))
            .and_then(|v| total.checked_add(v))
            .ok_or(Malformed)?;
        exponent -= 1;
    }
    total /= 10_i64.pow(groups_after * 4 - scale);
    Ok(Some(if sign == NEGATIVE { -total } else { total }))
}

#[cfg(test)]
mod tests {
    use super::{HEADER, RowDecoder, fixed};
    use crate::station::{Position, Row};
    use crate::store::columns::{COLUMNS, Value, values};
    use crate::store::encode::put_value;

    #[test]
    fn numerics_round_trip() {
        for scale in [2, 6] {
            for units in [
                0,
                1,
                -1,
                99,
                100,
                -9_999,
                10_000,
                28_056_721,
                -26_107_912,
                35_999,
                99_999_999,
                -9_999_999_999,
            ] {
                let mut bytes = Vec::new();
                put_value(&mut bytes, Value::Fixed { units, scale });
                assert_eq!(
                    fixed(&mut bytes.as_slice(), scale).unwrap(),
                    Some(units),
                    "{units} at {scale}"
                );
            }
        }
    }

    #[test]
    fn rows_round_trip_wherever_the_stream_is_split() {
        let row = Row {
            serial: "S1".into(),
            hostname: "X9001-BN-45".into(),
            site_name: "Größe ☂".into(),
            active_connections: None,
            market: Some("JHB".into()),
            position: Position {
                lat_e6: -26_107_912,
                lng_e6: 28_056_721,
            },
            region: None,
            height_cm: Some(159_860),
            azimuth_cdeg: Some(0),
            band: Some("5ghz".into()),
            device_status: Some(1),
            region_id: Some(-1),
            market_id: None,
            site_id: Some(3),
            cell_id: None,
            sector_id: None,
            cell_name: Some("".into()),
            sector_name: None,
        };
        let mut stream = HEADER.to_vec();
        for _ in 0..3 {
            stream.extend_from_slice(&i16::try_from(COLUMNS.len()).unwrap().to_be_bytes());
            for value in values(&row) {
                put_value(&mut stream, value);
            }
        }
        stream.extend_from_slice(&(-1_i16).to_be_bytes());
        for size in [1, 2, 7, 64, stream.len()] {
            let (mut decoder, mut rows) = (RowDecoder::default(), Vec::new());
            for chunk in stream.chunks(size) {
                decoder.feed(chunk, |r| rows.push(r)).unwrap();
            }
            assert_eq!(
                rows,
                vec![row.clone(), row.clone(), row.clone()],
                "in chunks of {size}"
            );
        }
    }
}
