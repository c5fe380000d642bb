//! Encodes rows as statement parameters: one array per column of [`super::columns`], in PostgreSQL's binary format.
//!
//! A `numeric` is sent in its internal form, base 10,000, so that neither side rounds or formats it. An array is a header
//! and, for each element, a length (-1 for NULL) and the bytes. Columnar arrays are unnested and compressed faster than
//! arrays of records.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, Postgres};
use sqlx::{Encode, Type};

use super::columns::{COLUMNS, Value, values};
use super::db::Statement;
use crate::station::Row;

/// Size in bytes at which a chunk is full.
const CHUNK_SIZE: usize = 384 * 1024;

/// Rows that are encoded before the task yields: some hundredths of a millisecond.
const YIELD_EVERY: u32 = 32;

const NULL: [u8; 4] = (-1_i32).to_be_bytes();
const NEGATIVE: u16 = 0x4000;

/// Encoded rows for one statement.
#[derive(Debug)]
pub(super) struct RowChunk {
    rows: u32,
    columns: [Vec<u8>; COLUMNS.len()],
}

/// One column of a chunk, as a parameter.
struct ColumnArray<'a> {
    rows: u32,
    element: ElementType,
    elements: &'a [u8],
}

/// Element type of an array. The OIDs of PostgreSQL's built-in types are fixed.
#[derive(Clone, Copy)]
enum ElementType {
    Text,
    Int,
    Numeric,
}

impl RowChunk {
    /// Encodes rows until the chunk is full. Yields often, because the previous statement is sent concurrently.
    pub async fn take_from<'a>(rows: &mut impl Iterator<Item = &'a Row>) -> Self {
        let mut chunk = Self {
            rows: 0,
            columns: Default::default(),
        };
        let mut size = 0;
        while size < CHUNK_SIZE
            && let Some(row) = rows.next()
        {
            size += chunk.push(row);
            if chunk.rows.is_multiple_of(YIELD_EVERY) {
                tokio::task::yield_now().await;
            }
        }
        chunk
    }

    /// Number of rows.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Appends a row and returns its size in bytes.
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

    /// Binds the columns as the parameters $1, $2, … of a statement.
    pub fn bind<'q>(&self, mut statement: Statement<'q>) -> Statement<'q> {
        for ((_, kind), elements) in COLUMNS.iter().zip(&self.columns) {
            // `bind` encodes at once: the statement borrows nothing from the chunk.
            let array = ColumnArray {
                rows: self.rows,
                element: ElementType::of(kind),
                elements,
            };
            statement = statement.bind(array);
        }
        statement
    }
}

impl ElementType {
    fn of(kind: &str) -> Self {
        match kind {
            "text" => Self::Text,
            "int" => Self::Int,
            _ => Self::Numeric,
        }
    }

    fn oid(self) -> u32 {
        match self {
            Self::Text => 25,
            Self::Int => 23,
            Self::Numeric => 1700,
        }
    }

    fn array_oid(self) -> Oid {
        Oid(match self {
            Self::Text => 1009,
            Self::Int => 1007,
            Self::Numeric => 1231,
        })
    }
}

impl Type<Postgres> for ColumnArray<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(ElementType::Text.array_oid())
    }
}

impl Encode<'_, Postgres> for ColumnArray<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // Dimensions, has-NULL flag (the server checks itself), element type, length, lower bound.
        for word in [1, 0, self.element.oid(), self.rows, 1] {
            buffer.extend_from_slice(&word.to_be_bytes());
        }
        buffer.extend_from_slice(self.elements);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(self.element.array_oid()))
    }

    fn size_hint(&self) -> usize {
        20 + self.elements.len()
    }
}

/// A length field. Values are far below 2 GiB, and the server would refuse a longer one.
fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes()
}

/// Appends a value: its length and its bytes.
pub(super) fn put_value(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Null => out.extend_from_slice(&NULL),
        Value::Text(text) => put(out, text.as_bytes()),
        Value::Int(number) => put(out, &number.to_be_bytes()),
        Value::Fixed { units, scale } => put_numeric(out, units, scale),
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&length(bytes.len()));
    out.extend_from_slice(bytes);
}

/// Appends a `numeric`. Fractional digits are grouped by four: a scale of 6 needs two groups, 2 needs one.
fn put_numeric(out: &mut Vec<u8>, units: i64, scale: u32) {
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
