//! Errors in the configuration of the database: each has its reason, names the remedy, and shows no secret.

use std::convert::Infallible;

use tarana_operator::fault::{Fault, Reason};
use tarana_operator::store::{Config, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::store_support::{ADMINS, AccessMode, Database, EXISTING, ready, run, tests_with_owner_modes};

tests_with_owner_modes! {
    a_missing_database_or_user_is_rejected,
    missing_privileges_are_listed_with_their_grants,
    a_role_that_may_not_migrate_is_reported,
    a_table_without_a_column_is_invalid,
    a_long_message_of_a_trigger_is_cut,
}

async fn verify(config: Config) -> Fault {
    let fault = Store::new(&config).unwrap().verify().await.unwrap_err();
    assert!(!fault.message.contains("hunter2"), "{}", fault.message);
    fault
}

async fn a_missing_database_or_user_is_rejected(mode: AccessMode) {
    let database = Database::new(mode).await;
    let mut nowhere = database.config();
    let (server, _) = nowhere.url.rsplit_once('/').unwrap();
    nowhere.url = format!("{server}/nowhere");
    let fault = verify(nowhere).await;
    assert_eq!(fault.reason, Reason::DatabaseRefused, "{fault}");
    assert!(
        fault.message.contains("\"nowhere\"") && fault.message.contains("spec.database.secretRef"),
        "{fault}"
    );
    for user in ["hunter2", "postgres"] {
        let fault = verify(database.config_of(Some((user, "hunter2")))).await;
        assert_eq!(fault.reason, Reason::DatabaseRefused, "{fault}");
        assert!(fault.is_permanent());
    }
}

#[tokio::test]
async fn a_missing_server_is_unreachable() {
    let port = devenv::free_port().unwrap();
    let url = format!("postgres://u:hunter2@127.0.0.1:{port}/d");
    let fault = verify(Config {
        url,
        ca_pem: None,
        schema: "public".into(),
        migrate: true,
    })
    .await;
    assert_eq!(fault.reason, Reason::DatabaseUnreachable);
    assert!(!fault.is_permanent());
    assert!(fault.message.contains("127.0.0.1"), "{fault}");
}

async fn missing_privileges_are_listed_with_their_grants(mode: AccessMode) {
    let database = Database::supabase(mode).await;
    database.store().await;
    let role = database
        .role("GRANT SELECT ON ALL TABLES IN SCHEMA public TO ROLE")
        .await;
    let fault = verify(role.clone()).await;
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing);
    // The statements in the message are the remedy.
    let remedy = fault.message.split_once("run: ").expect(&fault.message).1;
    assert!(
        remedy.contains("GRANT") && remedy.contains("CREATE POLICY"),
        "{remedy}"
    );
    database.sql(remedy).await;
    Store::new(&role).unwrap().verify().await.unwrap();
}

async fn a_role_that_may_not_migrate_is_reported(mode: AccessMode) {
    let database = Database::new(mode).await;
    database.sql(ADMINS).await;
    database.sql(EXISTING).await;
    let role = database.role("GRANT CREATE ON SCHEMA public TO ROLE").await;
    let fault = verify(role).await;
    assert_eq!(fault.reason, Reason::DatabaseRightsMissing);
    assert!(
        fault.message.contains("tarana_sync_logs") && fault.message.contains("migrate"),
        "{fault}"
    );
    assert_eq!(
        database.value("SELECT to_regclass('tarana_migrations')").await,
        "-",
        "nothing was created"
    );
}

async fn a_table_without_a_column_is_invalid(mode: AccessMode) {
    let database = Database::new(mode).await;
    let store = database.store().await;
    database
        .sql("ALTER TABLE tarana_base_stations DROP COLUMN band")
        .await;
    let fault = store.verify().await.unwrap_err();
    assert_eq!(fault.reason, Reason::SchemaInvalid);
    assert!(fault.message.contains("band"), "{fault}");
}

/// D28: a trigger may raise an error of any length. The remedy follows it.
async fn a_long_message_of_a_trigger_is_cut(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    let trap = r"CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION '%', repeat(E'no\r\nway ', 12500) USING ERRCODE = TG_ARGV[0]; END $$;
                 CREATE TRIGGER trap BEFORE INSERT ON tarana_sync_logs FOR EACH ROW EXECUTE FUNCTION trap('P0001')";
    for (code, reason, remedy) in [
        ("P0001", Reason::DatabaseError, "(P0001)"),
        ("42883", Reason::SchemaInvalid, "restore what is missing"),
        ("42501", Reason::DatabaseRightsMissing, "grant it"),
        ("53100", Reason::DatabaseUnreachable, "give it space"),
    ] {
        database.sql(&trap.replace("P0001", code)).await;
        let fault = store.register(&run()).await.unwrap_err();
        assert_eq!(fault.reason, reason, "{fault}");
        assert!(fault.message.contains("no way no way"), "{fault}");
        assert!(
            fault.message.ends_with(remedy) || fault.message.contains(remedy),
            "{fault}"
        );
        assert!(fault.message.len() < 512, "{} bytes", fault.message.len());
        assert!(!fault.message.contains(char::is_control), "{fault}");
        database.sql("DROP FUNCTION trap() CASCADE").await;
    }
}

/// A pooler that refuses each login with this SQLSTATE and message.
async fn refuse_logins(listener: &TcpListener, code: &str, message: &str) -> Infallible {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
    let length = i32::try_from(fields.len() + 4).unwrap();
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let rest = socket.read_u32().await.unwrap() - 4;
        let mut startup = vec![0; rest.try_into().unwrap()];
        socket.read_exact(&mut startup).await.unwrap();
        let answer = [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat();
        socket.write_all(&answer).await.unwrap();
    }
}

/// What a pooler says, the reason, and a part of the remedy.
const OF_POOLERS: &[(&str, &str, Reason, &str)] = &[
    (
        "XX000",
        "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15",
        Reason::DatabaseUnreachable,
        "--database-connections",
    ),
    (
        "XX000",
        "Max client connections reached",
        Reason::DatabaseUnreachable,
        "--database-connections",
    ),
    (
        "XX000",
        "Tenant or user not found",
        Reason::DatabaseRefused,
        "user.project",
    ),
    (
        "XX000",
        "(ENOTFOUND) tenant/user hunter2.hunter2 not found",
        Reason::DatabaseRefused,
        "user.project",
    ),
    (
        "XX000",
        "handler of user hunter2 crashed",
        Reason::DatabaseUnreachable,
        "check that it runs",
    ),
    (
        "08P01",
        "server login has been failing, cached error: FATAL: password authentication failed for user \"hunter2\"",
        Reason::DatabaseRefused,
        "correct user and password",
    ),
    (
        "08P01",
        "server login has been failing, cached error: role \"hunter2\" does not exist",
        Reason::DatabaseRefused,
        "correct user and password",
    ),
    (
        "08P01",
        "server login has been failing, cached error: database \"d\" does not exist",
        Reason::DatabaseRefused,
        "create it",
    ),
    (
        "08P01",
        "server login has been failing, cached error: cannot reach the server for user=hunter2",
        Reason::DatabaseUnreachable,
        "check that it runs",
    ),
];

/// D2: with SQLSTATEs that say nothing.
#[tokio::test]
async fn messages_of_poolers_are_classified() {
    for &(code, message, reason, remedy) in OF_POOLERS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config {
            url: format!("postgres://hunter2:hunter2@{address}/d?sslmode=disable"),
            ca_pem: None,
            schema: "public".into(),
            migrate: true,
        };
        let fault = tokio::select! {
            fault = verify(config) => fault,
            never = refuse_logins(&listener, code, message) => match never {},
        };
        assert_eq!(fault.reason, reason, "{message}: {fault}");
        assert!(fault.message.contains(remedy), "{message}: {fault}");
    }
}
