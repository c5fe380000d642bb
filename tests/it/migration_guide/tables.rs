//! The tables of the replaced function, its statements, and what must not change.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

use crate::environment::TestEnvironment;
use crate::expected_table::expected_row;
use crate::store_support::{ADMINS, SUPABASE};

/// The owner of the tables, who is no superuser.
pub const OWNER: &str = "app_owner";
pub const PASSWORD: &str = "p";

/// How many stations the function has written. The operator finds the others.
const WRITTEN: usize = 300;

/// The columns of a log row that the function knows.
const LOG_COLUMNS: &str =
    "id, status, trigger_type, triggered_by, stations_fetched, inserted, updated, deleted, errors, attempt,
     started_at, completed_at, duration_ms, created_at";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All columns, row-level security, PostGIS, and Supabase's roles.
    Supabase,
    /// Stations with the columns up to `created_at`, without all that.
    Older,
}

const OWNER_ROLE: &str = "
    CREATE ROLE app_owner LOGIN CREATEROLE PASSWORD 'p';
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO app_owner', current_database()); END $$;
    GRANT ALL ON SCHEMA public TO app_owner;";

const STATIONS: &str = "
    CREATE TABLE tarana_base_stations (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), serial_number text NOT NULL UNIQUE, hostname text NOT NULL,
        site_name text NOT NULL, active_connections int DEFAULT 0, market text, lat numeric(10,6) NOT NULL,
        lng numeric(10,6) NOT NULL, region text DEFAULT 'South Africa', last_updated timestamptz DEFAULT now(),
        created_at timestamptz DEFAULT now());";

const NEWER_COLUMNS: &str = "
    CREATE EXTENSION postgis;
    ALTER TABLE tarana_base_stations
        ADD height_m numeric(8,2), ADD azimuth_deg numeric(5,2), ADD band text, ADD device_status int DEFAULT 0, ADD region_id int,
        ADD market_id int, ADD site_id int, ADD cell_id int, ADD sector_id int, ADD cell_name text, ADD sector_name text,
        ADD network_profile_id int, ADD bandwidth_mhz int,
        ADD location geography(Point, 4326) GENERATED ALWAYS AS
            (ST_SetSRID(ST_MakePoint(lng::float8, lat::float8), 4326)::geography) STORED;
    CREATE INDEX ON tarana_base_stations USING gist (location);
    ALTER TABLE tarana_base_stations ENABLE ROW LEVEL SECURITY;
    CREATE POLICY \"Base stations are public\" ON tarana_base_stations FOR SELECT USING (true);
    ALTER ROLE service_role BYPASSRLS;";

const LOGS: &str = "
    CREATE TABLE tarana_sync_logs (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'completed', 'failed')),
        trigger_type text NOT NULL DEFAULT 'cron' CHECK (trigger_type IN ('cron', 'manual')),
        triggered_by uuid REFERENCES admin_users (id) ON DELETE SET NULL,
        stations_fetched int DEFAULT 0, inserted int DEFAULT 0, updated int DEFAULT 0,
        deleted int DEFAULT 0, errors jsonb DEFAULT '[]', attempt int DEFAULT 1, started_at timestamptz,
        completed_at timestamptz, duration_ms int, created_at timestamptz DEFAULT now());
    ALTER TABLE tarana_sync_logs OWNER TO app_owner;
    ALTER TABLE tarana_base_stations OWNER TO app_owner;
    CREATE TABLE orders (id int, tower text REFERENCES tarana_base_stations (serial_number) ON DELETE SET NULL);";

/// Runs that ended, one in progress, and stuck ones: of cron and of a user, never started, with errors, and with an unknown age.
const ROWS: &str = "
    INSERT INTO orders SELECT row_number() OVER (), serial_number FROM tarana_base_stations;
    INSERT INTO tarana_sync_logs (status, trigger_type, triggered_by, stations_fetched, errors, started_at, completed_at, created_at)
    VALUES
        ('completed', 'cron', NULL, 718, '[]', now() - interval '3 days', now() - interval '3 days', now() - interval '3 days'),
        ('failed', 'manual', '00000000-0000-0000-0000-00000000000a', 0, '[{\"message\": \"500\"}]',
            now() - interval '4 days', now() - interval '4 days', now() - interval '4 days'),
        ('running', 'cron', NULL, 1, '[]', now() - interval '5 minutes', NULL, now() - interval '5 minutes'),
        ('running', 'cron', NULL, 2, '[]', now() - interval '60 days', NULL, now() - interval '60 days'),
        ('running', 'manual', '00000000-0000-0000-0000-00000000000a', 2, NULL, now() - interval '2 days', NULL, now() - interval '2 days'),
        ('pending', 'manual', NULL, 2, '[{\"message\": \"502\"}]', NULL, NULL, now() - interval '2 hours'),
        ('running', 'cron', NULL, 2, '[]', NULL, NULL, NULL);";

impl Shape {
    pub fn name(self) -> &'static str {
        match self {
            Self::Supabase => "supabase",
            Self::Older => "older",
        }
    }
}

/// The tables before the migration.
pub struct OldTables {
    /// Stations that the vendor lists without usable coordinates.
    pub unlocated: Vec<String>,
    /// The log rows of the function that are not stuck.
    logs: BTreeMap<Uuid, Value>,
    orders: i64,
}

impl OldTables {
    pub async fn create(env: &TestEnvironment, function: &Function) -> Self {
        let supabase = function.shape == Shape::Supabase;
        let (roles, columns) = if supabase {
            (SUPABASE, NEWER_COLUMNS)
        } else {
            ("", "")
        };
        for script in [roles, OWNER_ROLE, ADMINS, STATIONS, columns, LOGS] {
            sqlx::raw_sql(script).execute(&env.db).await.unwrap();
        }
        function.upsert(&env.db, &fleet(env)[..WRITTEN]).await;
        let unlocated = unlocated(env);
        let mut rows = "UPDATE tarana_base_stations SET hostname = 'old', created_at = now() - interval '1 year', active_connections = 5
                        WHERE serial_number < (SELECT max(serial_number) FROM tarana_base_stations);"
            .to_owned();
        for serial in [&unlocated[..], &["GONE".to_owned()]].concat() {
            rows += "INSERT INTO tarana_base_stations (serial_number, hostname, site_name, market, lat, lng) VALUES ('";
            rows += &serial;
            rows += "', 'kept', 'kept', 'kept', -26.5, 28.5);";
        }
        if supabase {
            rows.push_str(
                "UPDATE tarana_base_stations SET network_profile_id = 7, bandwidth_mhz = 40,
                     height_m = coalesce(height_m, 12.5), azimuth_deg = coalesce(azimuth_deg, 90), band = coalesce(band, '5ghz');",
            );
        }
        rows.push_str(ROWS);
        sqlx::raw_sql(AssertSqlSafe(rows)).execute(&env.db).await.unwrap();
        Self {
            unlocated,
            logs: logs(&env.db, "stations_fetched <> 2").await,
            orders: orders(&env.db).await,
        }
    }

    /// Rows of the function that are not stuck, and rows that refer to stations.
    pub async fn assert_other_programs_unchanged(&self, db: &PgPool) {
        let now = logs(db, "true").await;
        for (id, row) in &self.logs {
            let row_now = &now[id];
            let ended_by_function = row["stations_fetched"] == 1 && row_now["status"] == "completed";
            assert!(row_now == row || ended_by_function, "{row}\n{row_now}");
        }
        assert_eq!(orders(db).await, self.orders);
    }

    /// All stuck rows are closed, with their errors and a new one.
    pub async fn assert_stuck_rows_closed(&self, db: &PgPool) {
        let stuck = logs(db, "stations_fetched = 2").await;
        assert_eq!(stuck.len(), 4);
        for row in stuck.values() {
            let errors = row["errors"].as_array().unwrap();
            let last = errors.last().unwrap()["message"].as_str().unwrap();
            assert!(
                row["status"] == "failed" && row["completed_at"].is_string(),
                "{row}"
            );
            assert!(last.starts_with("Closed during the migration"), "{row}");
        }
        let kept = "select count(*) from tarana_sync_logs where stations_fetched = 2 and errors -> 0 ->> 'message' = '502'";
        let kept: i64 = sqlx::query_scalar(kept).fetch_one(db).await.unwrap();
        assert_eq!(kept, 1, "an earlier error is kept");
    }
}

async fn logs(db: &PgPool, condition: &str) -> BTreeMap<Uuid, Value> {
    let select = format!(
        "SELECT l.id, to_jsonb(l) FROM (SELECT {LOG_COLUMNS} FROM tarana_sync_logs WHERE {condition}) l"
    );
    let rows: Vec<(Uuid, Value)> = sqlx::query_as(AssertSqlSafe(select)).fetch_all(db).await.unwrap();
    rows.into_iter().collect()
}

async fn orders(db: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(tower) FROM orders")
        .fetch_one(db)
        .await
        .unwrap()
}

/// Rows of the fleet, as the function maps them.
fn fleet(env: &TestEnvironment) -> Vec<Value> {
    let nodes = env.tcs.base_nodes();
    let rows = nodes
        .iter()
        .filter_map(|node| expected_row(&node.value().unwrap(), node.region));
    rows.map(|(serial, mut row)| {
        row["serial_number"] = serial.into();
        row
    })
    .collect()
}

/// The first base nodes that are listed without usable coordinates.
fn unlocated(env: &TestEnvironment) -> Vec<String> {
    let nodes = env.tcs.base_nodes();
    let without = nodes.iter().filter_map(|node| {
        let device = node.value().unwrap();
        let serial = device["serialNumber"].as_str()?.to_owned();
        expected_row(&device, node.region).is_none().then_some(serial)
    });
    without.take(2).collect()
}

/// The replaced function: its statements, as it sends them.
pub struct Function {
    pub shape: Shape,
}

impl Function {
    /// A whole run.
    pub async fn run(&self, env: &TestEnvironment) {
        let run = self.begin(&env.db).await;
        self.end(env, run).await;
    }

    pub async fn begin(&self, db: &PgPool) -> Uuid {
        let insert = "INSERT INTO tarana_sync_logs (status, trigger_type, started_at) VALUES ('running', 'cron', now()) RETURNING id";
        let mut connection = self.connect(db).await;
        sqlx::query_scalar(insert)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    /// Writes stations, and ends the run.
    pub async fn end(&self, env: &TestEnvironment, run: Uuid) {
        self.upsert(&env.db, &fleet(env)[..WRITTEN]).await;
        let update =
            "UPDATE tarana_sync_logs SET status = 'completed', stations_fetched = 300, updated = 300,
                          completed_at = now(), duration_ms = 1000 WHERE id = $1 AND status = 'running'";
        let mut connection = self.connect(&env.db).await;
        let done = sqlx::query(update)
            .bind(run)
            .execute(&mut connection)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), 1, "the function ends its own run");
    }

    async fn upsert(&self, db: &PgPool, rows: &[Value]) {
        let mut columns = vec!["hostname", "site_name", "market", "lat", "lng", "region"];
        if self.shape == Shape::Supabase {
            columns.extend(["height_m", "azimuth_deg", "band", "device_status", "region_id"]);
        }
        let list = columns.join(", ");
        let set: Vec<String> = columns
            .iter()
            .map(|c| format!("{c} = coalesce(excluded.{c}, t.{c})"))
            .collect();
        let upsert = format!(
            "INSERT INTO tarana_base_stations AS t (serial_number, {list}, last_updated)
             SELECT serial_number, {list}, now() FROM jsonb_populate_recordset(NULL::tarana_base_stations, $1)
             ON CONFLICT (serial_number) DO UPDATE SET {}, last_updated = excluded.last_updated",
            set.join(", ")
        );
        let mut connection = self.connect(db).await;
        let done = sqlx::query(AssertSqlSafe(upsert))
            .bind(Value::from(rows))
            .execute(&mut connection)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), rows.len() as u64);
    }

    /// As the role that Supabase gives to functions.
    async fn connect(&self, db: &PgPool) -> PgConnection {
        let mut connection = db.acquire().await.unwrap().detach();
        if self.shape == Shape::Supabase {
            sqlx::raw_sql("SET ROLE service_role")
                .execute(&mut connection)
                .await
                .unwrap();
        }
        connection
    }
}

/// The function ends the run that was in progress from the beginning.
pub async fn end_recent_run(db: &PgPool) {
    let update = "UPDATE tarana_sync_logs SET status = 'completed', completed_at = now() WHERE stations_fetched = 1 AND status = 'running'";
    let done = sqlx::query(update).execute(db).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "it was not closed");
}

/// A run of the operator that nobody continues.
pub async fn insert_abandoned_run(db: &PgPool) {
    let insert = "INSERT INTO tarana_sync_logs (status, name, connection_uid, created_at, heartbeat_at)
                  VALUES ('running', 'abandoned', gen_random_uuid(), now() - interval '1 day', now() - interval '2 hours'),
                         ('running', 'alive', gen_random_uuid(), now() - interval '1 day', now())";
    sqlx::query(insert).execute(db).await.unwrap();
}

/// The stations at one time.
pub struct Snapshot(BTreeMap<String, Value>);

impl Snapshot {
    pub async fn take(db: &PgPool) -> Self {
        let select = "SELECT serial_number, to_jsonb(t) FROM tarana_base_stations t";
        let rows: Vec<(String, Value)> = sqlx::query_as(select).fetch_all(db).await.unwrap();
        Self(rows.into_iter().collect())
    }

    /// Every station is there, with the values that no sync may write, and no known value was erased. A station that the
    /// vendor does not list keeps all values, and one that it lists without coordinates its own.
    pub async fn assert_no_regression(&self, db: &PgPool, unlocated: &[String]) {
        let now = Self::take(db).await;
        assert!(
            now.0.len() > self.0.len(),
            "the operator added the other stations"
        );
        for (serial, before) in &self.0 {
            let row = now.0.get(serial).unwrap_or_else(|| panic!("{serial} is lost"));
            for (column, value) in before.as_object().unwrap() {
                let found = &row[column];
                let fixed =
                    ["id", "created_at", "network_profile_id", "bandwidth_mhz"].contains(&column.as_str());
                let same_place = row["lat"] == before["lat"] && row["lng"] == before["lng"];
                let kept = fixed
                    || (column == "location" && same_place)
                    || serial == "GONE"
                    || (unlocated.contains(serial) && ["lat", "lng"].contains(&column.as_str()));
                assert!(
                    !kept || found == value,
                    "{serial} {column}: {value} became {found}"
                );
                assert!(
                    value.is_null() || !found.is_null(),
                    "{serial} {column} was erased"
                );
            }
            let is_old = row["hostname"] == "old";
            assert!(!is_old, "{serial} was not updated");
        }
    }
}
