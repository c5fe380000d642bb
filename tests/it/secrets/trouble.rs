//! What secrets go through.

use std::time::Duration;

use devenv::simulator::{Blemish, Config, Endpoint, Fault, Rule, Simulator};
use futures::future::join_all;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use super::canary::{Canary, percent};
use crate::servers;
use crate::world::{World, condition};

/// With a quote, a slash, a blank and a letter beyond ASCII, each of which some encoding changes.
const PASSWORD: &str = "c4n4ry \"pass\"/wörd+5e1f";
const SIGNATURE: &str = "c4n4ry-signature-93b7";
const DATABASE: &str = "c4n4ry/data:base@9d2c";
const STRANGER: &str = "c4n4ry/stranger:8a4e";
/// Not a secret: found where stations are.
pub const VISIBLE: &str = "v1s1ble-name-of-a-station";

pub fn tcs() -> Config {
    Config {
        password: PASSWORD.to_owned(),
        signature: SIGNATURE.to_owned(),
        ..Config::of(12)
    }
}

/// Every fault of the simulator, on the listing and on the way in.
pub fn api_rules() -> Vec<(String, Vec<Rule>)> {
    let mut tries = Vec::new();
    for (n, fault) in Fault::examples().into_iter().enumerate() {
        tries.push((
            format!("listing-{n}"),
            vec![Rule::on(Endpoint::Search, fault.clone())],
        ));
        let way_in = [Endpoint::Refresh, Endpoint::Login];
        tries.push((
            format!("way-in-{n}"),
            way_in.map(|endpoint| Rule::on(endpoint, fault.clone())).to_vec(),
        ));
    }
    // Answers that repeat what was sent, as a proxy's page of errors does.
    for (n, status) in [200, 400, 401, 500].into_iter().enumerate() {
        let body = format!(
            "{{\"error\":{{\"message\":{}}}}}",
            json!(format!("{PASSWORD} {SIGNATURE}"))
        );
        let echo = Fault::Status {
            status,
            body: Some(body),
        };
        tries.push((format!("echo-{n}"), vec![Rule::on(Endpoint::Any, echo)]));
    }
    tries.push((
        "spoilt".to_owned(),
        Blemish::ALL
            .into_iter()
            .enumerate()
            .map(|(at, blemish)| {
                Rule::on(
                    Endpoint::Search,
                    Fault::Record {
                        blemish,
                        at: at % 12,
                        size: Some(5000),
                    },
                )
            })
            .collect(),
    ));
    tries
}

/// One run under these rules, by a connection and against a simulator of its own. Returns the tokens that were about.
pub async fn api(w: &World, name: String, rules: Vec<Rule>) -> Vec<Canary> {
    let tcs = Simulator::start(tcs()).await.unwrap();
    let station = tcs.base_nodes()[1].serial.to_string();
    tcs.edit(&station, |device| device["hostName"] = json!(VISIBLE));
    let spec = json!({"api": {"url": tcs.url(), "requestTimeoutSeconds": 1, "pageSize": 5}});
    secrets(w).await;
    w.connection(&name, spec).await;
    w.connection_when(&name, "is ready", |c| {
        condition(&c.status.clone().unwrap_or_default().conditions, "Ready").0 == "True"
    })
    .await;
    let refreshable = rules.iter().any(|rule| rule.endpoint == Endpoint::Refresh);
    tcs.script(rules);
    tcs.expire_sessions(!refreshable);
    let run = json!({"connectionRef": {"name": name}, "backoffLimit": 0, "activeDeadlineSeconds": 8});
    w.run(&name, run).await;
    let (tokens, of) = (tcs.tokens(), &name);
    // The claims: of a token they alone are its own.
    let claims = tokens.iter().filter_map(|token| token.split('.').nth(1));
    let canaries = claims
        .map(|claims| Canary::token(format!("a token of {of}"), claims))
        .collect();
    drop(w.connections().delete(&name, &DeleteParams::default()).await);
    canaries
}

async fn secrets(w: &World) {
    w.secret(
        "tcs",
        &json!({"username": servers::USERNAME, "password": PASSWORD}),
    )
    .await;
    w.secret("database", &json!({"url": url(w, "tarana_canary", DATABASE)}))
        .await;
}

/// The world's database, as another role.
fn url(w: &World, role: &str, password: &str) -> String {
    let (scheme, rest) = w.database_url.split_once("://").unwrap();
    let (_, place) = rest.split_once('@').unwrap();
    format!("{scheme}://{role}:{}@{place}", percent(password))
}

/// A role of the server, which other tests share.
async fn role(w: &World, name: &str, password: &str, rights: &str) {
    let made = format!(
        "do $$ begin create role {name} login {rights} password '{password}'; exception when duplicate_object then null; end $$"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(made))
        .execute(&w.db)
        .await
        .unwrap();
}

/// Databases that refuse in every way. The one that works comes first.
pub async fn database(w: &World) -> Vec<Canary> {
    role(w, "tarana_canary", DATABASE, "superuser").await;
    role(w, "tarana_canary_stranger", STRANGER, "").await;
    secrets(w).await;
    let good = url(w, "tarana_canary", DATABASE);
    let wrong = "c4n4ry/wrong:4b6d";
    let place = w.database_url.split_once('@').unwrap().1;
    let (_, database) = place.split_once('/').unwrap();
    let faults = [
        ("works", good.clone()),
        ("wrong-password", url(w, "tarana_canary", wrong)),
        ("unknown-database", format!("{good}_gone")),
        (
            "nobody-there",
            format!("postgres://u:{}@127.0.0.1:1/{database}", percent(wrong)),
        ),
        (
            "no-such-host",
            format!("postgres://u:{}@no-such-host.invalid/{database}", percent(wrong)),
        ),
        ("no-tls", format!("{good}?sslmode=require")),
        ("no-rights", url(w, "tarana_canary_stranger", STRANGER)),
        ("not-encoded", format!("postgres://u:{wrong}@{place}")),
        ("no-scheme", format!("u:{wrong}@{place}")),
        ("a-word", wrong.to_owned()),
        (
            "a-parameter",
            format!("{}?password={}&sslkey={wrong}", w.database_url, percent(wrong)),
        ),
    ];
    // The first makes the tables.
    for (name, url) in &faults[..1] {
        at(w, name, url).await;
    }
    join_all(faults[1..].iter().map(|(name, url)| at(w, name, url))).await;
    let mut canaries: Vec<Canary> = faults
        .iter()
        .map(|(name, url)| Canary::new(format!("the URL {name}"), url))
        .collect();
    canaries.extend([
        Canary::new("the database's password", DATABASE),
        Canary::new("a stranger's password", STRANGER),
        Canary::new("a wrong password", wrong),
        constraint(w).await,
    ]);
    canaries
}

/// A connection to the database of this URL.
async fn at(w: &World, name: &str, url: &str) {
    let secret = format!("db-{name}");
    w.secret(&secret, &json!({ "url": url })).await;
    settled(w, name, json!({"database": {"secretRef": {"name": secret}}})).await;
}

/// A connection with this change is made, tried, used by a run, and found wanting or not.
async fn settled(w: &World, name: &str, changes: Value) {
    w.connection(name, changes).await;
    w.connection_when(name, "was tried", |c| {
        let (ready, reason, _) = condition(&c.status.clone().unwrap_or_default().conditions, "Ready");
        ready == "True" || (ready == "False" && reason != "Verifying")
    })
    .await;
    let run = json!({"connectionRef": {"name": name}, "backoffLimit": 0, "activeDeadlineSeconds": 2});
    w.sync(name, run).await;
    // A run whose connection may still come right waits for it: its status is said soon all the same.
    let waiting = Duration::from_secs(3);
    drop(tokio::time::timeout(waiting, w.finished(name)).await);
}

/// A row that the table refuses: PostgreSQL quotes it whole in its DETAIL.
async fn constraint(w: &World) -> Canary {
    let detail = "c4n4ry-station-7c10";
    let check =
        "alter table tarana_base_stations add constraint no_canary check (hostname not like 'c4n4ry-%')";
    sqlx::query(check).execute(&w.db).await.unwrap();
    let station = w.tcs.base_nodes()[0].serial.to_string();
    w.tcs.edit(&station, |device| device["hostName"] = json!(detail));
    settled(w, "constraint", json!({})).await;
    w.tcs.edit(&station, |device| device["hostName"] = json!("X1"));
    Canary::new("a row that was refused", detail)
}

/// Connections that hold a secret where none belongs, and Secrets that lack one.
pub async fn configuration(w: &World) -> Vec<Canary> {
    let pem = "c4n4ry-private-key-e07a";
    let broken = format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n");
    w.secret("ca", &json!({"ca.crt": broken, "text.crt": pem})).await;
    w.secret(
        "halves",
        &json!({"username": servers::USERNAME, "pass": PASSWORD, "colon": format!("{PASSWORD}:x")}),
    )
    .await;
    w.secret(
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
    join_all(connections.map(|(name, changes)| settled(w, name, changes))).await;
    let mut canaries = vec![
        Canary::new("the password", PASSWORD),
        Canary::new("the signature of the tokens", SIGNATURE),
        Canary::new("what stands in the CA's Secret", pem),
    ];
    canaries.extend(url_with_secrets(w).await);
    canaries
}

/// A URL with a user or a token in it is refused before the operator sees it, and so never stored.
async fn url_with_secrets(w: &World) -> [Canary; 2] {
    let secrets = ["c4n4ry-userinfo-1d9e", "c4n4ry-query-66f0"];
    let host = w.tcs.url().replace("http://", "");
    for url in [
        format!("https://user:{}@{host}", secrets[0]),
        format!("https://{host}/?token={}", secrets[1]),
    ] {
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaConnection",
            "metadata": {"name": "url"}, "spec": {"api": {"url": url, "credentialsSecretRef": {"name": "tcs"}},
            "database": {"secretRef": {"name": "database"}}}});
        let object = serde_json::from_value(object).unwrap();
        let refused = w.connections().create(&PostParams::default(), &object).await;
        assert!(refused.is_err(), "{url}");
    }
    secrets.map(|secret| Canary::new("a part of a URL", secret))
}
