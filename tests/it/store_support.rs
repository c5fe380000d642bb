//! A database for each test of the store, and the tables of an existing application.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tarana_operator::fault::{Fault, Reason};
use tarana_operator::station::{Change, Plan, Position, Row, RunCounts};
use tarana_operator::store::{
    Apply, BeginApply, Config, OpenResult, OutboxEvent, Outcome, RunInfo, Store, SweepScope, SweptEnd,
    Trigger,
};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::environment::wait_until;
use crate::store_servers::{OPERATOR_PASSWORD, OPERATOR_ROLE, Servers};

/// How a store connects to its database. The name of each test contains its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessMode {
    /// Plain TCP, as a superuser.
    Direct,
    /// The same through PgBouncer in transaction mode, with two server connections per database.
    PgBouncer,
    /// The same over TLS with verify-full.
    Tls,
    /// As recommended for production: through PgBouncer, over TLS, as the role of `migrations/roles/operator.sql`, without
    /// migrating.
    LeastPrivilege,
}

/// A module with one test for each of these functions, in this mode.
macro_rules! tests_with_mode {
    ($name:ident, $mode:ident, $($test:ident),*) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(crate::store_support::AccessMode::$mode).await;
                }
            )*
        }
    };
}

/// These tests in every mode that may migrate.
macro_rules! tests_with_owner_modes {
    ($($test:ident),* $(,)?) => {
        crate::store_support::tests_with_mode!(direct, Direct, $($test),*);
        crate::store_support::tests_with_mode!(pgbouncer, PgBouncer, $($test),*);
        crate::store_support::tests_with_mode!(tls, Tls, $($test),*);
    };
}

/// These tests in every mode.
macro_rules! tests_with_every_mode {
    ($($test:ident),* $(,)?) => {
        crate::store_support::tests_with_owner_modes!($($test),*);
        crate::store_support::tests_with_mode!(least_privilege, LeastPrivilege, $($test),*);
    };
}

pub(crate) use {tests_with_every_mode, tests_with_mode, tests_with_owner_modes};

/// Roles belong to a server, so that Supabase's roles need a second one. `$DATABASE_URL` is not used.
async fn server(supabase: bool) -> Arc<Servers> {
    static SERVERS: [OnceCell<Arc<Servers>>; 2] = [const { OnceCell::const_new() }; 2];
    let start = async || Arc::new(Servers::start().await);
    Arc::clone(SERVERS[usize::from(supabase)].get_or_init(start).await)
}

/// A database, which is deleted with its server.
pub struct Database {
    /// Direct URL of the superuser.
    pub url: String,
    mode: AccessMode,
    pub servers: Arc<Servers>,
}

impl Database {
    pub async fn new(mode: AccessMode) -> Self {
        Self::on(server(false).await, mode).await
    }

    /// On these servers.
    pub async fn on(servers: Arc<Servers>, mode: AccessMode) -> Self {
        let url = servers.postgres.create_database("store").await.unwrap();
        Self { url, mode, servers }
    }

    /// An existing database of the same servers.
    pub fn at(url: String, other: &Self) -> Self {
        Self {
            url,
            mode: other.mode,
            servers: Arc::clone(&other.servers),
        }
    }

    /// With the roles and the schema of Supabase.
    pub async fn supabase(mode: AccessMode) -> Self {
        let database = Self::on(server(true).await, mode).await;
        database.sql(SUPABASE).await;
        database
    }

    /// `host:port` and the name of the database.
    pub fn address_and_name(&self) -> (&str, &str) {
        self.url
            .rsplit_once('@')
            .and_then(|(_, place)| place.split_once('/'))
            .unwrap()
    }

    /// Creates a role that may log in and executes these statements, in which `ROLE` is its name. Returns its configuration.
    pub async fn role(&self, statements: &str) -> Config {
        let role = format!("role_{}", self.address_and_name().1);
        self.sql(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'p'; {}",
            statements.replace("ROLE", &role)
        ))
        .await;
        self.config_of(Some((&role, "p")))
    }

    /// Grants [`OPERATOR_ROLE`] its privileges, as the owner of the tables.
    pub fn grant_operator_role(&self, schema: &str) {
        psql(&self.url, "operator.sql", OPERATOR_ROLE, schema);
    }

    /// The configuration of this role in this mode; `None` is the superuser.
    pub fn config_of(&self, login: Option<(&str, &str)>) -> Config {
        let (direct, _) = self.address_and_name();
        let mut as_role = Url::parse(&self.url).unwrap();
        if let Some((user, password)) = login {
            as_role.set_username(user).unwrap();
            as_role.set_password(Some(password)).unwrap();
        }
        let address = match self.mode {
            AccessMode::Direct | AccessMode::Tls => direct,
            AccessMode::PgBouncer | AccessMode::LeastPrivilege => self.servers.pgbouncer.address(),
        };
        Config {
            url: as_role.as_str().replace(direct, address),
            ca_pem: matches!(self.mode, AccessMode::Tls | AccessMode::LeastPrivilege)
                .then(|| self.servers.authority.clone()),
            schema: "public".into(),
            migrate: self.mode != AccessMode::LeastPrivilege,
        }
    }

    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    pub async fn sql(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    /// The value that a query returns, as text; `-` for NULL or no row.
    pub async fn value(&self, sql: &str) -> String {
        let wrapped = format!("SELECT coalesce((SELECT ({sql})::text), '-')");
        sqlx::query_scalar(AssertSqlSafe(wrapped))
            .fetch_one(&mut self.connect().await)
            .await
            .unwrap()
    }

    /// The direct configuration of the superuser.
    pub fn direct(&self) -> Config {
        Config {
            url: self.url.clone(),
            ca_pem: None,
            schema: "public".into(),
            migrate: true,
        }
    }

    /// The configuration of the store in this mode.
    pub fn config(&self) -> Config {
        self.config_of(
            (self.mode == AccessMode::LeastPrivilege).then_some((OPERATOR_ROLE, OPERATOR_PASSWORD)),
        )
    }

    /// A store whose schema is migrated and verified.
    pub async fn store(&self) -> Store {
        if self.mode == AccessMode::LeastPrivilege {
            Store::new(&self.direct()).unwrap().migrate().await.unwrap();
            self.grant_operator_role("public");
        }
        let store = Store::new(&self.config()).unwrap();
        store.verify().await.unwrap();
        store
    }
}

/// Runs a file of `migrations/roles/` with psql, as its first lines describe.
pub fn psql(url: &str, file: &str, role: &str, schema: &str) {
    let path = format!("{}/migrations/roles/{file}", env!("CARGO_MANIFEST_DIR"));
    let done = Command::new("psql")
        .args([
            url,
            "-X",
            "-v",
            &format!("role={role}"),
            "-v",
            &format!("schema={schema}"),
            "-f",
            &path,
        ])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{file}: {stderr}");
}

/// Creates a database and its store.
pub async fn ready(mode: AccessMode) -> (Database, Store) {
    let database = Database::new(mode).await;
    let store = database.store().await;
    (database, store)
}

/// Tests of one server may create the roles concurrently.
pub(crate) const SUPABASE: &str = "
    DO $$ DECLARE r text; BEGIN
        PERFORM pg_advisory_xact_lock(1);
        FOREACH r IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
            BEGIN EXECUTE format('CREATE ROLE %I NOLOGIN', r);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
        END LOOP;
    END $$;
    CREATE SCHEMA auth;
    CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT NULL::uuid $$;
    GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;";

/// The application's users.
pub const ADMINS: &str = "
    CREATE TABLE admin_users (id uuid PRIMARY KEY, email text, is_active boolean DEFAULT true);
    INSERT INTO admin_users VALUES ('00000000-0000-0000-0000-00000000000a', 'admin@example.org');";

/// The tables as the application created them, with rows.
pub const EXISTING: &str = "
    CREATE EXTENSION postgis;
    CREATE TABLE tarana_base_stations (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), serial_number text NOT NULL UNIQUE, hostname text NOT NULL,
        site_name text NOT NULL, active_connections int DEFAULT 0, market text, lat numeric(10,6) NOT NULL,
        lng numeric(10,6) NOT NULL, region text DEFAULT 'South Africa', last_updated timestamptz DEFAULT now(),
        created_at timestamptz DEFAULT now(), height_m numeric(8,2), azimuth_deg numeric(5,2), band text,
        device_status int DEFAULT 0, region_id int, market_id int, site_id int, cell_id int, sector_id int,
        cell_name text, sector_name text, network_profile_id int, bandwidth_mhz int,
        location geography(Point, 4326) GENERATED ALWAYS AS
            (ST_SetSRID(ST_MakePoint(lng::float8, lat::float8), 4326)::geography) STORED);
    CREATE INDEX ON tarana_base_stations USING gist (location);
    ALTER TABLE tarana_base_stations ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON tarana_base_stations FOR SELECT USING (true);
    CREATE TABLE orders (id int, tower text REFERENCES tarana_base_stations (serial_number) ON DELETE SET NULL);
    INSERT INTO tarana_base_stations (serial_number, hostname, site_name, lat, lng, network_profile_id, bandwidth_mhz)
        VALUES ('S1', 'old', 'old', -26.1, 28.05, 7, 40), ('S2', 'gone', 'gone', -26.2, 28.06, 7, 40);
    UPDATE tarana_base_stations SET active_connections = NULL, region = NULL, device_status = NULL WHERE serial_number = 'S1';
    INSERT INTO orders VALUES (1, 'S1'), (2, 'S2');
    CREATE TABLE tarana_sync_logs (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'completed', 'failed')),
        trigger_type text NOT NULL DEFAULT 'cron' CHECK (trigger_type IN ('cron', 'manual')),
        triggered_by uuid REFERENCES admin_users (id) ON DELETE SET NULL,
        stations_fetched int DEFAULT 0, inserted int DEFAULT 0, updated int DEFAULT 0,
        deleted int DEFAULT 0, errors jsonb DEFAULT '[]', attempt int DEFAULT 1, started_at timestamptz,
        completed_at timestamptz, duration_ms int, created_at timestamptz DEFAULT now());
    ALTER TABLE tarana_sync_logs ENABLE ROW LEVEL SECURITY;
    INSERT INTO tarana_sync_logs (status, started_at, created_at) VALUES
        ('running', now() - interval '2 days', now() - interval '2 days'),
        ('running', now(), now()), ('completed', now(), now());";

pub fn run() -> RunInfo {
    RunInfo {
        id: Uuid::new_v4(),
        namespace: "net".into(),
        name: "sync-1".into(),
        connection: "default".into(),
        connection_uid: Uuid::new_v4(),
        cluster_uid: None,
        trigger: Trigger::Manual,
        triggered_by: None,
        actor: "someone".into(),
        dry_run: false,
        delete_stale: false,
    }
}

/// Sweeps the rows of a connection, which are closed as abandoned.
pub async fn sweep(
    store: &Store,
    connection_uid: Uuid,
    live: &[Uuid],
    grace: Duration,
) -> Result<Vec<Uuid>, Fault> {
    let scope = SweepScope {
        connection_uid,
        cluster_uid: None,
        namespace: "net",
        live,
        grace,
    };
    let rows = store.abandoned_rows(&scope).await?;
    Ok(store.sweep(&scope, rows, |_| abandoned()).await?.closed)
}

/// Takes all events of a connection and records their delivery. Returns them in order.
pub async fn deliver_events(store: &Store, connection_uid: Uuid) -> Result<Vec<OutboxEvent>, Fault> {
    let mut delivered = Vec::new();
    loop {
        let since = jiff::Timestamp::UNIX_EPOCH;
        let events = store
            .take_due_events(connection_uid, since, 10, Duration::from_mins(1))
            .await?;
        if events.is_empty() {
            return Ok(delivered);
        }
        for event in events {
            store.event_delivered(event.id).await?;
            delivered.push(event);
        }
    }
}

pub fn abandoned() -> SweptEnd {
    SweptEnd {
        outcome: Outcome::Failed,
        reason: Reason::Abandoned,
        message: "no process was left to continue this run".into(),
    }
}

pub fn row(serial: &str) -> Row {
    Row {
        serial: serial.into(),
        hostname: format!("host \"{serial}\"").into(),
        site_name: "Größe ☂".into(),
        active_connections: Some(3),
        market: Some("JHB Gauteng".into()),
        position: Position {
            lat_e6: -26_107_912,
            lng_e6: 28_056_721,
        },
        region: Some("South Africa".into()),
        height_cm: Some(159_860),
        azimuth_cdeg: Some(4_500),
        band: Some("5ghz".into()),
        device_status: Some(1),
        region_id: Some(1073),
        market_id: Some(9602),
        site_id: None,
        cell_id: Some(4),
        sector_id: None,
        cell_name: Some("X9001".into()),
        sector_name: None,
    }
}

/// A plan of these changes, with their counts.
pub fn plan(changes: Vec<Change>) -> Plan {
    let mut counts = RunCounts::default();
    for change in &changes {
        match change {
            Change::Insert(_) => counts.inserted += 1,
            Change::Update { .. } => counts.updated += 1,
            Change::Delete(_) => counts.deleted += 1,
            Change::Withhold(_) => counts.withheld += 1,
        }
    }
    counts.fetched = counts.inserted + counts.updated;
    Plan {
        changes,
        counts,
        ..Plan::default()
    }
}

pub async fn open(store: &Store, run: &RunInfo) -> i64 {
    match store.open(run, 1, |_| Vec::new()).await.unwrap() {
        OpenResult::Opened(fence) => fence,
        other => panic!("{other:?}"),
    }
}

pub async fn apply(store: &Store, run: &RunInfo, fence: i64) -> Apply {
    match store.begin_apply(run.id, fence, &|_| ()).await.unwrap() {
        BeginApply::Started(apply) => apply,
        BeginApply::Closed(ended) => panic!("{ended:?}"),
    }
}

/// The rows of the table by serial number.
pub async fn table(apply: &mut Apply) -> Vec<Row> {
    let mut rows = Vec::new();
    apply.read_rows(|row| rows.push(row)).await.unwrap();
    rows.sort_by(|a, b| a.serial.cmp(&b.serial));
    rows
}

/// Executes a new run with these changes.
pub async fn perform(store: &Store, changes: Vec<Change>) -> RunInfo {
    let run = run();
    let fence = open(store, &run).await;
    apply(store, &run, fence)
        .await
        .finish(&plan(changes), false, &[])
        .await
        .unwrap();
    run
}

/// Drops this work as soon as it waits for a lock of the server. Panics if it ends before.
pub async fn drop_when_blocked(database: &Database, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => panic!("it did not wait for the lock"),
        () = wait_until_blocked(database) => {}
    }
}

/// Waits until a store of this database waits for a lock of the server.
pub async fn wait_until_blocked(database: &Database) {
    let waiting = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'tarana-operator' AND wait_event_type = 'Lock'";
    wait_for_value(database, waiting, "true").await;
}

/// Waits until the query returns this value.
pub async fn wait_for_value(database: &Database, sql: &str, expected: &str) {
    wait_until(sql, || async {
        (database.value(sql).await == expected).then_some(())
    })
    .await;
}
