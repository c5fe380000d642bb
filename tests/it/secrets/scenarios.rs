//! The faults that the marked secrets pass through.

use devenv::simulator::{Config, Endpoint, Fault, RecordDefect, Rule, Simulator};
use futures::future::join_all;
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::sync::Phase;

use super::marked_secret::{MarkedSecret, percent};
use crate::environment::{TestEnvironment, condition, of, phase};
use crate::servers;

/// With characters that encodings change: quote, slash, blank, non-ASCII.
const PASSWORD: &str = "c4n4ry \"pass\"/envörd+5e1f";
const SIGNATURE: &str = "c4n4ry-signature-93b7";
const DATABASE: &str = "c4n4ry/data:base@9d2c";
const UNPRIVILEGED: &str = "c4n4ry/stranger:8a4e";
/// Not a secret.
pub const VISIBLE: &str = "v1s1ble-name-of-a-station";

pub fn tcs() -> Config {
    Config {
        password: PASSWORD.to_owned(),
        signature: SIGNATURE.to_owned(),
        ..Config::with_base_nodes(12)
    }
}

/// Every fault of the simulator, of the listing and of login and refresh.
pub fn api_rules() -> Vec<(String, Vec<Rule>)> {
    let mut cases = Vec::new();
    for (n, fault) in Fault::examples().into_iter().enumerate() {
        cases.push((
            format!("listing-{n}"),
            vec![Rule::on(Endpoint::Search, fault.clone())],
        ));
        let endpoints = [Endpoint::Refresh, Endpoint::Login];
        cases.push((
            format!("login-{n}"),
            endpoints
                .map(|endpoint| Rule::on(endpoint, fault.clone()))
                .to_vec(),
        ));
    }
    // Responses that repeat the request, like an error page of a proxy.
    for (n, status) in [200, 400, 401, 500].into_iter().enumerate() {
        let body = format!(
            "{{\"error\":{{\"message\":{}}}}}",
            json!(format!("{PASSWORD} {SIGNATURE}"))
        );
        let echo = Fault::Status {
            status,
            body: Some(body),
        };
        cases.push((format!("echo-{n}"), vec![Rule::on(Endpoint::Any, echo)]));
    }
    cases.push((
        "records".to_owned(),
        RecordDefect::ALL
            .into_iter()
            .enumerate()
            .map(|(at, defect)| {
                Rule::on(
                    Endpoint::Search,
                    Fault::Record {
                        defect,
                        at: at % 12,
                        size: Some(5000),
                    },
                )
            })
            .collect(),
    ));
    cases
}

/// Executes a run under these rules with its own connection and simulator. Returns the tokens.
pub async fn api(env: &TestEnvironment, name: String, rules: Vec<Rule>) -> Vec<MarkedSecret> {
    let tcs = Simulator::start(tcs()).await.unwrap();
    let station = tcs.base_nodes()[1].serial.to_string();
    tcs.edit(&station, |device| device["hostName"] = json!(VISIBLE));
    let spec = json!({"api": {"url": tcs.url(), "requestTimeoutSeconds": 1, "pageSize": 5}});
    secrets(env).await;
    env.connection(&name, spec).await;
    env.wait_for_connection(&name, "is ready", |c| {
        condition(&c.status.clone().unwrap_or_default().conditions, "Ready").0 == "True"
    })
    .await;
    let refreshable = rules.iter().any(|rule| rule.endpoint == Endpoint::Refresh);
    tcs.set_rules(rules);
    tcs.expire_sessions(!refreshable);
    let run = json!({"connectionRef": {"name": name}, "backoffLimit": 0, "activeDeadlineSeconds": 8});
    env.run(&name, run).await;
    let tokens = tcs.tokens();
    // Only the claims of a token are unique.
    let claims = tokens.iter().filter_map(|token| token.split('.').nth(1));
    let secrets = claims
        .map(|claims| MarkedSecret::token(format!("a token of {name}"), claims))
        .collect();
    drop(env.connections().delete(&name, &DeleteParams::default()).await);
    secrets
}

async fn secrets(env: &TestEnvironment) {
    env.secret(
        "tcs",
        &json!({"username": servers::USERNAME, "password": PASSWORD}),
    )
    .await;
    env.secret("database", &json!({"url": url(env, "tarana_marked", DATABASE)}))
        .await;
}

/// The URL of the database for another role.
fn url(env: &TestEnvironment, role: &str, password: &str) -> String {
    let (scheme, rest) = env.database_url.split_once("://").unwrap();
    let (_, place) = rest.split_once('@').unwrap();
    format!("{scheme}://{role}:{}@{place}", percent(password))
}

/// Creates a role of the server, which other tests share.
async fn create_role(env: &TestEnvironment, name: &str, password: &str, options: &str) {
    let made = format!(
        "do $$ begin create role {name} login {options} password '{password}'; exception when duplicate_object then null; end $$"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(made))
        .execute(&env.db)
        .await
        .unwrap();
}

/// A working database and several that fail.
pub async fn database(env: &TestEnvironment) -> Vec<MarkedSecret> {
    create_role(env, "tarana_marked", DATABASE, "superuser").await;
    create_role(env, "tarana_marked_unprivileged", UNPRIVILEGED, "").await;
    secrets(env).await;
    let good = url(env, "tarana_marked", DATABASE);
    let wrong = "c4n4ry/wrong:4b6d";
    let place = env.database_url.split_once('@').unwrap().1;
    let (_, database) = place.split_once('/').unwrap();
    let faults = [
        ("works", good.clone()),
        ("wrong-password", url(env, "tarana_marked", wrong)),
        ("unknown-database", format!("{good}_gone")),
        (
            "connection-refused",
            format!("postgres://u:{}@127.0.0.1:1/{database}", percent(wrong)),
        ),
        (
            "no-such-host",
            format!("postgres://u:{}@no-such-host.invalid/{database}", percent(wrong)),
        ),
        ("no-tls", format!("{good}?sslmode=require")),
        ("no-rights", url(env, "tarana_marked_unprivileged", UNPRIVILEGED)),
        ("not-encoded", format!("postgres://u:{wrong}@{place}")),
        ("no-scheme", format!("u:{wrong}@{place}")),
        ("no-url", wrong.to_owned()),
        (
            "parameters",
            format!("{}?password={}&sslkey={wrong}", env.database_url, percent(wrong)),
        ),
    ];
    // The first creates the tables.
    for (name, url) in &faults[..1] {
        connect(env, name, url).await;
    }
    join_all(faults[1..].iter().map(|(name, url)| connect(env, name, url))).await;
    let mut secrets: Vec<MarkedSecret> = faults
        .iter()
        .map(|(name, url)| MarkedSecret::new(format!("the URL {name}"), url))
        .collect();
    secrets.extend([
        MarkedSecret::new("the database's password", DATABASE),
        MarkedSecret::new("the password of the unprivileged role", UNPRIVILEGED),
        MarkedSecret::new("a wrong password", wrong),
    ]);
    secrets.extend(trigger_and_constraint(env).await);
    secrets
}

/// Creates a connection to the database of this URL and uses it.
async fn connect(env: &TestEnvironment, name: &str, url: &str) {
    let secret = format!("db-{name}");
    env.secret(&secret, &json!({ "url": url })).await;
    use_connection(env, name, json!({"database": {"secretRef": {"name": secret}}})).await;
}

/// Creates a connection with these changes and a run. Waits until both have reported a result.
async fn use_connection(env: &TestEnvironment, name: &str, changes: Value) {
    env.connection(name, changes).await;
    let ready = |c: &TaranaConnection| condition(&c.status.clone().unwrap_or_default().conditions, "Ready");
    let probed = env
        .wait_for_connection(name, "was probed", |c| {
            let (ready, reason, _) = ready(c);
            ready == "True" || (ready == "False" && reason != "Verifying")
        })
        .await;
    let run = json!({"connectionRef": {"name": name}, "backoffLimit": 0, "activeDeadlineSeconds": 2});
    env.sync(name, run).await;
    // A run whose connection is not ready may wait for it. Then it reports the reason.
    let may_wait = ready(&probed).0 != "True";
    env.wait_for_sync(name, "has ended or reports why it waits", |s| {
        let is_final = phase(s).is_final() && s.finalizers().is_empty();
        is_final || (may_wait && phase(s) == Phase::Pending && !of(s, "Reconciling").1.is_empty())
    })
    .await;
}

/// A row that a constraint rejects: PostgreSQL prints it in the DETAIL of its error. And messages that a trigger sends for each row.
async fn trigger_and_constraint(env: &TestEnvironment) -> [MarkedSecret; 2] {
    let (detail, notice) = ("c4n4ry-station-7c10", "c4n4ry-notice-51aa");
    let objects =
        "alter table tarana_base_stations add constraint no_marked check (hostname not like 'c4n4ry-%');
         create function send_messages() returns trigger language plpgsql as $$ begin
             raise notice 'c4n4ry-notice-51aa'; raise warning 'row c4n4ry-notice-51aa'; return new;
         end $$;
         create trigger send_messages before insert or update on tarana_base_stations
         for each row execute function send_messages()";
    sqlx::raw_sql(objects).execute(&env.db).await.unwrap();
    let station = env.tcs.base_nodes()[0].serial.to_string();
    env.tcs
        .edit(&station, |device| device["hostName"] = json!(detail));
    use_connection(env, "constraint", json!({})).await;
    env.tcs.edit(&station, |device| device["hostName"] = json!("X1"));
    [
        MarkedSecret::new("a rejected row", detail),
        MarkedSecret::new("a message of a trigger", notice),
    ]
}

/// Connections with a secret in the wrong place, and incomplete Secrets.
pub async fn configuration(env: &TestEnvironment) -> Vec<MarkedSecret> {
    let pem = "c4n4ry-private-key-e07a";
    let broken = format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n");
    env.secret("ca", &json!({"ca.crt": broken, "text.crt": pem}))
        .await;
    env.secret(
        "halves",
        &json!({"username": servers::USERNAME, "pass": PASSWORD, "colon": format!("{PASSWORD}:x")}),
    )
    .await;
    env.secret(
        "broken",
        &json!({"username": format!("u:{PASSWORD}"), "password": format!("{PASSWORD}\n\u{0}")}),
    )
    .await;
    let api = |changes: Value| json!({ "api": changes });
    let connections = [
        ("broken-ca", api(json!({"caSecretRef": {"name": "ca"}}))),
        (
            "text-ca",
            api(json!({"caSecretRef": {"name": "ca", "key": "text.crt"}})),
        ),
        (
            "no-ca-key",
            api(json!({"caSecretRef": {"name": "ca", "key": "missing"}})),
        ),
        ("no-key", api(json!({"credentialsSecretRef": {"name": "halves"}}))),
        (
            "no-secret",
            api(json!({"credentialsSecretRef": {"name": "nobody"}})),
        ),
        (
            "broken-credentials",
            api(json!({"credentialsSecretRef": {"name": "broken"}})),
        ),
        (
            "wrong-credentials",
            api(json!({"credentialsSecretRef": {"name": "halves", "passwordKey": "colon"}})),
        ),
        (
            "database-ca",
            json!({"database": {"secretRef": {"name": "database", "caKey": "nothing"}}}),
        ),
    ];
    join_all(connections.map(|(name, changes)| use_connection(env, name, changes))).await;
    let mut secrets = vec![
        MarkedSecret::new("the password", PASSWORD),
        MarkedSecret::new("the signature of the tokens", SIGNATURE),
        MarkedSecret::new("the content of the CA Secret", pem),
    ];
    secrets.extend(url_with_secrets(env).await);
    secrets
}

/// The API server rejects a URL that contains a user or a token, so that it is never stored.
async fn url_with_secrets(env: &TestEnvironment) -> [MarkedSecret; 2] {
    let secrets = ["c4n4ry-userinfo-1d9e", "c4n4ry-query-66f0"];
    let host = env.tcs.url().replace("http://", "");
    for url in [
        format!("https://user:{}@{host}", secrets[0]),
        format!("https://{host}/?token={}", secrets[1]),
    ] {
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaConnection",
            "metadata": {"name": "url"}, "spec": {"api": {"url": url, "credentialsSecretRef": {"name": "tcs"}},
            "database": {"secretRef": {"name": "database"}}}});
        let object = serde_json::from_value(object).unwrap();
        let result = env.connections().create(&PostParams::default(), &object).await;
        assert!(result.is_err(), "{url}");
    }
    secrets.map(|secret| MarkedSecret::new("a part of a URL", secret))
}
