//! Rows of [`super::columns`] as one argument of a statement, an array of records in PostgreSQL's binary format.
//!
//! Numbers with a point travel as the server keeps them, base 10,000 digit by digit, so that neither side rounds or
//! prints. An array is a header and for each element a length and as many bytes; a record the number of its columns
//! and for each of these a type, a length (-1 for NULL) and as many bytes.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, Postgres};
use sqlx::{Encode, Type};

use super::columns::{COLUMNS, Value, values};
use crate::station::Row;

const NULL: [u8; 4] = (-1_i32).to_be_bytes();
const NEGATIVE: u16 = 0x4000;

/// Some rows, encoded.
#[derive(Debug)]
pub(super) struct Piece {
    record: u32,
    rows: u32,
    elements: Vec<u8>,
}

impl Piece {
    /// No rows yet. `record` is what this server calls the type `tarana_incoming`.
    pub fn new(record: u32) -> Self {
        Self {
            record,
            rows: 0,
            elements: Vec::new(),
        }
    }

    /// How many bytes its rows take.
    pub fn size(&self) -> usize {
        self.elements.len()
    }

    /// Appends a row.
    pub fn push(&mut self, row: &Row) {
        let at = self.elements.len();
        self.elements.extend_from_slice(&[0; 4]);
        self.elements.extend_from_slice(&length(COLUMNS.len()));
        for ((_, kind), value) in COLUMNS.iter().zip(values(row)) {
            self.elements.extend_from_slice(&type_of(kind).to_be_bytes());
            put_value(&mut self.elements, value);
        }
        let taken = length(self.elements.len() - at - 4);
        self.elements[at..at + 4].copy_from_slice(&taken);
        self.rows += 1;
    }
}

impl Type<Postgres> for Piece {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("tarana_incoming[]")
    }
}

impl Encode<'_, Postgres> for Piece {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // One dimension, no element is NULL, and the first one is number 1.
        for word in [1, 0, self.record, self.rows, 1] {
            buffer.extend_from_slice(&word.to_be_bytes());
        }
        buffer.extend_from_slice(&self.elements);
        Ok(IsNull::No)
    }

    fn size_hint(&self) -> usize {
        20 + self.elements.len()
    }
}

/// The numbers that PostgreSQL's own types have had in every version.
fn type_of(kind: &str) -> u32 {
    match kind {
        "text" => 25,
        "int" => 23,
        _ => 1700,
    }
}

/// A length or a count. One over 2 GiB cannot be: records are far smaller, and the server would refuse it.
fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes()
}

/// Appends one value: its length and its bytes.
pub(super) fn put_value(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Null => out.extend_from_slice(&NULL),
        Value::Text(text) => put(out, text.as_bytes()),
        Value::Int(number) => put(out, &number.to_be_bytes()),
        Value::Fixed { units, scale } => put_fixed(out, units, scale),
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&length(bytes.len()));
    out.extend_from_slice(bytes);
}

/// Digits after the point fill groups of four: 6 need two groups, 2 need one.
fn put_fixed(out: &mut Vec<u8>, units: i64, scale: u32) {
    let groups_after = scale.div_ceil(4);
    let mut left = u128::from(units.unsigned_abs()) * 10_u128.pow(groups_after * 4 - scale);
    let mut digits = [0_u16; 8];
    let mut first = digits.len();
    while left > 0 && first > 0 {
        first -= 1;
        digits[first] = u16::try_from(left % 10_000).unwrap_or_default();
        left /= 10_000;
    }
    let digits = &digits[first..];
    let count = i16::try_from(digits.len()).unwrap_or_default();
    let weight = count - i16::try_from(groups_after).unwrap_or_default() - 1;
    out.extend_from_slice(&(8 + 2 * i32::from(count)).to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&(if count == 0 { 0 } else { weight }).to_be_bytes());
    out.extend_from_slice(&(if units < 0 { NEGATIVE } else { 0 }).to_be_bytes());
    out.extend_from_slice(&u16::try_from(scale).unwrap_or_default().to_be_bytes());
    for digit in digits {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}
