//! Marked passwords, tokens and URLs pass through every fault. None of them may occur in the operator's output: its log at
//! `trace`, statuses, Events, tables and arguments.

mod marked_secret;
mod scenarios;

use std::path::{Path, PathBuf};

use devenv::Operator;
use futures::StreamExt;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::environment::TestEnvironment;
use super::servers;
use marked_secret::MarkedSecret;

/// Starts the operator as a process with the most verbose log.
async fn operator(env: &TestEnvironment) -> Operator {
    let plane = servers::plane_with_rbac().await;
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.log", env.namespace));
    let variables = [
        ("TARANA_LOG", "trace"),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
        ("TARANA_LEADER_ELECT", "false"),
        ("TARANA_WATCH_NAMESPACES", env.namespace.as_str()),
    ];
    let program = PathBuf::from(env!("CARGO_BIN_EXE_tarana-operator"));
    Operator::start(&program, plane, &log, &variables).await.unwrap()
}

/// Everything that was outputs, by where.
async fn outputs(env: &TestEnvironment, operator: &Operator) -> Vec<(String, String)> {
    let mut outputs = vec![
        ("the log".to_owned(), lossy(operator.log())),
        (
            "the arguments".to_owned(),
            lossy(Path::new(&format!("/proc/{}/cmdline", operator.pid()))),
        ),
    ];
    let params = ListParams::default();
    for connection in env.connections().list(&params).await.unwrap() {
        outputs.push((
            format!("the status of {:?}", connection.metadata.name),
            json!(connection.status).to_string(),
        ));
    }
    for sync in env.syncs().list(&params).await.unwrap() {
        outputs.push((
            format!("the status of {:?}", sync.metadata.name),
            json!(sync.status).to_string(),
        ));
    }
    let events: Api<Event> = Api::namespaced(env.client.clone(), &env.namespace);
    let events = events.list(&params).await.unwrap().items;
    outputs.push(("the Events".to_owned(), json!(events).to_string()));
    for table in tables(env).await {
        let rows = format!("select coalesce(jsonb_agg(to_jsonb(t)), '[]') from {table} t");
        let rows: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(rows))
            .fetch_one(&env.db)
            .await
            .unwrap();
        outputs.push((format!("table {table}"), rows.to_string()));
    }
    outputs
}

fn lossy(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

async fn tables(env: &TestEnvironment) -> Vec<String> {
    let select = "select relname::text from pg_class where relname like 'tarana%' and relkind in ('r', 'v')";
    sqlx::query_scalar(select).fetch_all(&env.db).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_output_contains_a_secret() {
    let env = TestEnvironment::bare(scenarios::tcs()).await;
    let operator = operator(&env).await;
    let mut secrets = scenarios::database(&env).await;
    secrets.extend(scenarios::configuration(&env).await);
    let runs =
        futures::stream::iter(scenarios::api_rules()).map(|(name, rules)| scenarios::api(&env, name, rules));
    let tokens: Vec<Vec<MarkedSecret>> = runs.buffer_unordered(6).collect().await;
    secrets.extend(tokens.into_iter().flatten());
    operator.check_running().unwrap();
    let outputs = outputs(&env, &operator).await;

    // The search works: a name that is not secret is found.
    let visible = MarkedSecret::new("a public name", scenarios::VISIBLE);
    for place in ["table tarana_base_stations", "table tarana_sync_changes"] {
        let (_, text) = outputs.iter().find(|(name, _)| name == place).unwrap();
        assert!(
            visible.find_leak(text).is_some(),
            "{place} does not contain the public name"
        );
    }
    let (_, log) = &outputs[0];
    assert!(
        log.contains(" TRACE ") && log.contains(&env.namespace),
        "the log level is not trace"
    );

    let mut leaks = Vec::new();
    for (place, text) in &outputs {
        leaks.extend(secrets.iter().filter_map(|secret| {
            let context = secret.find_leak(text)?;
            Some(format!("{place} contains {}: {context}", secret.what))
        }));
    }
    leaks.sort();
    leaks.dedup();
    assert!(secrets.len() > 50, "{}", secrets.len());
    assert!(
        leaks.is_empty(),
        "{}\nlog: {}",
        leaks.join("\n"),
        operator.log().display()
    );
    std::fs::remove_file(operator.log()).unwrap();
}
