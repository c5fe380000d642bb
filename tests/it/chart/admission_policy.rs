//! The admission policy, enforced by the API server: who may create which runs, and that the operator still works.

use devenv::Kubectl;
use kube::api::ListParams;
use serde_json::{Value, json};
use tarana_operator::admin::{AllowedOrigins, AuthConfig, Config, Defaults, KubernetesConfig, PublicUrl};
use tarana_operator::api::sync::TriggerType;
use tarana_operator::webhook::AddressPolicy;

use super::environment::wait_until;
use super::{CHART, TestEnvironment, helm, servers};

const EXEMPT: &str = "velero";
const AUDIENCE: &str = "tarana-operator";

const TEMPLATES: [&str; 4] = [
    "templates/admissionpolicy.yaml",
    "templates/rbac.yaml",
    "templates/users.yaml",
    "templates/serviceaccount.yaml",
];

/// Gives a user a role of the chart in the namespace.
async fn bind(kubectl: &Kubectl, namespace: &str, user: &str, role: &str) {
    let name = format!("{}-{role}", user.rsplit(':').next().unwrap());
    let role = format!("{namespace}:op-{role}");
    let arguments = [
        "create",
        "rolebinding",
        &name,
        "--clusterrole",
        &role,
        "--user",
        user,
        "--namespace",
        namespace,
    ];
    kubectl.run(&arguments).await.unwrap();
}

/// Installs the policy, with the operator's and the users' roles, for the namespace of the environment, and waits until it is effective.
async fn install(env: &TestEnvironment) -> Kubectl {
    let values = format!("watchNamespaces={{{}}},fullnameOverride=op", env.namespace);
    let policy = format!("admissionPolicy.enabled=true,admissionPolicy.exemptUsers={{{EXEMPT}}}");
    let mut arguments = vec!["template", "op", CHART, "--namespace", &env.namespace];
    arguments.extend(["--set", &values, "--set", &policy]);
    for template in TEMPLATES {
        arguments.extend(["--show-only", template]);
    }
    let manifests = helm(&arguments).await;
    let kubectl = servers::plane().await.kubectl();
    kubectl.apply(&manifests).await.unwrap();
    for (user, role) in [
        ("alice", "viewer"),
        ("alice", "editor"),
        ("ann", "editor"),
        ("ann", "approver"),
        (EXEMPT, "editor"),
    ] {
        bind(&kubectl, &env.namespace, user, role).await;
    }
    wait_until_effective(&kubectl, &env.namespace).await;
    kubectl
}

/// Waits until the API server has read the roles and the policy.
async fn wait_until_effective(kubectl: &Kubectl, namespace: &str) {
    let operator = format!("system:serviceaccount:{namespace}:op");
    for (user, verb) in [
        ("alice", "get"),
        ("alice", "create"),
        ("ann", "create"),
        ("ann", "approve"),
        (EXEMPT, "create"),
        (&operator, "create"),
    ] {
        let question = ["auth", "can-i", verb, "taranasyncs.tarana.dev"];
        let of = ["--as", user, "--namespace", namespace];
        wait_until(&format!("{user} may {verb}"), || async {
            kubectl.run(&[question, of].concat()).await.ok()
        })
        .await;
    }
    let forged = json!({"trigger": {"actor": "bob"}});
    wait_until("the policy is effective", || async {
        let error = create(kubectl, namespace, "alice", &forged).await.err()?;
        error.contains("ValidatingAdmissionPolicy").then_some(())
    })
    .await;
}

/// Creates a run as a user, without storing it; the error is that of the API server.
async fn create(kubectl: &Kubectl, namespace: &str, user: &str, spec: &Value) -> Result<(), String> {
    let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
        "metadata": {"generateName": "run-"}, "spec": spec});
    let arguments = [
        "create",
        "--namespace",
        namespace,
        "--as",
        user,
        "--dry-run=server",
        "-f",
        "-",
    ];
    let created = kubectl.run_with(&arguments, &object.to_string()).await;
    created.map(drop).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_cannot_forge_the_trigger_of_a_run() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let kubectl = install(&env).await;
    let id = "5f6c7b1e-4d3c-4b2a-9a8b-7c6d5e4f3a2b";
    let cases = [
        ("alice", json!({}), None),
        ("alice", json!({"trigger": {}}), None),
        (
            "alice",
            json!({"trigger": {"type": "Manual", "actor": "alice"}}),
            None,
        ),
        ("alice", json!({"trigger": {"actor": ""}}), None),
        ("alice", json!({"dryRun": true, "deleteStale": true}), None),
        (
            "alice",
            json!({"trigger": {"actor": "bob"}}),
            Some("spec.trigger.actor is bob, but you are alice: write your own username"),
        ),
        (
            "alice",
            json!({"trigger": {"actor": "bob\nalice"}}),
            Some("spec.trigger.actor must be your own username"),
        ),
        (
            "ann",
            json!({"trigger": {"actor": "alice"}}),
            Some("spec.trigger.actor is alice, but you are ann"),
        ),
        (
            "alice",
            json!({"trigger": {"type": "Api"}}),
            Some("spec.trigger.type must be Manual"),
        ),
        (
            "alice",
            json!({"trigger": {"type": "Schedule"}}),
            Some("spec.trigger.type must be Manual"),
        ),
        (
            "alice",
            json!({"trigger": {"adminUserId": id}}),
            Some("spec.trigger.adminUserId is only for runs that the operator creates"),
        ),
        (
            "alice",
            json!({"trigger": {"scheduledTime": "2026-01-01T00:00:00Z"}}),
            Some("spec.trigger.scheduledTime is only for runs that the operator creates"),
        ),
    ];
    for (user, spec, expected) in cases {
        check(&env, &kubectl, user, &spec, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_approve_sets_approved_deletes() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let kubectl = install(&env).await;
    let approved = json!({"deleteStale": true, "approvedDeletes": 40});
    let none = json!({"deleteStale": true, "approvedDeletes": 0});
    let missing = format!(
        "spec.approvedDeletes needs the verb approve on taranasyncs.tarana.dev in namespace {}, which alice lacks",
        env.namespace
    );
    check(&env, &kubectl, "ann", &approved, None).await;
    check(&env, &kubectl, "alice", &approved, Some(&missing)).await;
    check(&env, &kubectl, "alice", &none, Some(&missing)).await;
    // What the policy need not check: the schemas reject it.
    let run = env.sync("run", json!({"deleteStale": true})).await;
    assert_eq!(run.spec.approved_deletes, None);
    for (field, value) in [
        ("approvedDeletes", json!(40)),
        ("trigger", json!({"actor": "bob"})),
        (
            "trigger",
            json!({"adminUserId": "5f6c7b1e-4d3c-4b2a-9a8b-7c6d5e4f3a2b"}),
        ),
    ] {
        let patch = json!({"spec": {field: value}}).to_string();
        let patched = kubectl
            .run(&[
                "patch",
                "tsync/run",
                "--namespace",
                &env.namespace,
                "--as",
                "alice",
                "--type",
                "merge",
                "--patch",
                &patch,
            ])
            .await;
        let error = patched.unwrap_err().to_string();
        assert!(error.contains("immutable") && error.contains(field), "{error}");
    }
    let schedule = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule", "metadata": {"name": "nightly", "namespace": env.namespace},
        "spec": {"schedule": "0 0 * * *", "template": {"spec": approved}}});
    let error = kubectl
        .run_with(&["create", "--as", "ann", "-f", "-"], &schedule.to_string())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("spec.template.spec.approvedDeletes"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_and_exempt_users_are_not_restricted_and_other_namespaces_neither() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let kubectl = install(&env).await;
    let operator = format!("system:serviceaccount:{}:op", env.namespace);
    let by_api = json!({"deleteStale": true, "approvedDeletes": 40,
        "trigger": {"type": "Api", "actor": "alice", "adminUserId": "5f6c7b1e-4d3c-4b2a-9a8b-7c6d5e4f3a2b"}});
    let by_schedule = json!({"trigger": {"type": "Schedule", "scheduledTime": "2026-01-01T00:00:00Z"}});
    for user in [operator.as_str(), EXEMPT] {
        for spec in [&by_api, &by_schedule] {
            check(&env, &kubectl, user, spec, None).await;
        }
    }
    // The same in a namespace that is not watched, where the cluster's administrator may do everything, but not here.
    let forged = json!({"trigger": {"actor": "bob"}});
    let administrator = ["--as", "root", "--as-group", "system:masters", "--dry-run=server"];
    for (namespace, rejected) in [("default", false), (env.namespace.as_str(), true)] {
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
            "metadata": {"generateName": "run-", "namespace": namespace}, "spec": forged});
        let arguments = [&["create", "-f", "-"], &administrator[..]].concat();
        let created = kubectl.run_with(&arguments, &object.to_string()).await;
        assert_eq!(created.is_err(), rejected, "{namespace}: {created:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_the_admin_api_passes_the_policy() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    let kubectl = install(&env).await;
    env.cluster = servers::cluster_as(format!("system:serviceaccount:{}:op", env.namespace)).await;
    let url = start_admin_api(&mut env).await;
    env.create_secrets_and_connection().await;
    env.ready().await;
    let namespace = ["--namespace", env.namespace.as_str()];
    let run = async |arguments: &[&str]| kubectl.run(&[arguments, &namespace].concat()).await.unwrap();
    run(&["create", "serviceaccount", "caller"]).await;
    let caller = format!("system:serviceaccount:{}:caller", env.namespace);
    for role in ["viewer", "editor"] {
        bind(&kubectl, &env.namespace, &caller, role).await;
    }
    let token = run(&["create", "token", "caller", "--audience", AUDIENCE]).await;
    let request = reqwest::Client::new().post(format!("{url}/api/admin/tarana/sync"));
    let request = request
        .bearer_auth(token.trim())
        .header("content-type", "application/json");
    let response = request.body("{}").send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 202, "{text}");
    let runs = env.syncs().list(&ListParams::default()).await.unwrap().items;
    let trigger = &runs[0].spec.trigger;
    assert_eq!(
        (trigger.type_, trigger.actor.as_deref()),
        (TriggerType::Api, Some(caller.as_str()))
    );
}

/// Starts an operator with the admin API, and returns its URL.
async fn start_admin_api(env: &mut TestEnvironment) -> String {
    let listen = servers::free_address();
    let kubernetes = KubernetesConfig {
        audience: Some(AUDIENCE.into()),
    };
    env.start_operator_with_admin(Config {
        listen,
        tls: None,
        auth: AuthConfig {
            kubernetes: Some(kubernetes),
            supabase: None,
            sessions: None,
        },
        defaults: Defaults {
            namespace: env.namespace.clone(),
            connection: "default".into(),
        },
        public_url: PublicUrl::default(),
        map_tiles: None,
        sink_addresses: AddressPolicy::new(Vec::new()),
        allowed_origins: AllowedOrigins::default(),
    });
    let url = format!("http://{listen}");
    servers::wait_until_ready(&url).await;
    url
}

/// Checks whether this user may create a run with this spec, or with which message it is rejected.
async fn check(env: &TestEnvironment, kubectl: &Kubectl, user: &str, spec: &Value, expected: Option<&str>) {
    let created = create(kubectl, &env.namespace, user, spec).await;
    match expected {
        None => assert_eq!(created, Ok(()), "{user}: {spec}"),
        Some(message) => {
            let error = created.expect_err(message);
            assert!(error.contains(message), "{user}: {spec}: {error}");
        }
    }
}
