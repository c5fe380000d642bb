//! `migrations/FROM-CRON.md`: every command of the guide is executed in order, on tables as the replaced function left them, with a real
//! operator. The function keeps working beside it, and no base station loses data.

use std::path::Path;

use devenv::{ControlPlane, NAMESPACE, Operator};
use reqwest::Url;
use serde_json::{Value, json};
use uuid::Uuid;

use super::environment::{TestEnvironment, wait_until};
use super::operator_rights::Access;
use super::servers;
use super::store_servers::Servers;
use guide::Block;
use session::Session;
use tables::{Function, OldTables, Shape, Snapshot};

mod guide;
mod session;
mod tables;

const GUIDE: &str = include_str!("../../migrations/FROM-CRON.md");

/// The servers, the function and the operator while the guide is followed.
struct Migration {
    env: TestEnvironment,
    plane: ControlPlane,
    _servers: Servers,
    session: Session,
    function: Function,
    /// The run of the function that is in progress.
    in_progress: Option<Uuid>,
    operator: Option<Operator>,
    api: String,
    log: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_works_with_the_tables_of_supabase() {
    follow(Shape::Supabase).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_works_with_the_tables_of_an_older_deployment() {
    follow(Shape::Older).await;
}

async fn follow(shape: Shape) {
    let (mut migration, tables) = Migration::prepare(shape).await;
    let blocks = guide::blocks(GUIDE);
    let before = Snapshot::take(&migration.env.db).await;
    for block in &blocks {
        migration.before(block).await;
        let output = migration.session.run(block).await;
        if let Some(expected) = &block.output
            && let Err(missing) = guide::compare(expected, &output)
        {
            panic!("{}\nlacks in its output: {missing}\n{output}", block.text);
        }
        migration.after(block, &output).await;
        if block.text.contains("name: first") {
            tables.assert_other_programs_unchanged(&migration.env.db).await;
        }
        if block.text.contains("LIKE 'nightly-%'") {
            before
                .assert_no_regression(&migration.env.db, &tables.unlocated)
                .await;
            tables.assert_other_programs_unchanged(&migration.env.db).await;
            tables.assert_stuck_rows_closed(&migration.env.db).await;
        }
    }
    assert!(
        migration.operator.is_none(),
        "the guide ended with a running operator"
    );
    // The function works as before.
    migration.function.run(&migration.env).await;
    before
        .assert_no_regression(&migration.env.db, &tables.unlocated)
        .await;
}

impl Migration {
    async fn prepare(shape: Shape) -> (Self, OldTables) {
        let (plane, servers) = (ControlPlane::start().await.unwrap(), Servers::start().await);
        let url = servers.postgres.create_database("app").await.unwrap();
        // The guide installs the chart, and so the rights of the operator.
        let access = Access::as_admin(&plane).await;
        let env = TestEnvironment::create(servers::tcs(), access, NAMESPACE.to_owned(), url).await;
        let function = Function { shape };
        let tables = OldTables::create(&env, &function).await;
        let address = servers::free_address();
        let api = format!("http://{address}");
        let session = Session::new(&plane, shape.name(), replacements(&env, &api)).await;
        let migration = Self {
            log: format!("migration-{}", shape.name()),
            session,
            function,
            in_progress: None,
            operator: None,
            api,
            _servers: servers,
            plane,
            env,
        };
        (migration, tables)
    }

    /// What other programs and the clock do before a block.
    async fn before(&mut self, block: &Block) {
        if block.text.contains("name: what-if") && block.language == "sh" {
            self.in_progress = Some(self.function.begin(&self.env.db).await);
        }
        // The reader waits until the function has ended.
        if block.text.contains("SELECT id, trigger_type, started_at") {
            tables::end_recent_run(&self.env.db).await;
        }
        if block.text.contains("condition=LastSyncSucceeded") {
            self.make_slot_due().await;
        }
        if block.text.contains("'the operator was removed'") {
            tables::insert_abandoned_run(&self.env.db).await;
        }
    }

    /// What other programs do after a block, and the Pod that a cluster with nodes would start or stop.
    async fn after(&mut self, block: &Block, output: &str) {
        let text = &block.text;
        if text.contains("tarana-operator migrate") {
            self.function.run(&self.env).await;
        }
        if text.contains("helm install") {
            self.start_operator().await;
        }
        if text.contains("name: what-if") && block.language == "sh" {
            let run = self.in_progress.take().expect("a run of the function");
            self.function.end(&self.env, run).await;
        }
        if text.contains("api/admin/tarana/sync/status") {
            let status: Value = serde_json::from_str(output).unwrap();
            assert_eq!(status["success"], true, "{output}");
            let newest = &status["data"]["recent"][0];
            assert_eq!(newest["stations_fetched"], 718, "{output}");
        }
        if text.contains("helm uninstall") {
            self.operator = None;
            self.function.run(&self.env).await;
        }
        if text.contains("'the operator was removed'") {
            assert!(output.contains("abandoned"), "{output}");
        }
    }

    /// With the settings of the guide's values, as the service account that Helm has created.
    async fn start_operator(&mut self) {
        let program = Path::new(env!("CARGO_BIN_EXE_tarana-operator"));
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.log", self.log));
        let variables = [
            ("TARANA_WATCH_NAMESPACES", NAMESPACE),
            ("TARANA_MIGRATE", "false"),
            ("TARANA_METRICS_LISTEN", ""),
            ("TARANA_ADMIN_LISTEN", self.api.strip_prefix("http://").unwrap()),
            ("TARANA_ADMIN_NAMESPACE", NAMESPACE),
        ];
        let operator = Operator::start(program, &self.plane, &log, &variables).await;
        self.operator = Some(operator.unwrap());
        servers::wait_until_ready(&self.api).await;
    }

    /// Gives the schedule the status of one that was resumed days ago, so that a slot is due at once.
    async fn make_slot_due(&self) {
        let kubectl = self.plane.kubectl();
        let args = ["tss", "nightly", "--namespace", NAMESPACE];
        let patch = async |more: &[&str]| {
            let arguments = [&["patch", "--type=merge"], &args[..], more].concat();
            kubectl.run(&arguments).await.unwrap();
        };
        patch(&["--patch", r#"{"spec":{"startingDeadlineSeconds":31536000}}"#]).await;
        wait_until("the change is observed", || async {
            let get = [&["get", "--output=json"], &args[..]].concat();
            let object: Value = serde_json::from_str(&kubectl.run(&get).await.unwrap()).unwrap();
            (object["status"]["observedGeneration"] == object["metadata"]["generation"]).then_some(())
        })
        .await;
        let time =
            "select to_char(now() at time zone 'UTC' - interval '2 days', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
        let two_days_ago: String = sqlx::query_scalar(time).fetch_one(&self.env.db).await.unwrap();
        let status = json!({"status": {"notBefore": two_days_ago}}).to_string();
        patch(&["--subresource=status", "--patch", &status]).await;
    }
}

/// The URL of the database for this role.
fn url_of(url: &str, role: &str, password: &str) -> String {
    let mut url = Url::parse(url).unwrap();
    url.set_username(role).unwrap();
    url.set_password(Some(password)).unwrap();
    url.into()
}

/// The guide's example values, and those of this test.
fn replacements(env: &TestEnvironment, api: &str) -> Vec<(String, String)> {
    let owner = url_of(&env.database_url, tables::OWNER, tables::PASSWORD);
    let operator = url_of(&env.database_url, "tarana_operator", "choose-one");
    let example = "@db.example.com:5432/postgres?sslmode=require";
    [
        (format!("postgres://postgres:secret{example}"), owner),
        (
            format!("postgres://tarana_operator:choose-one{example}"),
            operator,
        ),
        (
            "https://portal.tcs.taranawireless.com".into(),
            env.tcs.url().into(),
        ),
        ("sync@example.com".into(), servers::USERNAME.into()),
        (
            "TCS_PASSWORD='secret'".into(),
            format!("TCS_PASSWORD='{}'", servers::PASSWORD),
        ),
        ("http://localhost:8080 ".into(), format!("{api} ")),
        // The job of the hook never runs, because no node exists.
        ("helm uninstall ".into(), "helm uninstall --no-hooks ".into()),
    ]
    .into()
}
