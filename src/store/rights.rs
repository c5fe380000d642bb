//! Whether the role may do what a sync needs, told in one message with the statements that would allow it.
//!
//! Two things stand in the way of a role: grants, and on tables with row-level security the lack of a policy. The
//! second is the nastier one, since an `UPDATE` that no policy allows succeeds and touches no row.

use super::db::Tx;
use crate::fault::{Fault, Reason};

/// Table, and what is done to it.
const NEEDED: [(&str, &str); 6] = [
    ("tarana_migrations", "SELECT"),
    ("tarana_base_stations", "SELECT, INSERT, UPDATE, DELETE"),
    ("tarana_sync_logs", "SELECT, INSERT, UPDATE"),
    ("tarana_sync_change_batches", "SELECT, INSERT"),
    ("tarana_sync_changes", "SELECT"),
    ("tarana_sync_outbox", "SELECT, INSERT, UPDATE"),
];

/// One row for each right that is missing: what is missing, and the statement that mends it. For row-level security a
/// role needs BYPASSRLS, or a permissive policy for the verb that names the role, one it belongs to, or everybody.
const MISSING: &str = "
    WITH needed AS (
        SELECT n.name, verb, c.oid, c.relkind
        FROM unnest($1::text[], $2::text[]) AS n (name, verbs)
        CROSS JOIN unnest(string_to_array(n.verbs, ', ')) AS verb
        LEFT JOIN pg_class c ON c.relname = n.name
            AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    )
    SELECT 'table ' || name || ' (missing)', 'restore it' FROM needed WHERE oid IS NULL GROUP BY name
    UNION ALL
    SELECT string_agg(verb, ', ') || ' on ' || name,
           format('GRANT %s ON %I.%I TO %I;', string_agg(verb, ', '), current_schema(), name, current_user)
    FROM needed WHERE NOT has_table_privilege(oid, verb) GROUP BY name
    UNION ALL
    SELECT 'a policy for ' || string_agg(verb, ', ') || ' on ' || name,
           format('CREATE POLICY tarana_operator ON %I.%I TO %I USING (true) WITH CHECK (true);',
                  current_schema(), name, current_user)
    FROM needed WHERE relkind <> 'v' AND row_security_active(oid) AND NOT EXISTS (
        SELECT FROM pg_policy p WHERE p.polrelid = needed.oid AND p.polpermissive
            AND p.polcmd IN ('*', CASE verb WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a' WHEN 'UPDATE' THEN 'w' ELSE 'd' END::\"char\")
            AND EXISTS (SELECT FROM unnest(p.polroles) AS role
                        WHERE role = 0 OR pg_has_role(current_user, role, 'USAGE')))
    GROUP BY name
    UNION ALL
    SELECT 'temporary tables in the database',
           format('GRANT TEMPORARY ON DATABASE %I TO %I;', current_database(), current_user)
    WHERE NOT has_database_privilege(current_database(), 'TEMPORARY')";

/// Asks the catalogue, and nothing else.
pub(super) async fn check(tx: &mut Tx) -> Result<(), Fault> {
    let (tables, verbs): (Vec<&str>, Vec<&str>) = NEEDED.iter().copied().unzip();
    let rows = tx.all(sqlx::query(MISSING).bind(tables).bind(verbs)).await?;
    let (mut missing, mut remedies) = (Vec::new(), Vec::new());
    for row in &rows {
        missing.push(tx.get::<String>(row, 0)?);
        remedies.push(tx.get::<String>(row, 1)?);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let what = missing.join("; ");
    let message = if what.contains("(missing)") {
        let schema = &tx.target().schema;
        format!("schema {schema:?} lacks {what}; restore it, or correct spec.database.schema")
    } else {
        format!(
            "the role in spec.database.secretRef lacks {what}; let the owner run: {}",
            remedies.join(" ")
        )
    };
    let reason = if what.contains("(missing)") {
        Reason::SchemaInvalid
    } else {
        Reason::DatabaseRightsMissing
    };
    Err(Fault::new(reason, format!("{}: {message}", tx.target().place())))
}
