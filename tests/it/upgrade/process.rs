//! The upgrade as a user does it: new CRDs, then the new operator on the old objects and tables.

use std::collections::BTreeMap;

use devenv::ControlPlane;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::{catalog, previous};
use crate::delivery::receiver::{Received, Receiver};
use crate::environment::{TestEnvironment, condition, id_of, phase, wait_until};
use crate::operator_process::OperatorProcess;
use crate::operator_rights::Access;
use crate::servers;

/// The tables of the previous release whose rows must stay, with the key of a row and the condition of rows that may change.
const TABLES: [(&str, &str, &str); 4] = [
    ("tarana_sync_logs", "id", "status IN ('pending', 'running')"),
    ("tarana_sync_change_batches", "run || ' ' || first", "false"),
    ("tarana_sync_outbox", "id", "false"),
    ("tarana_migrations", "version", "false"),
];
/// The runs in the admin API.
const LIST: &str = "/api/v1/syncs?namespace=upgrade&limit=100";

/// Rows of a table as JSON, by key. Columns that were added later are kept out by the caller.
async fn rows(env: &TestEnvironment, table: &str, key: &str, excluded: &str) -> BTreeMap<String, Value> {
    let select = format!("SELECT ({key})::text, to_jsonb(t) FROM {table} t WHERE NOT ({excluded})");
    let rows: Vec<(String, Value)> = sqlx::query_as(AssertSqlSafe(select))
        .fetch_all(&env.db)
        .await
        .unwrap();
    rows.into_iter().collect()
}

async fn all_rows(env: &TestEnvironment) -> Vec<BTreeMap<String, Value>> {
    let mut all = Vec::new();
    for (table, key, excluded) in TABLES {
        all.push(rows(env, table, key, excluded).await);
    }
    all
}

/// Every field of the old value is in the new one, unchanged. Objects may have more fields.
fn assert_contains(new: &Value, old: &Value, path: &str) {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            for (key, old) in old {
                assert_contains(
                    new.get(key).unwrap_or(&Value::Null),
                    old,
                    &format!("{path}.{key}"),
                );
            }
        }
        (Value::Array(new), Value::Array(old)) if new.len() == old.len() => {
            for (new, old) in new.iter().zip(old) {
                assert_contains(new, old, &format!("{path}[]"));
            }
        }
        _ => assert_eq!(new, old, "{path}"),
    }
}

fn assert_rows_kept(before: &[BTreeMap<String, Value>], after: &[BTreeMap<String, Value>]) {
    for ((before, after), (table, ..)) in before.iter().zip(after).zip(TABLES) {
        assert!(!before.is_empty(), "{table}");
        for (key, row) in before {
            let new = after
                .get(key)
                .unwrap_or_else(|| panic!("{table} lost the row {key}"));
            assert_contains(new, row, &format!("{table} {key}"));
        }
    }
}

/// Applies the new CRDs and waits until the API server serves their fields.
async fn replace_crds(plane: &ControlPlane) {
    servers::install_crds(plane).await;
    wait_until("the new fields are served", || async {
        let explain = ["explain", "taranaconnection.spec.eventSink"];
        plane.kubectl().run(&explain).await.ok()
    })
    .await;
}

fn start_operator(env: &TestEnvironment, address: &str) -> OperatorProcess {
    let variables = [
        ("TARANA_ADMIN_LISTEN", address),
        ("TARANA_SINK_ALLOW_CIDRS", "127.0.0.0/8"),
        // The recorded rows become older every day.
        ("TARANA_LOG_RETENTION_DAYS", "0"),
        ("TARANA_CHANGE_RETENTION_DAYS", "0"),
        ("TARANA_OUTBOX_RETENTION_DAYS", "0"),
    ];
    OperatorProcess::start_with(env, "upgraded", &variables)
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_and_rows_of_the_previous_release_survive_the_upgrade() {
    let plane = ControlPlane::start().await.unwrap();
    let access = Access::install(&plane).await;
    let name = format!("upgrade_{}", uuid::Uuid::new_v4().simple());
    let url = servers::database(&name).await;
    let env = TestEnvironment::create(servers::tcs(), access, previous::NAMESPACE.into(), url).await;
    let renamed = previous::restore_objects(&plane, &env).await;
    previous::restore_tables(&env.database_url, &renamed);
    env.secret("tcs", &servers::credentials()).await;
    env.secret("wrong", &json!({"username": "nobody", "password": "wrong"}))
        .await;
    env.secret("database", &json!({"url": env.database_url})).await;
    let objects = previous::objects(&plane.kubectl()).await;
    let (tables, schema) = (all_rows(&env).await, catalog::read(&env.db).await);

    replace_crds(&plane).await;
    for (new, old) in previous::objects(&plane.kubectl()).await.iter().zip(&objects) {
        assert_contains(
            new,
            &json!({"spec": old["spec"], "status": old["status"]}),
            "object",
        );
        assert_eq!(new["metadata"]["name"], old["metadata"]["name"]);
    }

    let address = servers::free_address().to_string();
    let operator = start_operator(&env, &address);
    env.ready().await;
    let upgraded = catalog::read(&env.db).await;
    assert!(schema.len() > 80, "{schema:#?}");
    assert_eq!(catalog::restrictions(&schema, &upgraded), Vec::<&String>::new());
    the_waiting_run_completes(&env).await;
    the_schedule_goes_on(&env, &objects).await;
    finished_runs_keep_their_end(&env, &objects).await;
    assert_rows_kept(&tables, &all_rows(&env).await);
    old_events_are_not_sent(&env).await;
    the_history_is_listed(&env, &plane, &address, &tables[0]).await;
    assert_rows_kept(&tables, &all_rows(&env).await);
    drop(operator);
}

async fn the_waiting_run_completes(env: &TestEnvironment) {
    let run = env.finished("waiting").await;
    assert_eq!(phase(&run), Phase::Completed, "{:?}", run.status);
    let row = env.log_row(&run).await;
    assert_eq!(
        (&row["status"], &row["connection"]),
        (&json!("completed"), &json!("default"))
    );
}

/// It keeps what it knew, and the newest slot since then starts a run.
async fn the_schedule_goes_on(env: &TestEnvironment, objects: &[Value]) {
    let old = objects
        .iter()
        .find(|object| object["kind"] == "TaranaSyncSchedule")
        .unwrap();
    let schedules: kube::Api<TaranaSyncSchedule> =
        kube::Api::namespaced(env.client.clone(), previous::NAMESPACE);
    let status = wait_until("a slot runs after the upgrade", || async {
        let schedule = schedules.get("frequent").await.unwrap();
        let status = json!(schedule.status.unwrap());
        let moved = status["lastScheduleTime"].as_str() > old["status"]["lastScheduleTime"].as_str();
        let ended = status["lastSync"]["name"] != old["status"]["lastSync"]["name"];
        (moved && ended).then_some(status)
    })
    .await;
    assert_eq!(
        status["observedUid"], old["status"]["observedUid"],
        "it is the same schedule"
    );
    assert_eq!(status["lastSync"]["phase"], "Completed", "{status}");
    assert_eq!(status["consecutiveFailures"], 0);
    assert_eq!(status["recentSlots"][0]["outcome"], "Ran", "{status}");
}

async fn finished_runs_keep_their_end(env: &TestEnvironment, objects: &[Value]) {
    for old in objects.iter().filter(|object| object["kind"] == "TaranaSync") {
        let name = old["metadata"]["name"].as_str().unwrap();
        let run: TaranaSync = env.syncs().get(name).await.unwrap();
        if name == "waiting" {
            continue;
        }
        let status = json!(run.status.as_ref().unwrap());
        for field in [
            "phase",
            "counts",
            "completionTime",
            "durationMs",
            "fence",
            "lastFailure",
        ] {
            assert_contains(&status[field], &old["status"][field], name);
        }
        let finished = condition(&run.status.unwrap().conditions, "Finished").0;
        assert_eq!(finished, "True", "{name}");
    }
}

/// Events of the previous release are neither delivered nor changed when a sink is added.
async fn old_events_are_not_sent(env: &TestEnvironment) {
    let pending = "select count(*) from tarana_sync_outbox where delivered_at is null";
    assert!(env.number(pending).await > 4);
    let sink = Receiver::start().await;
    env.change_connection("default", json!({"eventSink": {"url": sink.url}}))
        .await;
    env.wait_for_connection("default", "knows its sink", |c| {
        let status = c.status.clone().unwrap_or_default();
        condition(&status.conditions, "EventSinkReady").1 == "NoEventYet"
    })
    .await;
    let run = env.run("after-upgrade", json!({})).await;
    assert_eq!(phase(&run), Phase::Completed, "{:?}", run.status);
    let id = json!(id_of(&run));
    let is_of_run = |event: &Value| event["data"]["sync_log_id"] == id;
    let events = wait_until("both events of the new run arrive", || async {
        let events: Vec<Value> = sink.received().iter().map(Received::event).collect();
        (events.iter().filter(|event| is_of_run(event)).count() >= 2).then_some(events)
    })
    .await;
    // Events are sent in the order of their ids: older ones would have come first. A slot may start another new run.
    for event in &events {
        let run: uuid::Uuid = event["data"]["sync_log_id"].as_str().unwrap().parse().unwrap();
        let name: String = sqlx::query_scalar("select name from tarana_sync_logs where id = $1")
            .bind(run)
            .fetch_one(&env.db)
            .await
            .unwrap();
        assert!(
            name == "after-upgrade" || name.starts_with("frequent-"),
            "an old event was sent: {event}"
        );
    }
}

/// The admin API lists every run of the previous release, also one whose object is deleted.
async fn the_history_is_listed(
    env: &TestEnvironment,
    plane: &ControlPlane,
    address: &str,
    logs: &BTreeMap<String, Value>,
) {
    let kubectl = plane.kubectl();
    env.delete("first").await;
    let namespace = previous::NAMESPACE;
    let account = format!("--serviceaccount={namespace}:reader");
    for arguments in [
        &["create", "serviceaccount", "reader", "-n", namespace][..],
        &[
            "create",
            "clusterrolebinding",
            "reader",
            "--clusterrole=cluster-admin",
            &account,
        ],
    ] {
        kubectl.run(arguments).await.unwrap();
    }
    let create = [
        "create",
        "token",
        "reader",
        "-n",
        namespace,
        "--audience=tarana-operator",
    ];
    let token = kubectl.run(&create).await.unwrap();
    let request = reqwest::Client::new()
        .get(format!("http://{address}{LIST}"))
        .bearer_auth(token.trim());
    let response = request.send().await.unwrap().error_for_status().unwrap();
    let page: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let items = page["items"].as_array().unwrap();
    for (id, row) in logs {
        // The rows of the replaced function belong to no namespace.
        let Some(name) = row["name"].as_str() else {
            continue;
        };
        let listed = items.iter().find(|item| item["id"] == *id);
        let listed = listed.unwrap_or_else(|| panic!("{name} is not listed: {page}"));
        assert_eq!(listed["name"], name);
        if row["status"] == "completed" {
            assert_contains(&listed["counts"]["inserted"], &row["inserted"], name);
        }
    }
}
