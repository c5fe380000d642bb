//! What is wrong, one thing at a time: each ends in a condition with its own reason and a message that says what to do.

use std::time::Duration;

use serde_json::{Value, json};
use tarana_operator::api::sync::Phase;

use super::servers;
use super::world::{World, condition, of, phase};

/// A world whose connection is spoilt in one way.
struct Case {
    what: &'static str,
    /// Changes to the simulator's configuration come from `servers`, changes to the connection from here.
    connection: Value,
    tcs: Value,
    /// What the database's URL becomes.
    database: fn(&str) -> String,
    reason: &'static str,
    /// The message must name each of these.
    says: &'static [&'static str],
    /// Whether the connection is Stalled, or tries again by itself.
    stalled: bool,
}

fn case(what: &'static str, reason: &'static str, says: &'static [&'static str]) -> Case {
    Case {
        what,
        connection: json!({}),
        tcs: servers::credentials(),
        database: str::to_owned,
        reason,
        says,
        stalled: true,
    }
}

/// What can be wrong with the side of the API.
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

/// The same for the database.
fn database_cases() -> Vec<Case> {
    vec![
        Case {
            database: |_| "not a url".to_owned(),
            ..case(
                "a database URL without form",
                "InvalidConfiguration",
                &["spec.database.secretRef"],
            )
        },
        Case {
            database: |_| "postgres://u:hunter2@127.0.0.1:1/x".to_owned(),
            stalled: false,
            ..case(
                "a database that does not answer",
                "DatabaseUnreachable",
                &["127.0.0.1"],
            )
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
            database: |url| url.replacen(login(url), "tarana_stranger:hunter2", 1),
            ..case("a role without rights", "DatabaseRightsMissing", &["GRANT"])
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

/// User and password of a database URL.
fn login(url: &str) -> &str {
    url.split_once("://")
        .and_then(|(_, rest)| rest.split_once('@'))
        .unwrap()
        .0
}

/// A role that may log in and nothing else. Roles belong to the server, which other tests share.
async fn stranger(w: &World) {
    let role = "do $$ begin create role tarana_stranger login password 'hunter2'; exception when duplicate_object then null; end $$";
    sqlx::raw_sql(role).execute(&w.db).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_says_what_is_wrong_and_what_to_do() {
    let mut w = World::bare(servers::tcs()).await;
    stranger(&w).await;
    w.start_operator();
    for (n, case) in api_cases().into_iter().chain(database_cases()).enumerate() {
        let name = format!("case-{n}");
        let own = format!("{name}-tcs");
        w.secret(&own, &case.tcs).await;
        w.secret(
            &format!("{name}-db"),
            &json!({"url": (case.database)(&w.database_url)}),
        )
        .await;
        let mut spec = json!({"api": {"credentialsSecretRef": {"name": own}}, "database": {"secretRef": {"name": format!("{name}-db")}}});
        servers::merge(&mut spec, case.connection.clone());
        w.connection(&name, spec).await;
        let found = w
            .connection_when(
                &name,
                &format!("is refused for {}: {}", case.what, case.reason),
                |c| condition(&c.status.clone().unwrap_or_default().conditions, "Ready").1 == case.reason,
            )
            .await;
        let conditions = found.status.unwrap().conditions;
        let (ready, _, message) = condition(&conditions, "Ready");
        assert_eq!(ready, "False", "{}", case.what);
        for word in case.says {
            assert!(
                message.contains(word),
                "{}: {message:?} does not name {word}",
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
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_fail_a_run_and_are_not_tried_again_until_the_secret_changes() {
    let mut w = World::bare(servers::tcs()).await;
    w.start_operator();
    w.secret(
        "tcs",
        &json!({"username": servers::USERNAME, "password": "wrong"}),
    )
    .await;
    w.secret("database", &json!({"url": w.database_url})).await;
    w.connection("default", json!({})).await;
    for name in ["one", "two"] {
        let failed = w.run(name, json!({})).await;
        assert_eq!(
            (phase(&failed), of(&failed, "Finished").1.as_str()),
            (Phase::Failed, "AuthenticationFailed")
        );
        let row = w.log_row(&failed).await;
        assert_eq!(
            (&row["status"], &row["reason"]),
            (&json!("failed"), &json!("AuthenticationFailed"))
        );
    }
    assert_eq!(
        w.tcs.counters().failed_logins,
        1,
        "an account must not be locked by trying again"
    );
    w.secret("tcs", &servers::credentials()).await;
    assert_eq!(phase(&w.run("three", json!({})).await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_comes_late_is_waited_for() {
    let mut w = World::bare(servers::tcs()).await;
    w.start_operator();
    w.connection("default", json!({})).await;
    w.sync("run", json!({})).await;
    w.sync_when("run", "says which Secret is missing", |s| {
        of(s, "Ready")
            .2
            .contains("SecretNotFound: spec.api.credentialsSecretRef")
    })
    .await;
    w.secret("tcs", &servers::credentials()).await;
    w.secret("database", &json!({"url": w.database_url})).await;
    assert_eq!(phase(&w.finished("run").await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_tried_again_without_being_asked() {
    let mut w = World::bare(servers::tcs()).await;
    w.start_operator_that_rechecks_every(Duration::from_secs(1));
    w.secrets_and_connection().await;
    w.ready().await;
    w.tcs.set_credentials("somebody", "else");
    w.tcs.expire_sessions(true);
    w.connection_when("default", "is found refused", |c| {
        condition(&c.status.clone().unwrap_or_default().conditions, "Stalled").1 == "AuthenticationFailed"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_from_the_future_is_left_alone() {
    let mut w = World::new().await;
    w.run("first", json!({})).await;
    w.stop_operator().await;
    sqlx::query(
        "insert into tarana_migrations (version, description, checksum) values (9999, 'from the future', '')",
    )
    .execute(&w.db)
    .await
    .unwrap();
    let before = w.table().await;
    w.tcs.drift(0.1);
    w.start_operator();
    let failed = w.run("second", json!({})).await;
    assert_eq!(
        (phase(&failed), of(&failed, "Finished").1.as_str()),
        (Phase::Failed, "SchemaTooNew")
    );
    assert!(
        of(&failed, "Finished").2.contains("9999"),
        "{:?}",
        of(&failed, "Finished")
    );
    assert_eq!(w.table().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_asks_for_a_person_says_so() {
    let mut w = World::bare(servers::tcs()).await;
    w.tcs.script(vec![servers::challenge()]);
    w.start_operator();
    w.secrets_and_connection().await;
    let failed = w.run("run", json!({})).await;
    assert_eq!(
        (phase(&failed), of(&failed, "Finished").1.as_str()),
        (Phase::Failed, "AuthenticationChallenge")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_certificate_nobody_signed_is_refused() {
    let mut w = World::bare(servers::tls_tcs()).await;
    w.start_operator();
    w.secrets_and_connection().await;
    let failed = w.run("run", json!({})).await;
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
async fn nothing_is_retried_in_a_hurry() {
    let mut w = World::bare(servers::tcs()).await;
    w.start_operator();
    w.secret(
        "tcs",
        &json!({"username": servers::USERNAME, "password": "wrong"}),
    )
    .await;
    w.secret("database", &json!({"url": w.database_url})).await;
    w.connection("default", json!({})).await;
    let refused = w
        .connection_when("default", "is refused", |c| {
            condition(&c.status.clone().unwrap_or_default().conditions, "Stalled").0 == "True"
        })
        .await;
    // An absence has to be waited for: two seconds in which nothing may be written.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let later = w.connections().get("default").await.unwrap();
    assert_eq!(later.metadata.resource_version, refused.metadata.resource_version);
    assert_eq!(w.tcs.counters().failed_logins, 1);
}
