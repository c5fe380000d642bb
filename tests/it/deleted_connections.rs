//! A connection, its Secrets or its namespace are deleted while runs exist. Every log row is closed with the reason of its
//! object.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::environment::{TestEnvironment, condition, id_of, of, phase, wait_until};
use super::hanging_runs::fetching_and_waiting;
use super::servers;

/// An environment with one run in Fetch, which hangs, and one that waits for it. Both have log rows.
async fn with_two_runs(spec: Value) -> (TestEnvironment, [TaranaSync; 2]) {
    let env = TestEnvironment::new().await;
    let [fetching, waiting] = fetching_and_waiting(&env, spec).await;
    assert_eq!(env.log_row(&fetching).await["status"], "running");
    assert_eq!(env.log_row(&waiting).await["status"], "pending");
    (env, [fetching, waiting])
}

async fn delete_connection(env: &TestEnvironment) {
    env.connections()
        .delete("default", &DeleteParams::default())
        .await
        .unwrap();
}

async fn delete_secret(env: &TestEnvironment, name: &str) {
    let secrets: Api<Secret> = Api::namespaced(env.client.clone(), &env.namespace);
    secrets.delete(name, &DeleteParams::default()).await.unwrap();
    env.wait_for_connection("default", "lacks its Secret", |c| {
        condition(&c.status.clone().unwrap_or_default().conditions, "Ready").1 == "SecretNotFound"
    })
    .await;
}

/// Waits until both rows are closed as cancelled, and both objects are gone.
async fn assert_both_cancelled(env: &TestEnvironment, runs: &[TaranaSync; 2]) {
    for run in runs {
        let name = run.metadata.name.as_deref().unwrap();
        let row = wait_until(&format!("the row of {name} is closed"), || async {
            Some(env.log_row(run).await).filter(|row| !row["completed_at"].is_null())
        })
        .await;
        assert_eq!(
            (&row["status"], &row["outcome"], &row["reason"], &row["message"]),
            (
                &json!("failed"),
                &json!("cancelled"),
                &json!("Cancelled"),
                &json!("its object was deleted")
            )
        );
        wait_until(&format!("{name} is gone"), || async {
            env.syncs().get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }
}

async fn delete_runs(env: &TestEnvironment) {
    env.delete("fetching").await;
    env.delete("waiting").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_deleted_before_its_runs() {
    let (env, runs) = with_two_runs(json!({})).await;
    delete_connection(&env).await;
    env.wait_for_sync("waiting", "misses its connection", |s| {
        of(s, "Reconciling").1 == "ConnectionNotFound"
    })
    .await;
    delete_runs(&env).await;
    assert_both_cancelled(&env, &runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_deleted_together_with_its_runs() {
    let (env, runs) = with_two_runs(json!({})).await;
    tokio::join!(delete_connection(&env), delete_runs(&env));
    assert_both_cancelled(&env, &runs).await;
    // Nothing is left under the name.
    env.tcs.clear_rules();
    env.tcs.release_hanging();
    env.connection("default", json!({})).await;
    assert_eq!(phase(&env.run("next", json!({})).await), Phase::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_the_database_is_deleted_first() {
    let (env, runs) = with_two_runs(json!({})).await;
    delete_secret(&env, "database").await;
    delete_connection(&env).await;
    delete_runs(&env).await;
    assert_both_cancelled(&env, &runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_the_api_is_deleted_first() {
    let (env, runs) = with_two_runs(json!({})).await;
    delete_secret(&env, "tcs").await;
    delete_runs(&env).await;
    assert_both_cancelled(&env, &runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_is_deleted() {
    let (env, runs) = with_two_runs(json!({})).await;
    // The namespace controller deletes everything in it, in any order.
    let namespaces: Api<Namespace> = Api::all(env.client.clone());
    namespaces
        .delete(&env.namespace, &DeleteParams::default())
        .await
        .unwrap();
    assert_both_cancelled(&env, &runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_connection_is_gone_ends_at_its_deadline_and_closes_its_row() {
    let (env, [fetching, _]) = with_two_runs(json!({"activeDeadlineSeconds": 8})).await;
    delete_connection(&env).await;
    let end = env.finished("fetching").await;
    assert_eq!(
        (phase(&end), of(&end, "Finished").1.as_str()),
        (Phase::Failed, "DeadlineExceeded")
    );
    let row = env.log_row(&fetching).await;
    assert_eq!(
        (&row["outcome"], &row["reason"]),
        (&json!("failed"), &json!("DeadlineExceeded"))
    );
}

/// The process that opened the rows is gone, and so is the connection: nobody has a pool. The rows are closed by the sweep of
/// the connection that is created under the same name.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_deleted_connection_are_closed_after_a_restart() {
    let (mut env, runs) = with_two_runs(json!({})).await;
    env.kill_operator().await;
    delete_connection(&env).await;
    env.cancel("waiting").await;
    env.delete("fetching").await;
    env.start_operator();
    let waiting = env.finished("waiting").await;
    assert_eq!(phase(&waiting), Phase::Cancelled);
    wait_until("the run is gone", || async {
        env.syncs()
            .get_opt("fetching")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    for run in &runs {
        assert!(
            env.log_row(run).await["completed_at"].is_null(),
            "nobody could close the row"
        );
        // Older than the sweeper's grace.
        sqlx::query("update tarana_sync_logs set created_at = now() - interval '1 day', started_at = null, heartbeat_at = null where id = $1")
            .bind(id_of(run))
            .execute(&env.db)
            .await
            .unwrap();
    }
    env.tcs.clear_rules();
    env.tcs.release_hanging();
    env.connection("default", json!({})).await;
    for (run, outcome, reason) in [
        (&runs[0], "failed", "Abandoned"),
        (&runs[1], "cancelled", "Cancelled"),
    ] {
        let row = wait_until("the row is swept", || async {
            Some(env.log_row(run).await).filter(|row| !row["completed_at"].is_null())
        })
        .await;
        assert_eq!(
            (&row["outcome"], &row["reason"]),
            (&json!(outcome), &json!(reason))
        );
    }
}

/// The Secret names another database while a run waits for its next attempt. The run continues there, and its row does not
/// stay open in the former one.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_continues_in_another_database_closes_its_row_in_the_former_one() {
    let env = TestEnvironment::new().await;
    env.ready().await;
    let retries = json!({"backoffLimit": 100, "backoff": {"initialSeconds": 1, "maxSeconds": 1}});
    let api: Api<TaranaSync> = env.syncs();
    let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": {"name": "moved"}, "spec": retries});
    env.tcs.set_rules(vec![servers::failing_search()]);
    let run = api
        .create(&PostParams::default(), &serde_json::from_value(object).unwrap())
        .await
        .unwrap();
    env.wait_for_sync("moved", "has failed once", |s| {
        s.status.as_ref().is_some_and(|s| s.last_failure.is_some())
    })
    .await;
    let other = servers::database(&format!("{}_moved", env.namespace.replace('-', "_"))).await;
    env.secret("database", &json!({"url": other})).await;
    let row = wait_until("the former row is closed", || async {
        Some(env.log_row(&run).await).filter(|row| !row["completed_at"].is_null())
    })
    .await;
    assert_eq!(
        (&row["outcome"], &row["reason"]),
        (&json!("failed"), &json!("Superseded"))
    );
    env.tcs.clear_rules();
    let end = env.finished("moved").await;
    assert_eq!(phase(&end), Phase::Completed, "{end:?}");
}

/// The Secret names the same database under another address while a run waits for its next attempt: its row is not closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_continues_under_another_address_of_its_database() {
    let env = TestEnvironment::new().await;
    env.ready().await;
    env.tcs.set_rules(vec![servers::failing_search()]);
    let retries = json!({"backoffLimit": 100, "backoff": {"initialSeconds": 1, "maxSeconds": 1}});
    env.sync("moved", retries).await;
    env.wait_for_sync("moved", "has failed once", |s| {
        s.status.as_ref().is_some_and(|s| s.last_failure.is_some())
    })
    .await;
    let alias = env.database_url.replacen("127.0.0.1", "localhost", 1);
    assert_ne!(alias, env.database_url);
    env.secret("database", &json!({ "url": alias })).await;
    let moved = env.syncs().get("moved").await.unwrap();
    let attempt = moved.status.unwrap().attempt;
    env.wait_for_sync("moved", "has failed again", |s| {
        s.status.as_ref().is_some_and(|s| s.attempt > attempt + 1)
    })
    .await;
    env.tcs.clear_rules();
    let end = env.finished("moved").await;
    assert_eq!(phase(&end), Phase::Completed, "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_created_again_at_once_is_verified() {
    let env = TestEnvironment::new().await;
    env.ready().await;
    for round in 0..3 {
        delete_connection(&env).await;
        env.connection("default", json!({})).await;
        let run = env.run(&format!("run-{round}"), json!({})).await;
        assert_eq!(phase(&run), Phase::Completed);
    }
}
