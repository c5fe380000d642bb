//! The chart grants the operator exactly what it needs: an operator with its roles does everything that needs a permission. According to
//! the audit log of the API server, each permission was used and no request was denied.

pub mod granted;
mod usage;

use std::path::{Path, PathBuf};

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::admin::client::{AdminClient, send, with_json};
use super::admin::sessions::Browser;
use super::environment::{TestEnvironment, condition, phase, wait_until};
use super::operator_process::OperatorProcess;
use super::operator_rights::{self, wait_until_allowed};
use super::two_replicas::{leader, with_election};
use super::{accounts, schedules, servers};
use granted::{Granted, granted};
use usage::Usage;

const FINALIZERS: &str = "taranasyncschedules/finalizers";

/// A release of the chart in the namespace of an environment, with all features that need permissions.
struct Release {
    manifests: String,
    user: String,
    kubeconfig: PathBuf,
}

impl Release {
    /// Waits until the permissions are in effect.
    async fn install(env: &TestEnvironment) -> Self {
        let watched = format!("watchNamespaces={{{}}}", env.namespace);
        let manifests = operator_rights::render(&env.namespace, &watched).await;
        servers::plane().await.kubectl().apply(&manifests).await.unwrap();
        let user = operator_rights::user_in(&env.namespace);
        for permission in granted(&manifests) {
            wait_until_allowed(&env.client, &user, &permission).await;
        }
        Self {
            manifests,
            user,
            kubeconfig: accounts::kubeconfig(env, devenv::SERVICE_ACCOUNT).await,
        }
    }

    /// Starts an operator with leader election and the admin API. Returns it with the URL of the API.
    async fn start_operator(&self, env: &TestEnvironment) -> (OperatorProcess, String) {
        let key = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.key", env.namespace));
        std::fs::write(&key, [7; 64]).unwrap();
        let address = servers::free_address().to_string();
        let [elect, lease] = with_election(env);
        let variables = [
            ("TARANA_ADMIN_LISTEN", address.as_str()),
            ("TARANA_ADMIN_NAMESPACE", &env.namespace),
            ("TARANA_ADMIN_SESSION_KEY_FILE", key.to_str().unwrap()),
            elect,
            lease,
        ];
        let operator = OperatorProcess::start_as(env, "operator", &self.kubeconfig, &variables);
        let url = format!("http://{address}");
        servers::wait_until_ready(&url).await;
        std::fs::remove_file(key).unwrap();
        (operator, url)
    }

    /// Starts a second replica, which watches the Lease.
    fn start_standby(&self, env: &TestEnvironment) -> OperatorProcess {
        OperatorProcess::start_as(env, "standby", &self.kubeconfig, &with_election(env))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_permission_of_the_chart_is_used_and_no_request_is_denied() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let release = Release::install(&env).await;
    let (_operator, url) = release.start_operator(&env).await;
    wait_until("the operator leads", || async { leader(&env).await }).await;
    let _standby = release.start_standby(&env);
    let admin = AdminClient::new(env, url).await;
    admin.create_connection().await;
    change_secrets(&admin.env).await;
    execute_runs(&admin.env).await;
    let slot_run = execute_slot(&admin.env).await;
    replace_run(&admin.env).await;
    act_on_schedule(&admin, &slot_run).await;
    sign_in_and_out(&admin).await;
    act_on_runs(&admin).await;

    let usage = Usage::of(&release.user).await;
    let denied = usage.denied();
    assert!(denied.is_empty(), "{denied:#?}");
    let unused = usage.unused(&granted(&release.manifests));
    // No request uses it: an admission plugin of the API server asks for it.
    let expected = Granted {
        group: "tarana.dev".to_owned(),
        resource: FINALIZERS.to_owned(),
        verb: "update".to_owned(),
        namespace: admin.env.namespace.clone(),
        name: String::new(),
    };
    assert_eq!(unused, [expected]);
    assert_finalizers_are_needed(&admin, &release).await;
}

/// A wrong password and the right one, twice: the second time, the Events are repetitions.
async fn change_secrets(env: &TestEnvironment) {
    let wrong = json!({"username": servers::USERNAME, "password": "wrong"});
    for _ in 0..2 {
        for (credentials, ready) in [(wrong.clone(), "False"), (servers::credentials(), "True")] {
            env.secret("tcs", &credentials).await;
            env.wait_for_connection("default", "has noticed the Secret", |c| {
                condition(&c.status.clone().unwrap_or_default().conditions, "Ready").0 == ready
            })
            .await;
        }
    }
    let events: Api<Event> = Api::namespaced(env.client.clone(), &env.namespace);
    wait_until("an Event is counted", || async {
        let events = events.list(&ListParams::default()).await.unwrap().items;
        events.iter().any(|event| event.series.is_some()).then_some(())
    })
    .await;
}

/// One run is kept, and one is deleted after its end.
async fn execute_runs(env: &TestEnvironment) {
    assert_eq!(phase(&env.run("kept", json!({})).await), Phase::Completed);
    env.sync("expires", json!({"ttlSecondsAfterFinished": 0})).await;
    wait_until_deleted(env, "expires").await;
}

async fn wait_for_event(env: &TestEnvironment, object: &str, reason: &str) {
    wait_until(&format!("the Event {reason} about {object}"), || async {
        let reasons = env.events(object).await;
        reasons.iter().any(|found| found == reason).then_some(())
    })
    .await;
}

async fn wait_until_deleted(env: &TestEnvironment, run: &str) {
    wait_until(&format!("the run {run} is deleted"), || async {
        let found = env.syncs().get_opt(run).await.unwrap();
        found.is_none().then_some(())
    })
    .await;
}

/// A slot starts a run of the schedule `short`. Returns the name of the run after its end.
async fn execute_slot(env: &TestEnvironment) -> String {
    let limit = json!({"successfulSyncsHistoryLimit": 0, "failedSyncsHistoryLimit": 0});
    schedules::create_due(env, "short", limit).await;
    wait_until("the run of the slot has ended", || async {
        let schedules: Api<TaranaSyncSchedule> = Api::namespaced(env.client.clone(), &env.namespace);
        let status = schedules.get("short").await.unwrap().status?;
        Some(status.last_sync?.name)
    })
    .await
}

/// A slot replaces an older run.
async fn replace_run(env: &TestEnvironment) {
    env.tcs.set_rules(vec![servers::hanging_search()]);
    let schedule = schedules::create(env, "replaces", json!({"concurrencyPolicy": "Replace"})).await;
    schedules::create_slot_run(env, &schedule, "replaced").await;
    env.wait_for_sync("replaced", "is running", |s| phase(s) == Phase::Running)
        .await;
    schedules::backdate(env, "replaces", 1).await;
    assert_eq!(phase(&env.finished("replaced").await), Phase::Cancelled);
    env.tcs.clear_rules();
    wait_until("the other run has ended", || async {
        let runs = env.syncs().list(&ListParams::default()).await.unwrap().items;
        let has_ended = |run: &TaranaSync| phase(run).is_final();
        runs.iter().all(has_ended).then_some(())
    })
    .await;
}

async fn post(admin: &AdminClient, path: &str, status: u16) -> Value {
    let response = admin.post(&admin.editor, path, &json!({})).await;
    assert_eq!(response.status, status, "{path}: {response:?}");
    response.json()
}

/// Suspends and resumes the schedule `short`, and requests a run of it. The history limit deletes the previous one. Reads the timeline.
async fn act_on_schedule(admin: &AdminClient, previous: &str) {
    let namespaced = format!("/api/v1/namespaces/{}", admin.env.namespace);
    for (action, event) in [
        ("suspend", "Suspended"),
        ("resume", "Resumed"),
        ("run", "Triggered"),
    ] {
        post(admin, &format!("{namespaced}/schedules/short/{action}"), 202).await;
        wait_for_event(&admin.env, "short", event).await;
    }
    wait_until_deleted(&admin.env, previous).await;
    let timeline = format!("{namespaced}/connections/default/timeline");
    wait_until("the timeline has the suspension", || async {
        let page = admin.get(&admin.viewer, &timeline).await.json();
        assert_eq!(page["unread"], Value::Null);
        let entries = page["items"].as_array().unwrap();
        let is_found = entries.iter().any(|entry| entry["type"] == "ScheduleSuspended");
        is_found.then_some(())
    })
    .await;
}

/// The first end of a session creates the list, and the second one changes it.
async fn sign_in_and_out(admin: &AdminClient) {
    for _ in 0..2 {
        let browser = Browser::sign_in(admin, &admin.viewer).await;
        assert_eq!(browser.me().await.status, 200);
        let ended = send(browser.page_request("DELETE", "/api/v1/session")).await;
        assert_eq!(ended.status, 204, "{ended:?}");
        assert_eq!(browser.me().await.status, 401);
    }
}

/// Creates a run, repeats the request, and cancels it.
async fn act_on_runs(admin: &AdminClient) {
    admin.env.tcs.set_rules(vec![servers::hanging_search()]);
    let mut created = Vec::new();
    for status in [201, 200] {
        let request = admin
            .request("POST", "/api/v1/syncs")
            .bearer_auth(&admin.editor)
            .header("idempotency-key", "key");
        let response = send(with_json(request, &json!({}))).await;
        assert_eq!(response.status, status, "{response:?}");
        created.push(response.json()["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(created[0], created[1]);
    post(admin, &format!("/api/v1/syncs/{}/cancel", created[0]), 202).await;
    wait_until("the run is cancelled", || async {
        let run = admin
            .get(&admin.viewer, &format!("/api/v1/syncs/{}", created[0]))
            .await;
        (run.json()["phase"] == "Cancelled").then_some(())
    })
    .await;
    admin.env.tcs.clear_rules();
}

/// Without this permission, schedules cannot own their runs.
async fn assert_finalizers_are_needed(admin: &AdminClient, release: &Release) {
    let without = release.manifests.replace(FINALIZERS, "nothing");
    assert_ne!(without, release.manifests);
    let kubectl = servers::plane().await.kubectl();
    kubectl.apply(&without).await.unwrap();
    let namespace = admin.env.namespace.as_str();
    let as_operator = ["--as", release.user.as_str(), "--namespace", namespace];
    let question = ["auth", "can-i", "update", "taranasyncschedules.tarana.dev"];
    let question = [&question[..], &["--subresource=finalizers"], &as_operator].concat();
    wait_until("the permission is withdrawn", || async {
        kubectl.run(&question).await.is_err().then_some(())
    })
    .await;
    schedules::create_due(&admin.env, "refused", json!({})).await;
    wait_for_event(&admin.env, "refused", "RunRefused").await;
    // So a denied request is found.
    let denied = Usage::of(&release.user).await;
    assert!(!denied.denied().is_empty());
}
