//! Rows of [`super::columns`] as arguments of a statement: for each column an array, in PostgreSQL's binary format.
//!
//! Numbers with a point travel as the server keeps them, base 10,000 digit by digit, so that neither side rounds or
//! prints. An array is a header and for each element a length (-1 for NULL) and as many bytes. Column by column, a
//! server takes rows apart and packs them faster than row by row.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, Postgres};
use sqlx::{Encode, Type};

use super::columns::{COLUMNS, Value, values};
use super::db::Statement;
use crate::station::Row;

/// Size at which a piece is full.
const FULL: usize = 384 * 1024;

/// Rows that are encoded without a look at what else is to be done: some hundredths of a millisecond.
const AT_A_TIME: u32 = 32;

const NULL: [u8; 4] = (-1_i32).to_be_bytes();
const NEGATIVE: u16 = 0x4000;

/// Some rows, encoded.
#[derive(Debug)]
pub(super) struct Piece {
    rows: u32,
    columns: [Vec<u8>; COLUMNS.len()],
}

/// One column of a piece.
struct Array<'a> {
    rows: u32,
    kind: Kind,
    elements: &'a [u8],
}

/// What a column's array is made of. The numbers are those that PostgreSQL's own types have had in every version.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Numeric,
}

impl Piece {
    /// As many rows as it holds. Steps aside often: the statement that the server is busy with meanwhile may want to send
    /// more.
    pub async fn of<'a>(rows: &mut impl Iterator<Item = &'a Row>) -> Self {
        let mut piece = Self {
            rows: 0,
            columns: Default::default(),
        };
        let mut size = 0;
        while size < FULL
            && let Some(row) = rows.next()
        {
            size += piece.push(row);
            if piece.rows.is_multiple_of(AT_A_TIME) {
                tokio::task::yield_now().await;
            }
        }
        piece
    }

    /// How many rows it holds.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Appends a row, and says by how many bytes that made it larger.
    fn push(&mut self, row: &Row) -> usize {
        let mut size = 0;
        for (column, value) in self.columns.iter_mut().zip(values(row)) {
            let before = column.len();
            put_value(column, value);
            size += column.len() - before;
        }
        self.rows += 1;
        size
    }

    /// Makes its columns the first arguments of a statement, $1 and so on, in their order.
    pub fn bind<'q>(&self, mut statement: Statement<'q>) -> Statement<'q> {
        for ((_, kind), elements) in COLUMNS.iter().zip(&self.columns) {
            // Encoded at once: the statement keeps nothing of the piece.
            let array = Array {
                rows: self.rows,
                kind: Kind::of(kind),
                elements,
            };
            statement = statement.bind(array);
        }
        statement
    }
}

impl Kind {
    fn of(kind: &str) -> Self {
        match kind {
            "text" => Self::Text,
            "int" => Self::Int,
            _ => Self::Numeric,
        }
    }

    fn element(self) -> u32 {
        match self {
            Self::Text => 25,
            Self::Int => 23,
            Self::Numeric => 1700,
        }
    }

    fn array(self) -> Oid {
        Oid(match self {
            Self::Text => 1009,
            Self::Int => 1007,
            Self::Numeric => 1231,
        })
    }
}

impl Type<Postgres> for Array<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Kind::Text.array())
    }
}

impl Encode<'_, Postgres> for Array<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // One dimension; no word on whether an element is NULL, for the server looks itself; the first one is number 1.
        for word in [1, 0, self.kind.element(), self.rows, 1] {
            buffer.extend_from_slice(&word.to_be_bytes());
        }
        buffer.extend_from_slice(self.elements);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(self.kind.array()))
    }

    fn size_hint(&self) -> usize {
        20 + self.elements.len()
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
