//! What a schema consists of, as lines of text that can be compared.

use std::collections::BTreeSet;

use sqlx::PgPool;

/// Columns with their types, indexes, constraints, views with their columns, policies, and whether row-level security is on.
const CATALOG: &str = "
    SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'view ' || relname || coalesce(' ' || reloptions::text, '') FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
    UNION ALL SELECT 'policy ' || tablename || ' ' || policyname || ' ' || cmd FROM pg_policies WHERE schemaname = 'public'
    UNION ALL SELECT 'row-level security ' || relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relrowsecurity";

pub async fn read(db: &PgPool) -> BTreeSet<String> {
    let lines: Vec<String> = sqlx::query_scalar(CATALOG).fetch_all(db).await.unwrap();
    lines.into_iter().collect()
}

/// What a program of the old schema misses in the new one: lost lines, and new columns without a value that it would have to write.
pub fn restrictions<'a>(old: &'a BTreeSet<String>, new: &'a BTreeSet<String>) -> Vec<&'a String> {
    let required = |line: &&String| {
        line.starts_with("column ") && line.contains(" not null") && !line.contains(" default ")
    };
    let lost = old.difference(new);
    lost.chain(new.difference(old).filter(required)).collect()
}
