//! A database for each test, and the fixtures that stand for an existing application.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tarana_operator::station::{Change, Counts, Plan, Position, Row};
use tarana_operator::store::{Apply, Begun, Config, Opened, Run, Store, Trigger};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::store_servers::{LEAST, LEAST_PASSWORD, Servers};

/// How a store reaches its database. Each test of the store says in its name which one it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By plain TCP, as a superuser.
    Direct,
    /// The same through PgBouncer in transaction mode, two servers for each database.
    PgBouncer,
    /// The same over TLS, the server's name verified.
    Tls,
    /// As production should be: through PgBouncer, over TLS, as the role of `migrations/roles/operator.sql`, and
    /// without migrating.
    Least,
}

/// `mod name { one test for each of these, by this way }`.
macro_rules! way {
    ($name:ident, $way:ident, $($test:ident),*) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(crate::store_support::Way::$way).await;
                }
            )*
        }
    };
}

/// These tests by the ways of a superuser, who may do everything and so migrates.
macro_rules! every_owners_way {
    ($($test:ident),* $(,)?) => {
        crate::store_support::way!(direct, Direct, $($test),*);
        crate::store_support::way!(pgbouncer, PgBouncer, $($test),*);
        crate::store_support::way!(tls, Tls, $($test),*);
    };
}

/// These tests by every way.
macro_rules! every_way {
    ($($test:ident),* $(,)?) => {
        crate::store_support::every_owners_way!($($test),*);
        crate::store_support::way!(least, Least, $($test),*);
    };
}

pub(crate) use {every_owners_way, every_way, way};

/// Roles belong to the server, not to a database: with Supabase's roles and without takes two servers. Both are ours,
/// whatever `$DATABASE_URL` says.
async fn server(supabase: bool) -> Arc<Servers> {
    static SERVERS: [OnceCell<Arc<Servers>>; 2] = [const { OnceCell::const_new() }; 2];
    let start = async || Arc::new(Servers::start().await);
    Arc::clone(SERVERS[usize::from(supabase)].get_or_init(start).await)
}

/// One database, gone with the server.
pub struct Database {
    /// For the superuser, directly.
    pub url: String,
    way: Way,
    pub servers: Arc<Servers>,
}

impl Database {
    pub async fn new(way: Way) -> Self {
        Self::on(server(false).await, way).await
    }

    /// On these servers.
    pub async fn on(servers: Arc<Servers>, way: Way) -> Self {
        let url = servers.postgres.create_database("store").await.unwrap();
        Self { url, way, servers }
    }

    /// On a server, and with a schema, as Supabase has them.
    pub async fn supabase(way: Way) -> Self {
        let database = Self::on(server(true).await, way).await;
        database.sql(SUPABASE).await;
        database
    }

    /// `host:port` and the name of the database.
    pub fn place(&self) -> (&str, &str) {
        self.url
            .rsplit_once('@')
            .and_then(|(_, place)| place.split_once('/'))
            .unwrap()
    }

    /// A role that may log in, with these rights; `ROLE` in them stands for its name. Returns how it connects.
    pub async fn role(&self, rights: &str) -> Config {
        let role = format!("role_{}", self.place().1);
        self.sql(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'p'; {}",
            rights.replace("ROLE", &role)
        ))
        .await;
        self.config_of(Some((&role, "p")))
    }

    /// Gives [`LEAST`] its rights, as the owner of the tables would.
    pub fn grant_least(&self, schema: &str) {
        psql(&self.url, "operator.sql", LEAST, schema);
    }

    /// How this role connects by this way; `None` is the superuser.
    pub fn config_of(&self, login: Option<(&str, &str)>) -> Config {
        let (direct, _) = self.place();
        let mut as_role = Url::parse(&self.url).unwrap();
        if let Some((user, password)) = login {
            as_role.set_username(user).unwrap();
            as_role.set_password(Some(password)).unwrap();
        }
        let place = match self.way {
            Way::Direct | Way::Tls => direct,
            Way::PgBouncer | Way::Least => self.servers.pgbouncer.place(),
        };
        Config {
            url: as_role.as_str().replace(direct, place),
            ca_pem: matches!(self.way, Way::Tls | Way::Least).then(|| self.servers.authority.clone()),
            schema: "public".into(),
            migrate: self.way != Way::Least,
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

    /// The one value that a query gives, as text.
    pub async fn value(&self, sql: &str) -> String {
        let wrapped = format!("SELECT coalesce((SELECT ({sql})::text), '-')");
        sqlx::query_scalar(AssertSqlSafe(wrapped))
            .fetch_one(&mut self.connect().await)
            .await
            .unwrap()
    }

    /// How the superuser connects without a detour.
    pub fn direct(&self) -> Config {
        Config {
            url: self.url.clone(),
            ca_pem: None,
            schema: "public".into(),
            migrate: true,
        }
    }

    /// How the store of this database connects.
    pub fn config(&self) -> Config {
        self.config_of((self.way == Way::Least).then_some((LEAST, LEAST_PASSWORD)))
    }

    /// A store of this database whose schema is ready.
    pub async fn store(&self) -> Store {
        if self.way == Way::Least {
            Store::new(&self.direct()).unwrap().migrate().await.unwrap();
            self.grant_least("public");
        }
        let store = Store::new(&self.config()).unwrap();
        store.verify().await.unwrap();
        store
    }
}

/// Runs a file of `migrations/roles/` as its first lines say.
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
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{file}: {said}");
}

/// A database with a store.
pub async fn ready(way: Way) -> (Database, Store) {
    let database = Database::new(way).await;
    let store = database.store().await;
    (database, store)
}

/// The roles are the cluster's, so two tests may make them at once.
const SUPABASE: &str = "
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

/// The tables as the application made them, with rows.
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

pub fn run() -> Run {
    Run {
        id: Uuid::new_v4(),
        namespace: "net".into(),
        name: "sync-1".into(),
        connection: "default".into(),
        connection_uid: Uuid::new_v4(),
        trigger: Trigger::Manual,
        triggered_by: None,
        actor: "someone".into(),
        dry_run: false,
        delete_stale: false,
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

/// A plan of these changes, with the counts that belong to them.
pub fn plan(changes: Vec<Change>) -> Plan {
    let mut counts = Counts::default();
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

pub async fn open(store: &Store, run: &Run) -> i64 {
    match store.open(run, 1).await.unwrap() {
        Opened::Fence(fence) => fence,
        other => panic!("{other:?}"),
    }
}

pub async fn apply(store: &Store, run: &Run, fence: i64) -> Apply {
    match store.begin_apply(run.id, fence).await.unwrap() {
        Begun::Apply(apply) => apply,
        Begun::Ended(ended) => panic!("{ended:?}"),
    }
}

/// The table, by serial.
pub async fn table(apply: &mut Apply) -> Vec<Row> {
    let mut rows = Vec::new();
    apply.rows(|row| rows.push(row)).await.unwrap();
    rows.sort_by(|a, b| a.serial.cmp(&b.serial));
    rows
}

/// A whole new run that does this.
pub async fn perform(store: &Store, changes: Vec<Change>) -> Run {
    let run = run();
    let fence = open(store, &run).await;
    apply(store, &run, fence)
        .await
        .finish(&plan(changes), false)
        .await
        .unwrap();
    run
}

/// Asks again until it is so.
pub async fn eventually(within: Duration, mut so: impl AsyncFnMut() -> bool) -> bool {
    let until = tokio::time::Instant::now() + within;
    loop {
        if so().await {
            return true;
        }
        if tokio::time::Instant::now() > until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
