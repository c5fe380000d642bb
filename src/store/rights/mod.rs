//! Checks the privileges that a sync needs, and reports all missing ones in one message with the statements that grant them.
//!
//! A role can lack a grant or, on a table with row-level security, a policy (see [`policies`]).

mod policies;

use super::columns::COLUMNS;
use super::db::Tx;
use crate::fault::{Fault, Reason};

/// Table, privilege and columns (empty: all columns). The same as `migrations/roles/operator.sql` grants.
fn required() -> [(&'static str, &'static str, String); 16] {
    let stations = COLUMNS.iter().map(|(name, _)| *name).chain(["last_updated"]);
    let inserted = stations.clone().collect::<Vec<_>>().join(" ");
    let updated = stations.skip(1).collect::<Vec<_>>().join(" ");
    [
        ("tarana_migrations", "SELECT", String::new()),
        ("tarana_base_stations", "SELECT", String::new()),
        ("tarana_base_stations", "DELETE", String::new()),
        ("tarana_base_stations", "INSERT", inserted),
        ("tarana_base_stations", "UPDATE", updated),
        ("tarana_sync_logs", "SELECT", String::new()),
        ("tarana_sync_logs", "INSERT", INSERTED_LOG_COLUMNS.into()),
        ("tarana_sync_logs", "UPDATE", UPDATED_LOG_COLUMNS.into()),
        ("tarana_sync_logs", "DELETE", String::new()),
        ("tarana_sync_change_batches", "SELECT", String::new()),
        ("tarana_sync_change_batches", "INSERT", String::new()),
        ("tarana_sync_change_batches", "DELETE", String::new()),
        ("tarana_sync_outbox", "SELECT", String::new()),
        ("tarana_sync_outbox", "INSERT", "run type payload".into()),
        (
            "tarana_sync_outbox",
            "UPDATE",
            "attempts next_attempt_at delivered_at abandoned_at last_error".into(),
        ),
        ("tarana_sync_outbox", "DELETE", String::new()),
    ]
}

/// Columns that `register` writes.
const INSERTED_LOG_COLUMNS: &str = "id status trigger_type triggered_by namespace name connection connection_uid actor dry_run \
    delete_stale cluster_uid";
/// Columns that are written later.
const UPDATED_LOG_COLUMNS: &str = "status attempt fence started_at heartbeat_at completed_at duration_ms outcome reason message errors \
    stations_fetched inserted updated unchanged deleted skipped withheld listing proof spans stale";

/// One row per table that lacks something: what is missing, and the statement that adds it.
const MISSING: &str = "
    WITH needed AS (
        SELECT n.name, n.verb, n.columns, n.at, c.oid
        FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS n (name, verb, columns, at)
        LEFT JOIN pg_class c ON c.relname = n.name
            AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    ), ungranted AS (
        SELECT name, at, verb || coalesce(' (' || string_agg(quote_ident(one), ', ') || ')', '') AS what,
               verb || CASE WHEN count(one) BETWEEN 1 AND 3 THEN ' (' || string_agg(one, ', ') || ')' ELSE '' END AS brief
        FROM needed LEFT JOIN unnest(string_to_array(columns, ' ')) AS one ON true
        WHERE oid IS NOT NULL AND NOT CASE WHEN one IS NULL THEN has_table_privilege(oid, verb)
                                           ELSE has_column_privilege(oid, one, verb) END
        GROUP BY name, at, verb
    )
    SELECT 'table ' || name || ' (missing)', 'restore it' FROM needed WHERE oid IS NULL GROUP BY name
    UNION ALL
    SELECT string_agg(brief, ', ' ORDER BY at) || ' on ' || name,
           format('GRANT %s ON %I.%I TO %I;', string_agg(what, ', ' ORDER BY at), current_schema(), name, current_user)
    FROM ungranted GROUP BY name";

/// Reads the catalogs only. Every column must exist.
pub(super) async fn check(tx: &mut Tx) -> Result<(), Fault> {
    let required = required();
    let tables = required.each_ref().map(|(table, _, _)| *table);
    let verbs = required.each_ref().map(|(_, verb, _)| *verb);
    let policies = policies::missing(tx, &tables, &verbs).await?;
    let columns = required.map(|(_, _, columns)| columns);
    let missing = sqlx::query(MISSING).bind(tables).bind(verbs).bind(columns);
    let rows = tx.all(missing).await?;
    let (mut missing, mut remedies) = (Vec::new(), Vec::new());
    for row in &rows {
        missing.push(tx.get::<String>(row, 0)?);
        remedies.push(tx.get::<String>(row, 1)?);
    }
    for policy in policies {
        missing.push(policy.what);
        remedies.push(policy.remedy);
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
            "the role in spec.database.secretRef lacks privileges, which migrations/roles/operator.sql or each GRANT below gives: {what}; let the owner run: {}",
            remedies.join(" ")
        )
    };
    let reason = if what.contains("(missing)") {
        Reason::SchemaInvalid
    } else {
        Reason::DatabaseRightsMissing
    };
    Err(Fault::new(
        reason,
        format!("{}: {message}", tx.target().display_name()),
    ))
}
