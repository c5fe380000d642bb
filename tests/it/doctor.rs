//! `tarana-operator doctor`, as a process: what it finds, and what it says to do.

mod chart_roles;

use std::path::Path;

use devenv::ControlPlane;
use devenv::simulator::{Endpoint, Fault, Rule};
use serde_json::{Value, json};

use super::environment::{TestEnvironment, wait_until};
use super::operator_process::OperatorProcess;
use super::{accounts, operator_rights, servers};

/// The result of one process.
struct Examined {
    code: Option<i32>,
    report: Value,
}

impl Examined {
    /// Runs `doctor --output json` with these variables, for the namespace of the environment.
    async fn of(env: &TestEnvironment, kubeconfig: &Path, variables: &[(&str, &str)]) -> Self {
        let output = run(env, kubeconfig, &["--output", "json"], variables).await;
        let (text, errors) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        let report = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text} {errors}"));
        for secret in [servers::PASSWORD, "hunter2"] {
            assert!(
                !text.contains(secret) && !errors.contains(secret),
                "{text} {errors}"
            );
        }
        Self {
            code: output.status.code(),
            report,
        }
    }

    /// Outcome and message of a check, of whatever subject.
    fn check(&self, name: &str) -> (&str, &str) {
        let sections = self.report["sections"].as_array().unwrap();
        let mut checks = sections
            .iter()
            .flat_map(|section| section["checks"].as_array().unwrap());
        let check = checks.find(|check| check["check"] == name);
        let check = check.unwrap_or_else(|| panic!("{name}: {:#}", self.report));
        (
            check["outcome"].as_str().unwrap(),
            check["message"].as_str().unwrap(),
        )
    }

    /// Asserts that a check failed, or warns, with these words, and that the exit code is that of a failure.
    fn assert_problem(&self, outcome: &str, name: &str, words: &[&str]) {
        let (found, message) = self.check(name);
        assert_eq!(found, outcome, "{name}: {message}");
        for word in words {
            assert!(message.contains(word), "{name} lacks {word:?}: {message}");
        }
        assert_eq!(
            self.code,
            Some(i32::from(outcome == "failed")),
            "{:#}",
            self.report
        );
    }
}

async fn run(
    env: &TestEnvironment,
    kubeconfig: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> std::process::Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_tarana-operator"))
        .arg("doctor")
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("TARANA_WATCH_NAMESPACES", &env.namespace)
        .env("TARANA_LEASE_NAMESPACE", &env.namespace)
        .envs(variables.iter().copied())
        .output()
        .await
        .unwrap()
}

/// Installs the chart's roles for this namespace. Returns a kubeconfig of its service account.
async fn chart_account(env: &TestEnvironment) -> std::path::PathBuf {
    let watched = format!("watchNamespaces={{{}}}", env.namespace);
    let rendered = operator_rights::render(&env.namespace, &watched).await;
    servers::plane().await.kubectl().apply(&rendered).await.unwrap();
    accounts::kubeconfig(env, devenv::SERVICE_ACCOUNT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_works_passes_every_check() {
    let env = TestEnvironment::new().await;
    env.ready().await;
    let kubeconfig = chart_account(&env).await;
    let examined = Examined::of(&env, &kubeconfig, &[]).await;
    assert_eq!(examined.code, Some(0), "{:#}", examined.report);
    for section in examined.report["sections"].as_array().unwrap() {
        for check in section["checks"].as_array().unwrap() {
            assert_eq!(check["outcome"], "ok", "{check}");
        }
    }
    let (_, account) = examined.check("account");
    assert_eq!(
        account,
        format!("system:serviceaccount:{}:tarana-operator", env.namespace)
    );
    assert!(examined.check("database login").1.starts_with("PostgreSQL 15"));
    assert!(examined.check("vendor login").1.contains("operator 219, "));
    assert!(examined.check("vendor listing").1.contains("RegionSearch: "));
    // The table has the same checks, and the connection that was asked for.
    let named = format!("{}/default", env.namespace);
    let output = run(&env, &kubeconfig, &["--connection", &named], &[]).await;
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains(&format!("\nTaranaConnection {named}\n  ok ")),
        "{table}"
    );
    assert!(table.ends_with("0 warning(s), 0 failed, 0 skipped\n"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_problem_of_a_connection_is_reported_with_its_remedy() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    let kubeconfig = servers::plane().await.kubeconfig();
    let examine = |variables: &'static [(&str, &str)]| Examined::of(&env, kubeconfig, variables);

    // Nothing has been migrated yet, and the doctor does not migrate.
    let migrates = examine(&[]).await;
    migrates.assert_problem(
        "warning",
        "database schema",
        &["lacks 11 migration(s): stations", "the operator applies"],
    );
    let manual = examine(&[("TARANA_MIGRATE", "false")]).await;
    manual.assert_problem("failed", "database schema", &["run `tarana-operator migrate`"]);
    assert_eq!(manual.check("database privileges").0, "skipped");
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(env.number(tables).await, 0, "the doctor changes nothing");

    let denied = Rule::on(
        Endpoint::Search,
        Fault::Status {
            status: 403,
            body: None,
        },
    );
    env.tcs.set_rules(vec![denied]);
    examine(&[])
        .await
        .assert_problem("failed", "vendor listing", &["AccessDenied: "]);
    env.tcs.clear_rules();

    env.secret(
        "tcs",
        &json!({"username": servers::USERNAME, "password": "hunter2 but wrong"}),
    )
    .await;
    let refused = examine(&[]).await;
    refused.assert_problem(
        "failed",
        "vendor login",
        &["AuthenticationFailed: ", "credentialsSecretRef"],
    );
    assert_eq!(refused.check("vendor listing").0, "skipped");

    let nobody = format!("postgres://tarana:hunter2@{}/none", servers::free_address());
    env.secret("database", &json!({ "url": nobody })).await;
    let unreachable = examine(&[]).await;
    unreachable.assert_problem("failed", "database login", &["DatabaseUnreachable: "]);
    assert_eq!(unreachable.check("database schema").0, "skipped");

    let other_key = json!({"database": {"secretRef": {"urlKey": "dsn"}}});
    env.change_connection("default", other_key).await;
    let incomplete = examine(&[]).await;
    incomplete.assert_problem(
        "failed",
        "spec and Secrets",
        &["SecretKeyMissing: ", "nothing under the key dsn"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_privileges_and_permissions_are_named() {
    let env = TestEnvironment::new().await;
    env.ready().await;
    let mut owner = env.db.acquire().await.unwrap();
    let role = format!("{}_doctor", env.namespace.replace('-', "_"));
    let grants = format!(
        "create role {role} login password 'hunter2';
         grant usage on schema public to {role};
         grant select on all tables in schema public to {role};"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grants))
        .execute(&mut *owner)
        .await
        .unwrap();
    let (_, server) = env.database_url.split_once('@').unwrap();
    let url = format!("postgres://{role}:hunter2@{server}");
    env.secret("database", &json!({ "url": url })).await;
    let kubeconfig = accounts::create(&env, "nobody").await;
    let nobody = Examined::of(&env, &kubeconfig, &[]).await;
    let words = [
        format!(
            "nobody may not list taranaconnections.tarana.dev in namespace {}, ",
            env.namespace
        ),
        "update taranasyncs/status.tarana.dev in namespace".to_owned(),
        "create leases.coordination.k8s.io".to_owned(),
        "rbac.create=true".to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    nobody.assert_problem("failed", "permissions", &words);
    nobody.assert_problem("failed", "connections", &["cannot be listed"]);

    let admin = Examined::of(&env, servers::plane().await.kubeconfig(), &[]).await;
    admin.assert_problem(
        "failed",
        "database privileges",
        &["DatabaseRightsMissing: ", "GRANT", "tarana_sync_logs"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_flags_are_a_failed_check() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let variables = [("TARANA_ADMIN_LISTEN", "everywhere")];
    let examined = Examined::of(&env, servers::plane().await.kubeconfig(), &variables).await;
    examined.assert_problem(
        "failed",
        "configuration",
        &["--admin-listen \"everywhere\" is not an address"],
    );
    let none = Examined::of(&env, servers::plane().await.kubeconfig(), &[]).await;
    none.assert_problem("warning", "connections", &["create one"]);
    let unknown = ["--connection", "other", "--output", "json"];
    let unknown = run(&env, servers::plane().await.kubeconfig(), &unknown, &[]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stdout).contains("there is no TaranaConnection other"));
}

/// A control plane of its own, because its definitions are changed.
#[tokio::test(flavor = "multi_thread")]
async fn outdated_definitions_are_reported_until_they_are_replaced() {
    let plane = ControlPlane::start().await.unwrap();
    servers::install_crds(&plane).await;
    let remove = r#"[{"op": "remove", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/eventSink"}]"#;
    let patch = [
        "patch",
        "crd",
        "taranaconnections.tarana.dev",
        "--type=json",
        "-p",
        remove,
    ];
    plane.kubectl().run(&patch).await.unwrap();
    let env = TestEnvironment::on(&plane).await;
    let address = servers::free_address().to_string();
    let variables = [("TARANA_METRICS_LISTEN", address.as_str())];
    let operator = OperatorProcess::start_with(&env, "upgraded", &variables);
    let lacks = "the CustomResourceDefinition of TaranaConnection is older than this operator and lacks spec.eventSink";
    operator.wait_for_log(lacks, 1).await;
    let ready = format!("http://{address}/readyz");
    let probe = async || {
        let response = reqwest::get(&ready).await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    };
    let (status, text) = probe().await.unwrap();
    assert_eq!(status, 503);
    assert!(text.contains(lacks), "{text}");
    let examined = Examined::of(&env, plane.kubeconfig(), &[]).await;
    examined.assert_problem(
        "failed",
        "kinds",
        &[lacks, "tarana-operator crds | kubectl apply"],
    );

    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    let replace = ["apply", "--server-side", "--force-conflicts", "-f", crds];
    plane.kubectl().run(&replace).await.unwrap();
    wait_until("the operator is ready", || async {
        probe().await.filter(|(status, _)| *status == 200)
    })
    .await;
    operator
        .wait_for_log("the CustomResourceDefinitions are current", 1)
        .await;
    let examined = Examined::of(&env, plane.kubeconfig(), &[]).await;
    assert_eq!(examined.check("kinds").0, "ok");
}
