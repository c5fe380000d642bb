//! Where the store connects to, and as whom, follows from its configuration alone: not from the environment of the process, and
//! not from relations that others created.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use devenv::{PgBouncer, PgBouncerSettings};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};
use tarana_operator::fault::Reason;
use tarana_operator::station::Change;
use tarana_operator::store::{Config, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use super::environment::{TestEnvironment, condition};
use super::operator_process::OperatorProcess;
use super::servers;
use super::store_support::{AccessMode, Database, perform, row, run, sweep, tests_with_mode};

/// A folder that is a `HOME` with a `.pgpass`, in which every server has the password of [`Database::role`].
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let home = Self(folder);
        std::fs::write(home.passwords(), "*:*:*:*:p\n").unwrap();
        // Others are ignored.
        std::fs::set_permissions(home.passwords(), std::fs::Permissions::from_mode(0o600)).unwrap();
        home
    }

    fn passwords(&self) -> PathBuf {
        self.0.join(".pgpass")
    }

    /// These variables alone would let a client log in. The others would lead it astray.
    fn variables(&self) -> Vec<(&'static str, String)> {
        [
            ("HOME", self.0.to_str().unwrap()),
            ("PGPASSFILE", self.passwords().to_str().unwrap()),
            ("PGPASSWORD", "p"),
            ("PGHOST", "192.0.2.1"),
            ("PGHOSTADDR", "192.0.2.1"),
            ("PGPORT", "1"),
            ("PGUSER", "nobody"),
            ("PGDATABASE", "nothing"),
            ("PGAPPNAME", "elsewhere"),
            ("PGOPTIONS", "-c tarana.environment=hunter2"),
            ("PGSSLMODE", "disable"),
            ("PGSSLCERT", "/nonexistent"),
            ("PGSSLKEY", "/nonexistent"),
            ("PGSSLROOTCERT", "/nonexistent"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the command `migrate` with these variables. Returns whether it succeeded, and its output.
async fn migrate(url: &str, variables: &[(&str, String)]) -> (bool, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_tarana-operator"))
        .args(["migrate", "--database-url", url])
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(text).unwrap())
}

/// The URL of a role that may create tables, without its password, and the password.
async fn url_without_password(database: &Database) -> (String, String) {
    let config = database.role("GRANT ALL ON SCHEMA public TO ROLE").await;
    let (front, back) = config.url.split_once(":p@").unwrap();
    (format!("{front}@{back}"), config.url.clone())
}

#[tokio::test]
async fn a_password_of_the_environment_is_not_used() {
    let database = Database::new(AccessMode::Direct).await;
    let (without, with) = url_without_password(&database).await;
    let home = Home::new("passwords");
    let variables = home.variables();
    for sources in [
        &variables[..1],
        &variables[1..2],
        &variables[2..3],
        &variables[..],
    ] {
        let (success, output) = migrate(&without, sources).await;
        let names: Vec<&str> = sources.iter().map(|(name, _)| *name).collect();
        assert!(!success, "{names:?}: {output}");
        assert!(output.contains("DatabaseRefused"), "{names:?}: {output}");
    }
    // The password of the URL opens the same server, whatever the environment says.
    let (success, output) = migrate(&with, &variables).await;
    assert!(success, "{output}");
    assert_ne!(
        database.value("SELECT count(*) FROM tarana_migrations").await,
        "0"
    );
}

#[tokio::test]
async fn a_character_that_scram_prohibits_is_not_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config {
        url: format!(
            "postgres://some%EE%80%80body:p@{}/d?sslmode=disable",
            listener.local_addr().unwrap()
        ),
        ca_pem: None,
        schema: "public".into(),
        migrate: true,
    };
    // It asks for SCRAM, for which the driver prepares the name. The driver's error contains the prohibited character.
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_startup_message(&mut socket).await;
        let request = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
        socket.write_all(request).await.unwrap();
        let _ = socket.read_u8().await;
    };
    let store = Store::new(&config).unwrap();
    let (fault, ()) = tokio::join!(async { store.verify().await.unwrap_err() }, server);
    assert_eq!(fault.reason, Reason::InvalidConfiguration, "{fault}");
    assert!(
        fault.message.contains("spec.database.secretRef.urlKey"),
        "{fault}"
    );
    assert!(!fault.message.contains("e000"), "{fault}");
    assert!(!fault.message.contains('\u{e000}'), "{fault}");
}

#[tokio::test]
async fn certificates_of_the_environment_are_not_read() {
    let database = Database::new(AccessMode::Direct).await;
    let url = format!("{}?sslmode=require", database.url);
    let (success, output) = migrate(&url, &Home::new("certificates").variables()).await;
    assert!(success, "{output}");
}

async fn read_startup_message(socket: &mut TcpStream) -> String {
    let length = socket.read_u32().await.unwrap();
    let mut message = vec![0; usize::try_from(length).unwrap() - 4];
    socket.read_exact(&mut message).await.unwrap();
    String::from_utf8(message).unwrap()
}

#[tokio::test]
async fn nothing_of_the_environment_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "postgres://somebody@{}/something?sslmode=disable",
        listener.local_addr().unwrap()
    );
    // It records the start-up message, and ends the connection.
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let message = read_startup_message(&mut socket).await;
        drop(listener);
        message
    };
    let home = Home::new("startup");
    let (message, (success, _)) = tokio::join!(server, async { migrate(&url, &home.variables()).await });
    assert!(!success);
    // After the version of the protocol: names and values, each ended by a zero.
    let texts: Vec<&str> = message[4..].trim_end_matches('\0').split('\0').collect();
    let mut parameters: Vec<(&str, &str)> = texts.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    parameters.sort_unstable();
    assert_eq!(
        parameters,
        [
            ("DateStyle", "ISO, MDY"),
            ("TimeZone", "UTC"),
            ("application_name", "tarana-operator"),
            ("client_encoding", "UTF8"),
            ("database", "something"),
            ("user", "somebody"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_uses_nothing_of_its_environment() {
    let database = Database::new(AccessMode::Direct).await;
    let (without, with) = url_without_password(&database).await;
    let env = TestEnvironment::with_database(servers::tcs(), &database.url).await;
    let home = Home::new("operator");
    let variables = home.variables();
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let _operator = OperatorProcess::start_with(&env, "environment", &variables);
    env.secret("tcs", &servers::credentials()).await;
    env.secret("database", &json!({"url": without})).await;
    env.connection("default", json!({})).await;
    env.wait_for_connection("default", "is refused", |c| {
        condition(&c.status.clone().unwrap_or_default().conditions, "Stalled").1 == "DatabaseRefused"
    })
    .await;
    env.secret("database", &json!({"url": with})).await;
    env.ready().await;
}

/// Relations of others in the schema of the tables: our statements use these names for something else, or did once.
const NAMES_OF_QUERIES: [&str; 10] = [
    "hit",
    "tarana_incoming",
    "recorded",
    "needed",
    "newest",
    "i",
    "s",
    "b",
    "n",
    "c",
];

/// A run with an insert, an update and a delete, and all that reads.
async fn use_every_statement(database: &Database, store: &Store) {
    store.verify().await.unwrap();
    perform(store, vec![Change::Insert(row("S1")), Change::Insert(row("S2"))]).await;
    let mut renamed = row("S1");
    renamed.site_name = "renamed".into();
    let update = Change::Update {
        before: Box::new(row("S1")),
        after: Box::new(renamed),
    };
    let done = perform(store, vec![update, Change::Delete(row("S2"))]).await;
    store.register(&run()).await.unwrap();
    sweep(store, done.connection_uid, &[], std::time::Duration::from_mins(1))
        .await
        .unwrap();
    let history = store.station_history("S1", 10).await.unwrap();
    assert_eq!(history.len(), 2, "inserted and updated");
    assert_eq!(store.changes(done.id, -1, 10).await.unwrap().len(), 2);
    let rows = "SELECT string_agg(serial_number || site_name, ',') FROM public.tarana_base_stations";
    assert_eq!(database.value(rows).await, "S1renamed");
    let changes = "SELECT count(*) FROM public.tarana_sync_changes";
    assert_eq!(database.value(changes).await, "4");
}

tests_with_mode!(
    direct,
    Direct,
    permanent_tables_with_names_of_our_queries_have_no_effect
);
tests_with_mode!(
    pgbouncer,
    PgBouncer,
    permanent_tables_with_names_of_our_queries_have_no_effect
);

async fn permanent_tables_with_names_of_our_queries_have_no_effect(mode: AccessMode) {
    let database = Database::new(mode).await;
    let store = database.store().await;
    let trap = "CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'the trap of %', TG_TABLE_NAME; END $$";
    database.sql(trap).await;
    for name in NAMES_OF_QUERIES {
        let table = format!(
            "CREATE TABLE {name} (LIKE tarana_base_stations);
             CREATE TRIGGER trap BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {name} EXECUTE FUNCTION trap()"
        );
        database.sql(&table).await;
    }
    use_every_statement(&database, &store).await;
}

/// A connection through the pooler.
async fn connect(config: &Config) -> PgConnection {
    let options: PgConnectOptions = config.url.parse().unwrap();
    options.extra_float_digits(None).connect().await.unwrap()
}

#[tokio::test]
async fn temporary_tables_of_a_pooled_session_do_not_shadow_ours() {
    let database = Database::new(AccessMode::Direct).await;
    database.store().await;
    let relations = "tarana_base_stations tarana_sync_logs tarana_sync_outbox tarana_sync_change_batches tarana_sync_changes
                     tarana_migrations tarana_incoming";
    // A pooler with one connection to the server, which stays.
    let extra = [("default_pool_size", "1"), ("server_idle_timeout", "0")];
    let settings = PgBouncerSettings {
        extra: extra
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..PgBouncerSettings::default()
    };
    let pooler = PgBouncer::start(&database.url, &settings).await.unwrap();
    let config = Config {
        url: database
            .url
            .replace(database.address_and_name().0, pooler.address()),
        ..database.direct()
    };
    let mut client = connect(&config).await;
    for name in relations.split_whitespace() {
        let table = format!("CREATE TEMPORARY TABLE {name} (id int)");
        sqlx::raw_sql(AssertSqlSafe(table))
            .execute(&mut client)
            .await
            .unwrap();
    }
    drop(client);
    use_every_statement(&database, &Store::new(&config).unwrap()).await;
    let shadows =
        "SELECT count(*) FROM pg_class WHERE relname = 'tarana_base_stations' AND relpersistence = 't'";
    assert_eq!(
        database.value(shadows).await,
        "1",
        "the pooler closed the session"
    );
}
