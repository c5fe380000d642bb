//! Invalid input, one error at a time: each becomes a condition with its own reason and a message with the remedy.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tarana_operator::api::sync::Phase;

use super::environment::{TestEnvironment, condition, of, phase};
use super::servers;

/// A connection with one error.
struct Case {
    what: &'static str,
    /// Changes to the spec of the connection.
    connection: Value,
    /// The data of the credentials Secret.
    tcs: Value,
    /// Converts the URL of the database.
    database: fn(&str) -> String,
    reason: &'static str,
    /// Parts of the message.
    message: &'static [&'static str],
    /// Whether the connection is Stalled; otherwise it is retried.
    stalled: bool,
}

fn case(what: &'static str, reason: &'static str, message: &'static [&'static str]) -> Case {
    Case {
        what,
        connection: json!({}),
        tcs: servers::credentials(),
        database: str::to_owned,
        reason,
        message,
        stalled: true,
    }
}

/// Errors of the API settings.
fn api_cases() -> Vec<Case> {
    let api = |changes: Value| json!({ "api": changes });
    vec![
        Case {
            connection: api(json!({"credentialsSecretRef": {"name": "nobody"}})),
            ..case(
                "an unknown Secret",
                "SecretNotFound",
                &["nobody", "spec.api.credentialsSecretRef", "create it"],
            )
        },
        Case {
            connection: api(json!({"credentialsSecretRef": {"passwordKey": "pw"}})),
            ..case(
                "an unknown key",
                "SecretKeyMissing",
                &["pw", "spec.api.credentialsSecretRef.passwordKey"],
            )
        },
        Case {
            tcs: json!({"username": servers::USERNAME, "password": "wrong"}),
            ..case("wrong credentials", "AuthenticationFailed", &["Secret"])
        },
        Case {
            connection: api(json!({"url": "http://127.0.0.1:1"})),
            stalled: false,
            ..case("an unreachable host", "ApiUnreachable", &["127.0.0.1:1"])
        },
        Case {
            connection: api(json!({"excludeRegionIds": servers::region_ids()})),
            ..case("no region left", "NoRegions", &["excludeRegionIds"])
        },
        Case {
            connection: api(json!({"includeRegionIds": [424_242]})),
            ..case(
                "an unknown region",
                "RegionNotFound",
                &["424242", "includeRegionIds"],
            )
        },
    ]
}

/// Errors of the database URL.
fn database_url_cases() -> Vec<Case> {
    vec![
        Case {
            database: |_| "not a url".to_owned(),
            ..case(
                "a malformed database URL",
                "InvalidConfiguration",
                &["spec.database.secretRef"],
            )
        },
        Case {
            database: |url| format!("{url}?sslrootcert=hunter2&sslmode=verify-full"),
            ..case(
                "a TLS parameter that is not supported",
                "InvalidConfiguration",
                &[
                    "sslrootcert",
                    "spec.database.secretRef.urlKey",
                    "spec.database.secretRef.caKey",
                ],
            )
        },
        Case {
            database: |url| url.replacen(login(url), "tarana:12/hunter2", 1),
            ..case(
                "a password that is not percent-encoded",
                "InvalidConfiguration",
                &["spec.database.secretRef.urlKey", "percent-encoded"],
            )
        },
    ]
}

/// Errors of the database settings.
fn database_cases() -> Vec<Case> {
    vec![
        Case {
            database: |_| "postgres://u:hunter2@127.0.0.1:1/x".to_owned(),
            stalled: false,
            ..case("an unreachable database", "DatabaseUnreachable", &["127.0.0.1"])
        },
        Case {
            database: |url| format!("{url}_gone"),
            ..case("a database that does not exist", "DatabaseRefused", &["_gone"])
        },
        Case {
            database: |url| url.replacen("//tarana:", "//tarana:hunter2", 1),
            ..case(
                "a wrong password",
                "DatabaseRefused",
                &["spec.database.secretRef"],
            )
        },
        Case {
            database: |url| url.replacen(login(url), "tarana_unprivileged:hunter2", 1),
            ..case("a role without privileges", "DatabaseRightsMissing", &["GRANT"])
        },
        Case {
            connection: json!({"database": {"schema": "elsewhere"}}),
            ..case(
                "an unknown schema",
                "SchemaInvalid",
                &["elsewhere", "spec.database.schema"],
            )
        },
    ]
}

/// The user and password of a database URL.
fn login(url: &str) -> &str {
    url.split_once("://")
        .and_then(|(_, rest)| rest.split_once('@'))
        .unwrap()
        .0
}

/// Creates a role without privileges. Other tests share the server and its roles.
async fn create_unprivileged_role(env: &TestEnvironment) {
    let role = "do $$ begin create role tarana_unprivileged login password 'hunter2'; exception when duplicate_object then null; end $$";
    sqlx::raw_sql(role).execute(&env.db).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_reports_the_problem_and_the_remedy() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    create_unprivileged_role(&env).await;
    env.start_operator();
    // The probes of the first cases migrate the database, which the role without privileges cannot.
    for (group, cases) in [
        ("api", api_cases()),
        ("url", database_url_cases()),
        ("database", database_cases()),
    ] {
        let cases = cases.into_iter().enumerate();
        join_all(cases.map(|(n, case)| assert_reported(&env, format!("{group}-{n}"), case))).await;
    }
}

async fn assert_reported(env: &TestEnvironment, name: String, case: Case) {
    let own = format!("{name}-tcs");
    env.secret(&own, &case.tcs).await;
    env.secret(
        &format!("{name}-db"),
        &json!({"url": (case.database)(&env.database_url)}),
    )
    .await;
    let mut spec = json!({"api": {"credentialsSecretRef": {"name": own}}, "database": {"secretRef": {"name": format!("{name}-db")}}});
    servers::merge(&mut spec, case.connection.clone());
    env.connection(&name, spec).await;
    let found = env
        .wait_for_connection(&name, &format!("reports {}: {}", case.what, case.reason), |c| {
            condition(&c.status.clone().unwrap_or_default().conditions, "Ready").1 == case.reason
        })
        .await;
    let conditions = found.status.unwrap().conditions;
    let (ready, _, message) = condition(&conditions, "Ready");
    assert_eq!(ready, "False", "{}", case.what);
    for part in case.message {
        assert!(
            message.contains(part),
            "{}: {message:?} does not contain {part:?}",
            case.what
        );
    }
    assert!(
        !message.contains("hunter2") && !message.contains(servers::PASSWORD),
        "{}: {message}",
        case.what
    );
    let other = if case.stalled {
        ("Stalled", "Reconciling")
    } else {
        ("Reconciling", "Stalled")
    };
    assert_eq!(
        condition(&conditions, other.0).0,
        "True",
        "{}: {conditions:?}",
        case.what
    );
    assert_eq!(
        condition(&conditions, other.1).0,
        "",
        "{}: {conditions:?}",
        case.what
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_not_retried_until_they_change() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.start_operator();
    env.secret(
        "tcs",
        &json!({"username": servers::USERNAME, "password": "wrong"}),
    )
    .await;
    env.secret("database", &json!({"url": env.database_url})).await;
    env.connection("default", json!({})).await;
    for name in ["one", "two"] {
        let failed = env.run(name, json!({})).await;
        assert_eq!(
            (phase(&failed), of(&failed, "Finished").1.as_str()),
            (Phase::Failed, "AuthenticationFailed")
        );
        let row = env.log_row(&failed).await;
        assert_eq!(
            (&row["status"], &row["reason"]),
            (&json!("failed"), &json!("AuthenticationFailed"))
        );
        // Other changes of the connection and of its Secrets do not permit another login.
        let login = json!({"username": servers::USERNAME, "password": "wrong", "note": name});
        env.secret("tcs", &login).await;
        let database = json!({"url": env.database_url, "note": name});
        env.secret("database", &database).await;
        let page_size = json!({"api": {"pageSize": if name == "one" { 100 } else { 200 }}});
        env.change_connection("default", page_size).await;
        let generation = env
            .connections()
            .get("default")
            .await
            .unwrap()
            .metadata
            .generation;
        env.wait_for_connection("default", "was verified again", |c| {
            let status = c.status.clone().unwrap_or_default();
            status.observed_generation == generation
                && condition(&status.conditions, "Stalled").1 == "AuthenticationFailed"
        })
        .await;
    }
    assert_eq!(
        env.tcs.counters().failed_logins,
        1,
        "retries could lock the account"
    );
    env.secret("tcs", &servers::credentials()).await;
    assert_eq!(phase(&env.run("three", json!({})).await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_a_missing_secret() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.start_operator();
    env.connection("default", json!({})).await;
    env.sync("run", json!({})).await;
    env.wait_for_sync("run", "reports the missing Secret", |s| {
        of(s, "Ready")
            .2
            .contains("SecretNotFound: spec.api.credentialsSecretRef")
    })
    .await;
    env.secret("tcs", &servers::credentials()).await;
    env.secret("database", &json!({"url": env.database_url})).await;
    assert_eq!(phase(&env.finished("run").await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_probed_periodically() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.start_operator_with_probe_interval(Duration::from_secs(1));
    env.create_secrets_and_connection().await;
    env.ready().await;
    env.tcs.set_credentials("somebody", "else");
    env.tcs.expire_sessions(true);
    env.wait_for_connection("default", "reports the rejected credentials", |c| {
        condition(&c.status.clone().unwrap_or_default().conditions, "Stalled").1 == "AuthenticationFailed"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_version_is_not_changed() {
    let mut env = TestEnvironment::new().await;
    env.run("first", json!({})).await;
    env.stop_operator().await;
    sqlx::query(
        "insert into tarana_migrations (version, description, checksum) values (9999, 'from the future', '')",
    )
    .execute(&env.db)
    .await
    .unwrap();
    let before = env.table().await;
    env.tcs.drift(0.1);
    env.start_operator();
    let failed = env.run("second", json!({})).await;
    assert_eq!(
        (phase(&failed), of(&failed, "Finished").1.as_str()),
        (Phase::Failed, "SchemaTooNew")
    );
    assert!(
        of(&failed, "Finished").2.contains("9999"),
        "{:?}",
        of(&failed, "Finished")
    );
    assert_eq!(env.table().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interactive_login_challenge_fails_the_run() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.tcs.set_rules(vec![servers::challenge()]);
    env.start_operator();
    env.create_secrets_and_connection().await;
    let failed = env.run("run", json!({})).await;
    assert_eq!(
        (phase(&failed), of(&failed, "Finished").1.as_str()),
        (Phase::Failed, "AuthenticationChallenge")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_certificate_is_rejected() {
    let mut env = TestEnvironment::bare(servers::tls_tcs()).await;
    env.start_operator();
    env.create_secrets_and_connection().await;
    let failed = env.run("run", json!({})).await;
    assert_eq!(
        (phase(&failed), of(&failed, "Finished").1.as_str()),
        (Phase::Failed, "ApiTlsFailed")
    );
    assert!(
        of(&failed, "Finished").2.contains("caSecretRef"),
        "{:?}",
        of(&failed, "Finished")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_credentials_cause_no_retries() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.start_operator();
    env.secret(
        "tcs",
        &json!({"username": servers::USERNAME, "password": "wrong"}),
    )
    .await;
    env.secret("database", &json!({"url": env.database_url})).await;
    env.connection("default", json!({})).await;
    let rejected = env
        .wait_for_connection("default", "reports the rejected credentials", |c| {
            condition(&c.status.clone().unwrap_or_default().conditions, "Stalled").0 == "True"
        })
        .await;
    // Nothing may be written for two seconds.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let later = env.connections().get("default").await.unwrap();
    assert_eq!(
        later.metadata.resource_version,
        rejected.metadata.resource_version
    );
    assert_eq!(env.tcs.counters().failed_logins, 1);
}
