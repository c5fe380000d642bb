//! The roles of `migrations/roles/`: enough, and nothing that could be left out.

use sqlx::AssertSqlSafe;
use tarana_operator::fault::Reason;
use tarana_operator::station::Change;
use tarana_operator::store::{Begun, Closing, Config, Opened, Outcome, Store};

use crate::store_servers::LEAST;
use crate::store_support::{ADMINS, Database, EXISTING, OWNER, Way, perform, plan, roles, row, run};

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
    database.grant_least("towers").await;
    database
        .sql("DO $$ DECLARE t regclass; BEGIN
                FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'towers'::regnamespace LOOP
                  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
                END LOOP; END $$")
        .await;
    let config = schema(database.config());
    (database, config)
}

#[tokio::test]
async fn everything_granted_is_needed_and_asked_for() {
    let (database, config) = towers(Way::Least).await;
    let store = Store::new(&config).unwrap();
    store.verify().await.unwrap();
    for _ in 0..3 {
        work(&store).await.unwrap();
    }
    let granted = list(&database, GRANTED).await;
    assert!(granted.len() > 45, "{granted:?}");
    for right in &granted {
        database.sql(&format!("REVOKE {right} FROM {LEAST}")).await;
        work(&store).await.expect_err(right);
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
        work(&store).await.expect_err(&drop);
        mended(&database, &store, &drop).await;
        work(&store).await.expect(&drop);
    }
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

#[tokio::test]
async fn the_role_writes_nothing_but_what_a_sync_writes() {
    let database = Database::new(Way::Least).await;
    database.store().await;
    for forbidden in [
        "UPDATE tarana_base_stations SET bandwidth_mhz = 1",
        "UPDATE tarana_base_stations SET serial_number = 'S'",
        "TRUNCATE tarana_base_stations",
        "DELETE FROM tarana_sync_logs",
        "SELECT * FROM tarana_sync_changes",
        "UPDATE tarana_sync_change_batches SET op = 'insert'",
        "DELETE FROM tarana_sync_outbox",
        "CREATE TABLE mine ()",
    ] {
        let as_role = format!(
            "SET ROLE {LEAST}; DO $$ BEGIN BEGIN {forbidden};
             EXCEPTION WHEN insufficient_privilege THEN RETURN; END; RAISE 'allowed: {}'; END $$",
            forbidden.replace('\'', "")
        );
        let as_role = as_role.replace("BEGIN SELECT *", "BEGIN PERFORM *");
        database.sql(&as_role).await;
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
    database.sql(&roles(OWNER, &name, "public")).await;
    database.sql(&format!("ALTER ROLE {name} PASSWORD 'p'")).await;
    let owner = Config {
        migrate: true,
        ..database.config_of(Some((&name, "p")))
    };
    assert_eq!(Store::new(&owner).unwrap().migrate().await.unwrap().len(), 6);
    database.grant_least("public").await;
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
