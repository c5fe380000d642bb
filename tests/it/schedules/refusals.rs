//! Runs that the API server refuses to create (403), here by an admission policy instead of a quota.

use kube::api::PostParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::TaranaSync;

use super::{REQUEST, create_due, events_with, newest, reason, runs, slot_name, trigger, wait_for_schedule};
use crate::admission;
use crate::environment::{TestEnvironment, condition, wait_until};
use crate::servers;

/// Refuses to create runs in the namespace. Waits until that is effective.
async fn refuse_runs(env: &TestEnvironment) -> String {
    let name = format!("refused-{}", env.namespace);
    let constraints = json!({"resourceRules": [{"apiGroups": ["tarana.dev"], "apiVersions": ["*"],
        "operations": ["CREATE"], "resources": ["taranasyncs"]}]});
    admission::reject(env, &name, constraints, "exceeded quota", "Forbidden").await;
    wait_until("the policy is effective", || async {
        let probe = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": {"name": "probe"}, "spec": {}});
        let probe: TaranaSync = serde_json::from_value(probe).unwrap();
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let api: Api<TaranaSync> = Api::namespaced(env.client.clone(), &env.namespace);
        matches!(api.create(&params, &probe).await, Err(kube::Error::Api(e)) if e.code == 403).then_some(())
    })
    .await;
    name
}

fn ready(schedule: &TaranaSyncSchedule) -> (String, String, String) {
    condition(&schedule.status.clone().unwrap().conditions, "Ready")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_run_is_reported_at_once_and_created_later() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    create_due(&env, "s", json!({})).await;
    let policy = refuse_runs(&env).await;
    env.start_operator();
    let refused = wait_for_schedule(&env, "s", "is refused", |s| {
        reason(s) == "RunRefused" && ready(s).2.contains(&newest().to_string())
    })
    .await;
    let (status, _, message) = ready(&refused);
    assert_eq!(status, "False");
    assert!(message.contains("exceeded quota"), "{message}");
    events_with(&env, "s", "RunRefused").await;
    assert!(runs(&env).await.is_empty());
    // A manual request is answered, not postponed.
    trigger(&env, "s", REQUEST).await;
    wait_for_schedule(&env, "s", "has handled the request", |s| {
        s.status
            .as_ref()
            .is_some_and(|s| s.last_handled_trigger.is_some())
    })
    .await;
    let kubectl = servers::plane().await.kubectl();
    kubectl
        .run(&[
            "delete",
            "validatingadmissionpolicybinding,validatingadmissionpolicy",
            &policy,
        ])
        .await
        .unwrap();
    // The slot stayed due.
    let created = wait_for_schedule(&env, "s", "has created the run", |s| {
        reason(s) == "Scheduled" && s.status.as_ref().is_some_and(|s| s.last_schedule_time.is_some())
    })
    .await;
    let status = created.status.unwrap();
    assert_eq!(status.last_schedule_time.unwrap().0, newest());
    let names: Vec<String> = runs(&env).await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, [slot_name("s", newest())]);
    let reasons = events_with(&env, "s", "RunCreated").await;
    let refusals = reasons.iter().filter(|reason| *reason == "RunRefused").count();
    assert_eq!(
        refusals, 2,
        "one for the slot and one for the request: {reasons:?}"
    );
}
