//! Pure: the tables that a run writes, as their statements need them.

use crate::store::columns::COLUMNS;

/// A table that is written.
pub(super) struct ExpectedTable {
    pub name: &'static str,
    pub columns: Vec<ExpectedColumn>,
    pub keys: Vec<Key>,
}

/// A column that is read or written.
pub(super) struct ExpectedColumn {
    pub name: &'static str,
    /// As in `ALTER TABLE … ADD COLUMN`.
    pub kind: String,
    /// Names of the base types that serve.
    pub types: &'static [&'static str],
    pub written: Written,
    /// Whether NULL is written.
    pub is_nullable: bool,
}

/// How a column is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// When the row is created.
    Inserted,
    /// Later.
    Updated,
    /// By the table's default.
    Never,
}

/// A unique index.
pub(super) struct Key {
    pub columns: &'static [&'static str],
    /// Why it is needed, continuing "so that".
    pub purpose: &'static str,
    /// For a partial index: its name, by which its violation is recognized, and its condition.
    pub partial: Option<(&'static str, &'static str)>,
    /// Whether it must be checked at once, as ON CONFLICT requires.
    pub is_immediate: bool,
}

const TEXTS: &[&str] = &["text", "varchar", "bpchar", "citext", "name"];
const NUMBERS: &[&str] = &["int2", "int4", "int8", "float4", "float8", "numeric"];
const TIMES: &[&str] = &["timestamptz", "timestamp"];
const JSON: &[&str] = &["jsonb", "json"];
const ARRAYS: &[&str] = &["_text", "_varchar", "_int4", "_int8", "_numeric"];

/// All tables.
pub(super) fn tables() -> Vec<ExpectedTable> {
    vec![stations(), logs(), change_batches(), outbox()]
}

fn column(
    name: &'static str,
    kind: &str,
    types: &'static [&'static str],
    written: Written,
) -> ExpectedColumn {
    ExpectedColumn {
        name,
        kind: kind.to_owned(),
        types,
        written,
        is_nullable: false,
    }
}

fn nullable(column: ExpectedColumn) -> ExpectedColumn {
    ExpectedColumn {
        is_nullable: true,
        ..column
    }
}

fn immediate_key(columns: &'static [&'static str], purpose: &'static str) -> Key {
    Key {
        columns,
        purpose,
        partial: None,
        is_immediate: true,
    }
}

fn stations() -> ExpectedTable {
    let kind_of = |kind: &str| if kind == "text" { TEXTS } else { NUMBERS };
    let mut columns: Vec<ExpectedColumn> = COLUMNS
        .iter()
        .map(|(name, kind)| column(name, kind, kind_of(kind), Written::Inserted))
        .collect();
    let times = &["timestamptz", "timestamp", "date"];
    columns.push(column("last_updated", "timestamptz", times, Written::Inserted));
    let serial = Key {
        is_immediate: false,
        ..immediate_key(
            &["serial_number"],
            "no station is there twice (delete the rows that are)",
        )
    };
    ExpectedTable {
        name: "tarana_base_stations",
        columns,
        keys: vec![serial],
    }
}

fn logs() -> ExpectedTable {
    use Written::{Inserted, Never, Updated};
    let mut columns = vec![
        column("id", "uuid", &["uuid"], Inserted),
        nullable(column("triggered_by", "uuid", &["uuid"], Inserted)),
        column("connection_uid", "uuid", &["uuid"], Inserted),
        nullable(column("cluster_uid", "uuid", &["uuid"], Inserted)),
        column("dry_run", "boolean", &["bool"], Inserted),
        column("delete_stale", "boolean", &["bool"], Inserted),
        column("attempt", "int", &["int4"], Updated),
        column("fence", "bigint", &["int8"], Updated),
        nullable(column("message", "text", TEXTS, Updated)),
        column("errors", "jsonb", &["jsonb"], Updated),
        nullable(column("spans", "jsonb", &["jsonb"], Updated)),
        column("created_at", "timestamptz", TIMES, Never),
    ];
    let texts = |names: &'static [&'static str], written| {
        names.iter().map(move |name| column(name, "text", TEXTS, written))
    };
    columns.extend(texts(
        &[
            "status",
            "trigger_type",
            "namespace",
            "name",
            "connection",
            "actor",
        ],
        Inserted,
    ));
    columns.extend(texts(&["outcome", "reason", "listing", "proof"], Updated));
    let times = ["started_at", "heartbeat_at", "completed_at"];
    columns.extend(times.map(|name| column(name, "timestamptz", TIMES, Updated)));
    let counts = [
        "duration_ms",
        "stations_fetched",
        "inserted",
        "updated",
        "unchanged",
        "deleted",
        "skipped",
        "withheld",
        "stale",
    ];
    columns.extend(counts.map(|name| column(name, "int", &["int4", "int8", "numeric"], Updated)));
    let one_running = Key {
        columns: &["connection_uid"],
        purpose: "one run of a connection runs at a time",
        partial: Some(("tarana_sync_logs_one_running", "status = 'running'")),
        is_immediate: true,
    };
    ExpectedTable {
        name: "tarana_sync_logs",
        columns,
        keys: vec![immediate_key(&["id"], "a run has one row"), one_running],
    }
}

fn change_batches() -> ExpectedTable {
    let mut columns = vec![
        column("run", "uuid", &["uuid"], Written::Inserted),
        column("first", "int", &["int4", "int8"], Written::Inserted),
        column("op", "text", TEXTS, Written::Inserted),
        column("applied", "boolean", &["bool"], Written::Inserted),
        nullable(column("changes", "json", JSON, Written::Inserted)),
    ];
    columns.extend(COLUMNS.iter().map(|(name, kind)| {
        let (kind, _) = kind.split_once('(').unwrap_or((kind, ""));
        nullable(column(name, &format!("{kind}[]"), ARRAYS, Written::Inserted))
    }));
    ExpectedTable {
        name: "tarana_sync_change_batches",
        columns,
        keys: Vec::new(),
    }
}

fn outbox() -> ExpectedTable {
    use Written::{Inserted, Never, Updated};
    ExpectedTable {
        name: "tarana_sync_outbox",
        columns: vec![
            column("id", "bigint", &["int8"], Never),
            column("run", "uuid", &["uuid"], Inserted),
            column("type", "text", TEXTS, Inserted),
            column("payload", "jsonb", JSON, Inserted),
            column("created_at", "timestamptz", TIMES, Never),
            column("attempts", "int", &["int4"], Updated),
            column("next_attempt_at", "timestamptz", TIMES, Updated),
            nullable(column("delivered_at", "timestamptz", TIMES, Updated)),
            nullable(column("abandoned_at", "timestamptz", TIMES, Updated)),
            nullable(column("last_error", "text", TEXTS, Updated)),
        ],
        keys: vec![
            immediate_key(&["id"], "each event has its number"),
            immediate_key(&["run", "type"], "an event is written once"),
        ],
    }
}
