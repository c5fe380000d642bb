//! The probe of a database: tables that a run could not write are reported with the statement that repairs them, and all others are accepted.

use tarana_operator::fault::Reason;
use tarana_operator::station::Change;

use crate::store_support::{
    AccessMode, deliver_events, drop_when_blocked, open, perform, ready, row, run, tests_with_every_mode,
    tests_with_mode,
};

tests_with_every_mode! {
    unusable_tables_are_reported_with_their_remedies,
    usable_tables_are_accepted,
    a_sequence_that_is_behind_finds_a_free_number,
}
tests_with_mode!(
    direct_only,
    Direct,
    a_locked_table_is_not_waited_for,
    the_probe_changes_nothing
);

/// What is done to the tables, and what the message says. The remedy of the message repairs it.
const UNUSABLE: &[(&str, &[&str])] = &[
    // D5: a column is renamed, retyped, or loses its index.
    (
        "ALTER TABLE tarana_sync_logs RENAME COLUMN withheld TO kept",
        &["column public.tarana_sync_logs.withheld is missing"],
    ),
    (
        "ALTER TABLE tarana_sync_logs ALTER COLUMN spans TYPE text",
        &["public.tarana_sync_logs.spans is text instead of jsonb"],
    ),
    (
        "ALTER TABLE tarana_sync_logs ALTER COLUMN errors DROP DEFAULT, ALTER COLUMN errors TYPE json",
        &["public.tarana_sync_logs.errors is json instead of jsonb"],
    ),
    (
        "ALTER TABLE tarana_sync_logs ALTER COLUMN fence TYPE int",
        &["public.tarana_sync_logs.fence is integer instead of bigint"],
    ),
    (
        "ALTER TABLE tarana_sync_logs ALTER COLUMN heartbeat_at TYPE text",
        &["public.tarana_sync_logs.heartbeat_at is text instead of timestamptz"],
    ),
    (
        "ALTER TABLE tarana_sync_outbox RENAME COLUMN payload TO body",
        &[
            "column public.tarana_sync_outbox.payload is missing",
            "public.tarana_sync_outbox.body is NOT NULL without a default",
        ],
    ),
    (
        "ALTER TABLE tarana_sync_outbox DROP CONSTRAINT tarana_sync_outbox_run_type_key",
        &["public.tarana_sync_outbox lacks a valid unique index on run, type"],
    ),
    (
        "ALTER TABLE tarana_sync_outbox ALTER COLUMN id DROP IDENTITY",
        &["public.tarana_sync_outbox.id is NOT NULL without a default"],
    ),
    (
        "DROP INDEX tarana_sync_logs_one_running",
        &["unique index on connection_uid WHERE status = 'running'"],
    ),
    (
        "ALTER TABLE tarana_sync_change_batches ADD COLUMN batch int NOT NULL DEFAULT 1;
         ALTER TABLE tarana_sync_change_batches ALTER COLUMN batch DROP DEFAULT",
        &["public.tarana_sync_change_batches.batch is NOT NULL without a default"],
    ),
    // D11: a column that cannot be written.
    (
        "ALTER TABLE tarana_base_stations ADD COLUMN \"Owner \"\"x\"\"\" text NOT NULL DEFAULT '';
         ALTER TABLE tarana_base_stations ALTER COLUMN \"Owner \"\"x\"\"\" DROP DEFAULT",
        &["public.tarana_base_stations.Owner \"x\" is NOT NULL without a default"],
    ),
    (
        "CREATE DOMAIN strict AS text NOT NULL; ALTER TABLE tarana_base_stations ADD COLUMN strict strict DEFAULT 'x';
         ALTER TABLE tarana_base_stations ALTER COLUMN strict DROP DEFAULT",
        &["public.tarana_base_stations.strict is NOT NULL without a default"],
    ),
    (
        "ALTER TABLE tarana_base_stations ALTER COLUMN id DROP DEFAULT",
        &["public.tarana_base_stations.id is NOT NULL without a default", "gen_random_uuid()"],
    ),
    (
        "ALTER TABLE tarana_base_stations ALTER COLUMN device_status DROP DEFAULT,
             ALTER COLUMN device_status TYPE boolean USING false, ALTER COLUMN device_status SET DEFAULT false",
        &["public.tarana_base_stations.device_status is boolean instead of int"],
    ),
    (
        "ALTER TABLE tarana_base_stations ALTER COLUMN region_id TYPE text",
        &["public.tarana_base_stations.region_id is text instead of int"],
    ),
    (
        "ALTER TABLE tarana_base_stations DROP COLUMN band, ADD COLUMN band text GENERATED ALWAYS AS (upper(hostname)) STORED",
        &["public.tarana_base_stations.band is generated"],
    ),
    (
        "ALTER TABLE tarana_base_stations ALTER COLUMN market_id SET NOT NULL,
             ALTER COLUMN market_id ADD GENERATED ALWAYS AS IDENTITY",
        &["public.tarana_base_stations.market_id is an identity"],
    ),
    (
        "DELETE FROM tarana_sync_logs; ALTER TABLE tarana_sync_logs ALTER COLUMN triggered_by SET NOT NULL",
        &["public.tarana_sync_logs.triggered_by is NOT NULL, but a sync writes NULL there"],
    ),
    // D19: the unique index is missing, partial or not of this column.
    (
        "ALTER TABLE tarana_base_stations DROP CONSTRAINT tarana_base_stations_serial_number_key;
         CREATE UNIQUE INDEX of_some ON tarana_base_stations (serial_number) WHERE band IS NOT NULL;
         CREATE UNIQUE INDEX of_more ON tarana_base_stations (serial_number, hostname)",
        &["table public.tarana_base_stations lacks a valid unique index on serial_number", "delete the rows"],
    ),
];

async fn unusable_tables_are_reported_with_their_remedies(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    for (sql, expected) in UNUSABLE {
        database.sql(sql).await;
        let fault = store.verify_access().await.expect_err(sql);
        assert_eq!(fault.reason, Reason::SchemaInvalid, "{sql}: {fault}");
        for part in *expected {
            assert!(fault.message.contains(part), "{sql}: {part}: {fault}");
        }
        let remedy = fault
            .message
            .split_once("let the owner run: ")
            .expect(&fault.message)
            .1;
        database.sql(remedy).await;
        if mode == AccessMode::LeastPrivilege {
            // The privileges of a column are lost with it.
            database.grant_operator_role("public");
        }
        store
            .verify_access()
            .await
            .unwrap_or_else(|fault| panic!("{sql}: {fault}"));
    }
    let mut changed = row("S1");
    changed.site_name = "changed".into();
    let update = Change::Update {
        before: Box::new(row("S1")),
        after: Box::new(changed),
    };
    perform(&store, vec![update, Change::Insert(row("S2"))]).await;
    let rows =
        "SELECT string_agg(serial_number || site_name, ' ' ORDER BY serial_number) FROM tarana_base_stations";
    assert_eq!(database.value(rows).await, "S1changed S2Größe ☂");
}

/// What an application may do to its tables.
const USABLE: &[&str] = &[
    "ALTER TABLE tarana_base_stations ADD COLUMN note text, ADD COLUMN flag boolean NOT NULL DEFAULT true,
         ADD COLUMN number int GENERATED ALWAYS AS IDENTITY, ADD COLUMN upper text GENERATED ALWAYS AS (upper(hostname)) STORED",
    "ALTER TABLE tarana_base_stations ALTER COLUMN site_name TYPE varchar(200), ALTER COLUMN height_m TYPE numeric,
         ALTER COLUMN device_status TYPE bigint, ALTER COLUMN lat TYPE float8",
    "CREATE DOMAIN band_name AS text CHECK (value <> ''); CREATE DOMAIN narrow_band AS band_name;
     ALTER TABLE tarana_base_stations ALTER COLUMN band TYPE narrow_band",
    "CREATE UNIQUE INDEX again ON tarana_base_stations (serial_number) INCLUDE (hostname); CREATE INDEX ON tarana_base_stations (market)",
    "ALTER TABLE tarana_sync_logs ADD COLUMN note text DEFAULT 'x', ALTER COLUMN message TYPE varchar(5000),
         ALTER COLUMN inserted TYPE bigint",
    // A trigger gives the column a value.
    "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.tenant = 'me'; RETURN new; END $$;
     ALTER TABLE tarana_base_stations ADD COLUMN tenant text; UPDATE tarana_base_stations SET tenant = 'me';
     ALTER TABLE tarana_base_stations ALTER COLUMN tenant SET NOT NULL;
     CREATE TRIGGER fill BEFORE INSERT ON tarana_base_stations FOR EACH ROW EXECUTE FUNCTION fill()",
    "CREATE TABLE parts (LIKE tarana_base_stations INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING GENERATED, UNIQUE (serial_number, region))
         PARTITION BY LIST (region);
     CREATE TABLE some_parts PARTITION OF parts FOR VALUES IN ('South Africa'); CREATE TABLE other_parts PARTITION OF parts DEFAULT;
     DROP TABLE tarana_base_stations; ALTER TABLE parts RENAME TO tarana_base_stations;
     CREATE TRIGGER fill BEFORE INSERT ON tarana_base_stations FOR EACH ROW EXECUTE FUNCTION fill()",
];

async fn usable_tables_are_accepted(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    for (at, sql) in USABLE.iter().enumerate() {
        database.sql(sql).await;
        if mode == AccessMode::LeastPrivilege {
            database.grant_operator_role("public");
        }
        store
            .verify_access()
            .await
            .unwrap_or_else(|fault| panic!("{sql}: {fault}"));
        perform(&store, vec![Change::Insert(row(&format!("S{at}")))]).await;
    }
}

/// D4: after a logical move, the sequence begins at 1 again.
async fn a_sequence_that_is_behind_finds_a_free_number(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    for serial in ["S1", "S2"] {
        perform(&store, vec![Change::Insert(row(serial))]).await;
    }
    database
        .sql("ALTER SEQUENCE tarana_sync_outbox_id_seq RESTART WITH 1")
        .await;
    store.verify_access().await.unwrap();
    let run = perform(&store, vec![Change::Insert(row("S3"))]).await;
    let kinds: Vec<String> = deliver_events(&store, run.connection_uid)
        .await
        .unwrap()
        .into_iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(kinds, ["tarana/sync.requested", "tarana/sync.completed"]);
    let events = "SELECT count(*) || ' ' || count(DISTINCT (run, type)) FROM tarana_sync_outbox";
    assert_eq!(database.value(events).await, "6 6");
}

/// A run in Apply holds the table lock for minutes. The probe of another process does not wait for the end of the run, and delays no reader.
async fn a_locked_table_is_not_waited_for(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    let mut holder = database.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE tarana_base_stations IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut holder)
        .await
        .unwrap();
    store.verify_access().await.unwrap();
    // So the lock is one that the statements wait for.
    drop_when_blocked(&database, async {
        let run = run();
        let fence = open(&store, &run).await;
        let _ = store.begin_apply(run.id, fence, &|_| ()).await;
    })
    .await;
}

async fn the_probe_changes_nothing(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    perform(&store, vec![Change::Insert(row("S1"))]).await;
    let trap = "CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap'; END $$;
        DO $$ DECLARE t text; BEGIN
            FOREACH t IN ARRAY ARRAY['tarana_base_stations', 'tarana_sync_logs', 'tarana_sync_outbox', 'tarana_sync_change_batches'] LOOP
                EXECUTE format('CREATE TRIGGER trap BEFORE INSERT OR UPDATE OR DELETE ON %I EXECUTE FUNCTION trap()', t);
            END LOOP; END $$";
    database.sql(trap).await;
    let state = "SELECT string_agg(concat_ws(' ', relname, last_value), ',' ORDER BY relname) FROM pg_class, pg_sequences
                 WHERE relkind = 'S' AND sequencename = relname";
    let before = database.value(state).await;
    store.verify().await.unwrap();
    assert_eq!(database.value(state).await, before);
    assert_eq!(
        database
            .value("SELECT count(*) FROM pg_locks WHERE relation = 'tarana_base_stations'::regclass")
            .await,
        "0"
    );
}
