//! Brings a schema up to date, and says when it cannot be used.
//!
//! Not sqlx's migrator, because that one locks by session and names its statements, which PgBouncer in transaction mode does not
//! carry. Here everything happens in one transaction: it is all there or not at all, and the second of two
//! processes waits on a lock that ends with the first one's transaction, and then finds nothing left to do.

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

/// In order, without gaps. A file that was released is never edited: its checksum is in people's databases.
const MIGRATIONS: [Migration; 7] = [
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
];

const BOOKS: &str = "CREATE TABLE IF NOT EXISTS tarana_migrations (
    version int PRIMARY KEY, description text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())";

/// Applies what is missing; the descriptions of what was applied. `Ok(None)` if something is missing and `allowed`
/// is false.
pub(super) async fn migrate(db: &Db, allowed: bool) -> Result<Option<Vec<&'static str>>, Fault> {
    let mut tx = db.begin().await?;
    schema_exists(&mut tx).await?;
    let mut pending = pending(&mut tx).await?;
    if !pending.is_empty() {
        if !allowed {
            tx.rollback().await?;
            return Ok(None);
        }
        lock(&mut tx).await?;
        // Somebody else may have done it while we waited.
        pending = self::pending(&mut tx).await?;
        if !pending.is_empty() {
            tx.script(BOOKS.to_owned()).await?;
        }
        for migration in &pending {
            apply(&mut tx, migration).await?;
        }
    }
    tx.commit().await?;
    Ok(Some(pending.into_iter().map(|m| m.description).collect()))
}

/// What to say when the schema is behind and may not be changed.
pub(super) fn outdated(target: &Target) -> Fault {
    let message = format!(
        "schema {:?} of {} is older than this version needs; run `tarana-operator migrate`",
        target.schema,
        target.place()
    );
    Fault::new(Reason::SchemaOutdated, message)
}

async fn schema_exists(tx: &mut Tx) -> Result<(), Fault> {
    let target = tx.target().clone();
    let usable = "SELECT CASE WHEN NOT has_schema_privilege(oid, 'USAGE')
                         THEN format('GRANT USAGE ON SCHEMA %I TO %I;', nspname, current_user) END
                  FROM pg_namespace WHERE nspname = $1";
    let row = tx.optional(sqlx::query(usable).bind(&target.schema)).await?;
    let (schema, place) = (&target.schema, target.place());
    match row.map(|r| tx.get::<Option<String>>(&r, 0)).transpose()? {
        Some(None) => Ok(()),
        Some(Some(remedy)) => Err(Fault::new(
            Reason::DatabaseRightsMissing,
            format!(
                "{place}: the role in spec.database.secretRef may not use schema {schema:?}; let the owner run: {remedy}"
            ),
        )),
        None => Err(Fault::new(
            Reason::SchemaInvalid,
            format!("schema {schema:?} does not exist in {place}; create it or correct spec.database.schema"),
        )),
    }
}

/// Held until the end of the transaction, by schema.
async fn lock(tx: &mut Tx) -> Result<(), DbError> {
    tx.allow(Duration::from_mins(10)).await?;
    tx.script("SET LOCAL lock_timeout TO '60s'".to_owned()).await?;
    let key = "SELECT pg_advisory_xact_lock(hashtextextended('tarana-operator ' || current_schema(), 0))";
    tx.execute(sqlx::query(key)).await.map(|_| ())
}

/// What is not applied yet. Refuses a schema that a newer version wrote, and files that were edited afterwards.
async fn pending(tx: &mut Tx) -> Result<Vec<&'static Migration>, Fault> {
    let applied = applied(tx).await?;
    let target = tx.target();
    if let Some((newer, _)) = applied
        .iter()
        .find(|(v, _)| MIGRATIONS.iter().all(|m| m.version != *v))
    {
        let message = format!(
            "schema {:?} of {} is at version {newer}, written by a newer tarana-operator; run that version or newer",
            target.schema,
            target.place()
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
        target.place()
    );
    Fault::new(Reason::SchemaInvalid, message)
}

/// Versions in the books, and whether each has the checksum of our file.
///
/// Books that exist are never empty, so a role that sees none of them lacks a right or a policy: it must not take
/// the schema for a new one.
async fn applied(tx: &mut Tx) -> Result<Vec<(i32, bool)>, Fault> {
    let books = "SELECT has_table_privilege(c.oid, 'SELECT') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = current_schema() AND c.relname = 'tarana_migrations'";
    let Some(books) = tx.optional(sqlx::query(books)).await? else {
        return Ok(Vec::new());
    };
    let mut applied = Vec::new();
    if tx.get(&books, 0)? {
        // Hashed by the server: one dependency less.
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
        let message = format!("{}: tarana_migrations is empty; restore it", tx.target().place());
        return Err(Fault::new(Reason::SchemaInvalid, message));
    }
    Ok(applied)
}

async fn apply(tx: &mut Tx, migration: &Migration) -> Result<(), DbError> {
    tx.script(migration.sql.to_owned()).await?;
    let book = "INSERT INTO tarana_migrations (version, description, checksum)
                VALUES ($1, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'))";
    let book = sqlx::query(book)
        .bind(migration.version)
        .bind(migration.description)
        .bind(migration.sql);
    tx.execute(book).await.map(|_| ())
}
