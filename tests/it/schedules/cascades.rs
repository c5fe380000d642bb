//! What becomes of the runs of a schedule that is deleted. The garbage collector is Kubernetes' own.

use kube::ResourceExt;
use serde_json::json;
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::{REQUEST, create, runs, schedules, trigger, wait_for_schedule};
use crate::environment::{TestEnvironment, phase, wait_until};
use crate::servers;

/// Creates the schedule `s` with a completed run and an active one, in this order.
async fn create_with_runs(env: &TestEnvironment) -> [TaranaSync; 2] {
    env.tcs.set_rules(Vec::new());
    create(env, "s", json!({})).await;
    wait_for_schedule(env, "s", "is reconciled", |s| s.status.is_some()).await;
    trigger(env, "s", REQUEST).await;
    let completed = wait_for_schedule(env, "s", "has a completed run", |s| {
        s.status.as_ref().is_some_and(|s| s.last_sync.is_some())
    })
    .await;
    let completed = completed.status.unwrap().last_sync.unwrap();
    assert_eq!(completed.phase, Phase::Completed);
    env.tcs.set_rules(vec![servers::hanging_search()]);
    trigger(env, "s", "2099-01-01T00:00:01Z").await;
    let active = wait_for_schedule(env, "s", "has an active run", |s| {
        s.status.as_ref().is_some_and(|s| s.active.len() == 1)
    })
    .await;
    let active = active.status.unwrap().active.remove(0);
    [
        env.finished(&completed.name).await,
        env.wait_for_sync(&active, "is running", |s| phase(s) == Phase::Running)
            .await,
    ]
}

/// `kubectl delete tss/s`, which waits for its end.
async fn kubectl_delete(env: &TestEnvironment, cascade: &str) {
    let cascade = format!("--cascade={cascade}");
    let arguments = ["delete", "tss", "s", "-n", &env.namespace, &cascade];
    servers::plane().await.kubectl().run(&arguments).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_deleted_with_their_schedule_and_kept_with_cascade_orphan() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    env.start_operator();
    env.ready().await;
    for cascade in ["background", "foreground"] {
        let deleted = create_with_runs(&env).await;
        kubectl_delete(&env, cascade).await;
        wait_until("the runs are deleted", || async {
            runs(&env).await.is_empty().then_some(())
        })
        .await;
        let rows = [env.log_row(&deleted[0]).await, env.log_row(&deleted[1]).await];
        assert_eq!(
            (&rows[0]["outcome"], &rows[1]["outcome"]),
            (&json!("completed"), &json!("cancelled")),
            "{cascade}"
        );
    }

    let [completed, active] = create_with_runs(&env).await;
    kubectl_delete(&env, "orphan").await;
    // The active run goes on.
    env.tcs.set_rules(Vec::new());
    let active = env.finished(&active.name_any()).await;
    assert_eq!(phase(&active), Phase::Completed);
    assert!(active.owner_references().is_empty());
    // A schedule of the same name leaves them alone, although its history limits are lower.
    let limits = json!({"successfulSyncsHistoryLimit": 0, "failedSyncsHistoryLimit": 0});
    create(&env, "s", limits).await;
    let schedule = wait_for_schedule(&env, "s", "is reconciled", |s| s.status.is_some()).await;
    assert_eq!(schedule.status.unwrap().last_sync, None);
    let mut names: Vec<String> = runs(&env).await.iter().map(ResourceExt::name_any).collect();
    let mut expected = [completed.name_any(), active.name_any()];
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
    assert!(schedules(&env).get_opt("s").await.unwrap().is_some());
}
