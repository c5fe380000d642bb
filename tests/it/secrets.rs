//! Secrets stay secret: passwords, tokens and URLs with a mark in them go through every fault, and are then looked for in
//! everything that the operator says: its log at `trace`, statuses, Events, tables, arguments.

mod canary;
mod trouble;

use std::path::{Path, PathBuf};

use devenv::Operator;
use futures::StreamExt;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::servers;
use super::world::World;
use canary::Canary;

/// The operator as the process that people run, logging all that it can.
async fn operator(w: &World) -> Operator {
    let plane = servers::plane_with_rights().await;
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.log", w.namespace));
    let variables = [
        ("TARANA_LOG", "trace"),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
        ("TARANA_LEADER_ELECT", "false"),
        ("TARANA_WATCH_NAMESPACES", w.namespace.as_str()),
    ];
    let program = PathBuf::from(env!("CARGO_BIN_EXE_tarana-operator"));
    Operator::start(&program, plane, &log, &variables).await.unwrap()
}

/// Everything that was said, by where.
async fn said(w: &World, operator: &Operator) -> Vec<(String, String)> {
    let mut said = vec![
        ("the log".to_owned(), lossy(operator.log())),
        (
            "the arguments".to_owned(),
            lossy(Path::new(&format!("/proc/{}/cmdline", operator.pid()))),
        ),
    ];
    let params = ListParams::default();
    for connection in w.connections().list(&params).await.unwrap() {
        said.push((
            format!("the status of {:?}", connection.metadata.name),
            json!(connection.status).to_string(),
        ));
    }
    for sync in w.syncs().list(&params).await.unwrap() {
        said.push((
            format!("the status of {:?}", sync.metadata.name),
            json!(sync.status).to_string(),
        ));
    }
    let events: Api<Event> = Api::namespaced(w.client.clone(), &w.namespace);
    let events = events.list(&params).await.unwrap().items;
    said.push(("the Events".to_owned(), json!(events).to_string()));
    for table in tables(w).await {
        let rows = format!("select coalesce(jsonb_agg(to_jsonb(t)), '[]') from {table} t");
        let rows: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(rows))
            .fetch_one(&w.db)
            .await
            .unwrap();
        said.push((format!("table {table}"), rows.to_string()));
    }
    said
}

fn lossy(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

async fn tables(w: &World) -> Vec<String> {
    let own = "select relname::text from pg_class where relname like 'tarana%' and relkind in ('r', 'v')";
    sqlx::query_scalar(own).fetch_all(&w.db).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_said_holds_a_secret() {
    let w = World::bare(trouble::tcs()).await;
    let operator = operator(&w).await;
    let mut canaries = trouble::database(&w).await;
    canaries.extend(trouble::configuration(&w).await);
    let tries =
        futures::stream::iter(trouble::api_rules()).map(|(name, rules)| trouble::api(&w, name, rules));
    let tokens: Vec<Vec<Canary>> = tries.buffer_unordered(6).collect().await;
    canaries.extend(tokens.into_iter().flatten());
    operator.check().unwrap();
    let said = said(&w, &operator).await;

    // What is looked for can be found: a name that is no secret, in each kind of place.
    let visible = Canary::new("a name of no secret", trouble::VISIBLE);
    for place in ["table tarana_base_stations", "table tarana_sync_changes"] {
        let (_, text) = said.iter().find(|(name, _)| name == place).unwrap();
        assert!(
            visible.leak(text).is_some(),
            "{place} does not show what it should"
        );
    }
    let (_, log) = &said[0];
    assert!(
        log.contains(" TRACE ") && log.contains(&w.namespace),
        "the log is not at trace"
    );

    let mut leaks = Vec::new();
    for (place, text) in &said {
        leaks.extend(canaries.iter().filter_map(|canary| {
            let context = canary.leak(text)?;
            Some(format!("{place} holds {}: {context}", canary.what))
        }));
    }
    leaks.sort();
    leaks.dedup();
    assert!(canaries.len() > 50, "{}", canaries.len());
    assert!(
        leaks.is_empty(),
        "{}\nlog: {}",
        leaks.join("\n"),
        operator.log().display()
    );
    std::fs::remove_file(operator.log()).unwrap();
}
