//! Operators that share a namespace and a database, each with the objects that its `--watch-selector` selects.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::{Phase, TaranaSync};
use tarana_operator::cluster::WatchSelector;
use tarana_operator::sync::machine::FINALIZER;
use tarana_operator::uninstall::Uninstall;
use uuid::Uuid;

use super::admin::client::AdminClient;
use super::environment::{TestEnvironment, condition, id_of, of, phase, wait_until};
use super::operator_process::OperatorProcess;
use super::servers;
use super::two_operators::assert_completed_once;

fn start(env: &TestEnvironment, shard: &str) -> OperatorProcess {
    start_as(env, shard, shard)
}

/// The same with a name of its own.
fn start_as(env: &TestEnvironment, name: &str, shard: &str) -> OperatorProcess {
    let selector = format!("shard={shard}");
    OperatorProcess::start_with(env, name, &[("TARANA_WATCH_SELECTOR", &selector)])
}

/// Moves an object to a shard.
async fn move_to<K>(env: &TestEnvironment, name: &str, shard: &str)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let patch = Patch::Merge(json!({"metadata": {"labels": {"shard": shard}}}));
    let api: Api<K> = Api::namespaced(env.client.clone(), &env.namespace);
    api.patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// A run of shard a that hangs in Fetch. Later requests do not hang.
async fn start_hanging(env: &TestEnvironment, name: &str) -> TaranaSync {
    env.tcs.set_rules(vec![servers::hanging_search()]);
    let run = env.sync(name, json!({})).await;
    move_to::<TaranaSync>(env, name, "a").await;
    env.tcs.wait_until_hanging(1).await;
    env.tcs.clear_rules();
    run
}

async fn wait_until_ready(env: &TestEnvironment, connection: &str) {
    env.wait_for_connection(connection, "is ready", |c| {
        condition(&c.status.clone().unwrap_or_default().conditions, "Ready").0 == "True"
    })
    .await;
}

/// Connections `default`, of shard a, and `other`, of shard b, to the same table.
async fn with_two_connections() -> TestEnvironment {
    let env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    env.connection("other", json!({})).await;
    move_to::<TaranaConnection>(&env, "default", "a").await;
    move_to::<TaranaConnection>(&env, "other", "b").await;
    env
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operator_works_on_its_own_objects_only() {
    let env = with_two_connections().await;
    let _a = start(&env, "a");
    for (name, shard, connection) in [
        ("of-b", "b", "other"),
        ("of-a", "a", "default"),
        ("lost", "a", "other"),
    ] {
        env.sync(name, json!({"connectionRef": {"name": connection}}))
            .await;
        move_to::<TaranaSync>(&env, name, shard).await;
    }
    env.sync("of-nobody", json!({})).await;
    assert_eq!(phase(&env.finished("of-a").await), Phase::Completed);
    let lost = env
        .wait_for_sync("lost", "waits", |s| {
            of(s, "Reconciling").1 == "ConnectionNotFound"
        })
        .await;
    let message = of(&lost, "Reconciling").2;
    assert!(
        message.contains(", or its labels do not match --watch-selector \"shard=a\": "),
        "{message}"
    );
    assert!(env.syncs().get("of-b").await.unwrap().status.is_none());
    let other = env.connections().get("other").await.unwrap();
    assert!(other.status.is_none(), "{:?}", other.status);
    let _b = start(&env, "b");
    assert_eq!(phase(&env.finished("of-b").await), Phase::Completed);
    assert!(env.syncs().get("of-nobody").await.unwrap().status.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_schedules_and_of_the_admin_api_stay_in_the_shard() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.selector = "shard=a,!private".parse().unwrap();
    env.create_secrets_and_connection().await;
    move_to::<TaranaConnection>(&env, "default", "a").await;
    let admin = AdminClient::start_in(env).await;
    admin.env.ready().await;
    let created = admin.post(&admin.editor, "/api/v1/syncs", &json!({})).await;
    assert_eq!(created.status, 201, "{}", created.text);
    // The template cannot move its runs to another shard.
    let template =
        json!({"metadata": {"labels": {"shard": "b", "private": "yes", "team": "radio"}}, "spec": {}});
    admin
        .schedule("night", json!({"schedule": "0 0 1 1 *", "template": template}))
        .await;
    move_to::<TaranaSyncSchedule>(&admin.env, "night", "a").await;
    let path = format!("/api/v1/namespaces/{}/schedules/night/run", admin.env.namespace);
    wait_until("the schedule is in the cache", || async {
        (admin.post(&admin.editor, &path, &json!({})).await.status == 202).then_some(())
    })
    .await;
    let runs = wait_until("both runs have completed", || async {
        let runs = admin.runs().await;
        let completed = runs.iter().filter(|run| phase(run) == Phase::Completed).count();
        (completed == 2).then_some(runs)
    })
    .await;
    for run in runs {
        let labels = run.labels();
        assert_eq!(labels.get("shard").map(String::as_str), Some("a"), "{labels:?}");
        assert!(!labels.contains_key("private"), "{labels:?}");
        let is_of_schedule = run.name_any().starts_with("night-");
        assert_eq!(labels.contains_key("team"), is_of_schedule, "{labels:?}");
    }
}

/// Makes the row of a run older than the grace of the sweeper, and adds a row without an object.
async fn age_row_and_add_abandoned_row(env: &TestEnvironment, run: &TaranaSync) {
    sqlx::query("update tarana_sync_logs set created_at = now() - interval '1 day', started_at = started_at - interval '1 day', heartbeat_at = heartbeat_at - interval '1 day' where id = $1")
        .bind(id_of(run))
        .execute(&env.db)
        .await
        .unwrap();
    sqlx::query(
        "insert into tarana_sync_logs select (jsonb_populate_record(l, jsonb_build_object('id', $2::uuid, 'name', 'gone', 'status', 'pending'))).*
         from tarana_sync_logs l where id = $1",
    )
    .bind(id_of(run))
    .bind(Uuid::new_v4())
    .execute(&env.db)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_row_of_a_run_of_another_shard_is_not_swept() {
    let env = with_two_connections().await;
    env.change_connection("other", json!({"suspend": true})).await;
    let mut b = start(&env, "b");
    let run = env.sync("run", json!({"connectionRef": {"name": "other"}})).await;
    move_to::<TaranaSync>(&env, "run", "b").await;
    env.wait_for_sync("run", "waits", |s| {
        of(s, "Reconciling").1 == "ConnectionSuspended"
    })
    .await;
    // Nobody writes the row any more.
    b.kill();
    age_row_and_add_abandoned_row(&env, &run).await;
    let a = start(&env, "a");
    // Logged at the end of the sweep.
    a.wait_for_log("abandoned log rows were closed", 1).await;
    let gone = "select count(*) from tarana_sync_logs where name = 'gone' and completed_at is not null";
    assert_eq!(env.number(gone).await, 1);
    let row = env.log_row(&run).await;
    assert_eq!(row["status"], "pending", "{row}");
    env.change_connection("other", json!({"suspend": false})).await;
    let _b = start(&env, "b");
    assert_eq!(phase(&env.finished("run").await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_relabelled_is_continued_by_the_other_operator() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    move_to::<TaranaConnection>(&env, "default", "a").await;
    let (a, b) = (start(&env, "a"), start(&env, "b"));
    wait_until_ready(&env, "default").await;
    start_hanging(&env, "run").await;
    move_to::<TaranaSync>(&env, "run", "b").await;
    move_to::<TaranaConnection>(&env, "default", "b").await;
    assert_completed_once(&env, "run").await;
    let status = env.syncs().get("run").await.unwrap().status.unwrap();
    assert_eq!((status.attempt, status.interruptions), (1, 0));
    a.wait_for_log("another operator continues it", 1).await;
    assert_eq!(b.count_in_log("another operator continues it"), 0);
    // Back again, for the next run.
    move_to::<TaranaConnection>(&env, "default", "a").await;
    env.sync("next", json!({})).await;
    move_to::<TaranaSync>(&env, "next", "a").await;
    assert_eq!(phase(&env.finished("next").await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_selects_blocks_its_connection_until_its_deadline_only() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    move_to::<TaranaConnection>(&env, "default", "a").await;
    let mut a = start(&env, "a");
    wait_until_ready(&env, "default").await;
    let lost = start_hanging(&env, "lost").await;
    move_to::<TaranaSync>(&env, "lost", "nobody").await;
    a.wait_for_log("another operator continues it, if one selects it", 1)
        .await;
    a.kill();
    // Within its deadline it is not touched, however old its row is.
    age_row_and_add_abandoned_row(&env, &lost).await;
    let mut a = start_as(&env, "again", "a");
    a.wait_for_log("abandoned log rows were closed", 1).await;
    assert_eq!(env.log_row(&lost).await["status"], "running");
    a.kill();
    let long_ago = Patch::Merge(json!({"status": {"startTime": "2026-01-01T00:00:00Z"}}));
    env.syncs()
        .patch_status("lost", &PatchParams::default(), &long_ago)
        .await
        .unwrap();
    let _a = start_as(&env, "at-last", "a");
    env.sync("next", json!({})).await;
    move_to::<TaranaSync>(&env, "next", "a").await;
    assert_eq!(phase(&env.finished("next").await), Phase::Completed);
    assert_eq!(env.log_row(&lost).await["reason"], "Abandoned");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_selector_is_refused_at_start() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let mut process = OperatorProcess::start_with(&env, "invalid", &[("TARANA_WATCH_SELECTOR", "shard>1")]);
    assert!(!process.ends().await);
    let log = process.log_text();
    assert!(
        log.contains(
            "'--watch-selector <SELECTOR>': \"shard>1\" is not the key of a label; write requirements"
        ),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstall_releases_the_runs_of_its_shard_only() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    for shard in ["a", "b"] {
        env.sync(shard, json!({})).await;
        move_to::<TaranaSync>(&env, shard, shard).await;
        let held = Patch::Merge(json!({"metadata": {"finalizers": [FINALIZER]}}));
        env.syncs()
            .patch(shard, &PatchParams::default(), &held)
            .await
            .unwrap();
    }
    let uninstall = Uninstall {
        namespaces: vec![env.namespace.clone()],
        selector: "shard=a".parse::<WatchSelector>().unwrap(),
        lease: None,
        patience: Duration::ZERO,
    };
    let released = uninstall.run(&env.client).await.unwrap();
    assert_eq!(released.runs, [format!("{}/a", env.namespace)]);
    assert_eq!(released.total, 1);
    assert_eq!(env.syncs().get("b").await.unwrap().finalizers(), [FINALIZER]);
}
