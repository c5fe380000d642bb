//! Reads the columns and unique indexes of the tables from the catalog.

use super::expected;
use crate::store::db::Tx;
use crate::store::error::DbError;

/// A table that exists.
pub(super) struct Table {
    pub name: String,
    /// An ordinary table or a partitioned one; the rules for rows of a view are elsewhere.
    pub stores_rows: bool,
    pub is_partitioned: bool,
    /// Whether a trigger of its own can complete a row before it is checked.
    pub completes_rows: bool,
    pub columns: Vec<Column>,
    pub keys: Vec<UniqueIndex>,
}

/// A column that exists.
pub(super) struct Column {
    pub name: String,
    /// As it was declared.
    pub kind: String,
    /// The type beneath all domains.
    pub base: String,
    pub nulls: Nulls,
    pub has_default: bool,
    /// `a` or `d` for an identity, `s` or `v` for an expression (`attidentity` and `attgenerated`); otherwise empty.
    pub generation: String,
    pub is_in_primary_key: bool,
}

/// Who refuses a row without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nulls {
    Admitted,
    RefusedByColumn,
    RefusedByDomain,
}

/// A unique index that is in use.
pub(super) struct UniqueIndex {
    pub name: String,
    /// Empty for an expression.
    pub columns: Vec<String>,
    /// The condition of a partial index.
    pub condition: Option<String>,
    pub is_immediate: bool,
}

const COLUMNS: &str = "
    SELECT c.relname::text, c.relkind IN ('r', 'p'), c.relkind = 'p',
           EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgtype & 7 = 7),
           a.attname::text, format_type(a.atttypid, a.atttypmod), kind.base, a.attnotnull, kind.is_not_null,
           a.atthasdef OR kind.has_default, a.attidentity::text || a.attgenerated::text,
           EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary AND a.attnum = ANY (indkey))
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    CROSS JOIN LATERAL (
        WITH RECURSIVE domains AS (
            SELECT t.* FROM pg_type t WHERE t.oid = a.atttypid
            UNION ALL
            SELECT t.* FROM domains d JOIN pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd')
        SELECT max(typname::text) FILTER (WHERE typtype <> 'd') AS base,
               bool_or(typnotnull) AS is_not_null, bool_or(typdefault IS NOT NULL) AS has_default
        FROM domains) kind
    WHERE n.nspname = $1 AND c.relname = ANY ($2)
    ORDER BY c.relname, a.attnum";

const INDEXES: &str = "
    SELECT c.relname::text, i.relname::text, pg_get_expr(x.indpred, x.indrelid), x.indimmediate,
           ARRAY(SELECT coalesce(a.attname::text, '')
                 FROM unnest((x.indkey::int2[])[0:x.indnkeyatts - 1]) WITH ORDINALITY AS key (number, at)
                 LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = key.number ORDER BY key.at)
    FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class i ON i.oid = x.indexrelid
    WHERE n.nspname = $1 AND c.relname = ANY ($2) AND x.indisunique AND x.indisvalid AND x.indisready
    ORDER BY c.relname, i.relname";

/// The tables that exist in our schema.
pub(super) async fn read(tx: &mut Tx) -> Result<Vec<Table>, DbError> {
    let schema = tx.target().schema.clone();
    let names: Vec<&str> = expected::tables().iter().map(|table| table.name).collect();
    let rows = tx.all(sqlx::query(COLUMNS).bind(&schema).bind(&names)).await?;
    let mut tables: Vec<Table> = Vec::new();
    for row in &rows {
        let name: String = tx.get(row, 0)?;
        if tables.last().is_none_or(|table| table.name != name) {
            tables.push(Table {
                name,
                stores_rows: tx.get(row, 1)?,
                is_partitioned: tx.get(row, 2)?,
                completes_rows: tx.get(row, 3)?,
                columns: Vec::new(),
                keys: Vec::new(),
            });
        }
        let column = Column {
            name: tx.get(row, 4)?,
            kind: tx.get(row, 5)?,
            base: tx.get(row, 6)?,
            nulls: match (tx.get(row, 7)?, tx.get(row, 8)?) {
                (_, true) => Nulls::RefusedByDomain,
                (true, false) => Nulls::RefusedByColumn,
                (false, false) => Nulls::Admitted,
            },
            has_default: tx.get(row, 9)?,
            generation: tx.get(row, 10)?,
            is_in_primary_key: tx.get(row, 11)?,
        };
        if let Some(table) = tables.last_mut() {
            table.columns.push(column);
        }
    }
    let rows = tx.all(sqlx::query(INDEXES).bind(&schema).bind(&names)).await?;
    for row in &rows {
        let of: String = tx.get(row, 0)?;
        let index = UniqueIndex {
            name: tx.get(row, 1)?,
            condition: tx.get(row, 2)?,
            is_immediate: tx.get(row, 3)?,
            columns: tx.get(row, 4)?,
        };
        if let Some(table) = tables.iter_mut().find(|table| table.name == of) {
            table.keys.push(index);
        }
    }
    Ok(tables)
}
