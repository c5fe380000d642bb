//! Policies of row-level security that hide rows from the role.
//!
//! A hidden row is hard to notice: an `UPDATE` or `DELETE` of it succeeds and affects no row, and an `INSERT` of the same serial fails. So
//! the policies must show every row, for each command that a sync uses: the condition of at least one permissive policy and of every
//! restrictive one is true for all rows.

use sqlx::AssertSqlSafe;

use crate::store::db::Tx;
use crate::store::error::DbError;
use crate::store::identifier::quote;

/// What is missing on a table, and the statement that adds it.
pub(super) struct MissingPolicy {
    pub what: String,
    pub remedy: String,
}

/// One row per table, command and policy that applies to the role, a role it belongs to, or PUBLIC; at least one per table and command.
/// None for tables on which row-level security does not apply to the role. A condition without a column is the same for all rows.
const APPLICABLE: &str = "
    SELECT n.name, n.verb, p.polname::text, coalesce(p.polpermissive, false), coalesce(pg_get_expr(p.polqual, p.polrelid), 'true'),
           coalesce(p.polqual::text !~ '[{]VAR ', true), current_user::text
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n (name, verb, at)
    JOIN pg_class c ON c.relname = n.name AND row_security_active(c.oid)
        AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    LEFT JOIN pg_policy p ON p.polrelid = c.oid
        AND p.polcmd IN ('*', CASE n.verb WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a' WHEN 'UPDATE' THEN 'w' ELSE 'd' END::\"char\")
        AND EXISTS (SELECT FROM unnest(p.polroles) AS role WHERE role = 0 OR pg_has_role(current_user, role, 'USAGE'))
    ORDER BY n.at, p.polname";

/// A policy, or the place of one (`name` is empty).
struct Policy {
    table: String,
    verb: String,
    name: Option<String>,
    is_permissive: bool,
    condition: String,
    is_constant: bool,
    role: String,
}

impl Policy {
    /// Whether it shows all rows, if it is permissive, or hides none, if it is restrictive. New rows have no condition that hides them.
    fn admits_all(&self, true_conditions: &[String]) -> bool {
        self.name.is_some() && (self.verb == "INSERT" || true_conditions.contains(&self.condition))
    }
}

/// The policies that are missing on tables for the command at the same position.
pub(super) async fn missing(
    tx: &mut Tx,
    tables: &[&str],
    verbs: &[&str],
) -> Result<Vec<MissingPolicy>, DbError> {
    let rows = tx.all(sqlx::query(APPLICABLE).bind(tables).bind(verbs)).await?;
    let mut policies = Vec::with_capacity(rows.len());
    for row in &rows {
        policies.push(Policy {
            table: tx.get(row, 0)?,
            verb: tx.get(row, 1)?,
            name: tx.get(row, 2)?,
            is_permissive: tx.get(row, 3)?,
            condition: tx.get(row, 4)?,
            is_constant: tx.get(row, 5)?,
            role: tx.get(row, 6)?,
        });
    }
    let true_conditions = true_conditions(tx, &policies).await?;
    let schema = tx.target().schema.clone();
    let of_tables = policies.chunk_by(|a, b| a.table == b.table);
    Ok(of_tables
        .flat_map(|policies| of_table(&schema, policies, &true_conditions))
        .collect())
}

/// The conditions that are true for all rows. Those of policies that compare the role, for example, are evaluated.
async fn true_conditions(tx: &mut Tx, policies: &[Policy]) -> Result<Vec<String>, DbError> {
    let mut conditions: Vec<String> = Vec::new();
    for policy in policies.iter().filter(|policy| policy.is_constant) {
        if policy.condition != "true" && !conditions.contains(&policy.condition) {
            conditions.push(policy.condition.clone());
        }
    }
    let mut true_conditions = vec!["true".to_owned()];
    if !conditions.is_empty() {
        let list: Vec<String> = conditions.iter().map(|c| format!("({c}) IS TRUE")).collect();
        let select = format!("SELECT {}", list.join(", "));
        let row = tx.one(sqlx::query(AssertSqlSafe(select))).await?;
        for (at, condition) in conditions.into_iter().enumerate() {
            if tx.get(&row, at)? {
                true_conditions.push(condition);
            }
        }
    }
    Ok(true_conditions)
}

/// `policies` are all of one table.
fn of_table(schema: &str, policies: &[Policy], true_conditions: &[String]) -> Vec<MissingPolicy> {
    let (mut verbs, mut restrictive) = (Vec::new(), Vec::new());
    for of_verb in policies.chunk_by(|a, b| a.verb == b.verb) {
        let admits = |policy: &&Policy| policy.admits_all(true_conditions);
        if !of_verb.iter().filter(|p| p.is_permissive).any(|p| admits(&p)) {
            verbs.push(of_verb[0].verb.as_str());
        }
        for policy in of_verb.iter().filter(|p| !p.is_permissive && !admits(p)) {
            if let Some(name) = policy.name.as_deref().filter(|name| !restrictive.contains(name)) {
                restrictive.push(name);
            }
        }
    }
    let (table, role) = (&policies[0].table, &policies[0].role);
    let mut missing = Vec::new();
    if !verbs.is_empty() {
        let initials: String = verbs.iter().filter_map(|verb| verb.chars().next()).collect();
        let name: String = role.chars().take(40).collect();
        missing.push(MissingPolicy {
            what: format!(
                "a policy of row-level security for {} on {table} that shows all rows",
                verbs.join(", ")
            ),
            remedy: format!(
                "CREATE POLICY {} ON {}.{table} TO {} USING (true) WITH CHECK (true);",
                quote(&format!("{name} {}", initials.to_lowercase())),
                quote(schema),
                quote(role)
            ),
        });
    }
    if !restrictive.is_empty() {
        let names: Vec<String> = restrictive.into_iter().map(quote).collect();
        missing.push(MissingPolicy {
            what: format!(
                "an exemption from the restrictive policies of row-level security on {table} ({})",
                names.join(", ")
            ),
            remedy: format!("ALTER ROLE {} BYPASSRLS;", quote(role)),
        });
    }
    missing
}
