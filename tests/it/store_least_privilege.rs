//! The roles of `migrations/roles/` have every privilege that is needed, and no other.

use sqlx::AssertSqlSafe;
use tarana_operator::fault::{Fault, Reason};
use tarana_operator::station::Change;
use tarana_operator::store::{
    BeginApply, CloseRequest, Config, OpenResult, Outcome, Retention, RetentionScope, Store,
};
use uuid::Uuid;

use crate::store_servers::{OPERATOR_PASSWORD, OPERATOR_ROLE};
use crate::store_support::{ADMINS, AccessMode, Database, EXISTING, perform, plan, psql, row, run, sweep};

/// Every call of a running operator to the store. Returns the first fault.
async fn use_store(store: &Store) -> Result<(), Fault> {
    let run = run();
    store.register(&run).await?;
    let OpenResult::Opened(fence) = store.open(&run, 1, |_| Vec::new()).await? else {
        panic!("not opened")
    };
    store.heartbeat(run.id, fence, 1, &[]).await?;
    store.record_failure(run.id, fence, "retry", &[]).await?;
    let BeginApply::Started(mut apply) = store.begin_apply(run.id, fence, &|_| ()).await? else {
        panic!("not started")
    };
    let mut rows = Vec::new();
    apply.read_rows(|row| rows.push(row)).await?;
    let mut changes = vec![Change::Insert(row(&run.id.to_string()))];
    if let [first, second, ..] = rows.as_slice() {
        let mut after = first.clone();
        after.device_status = Some(0);
        let before = Box::new(first.clone());
        changes.push(Change::Update {
            before,
            after: Box::new(after),
        });
        changes.push(Change::Delete(second.clone()));
    }
    apply.finish(&plan(changes), false, &[]).await?;
    let since = jiff::Timestamp::UNIX_EPOCH;
    let lease = std::time::Duration::ZERO;
    for event in store.take_due_events(run.connection_uid, since, 9, lease).await? {
        store.event_not_delivered(event.id, lease, "refused").await?;
        store.event_delivered(event.id).await?;
    }
    store.outbox_backlog(run.connection_uid, since).await?;
    let closing = CloseRequest {
        outcome: Outcome::Cancelled,
        reason: Reason::Cancelled,
        message: String::new(),
        attempt: 1,
        fence: None,
        spans: None,
    };
    let cancelled = self::run();
    store.close(&cancelled, &closing).await?;
    sweep(store, run.connection_uid, &[], std::time::Duration::ZERO).await?;
    delete_expired(store, cancelled.connection_uid).await?;
    store.time_since_heartbeat(run.id).await?;
    store.summary(run.connection_uid).await.map(|_| ())
}

/// Deletes the rows of all runs that have ended.
async fn delete_expired(store: &Store, connection_uid: Uuid) -> Result<(), Fault> {
    let scope = RetentionScope {
        connection_uid,
        cluster_uid: None,
        namespace: "net",
        existing: &[],
    };
    let retention = Retention {
        log_days: Some(0),
        change_days: Some(0),
        outbox_days: Some(0),
    };
    store.delete_expired(&scope, retention).await.map(drop)
}

/// Each privilege of the role in this database, as in `GRANT … TO` and `REVOKE … FROM`.
const GRANTED: &str = "
    SELECT format('%s ON SCHEMA %I', a.privilege_type, nspname) FROM pg_namespace, aclexplode(nspacl) a
    WHERE a.grantee = $1::regrole
    UNION ALL
    SELECT format('%s ON %s', a.privilege_type, c.oid::regclass) FROM pg_class c, aclexplode(relacl) a
    WHERE a.grantee = $1::regrole
    UNION ALL
    SELECT format('%s (%I) ON %s', a.privilege_type, attname, attrelid::regclass)
    FROM pg_attribute, aclexplode(attacl) a WHERE a.grantee = $1::regrole
    ORDER BY 1";

/// The statements that drop its policies.
const POLICIES: &str = "
    SELECT format('DROP POLICY %I ON %s', polname, polrelid::regclass) FROM pg_policy
    WHERE polroles = ARRAY[$1::regrole::oid] ORDER BY 1";

async fn list(database: &Database, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.replace("$1", &format!("'{OPERATOR_ROLE}'"))))
        .fetch_all(&mut database.connect().await)
        .await
        .unwrap()
}

/// A schema without default privileges, with row-level security on every table, even for the owner.
async fn with_restricted_schema(mode: AccessMode) -> (Database, Config) {
    let database = Database::new(mode).await;
    database.sql("CREATE SCHEMA towers").await;
    let schema = |config| Config {
        schema: "towers".into(),
        ..config
    };
    Store::new(&schema(database.direct()))
        .unwrap()
        .migrate()
        .await
        .unwrap();
    database.grant_operator_role("towers");
    database
        .sql("DO $$ DECLARE t regclass; BEGIN
                FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'towers'::regnamespace LOOP
                  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
                END LOOP; END $$")
        .await;
    let config = Config {
        migrate: false,
        ..schema(database.config_of(Some((OPERATOR_ROLE, OPERATOR_PASSWORD))))
    };
    (database, config)
}

#[tokio::test]
async fn every_granted_privilege_is_required_and_verified() {
    let (database, config) = with_restricted_schema(AccessMode::Direct).await;
    let store = Store::new(&config).unwrap();
    store.verify().await.unwrap();
    for _ in 0..3 {
        use_store(&store).await.unwrap();
    }
    let granted = list(&database, GRANTED).await;
    assert!(granted.len() > 45, "{granted:?}");
    for privilege in granted
        .iter()
        .filter(|privilege| !is_only_for_admin_api(privilege))
    {
        database
            .sql(&format!("REVOKE {privilege} FROM {OPERATOR_ROLE}"))
            .await;
        // The migrations are only read by `verify`.
        if !privilege.ends_with("tarana_migrations") {
            use_store(&store).await.expect_err(privilege);
        }
        assert_reported_and_restored(&database, &store, privilege).await;
        assert_eq!(
            &list(&database, GRANTED).await,
            &granted,
            "after {privilege} was granted again"
        );
    }
    for drop in list(&database, POLICIES).await {
        database.sql(&drop).await;
        if drop.ends_with("base_stations") {
            // A policy allows everyone to read the stations, so that only writes can fail.
            database
                .sql("ALTER TABLE towers.tarana_base_stations NO FORCE ROW LEVEL SECURITY")
                .await;
        }
        if !drop.ends_with("tarana_migrations") {
            use_store(&store).await.expect_err(&drop);
        }
        assert_reported_and_restored(&database, &store, &drop).await;
        use_store(&store).await.expect(&drop);
    }
}

/// Only the admin API reads the changes of a run.
fn is_only_for_admin_api(privilege: &str) -> bool {
    privilege.starts_with("SELECT") && privilege.contains("tarana_sync_changes")
}

/// `verify` reports what is missing. The statement in its message restores it.
async fn assert_reported_and_restored(database: &Database, store: &Store, missing: &str) {
    let fault = store.verify().await.expect_err(missing);
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing, "{missing}: {fault}");
    let remedy = fault.message.split_once("run: ").expect(&fault.message).1;
    assert_eq!(
        remedy.matches(';').count(),
        1,
        "one statement for {missing}: {fault}"
    );
    database.sql(remedy).await;
    store
        .verify()
        .await
        .unwrap_or_else(|fault| panic!("{missing}: {fault}"));
}

#[tokio::test]
async fn a_missing_connect_privilege_is_reported() {
    let database = Database::new(AccessMode::Direct).await;
    database.store().await;
    let name = database.address_and_name().1.to_owned();
    let role = database.role("").await;
    database
        .sql(&format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"))
        .await;
    let fault = Store::new(&role).unwrap().verify().await.unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing, "{fault}");
    assert!(fault.message.contains("GRANT CONNECT ON DATABASE"), "{fault}");
}

/// The privileges on tables, and the columns without privilege, according to the server.
#[tokio::test]
async fn the_role_may_write_only_synced_columns() {
    let database = Database::new(AccessMode::LeastPrivilege).await;
    database.store().await;
    let tables = format!(
        "SELECT string_agg(verb || ' ' || relname, ', ' ORDER BY relname, verb)
         FROM pg_class, unnest('{{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}}'::text[]) verb
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND has_table_privilege('{OPERATOR_ROLE}', oid, verb)"
    );
    assert_eq!(
        database.value(&tables).await,
        "DELETE tarana_base_stations, SELECT tarana_base_stations, SELECT tarana_migrations, \
         DELETE tarana_sync_change_batches, INSERT tarana_sync_change_batches, SELECT tarana_sync_change_batches, \
         SELECT tarana_sync_changes, DELETE tarana_sync_logs, SELECT tarana_sync_logs, DELETE tarana_sync_outbox, \
         SELECT tarana_sync_outbox"
    );
    let columns_without = |verb: &str, table: &str| {
        format!(
            "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute
             WHERE attrelid = '{table}'::regclass AND attnum > 0
             AND NOT has_column_privilege('{OPERATOR_ROLE}', attrelid, attname, '{verb}')"
        )
    };
    for (verb, table, columns) in [
        (
            "INSERT",
            "tarana_base_stations",
            "bandwidth_mhz created_at id network_profile_id",
        ),
        (
            "UPDATE",
            "tarana_base_stations",
            "bandwidth_mhz created_at id network_profile_id serial_number",
        ),
        (
            "UPDATE",
            "tarana_sync_logs",
            "actor cluster_uid connection connection_uid created_at delete_stale dry_run id name namespace trigger_type triggered_by",
        ),
        ("UPDATE", "tarana_sync_outbox", "created_at id payload run type"),
    ] {
        let found = database.value(&columns_without(verb, table)).await;
        assert_eq!(found, columns, "{verb} on {table}");
    }
    let create = format!(
        "SELECT has_schema_privilege('{OPERATOR_ROLE}', 'public', 'CREATE') OR has_database_privilege('{OPERATOR_ROLE}', current_database(), 'CREATE')"
    );
    assert_eq!(database.value(&create).await, "false");
}

#[tokio::test]
async fn the_server_rejects_other_writes() {
    let database = Database::new(AccessMode::LeastPrivilege).await;
    database.store().await;
    for forbidden in [
        "UPDATE tarana_base_stations SET bandwidth_mhz = 1",
        "UPDATE tarana_base_stations SET serial_number = 'S'",
        "UPDATE tarana_base_stations SET created_at = now()",
        "INSERT INTO tarana_base_stations (id, serial_number, hostname, site_name, lat, lng) VALUES (gen_random_uuid(), 'S', '', '', 0, 0)",
        "TRUNCATE tarana_base_stations",
        "ALTER TABLE tarana_base_stations DISABLE ROW LEVEL SECURITY",
        "TRUNCATE tarana_sync_logs",
        "UPDATE tarana_sync_logs SET actor = 'somebody else'",
        "UPDATE tarana_sync_change_batches SET op = 'insert'",
        "UPDATE tarana_sync_outbox SET payload = '{}'",
        "UPDATE tarana_migrations SET checksum = ''",
        "CREATE TABLE mine ()",
    ] {
        let as_role = format!(
            "SET ROLE {OPERATOR_ROLE}; DO $$ BEGIN BEGIN {forbidden};
             EXCEPTION WHEN insufficient_privilege THEN RETURN; END; RAISE 'allowed: {}'; END $$",
            forbidden.replace('\'', "")
        );
        database.sql(&as_role).await;
    }
}

/// Each file is executed twice, `operator.sql` the second time by the owner, who may not create roles. All names need quotes.
/// The second execution revokes additional privileges, such as those that an earlier version granted.
#[tokio::test]
async fn psql_creates_both_roles_in_any_schema() {
    let database = Database::supabase(AccessMode::Direct).await;
    let schema = r#"Tower "A" $1"#;
    database.sql(r#"CREATE SCHEMA "Tower ""A"" $1""#).await;
    let [owner, operator] =
        ["owner's", "operator's"].map(|kind| format!("{kind} \"{}\"", database.address_and_name().1));
    let login = |role: &str| format!("ALTER ROLE \"{}\" PASSWORD 'p'", role.replace('"', "\"\""));
    for _ in 0..2 {
        psql(&database.url, "owner.sql", &owner, schema);
    }
    database.sql(&login(&owner)).await;
    let config = |role: &str, migrate| Config {
        schema: schema.into(),
        migrate,
        ..database.config_of(Some((role, "p")))
    };
    let owners = config(&owner, true);
    let migrated = Store::new(&owners).unwrap().migrate().await.unwrap();
    assert_eq!(migrated.len(), 11);
    psql(&database.url, "operator.sql", &operator, schema);
    database.sql(&login(&operator)).await;
    let granted = "SELECT string_agg(relname || relacl::text, ' ' ORDER BY relname) FROM pg_class WHERE relname ~ '^tarana_.*[^y]$'";
    let first = database.value(granted).await;
    let quoted = operator.replace('"', "\"\"");
    database
        .sql(&format!(
            r#"GRANT ALL ON ALL TABLES IN SCHEMA "Tower ""A"" $1" TO "{quoted}""#
        ))
        .await;
    assert_ne!(database.value(granted).await, first);
    psql(&owners.url, "operator.sql", &operator, schema);
    assert_eq!(database.value(granted).await, first);
    let store = Store::new(&config(&operator, false)).unwrap();
    store.verify().await.unwrap();
    for _ in 0..3 {
        use_store(&store).await.unwrap();
    }
}

/// The tables of an application have another owner, and policies that apply even to the owner.
async fn an_owner_role_migrates_existing_tables(mode: AccessMode) {
    let database = Database::supabase(mode).await;
    database.sql(ADMINS).await;
    database.sql(EXISTING).await;
    let name = format!("owner_{}", database.address_and_name().1);
    database
        .sql(&format!(
            "CREATE ROLE {name}_app; GRANT ALL ON SCHEMA public TO {name}_app;
             ALTER TABLE tarana_base_stations OWNER TO {name}_app;
             ALTER TABLE tarana_base_stations FORCE ROW LEVEL SECURITY;
             ALTER TABLE tarana_sync_logs FORCE ROW LEVEL SECURITY;"
        ))
        .await;
    psql(&database.url, "owner.sql", &name, "public");
    database.sql(&format!("ALTER ROLE {name} PASSWORD 'p'")).await;
    let owner = Config {
        migrate: true,
        ..database.config_of(Some((&name, "p")))
    };
    assert_eq!(Store::new(&owner).unwrap().migrate().await.unwrap().len(), 11);
    database.grant_operator_role("public");
    let store = Store::new(&Config {
        migrate: false,
        ..database.config_of(Some((OPERATOR_ROLE, "p")))
    })
    .unwrap();
    store.verify().await.unwrap();
    perform(&store, vec![Change::Insert(row("S3"))]).await;
    use_store(&store).await.unwrap();
    assert_eq!(
        database
            .value("SELECT count(*) FROM tarana_sync_logs WHERE status IN ('completed', 'failed') AND completed_at > now() - interval '1 hour'")
            .await,
        "3"
    );
}

crate::store_support::tests_with_every_mode!(an_owner_role_migrates_existing_tables);
