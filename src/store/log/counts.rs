//! The counts of a run in its log row.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::station::RunCounts;

/// The columns that [`read`] expects, in its order. A macro, because `concat!` accepts no constants.
macro_rules! count_columns {
    () => {
        "coalesce(stations_fetched, 0)::int8, coalesce(inserted, 0)::int8, coalesce(updated, 0)::int8, coalesce(unchanged, 0)::int8,
         coalesce(deleted, 0)::int8, coalesce(skipped, 0)::int8, coalesce(withheld, 0)::int8, coalesce(stale, 0)::int8"
    };
}
pub(super) use count_columns;

/// Decodes these columns, of which the first one is at this index of the row.
pub(super) fn read(row: &PgRow, first: usize) -> Result<RunCounts, sqlx::Error> {
    Ok(RunCounts {
        fetched: row.try_get(first)?,
        inserted: row.try_get(first + 1)?,
        updated: row.try_get(first + 2)?,
        unchanged: row.try_get(first + 3)?,
        deleted: row.try_get(first + 4)?,
        skipped: row.try_get(first + 5)?,
        withheld: row.try_get(first + 6)?,
        stale: row.try_get(first + 7)?,
    })
}
