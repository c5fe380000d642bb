//! Row-level security: a role that does not see every row would take stale stations for deleted ones, and hidden ones for new.
//!
//! A policy without a column of the table decides for all rows alike; `USING (true)` is the usual one. A policy that limits writes is no
//! fault here: a row that it rejects is skipped, and a delete that it suppresses is withheld.

use crate::fault::{Fault, Reason};
use crate::store::db::Tx;

/// The commands for which no policy admits the role, and SELECT if one may hide rows.
const INSUFFICIENT: &str = "
    WITH applicable AS (
        SELECT p.polcmd, p.polpermissive,
               pg_get_expr(p.polqual, p.polrelid) = 'true' OR NOT EXISTS (
                   SELECT FROM pg_depend d WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                   AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.polrelid AND d.refobjsubid > 0) AS shows_all
        FROM pg_policy p WHERE p.polrelid = 'tarana_base_stations'::regclass
            AND EXISTS (SELECT FROM unnest(p.polroles) AS role WHERE role = 0 OR pg_has_role(current_user, role, 'USAGE')))
    SELECT v.verb FROM (VALUES ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd')) AS v (verb, cmd)
    WHERE NOT EXISTS (SELECT FROM applicable a WHERE a.polpermissive AND a.polcmd IN ('*', v.cmd::\"char\")
                      AND (v.cmd <> 'r' OR a.shows_all))
       OR v.cmd = 'r' AND EXISTS (SELECT FROM applicable a WHERE NOT a.polpermissive AND a.polcmd IN ('*', 'r') AND NOT a.shows_all)";

/// Fails if row-level security may hide rows from this role, or admits no write.
pub(super) async fn check(tx: &mut Tx) -> Result<(), Fault> {
    let rows = tx.all(sqlx::query(INSUFFICIENT)).await?;
    let mut verbs = Vec::new();
    for row in &rows {
        verbs.push(tx.get::<String>(row, 0)?);
    }
    if verbs.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{}: row-level security of tarana_base_stations may hide rows from the role in spec.database.secretRef, or refuse its writes \
         ({}); let the owner create a permissive policy for this role with USING (true) and WITH CHECK (true), and exempt it from \
         restrictive policies",
        tx.target().display_name(),
        verbs.join(", ")
    );
    Err(Fault::new(Reason::DatabaseRightsMissing, message))
}
