//! Objects whose writes the API server rejects (422), here by an admission policy. They are reported, and the runs behind them
//! do not wait for them.

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::admission;
use super::environment::{TestEnvironment, of, phase, wait_until};
use super::servers;

/// Rejects updates of these resources in the namespace, if the object has the label `unwritable`.
async fn reject_updates(env: &TestEnvironment, resources: Value) {
    let name = format!("unwritable-{}", env.namespace);
    let constraints = json!({
        "objectSelector": {"matchLabels": {"unwritable": "true"}},
        "resourceRules": [{"apiGroups": ["tarana.dev"], "apiVersions": ["*"], "operations": ["UPDATE"],
            "resources": resources}],
    });
    admission::reject(env, &name, constraints, "nobody writes this object", "Invalid").await;
}

async fn create_labelled(env: &TestEnvironment, name: &str) -> TaranaSync {
    let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
        "metadata": {"name": name, "labels": {"unwritable": "true"}}, "spec": {}});
    let object = serde_json::from_value(object).unwrap();
    env.syncs().create(&PostParams::default(), &object).await.unwrap()
}

/// Waits until the policy is effective, which takes the API server some seconds.
async fn wait_until_rejected(env: &TestEnvironment, name: &str, status: bool) {
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    wait_until("the policy is effective", || async {
        let patch =
            Patch::Merge(json!({"metadata": {"annotations": {"try": "x"}}, "status": {"attempt": 0}}));
        let patched = if status {
            env.syncs().patch_status(name, &params, &patch).await
        } else {
            env.syncs().patch(name, &params, &patch).await
        };
        matches!(patched, Err(kube::Error::Api(e)) if e.code == 422).then_some(())
    })
    .await;
}

async fn wait_for_report(env: &TestEnvironment, name: &str) {
    wait_until("an Event reports the object", || async {
        env.events(name)
            .await
            .contains(&"InvalidObject".to_owned())
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_written_at_all_does_not_block_the_queue() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    reject_updates(&env, json!(["taranasyncs", "taranasyncs/status"])).await;
    create_labelled(&env, "bad").await;
    wait_until_rejected(&env, "bad", false).await;
    env.start_operator();
    env.create_secrets_and_connection().await;
    assert_eq!(phase(&env.run("behind", json!({})).await), Phase::Completed);
    wait_for_report(&env, "bad").await;
    env.stop_operator().await;
    env.start_operator();
    assert_eq!(
        phase(&env.run("after-restart", json!({})).await),
        Phase::Completed
    );
    let bad = env.syncs().get("bad").await.unwrap();
    assert!(
        bad.metadata.finalizers.is_none() && bad.status.is_none(),
        "{bad:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_row_of_a_run_whose_status_cannot_be_written_is_closed() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    reject_updates(&env, json!(["taranasyncs/status"])).await;
    let bad = create_labelled(&env, "bad").await;
    wait_until_rejected(&env, "bad", true).await;
    env.create_secrets_and_connection().await;
    env.start_operator();
    assert_eq!(phase(&env.run("behind", json!({})).await), Phase::Completed);
    wait_for_report(&env, "bad").await;
    let row = wait_until("the row is closed", || async {
        Some(env.log_row(&bad).await).filter(|row| !row["completed_at"].is_null())
    })
    .await;
    assert_eq!(
        (&row["outcome"], &row["reason"]),
        (&json!("failed"), &json!("InvalidObject"))
    );
    assert!(
        row["message"]
            .as_str()
            .unwrap()
            .contains("nobody writes this object"),
        "{row}"
    );
}

/// A connection whose status cannot be written works all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_status_cannot_be_written_is_reported() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    reject_updates(&env, json!(["taranaconnections/status"])).await;
    env.create_secrets_and_connection().await;
    let label = Patch::Merge(json!({"metadata": {"labels": {"unwritable": "true"}}}));
    env.connections()
        .patch("default", &PatchParams::default(), &label)
        .await
        .unwrap();
    let dry_run = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    wait_until("the policy is effective", || async {
        let patch = Patch::Merge(json!({"status": {"stationCount": 1}}));
        let patched = env.connections().patch_status("default", &dry_run, &patch).await;
        matches!(patched, Err(kube::Error::Api(e)) if e.code == 422).then_some(())
    })
    .await;
    env.start_operator();
    let run = env.run("run", json!({})).await;
    assert_eq!(
        (phase(&run), of(&run, "Ready").0.as_str()),
        (Phase::Completed, "True")
    );
    wait_for_report(&env, "default").await;
}
