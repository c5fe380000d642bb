//! Migrates a schema, and reports one that cannot be used.
//!
//! sqlx's migrator is not used, because it takes a session lock and names its statements, which PgBouncer in transaction
//! mode does not support. All migrations run in one transaction under a transaction-level advisory lock: they are applied
//! completely or not at all, and a second process waits for the lock and finds nothing left to apply.

use std::time::Duration;

use super::db::{Db, Tx};
use super::error::{DbError, Target};
use super::rights;
use crate::fault::{Fault, Reason};

/// One file of `migrations/`.
struct Migration {
    version: i32,
    description: &'static str,
    sql: &'static str,
}

/// In order, without gaps. A released file is never edited: databases contain its checksum.
const MIGRATIONS: [Migration; 11] = [
    Migration {
        version: 1,
        description: "stations",
        sql: include_str!("../../migrations/0001_stations.sql"),
    },
    Migration {
        version: 2,
        description: "logs",
        sql: include_str!("../../migrations/0002_logs.sql"),
    },
    Migration {
        version: 3,
        description: "changes",
        sql: include_str!("../../migrations/0003_changes.sql"),
    },
    Migration {
        version: 4,
        description: "outbox",
        sql: include_str!("../../migrations/0004_outbox.sql"),
    },
    Migration {
        version: 5,
        description: "exposure",
        sql: include_str!("../../migrations/0005_exposure.sql"),
    },
    Migration {
        version: 6,
        description: "listing",
        sql: include_str!("../../migrations/0006_listing.sql"),
    },
    Migration {
        version: 7,
        description: "rows",
        sql: include_str!("../../migrations/0007_rows.sql"),
    },
    Migration {
        version: 8,
        description: "cluster",
        sql: include_str!("../../migrations/0008_cluster.sql"),
    },
    Migration {
        version: 9,
        description: "spans",
        sql: include_str!("../../migrations/0009_spans.sql"),
    },
    Migration {
        version: 10,
        description: "stale",
        sql: include_str!("../../migrations/0010_stale.sql"),
    },
    Migration {
        version: 11,
        description: "delivery",
        sql: include_str!("../../migrations/0011_delivery.sql"),
    },
];

const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS tarana_migrations (
    version int PRIMARY KEY, description text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())";

/// Applies pending migrations and returns their descriptions. `Ok(None)` if some are pending and `allowed` is false.
pub(super) async fn migrate(db: &Db, allowed: bool) -> Result<Option<Vec<&'static str>>, Fault> {
    let mut tx = db.begin().await?;
    // The files look for existing tables, and create those that are missing, in our schema.
    tx.narrow_search_path().await?;
    schema_exists(&mut tx).await?;
    let mut pending = pending(&mut tx).await?;
    if !pending.is_empty() {
        if !allowed {
            tx.rollback().await?;
            return Ok(None);
        }
        lock(&mut tx).await?;
        // Another process may have applied them while this one waited.
        pending = self::pending(&mut tx).await?;
        if !pending.is_empty() {
            tx.script(CREATE_TABLE.to_owned()).await?;
        }
        for migration in &pending {
            apply(&mut tx, migration).await?;
        }
    }
    tx.commit().await?;
    Ok(Some(pending.into_iter().map(|m| m.description).collect()))
}

/// The descriptions of the migrations that the schema lacks. Changes nothing.
pub(super) async fn pending_descriptions(db: &Db) -> Result<Vec<&'static str>, Fault> {
    let mut tx = db.begin_read_only().await?;
    schema_exists(&mut tx).await?;
    let pending = pending(&mut tx).await?;
    tx.rollback().await?;
    Ok(pending
        .into_iter()
        .map(|migration| migration.description)
        .collect())
}

/// The fault for an outdated schema that may not be migrated.
pub(super) fn outdated(target: &Target) -> Fault {
    let message = format!(
        "schema {:?} of {} is older than this version needs; run `tarana-operator migrate`",
        target.schema,
        target.display_name()
    );
    Fault::new(Reason::SchemaOutdated, message)
}

async fn schema_exists(tx: &mut Tx) -> Result<(), Fault> {
    let target = tx.target().clone();
    let usable = "SELECT CASE WHEN NOT has_schema_privilege(oid, 'USAGE')
                         THEN format('GRANT USAGE ON SCHEMA %I TO %I;', nspname, current_user) END
                  FROM pg_namespace WHERE nspname = $1";
    let row = tx.optional(sqlx::query(usable).bind(&target.schema)).await?;
    let (schema, database) = (&target.schema, target.display_name());
    match row.map(|r| tx.get::<Option<String>>(&r, 0)).transpose()? {
        Some(None) => Ok(()),
        Some(Some(remedy)) => Err(Fault::new(
            Reason::DatabaseRightsMissing,
            format!(
                "{database}: the role in spec.database.secretRef may not use schema {schema:?}; let the owner run: {remedy}"
            ),
        )),
        None => Err(Fault::new(
            Reason::SchemaInvalid,
            format!(
                "schema {schema:?} does not exist in {database}; create it or correct spec.database.schema"
            ),
        )),
    }
}

/// Takes the advisory lock of the schema until the end of the transaction.
async fn lock(tx: &mut Tx) -> Result<(), DbError> {
    tx.set_statement_timeout(Duration::from_mins(10)).await?;
    tx.script("SET LOCAL lock_timeout TO '60s'".to_owned()).await?;
    let key = "SELECT pg_advisory_xact_lock(hashtextextended('tarana-operator ' || current_schema(), 0))";
    tx.execute(sqlx::query(key)).await.map(|_| ())
}

/// Migrations that are not applied yet. Rejects a schema of a newer version, and checksums that differ.
async fn pending(tx: &mut Tx) -> Result<Vec<&'static Migration>, Fault> {
    let applied = applied(tx).await?;
    let target = tx.target();
    if let Some((newer, _)) = applied
        .iter()
        .rfind(|(v, _)| MIGRATIONS.iter().all(|m| m.version != *v))
    {
        let message = format!(
            "schema {:?} of {} is at version {newer}, written by a newer tarana-operator; run that version or newer",
            target.schema,
            target.display_name()
        );
        return Err(Fault::new(Reason::SchemaTooNew, message));
    }
    let mut pending = Vec::new();
    for migration in &MIGRATIONS {
        match applied.iter().find(|(v, _)| *v == migration.version) {
            None => pending.push(migration),
            Some((_, same)) if !same => return Err(drifted(target, migration)),
            Some(_) => {}
        }
    }
    Ok(pending)
}

fn drifted(target: &Target, migration: &Migration) -> Fault {
    let message = format!(
        "migration {} ({}) in schema {:?} of {} is not the one that this version knows: the tables may differ from what it expects; restore tarana_migrations, or use the version that wrote them",
        migration.version,
        migration.description,
        target.schema,
        target.display_name()
    );
    Fault::new(Reason::SchemaInvalid, message)
}

/// Applied versions, and whether the checksum of each matches.
///
/// If the table exists, it is never empty. A role that sees no rows lacks a privilege or a policy, and must not treat the
/// schema as new.
async fn applied(tx: &mut Tx) -> Result<Vec<(i32, bool)>, Fault> {
    let table = "SELECT has_table_privilege(c.oid, 'SELECT') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = current_schema() AND c.relname = 'tarana_migrations'";
    let Some(table) = tx.optional(sqlx::query(table)).await? else {
        return Ok(Vec::new());
    };
    let mut applied = Vec::new();
    if tx.get(&table, 0)? {
        // The server computes the hashes, which saves a dependency.
        let rows = "SELECT m.version, coalesce(m.checksum = encode(sha256(convert_to(known.sql, 'UTF8')), 'hex'), true)
                    FROM tarana_migrations m LEFT JOIN unnest($1::int[], $2::text[]) AS known (version, sql) USING (version)
                    ORDER BY m.version";
        let versions: Vec<i32> = MIGRATIONS.iter().map(|m| m.version).collect();
        let files: Vec<&str> = MIGRATIONS.iter().map(|m| m.sql).collect();
        for row in tx.all(sqlx::query(rows).bind(versions).bind(files)).await? {
            applied.push((tx.get(&row, 0)?, tx.get(&row, 1)?));
        }
    }
    if applied.is_empty() {
        rights::check(tx).await?;
        let message = format!(
            "{}: tarana_migrations is empty; restore it",
            tx.target().display_name()
        );
        return Err(Fault::new(Reason::SchemaInvalid, message));
    }
    Ok(applied)
}

async fn apply(tx: &mut Tx, migration: &Migration) -> Result<(), DbError> {
    tx.script(migration.sql.to_owned()).await?;
    let insert = "INSERT INTO tarana_migrations (version, description, checksum)
                VALUES ($1, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'))";
    let insert = sqlx::query(insert)
        .bind(migration.version)
        .bind(migration.description)
        .bind(migration.sql);
    tx.execute(insert).await.map(|_| ())
}
