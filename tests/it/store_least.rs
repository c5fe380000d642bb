//! The roles of `migrations/roles/`: enough, and nothing that could be left out.

use sqlx::AssertSqlSafe;
use tarana_operator::fault::Reason;
use tarana_operator::station::Change;
use tarana_operator::store::{Begun, Closing, Config, Opened, Outcome, Store};

use crate::store_servers::{LEAST, LEAST_PASSWORD};
use crate::store_support::{ADMINS, Database, EXISTING, Way, perform, plan, psql, row, run};

/// Everything that an operator does to a database between two starts. The first fault ends it.
async fn work(store: &Store) -> Result<(), tarana_operator::fault::Fault> {
    let run = run();
    store.register(&run).await?;
    let Opened::Fence(fence) = store.open(&run, 1).await? else {
        panic!("not opened")
    };
    store.heartbeat(run.id, fence, 1).await?;
    store.waiting(run.id, fence, "once more").await?;
    let Begun::Apply(mut apply) = store.begin_apply(run.id, fence).await? else {
        panic!("not begun")
    };
    let mut rows = Vec::new();
    apply.rows(|row| rows.push(row)).await?;
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
    apply.finish(&plan(changes), false).await?;
    let events: Vec<i64> = store.undelivered(run.id).await?.iter().map(|e| e.id).collect();
    store.delivered(&events).await?;
    let closing = Closing {
        outcome: Outcome::Cancelled,
        reason: Reason::Cancelled,
        message: String::new(),
        attempt: 1,
        fence: None,
    };
    store.close(&self::run(), &closing).await?;
    store
        .sweep(run.connection_uid, &[], std::time::Duration::ZERO)
        .await?;
    store.heard(run.id).await?;
    store.last_success(run.connection_uid).await.map(|_| ())
}

/// Each right that the role has in this database, as what stands between GRANT or REVOKE and TO or FROM.
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

/// Each of its policies, as the two statements that take it away.
const POLICIES: &str = "
    SELECT format('DROP POLICY %I ON %s', polname, polrelid::regclass) FROM pg_policy
    WHERE polroles = ARRAY[$1::regrole::oid] ORDER BY 1";

async fn list(database: &Database, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.replace("$1", &format!("'{LEAST}'"))))
        .fetch_all(&mut database.connect().await)
        .await
        .unwrap()
}

/// In a schema where nobody has a right by default, and with row-level security on every table, even for the owner.
async fn towers(way: Way) -> (Database, Config) {
    let database = Database::new(way).await;
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
    database.grant_least("towers");
    database
        .sql("DO $$ DECLARE t regclass; BEGIN
                FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'towers'::regnamespace LOOP
                  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
                END LOOP; END $$")
        .await;
    let config = Config {
        migrate: false,
        ..schema(database.config_of(Some((LEAST, LEAST_PASSWORD))))
    };
    (database, config)
}

#[tokio::test]
async fn everything_granted_is_needed_and_asked_for() {
    let (database, config) = towers(Way::Direct).await;
    let store = Store::new(&config).unwrap();
    store.verify().await.unwrap();
    for _ in 0..3 {
        work(&store).await.unwrap();
    }
    let granted = list(&database, GRANTED).await;
    assert!(granted.len() > 45, "{granted:?}");
    for right in granted.iter().filter(|right| !is_for_readers(right)) {
        database.sql(&format!("REVOKE {right} FROM {LEAST}")).await;
        // The books are read before the work.
        if !right.ends_with("tarana_migrations") {
            work(&store).await.expect_err(right);
        }
        mended(&database, &store, right).await;
        assert_eq!(
            &list(&database, GRANTED).await,
            &granted,
            "after {right} was mended"
        );
    }
    for drop in list(&database, POLICIES).await {
        database.sql(&drop).await;
        if drop.ends_with("base_stations") {
            // Everybody may read them, by a policy for all: what is left to miss are the writes.
            database
                .sql("ALTER TABLE towers.tarana_base_stations NO FORCE ROW LEVEL SECURITY")
                .await;
        }
        if !drop.ends_with("tarana_migrations") {
            work(&store).await.expect_err(&drop);
        }
        mended(&database, &store, &drop).await;
        work(&store).await.expect(&drop);
    }
}

/// What a run has changed is read by the admin API alone: a sync goes on without, and who asks is told.
fn is_for_readers(right: &str) -> bool {
    right.starts_with("SELECT") && right.contains("tarana_sync_change")
}

/// The store says what is missing, and the statement that it names brings it back.
async fn mended(database: &Database, store: &Store, missing: &str) {
    let fault = store.verify().await.expect_err(missing);
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing, "{missing}: {fault}");
    let remedy = fault.message.split_once("run: ").expect(&fault.message).1;
    assert_eq!(
        remedy.matches(';').count(),
        1,
        "one thing is missing, {missing}: {fault}"
    );
    database.sql(remedy).await;
    store
        .verify()
        .await
        .unwrap_or_else(|fault| panic!("{missing}: {fault}"));
}

#[tokio::test]
async fn who_may_not_connect_is_told() {
    let database = Database::new(Way::Direct).await;
    database.store().await;
    let name = database.place().1.to_owned();
    let role = database.role("").await;
    database
        .sql(&format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"))
        .await;
    let fault = Store::new(&role).unwrap().verify().await.unwrap_err();
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing, "{fault}");
    assert!(fault.message.contains("GRANT CONNECT ON DATABASE"), "{fault}");
}

/// All that it may do to whole tables, and what it may not do to columns, as the server sees it.
#[tokio::test]
async fn the_role_writes_nothing_but_what_a_sync_writes() {
    let database = Database::new(Way::Least).await;
    database.store().await;
    let tables = format!(
        "SELECT string_agg(verb || ' ' || relname, ', ' ORDER BY relname, verb)
         FROM pg_class, unnest('{{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}}'::text[]) verb
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND has_table_privilege('{LEAST}', oid, verb)"
    );
    assert_eq!(
        database.value(&tables).await,
        "DELETE tarana_base_stations, SELECT tarana_base_stations, SELECT tarana_migrations, \
         INSERT tarana_sync_change_batches, SELECT tarana_sync_change_batches, SELECT tarana_sync_changes, \
         SELECT tarana_sync_logs, SELECT tarana_sync_outbox"
    );
    let barred = |verb: &str, table: &str| {
        format!(
            "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute
             WHERE attrelid = '{table}'::regclass AND attnum > 0
             AND NOT has_column_privilege('{LEAST}', attrelid, attname, '{verb}')"
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
            "actor connection connection_uid created_at delete_stale dry_run id name namespace trigger_type triggered_by",
        ),
        ("UPDATE", "tarana_sync_outbox", "created_at id payload run type"),
    ] {
        let found = database.value(&barred(verb, table)).await;
        assert_eq!(found, columns, "{verb} on {table}");
    }
    let create = format!(
        "SELECT has_schema_privilege('{LEAST}', 'public', 'CREATE') OR has_database_privilege('{LEAST}', current_database(), 'CREATE')"
    );
    assert_eq!(database.value(&create).await, "false");
}

#[tokio::test]
async fn the_server_agrees() {
    let database = Database::new(Way::Least).await;
    database.store().await;
    for forbidden in [
        "UPDATE tarana_base_stations SET bandwidth_mhz = 1",
        "UPDATE tarana_base_stations SET serial_number = 'S'",
        "UPDATE tarana_base_stations SET created_at = now()",
        "INSERT INTO tarana_base_stations (id, serial_number, hostname, site_name, lat, lng) VALUES (gen_random_uuid(), 'S', '', '', 0, 0)",
        "TRUNCATE tarana_base_stations",
        "ALTER TABLE tarana_base_stations DISABLE ROW LEVEL SECURITY",
        "DELETE FROM tarana_sync_logs",
        "UPDATE tarana_sync_logs SET actor = 'somebody else'",
        "UPDATE tarana_sync_change_batches SET op = 'insert'",
        "DELETE FROM tarana_sync_outbox",
        "UPDATE tarana_migrations SET checksum = ''",
        "CREATE TABLE mine ()",
    ] {
        let as_role = format!(
            "SET ROLE {LEAST}; DO $$ BEGIN BEGIN {forbidden};
             EXCEPTION WHEN insufficient_privilege THEN RETURN; END; RAISE 'allowed: {}'; END $$",
            forbidden.replace('\'', "")
        );
        database.sql(&as_role).await;
    }
}

/// Twice each, the second time of `operator.sql` by the owner, who may not make roles; every name needs quotes. Then what
/// an earlier version may have granted is gone, and what is granted does.
#[tokio::test]
async fn psql_makes_both_roles_in_any_schema() {
    let database = Database::supabase(Way::Direct).await;
    let schema = r#"Tower "A" $1"#;
    database.sql(r#"CREATE SCHEMA "Tower ""A"" $1""#).await;
    let [owner, operator] =
        ["owner's", "operator's"].map(|kind| format!("{kind} \"{}\"", database.place().1));
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
    assert_eq!(migrated.len(), 7);
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
        work(&store).await.unwrap();
    }
}

/// Tables of an application that belong to somebody else, under policies that bind even the owner.
async fn an_owner_upgrades_what_exists(way: Way) {
    let database = Database::supabase(way).await;
    database.sql(ADMINS).await;
    database.sql(EXISTING).await;
    let name = format!("owner_{}", database.place().1);
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
    assert_eq!(Store::new(&owner).unwrap().migrate().await.unwrap().len(), 7);
    database.grant_least("public");
    let store = Store::new(&Config {
        migrate: false,
        ..database.config_of(Some((LEAST, "p")))
    })
    .unwrap();
    store.verify().await.unwrap();
    perform(&store, vec![Change::Insert(row("S3"))]).await;
    work(&store).await.unwrap();
    assert_eq!(
        database
            .value("SELECT count(*) FROM tarana_sync_logs WHERE outcome IS NOT NULL")
            .await,
        "4"
    );
}

crate::store_support::every_way!(an_owner_upgrades_what_exists);
