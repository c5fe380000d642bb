//! Executes one case after the other, each with its own simulator and connection.

use std::collections::{BTreeMap, BTreeSet};

use devenv::simulator::{Config, Device, Endpoint, Fault, FleetConfig, Rule, RuleState, Simulator};
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tarana_operator::api::sync::{Phase, TaranaSync};
use uuid::Uuid;

use super::allowed_rows::Defect;
use super::case::{Case, Change};
use crate::environment::{TestEnvironment, condition, id_of, of, phase, wait_until};
use crate::expected_table;
use crate::servers;

/// A run that has ended, and the data around it.
pub struct RunResult {
    pub sync: TaranaSync,
    pub before: BTreeMap<String, Value>,
    pub after: BTreeMap<String, Value>,
    /// Whether no row was written, by the versions of the rows.
    pub untouched: bool,
    /// The fleet before the run, and after its change during the run.
    pub fleets: Vec<Vec<Device>>,
    /// Defects of records by serial number.
    pub defects: BTreeMap<String, BTreeSet<Defect>>,
    pub log_row: Value,
    pub changes: Vec<Value>,
    /// The number of outbox rows of this run.
    pub outbox: i64,
    /// The number of log rows of any run that are not closed.
    pub open: i64,
    pub rules: Vec<RuleState>,
}

impl RunResult {
    pub fn phase(&self) -> Phase {
        phase(&self.sync)
    }

    pub fn reason(&self) -> String {
        of(&self.sync, "Finished").1
    }

    /// In which attempt it ended.
    pub fn attempts(&self) -> String {
        let attempt = self.sync.status.as_ref().unwrap().attempt;
        format!("{:?} in attempt {attempt}", self.phase())
    }

    /// Phase and reason.
    pub fn label(&self) -> String {
        match self.phase() {
            Phase::Completed => "Completed".to_owned(),
            other => format!("{other:?} {}", self.reason()),
        }
    }
}

/// A test environment with an operator.
pub struct Worker {
    env: TestEnvironment,
    /// How many cases were executed.
    cases: usize,
}

impl Worker {
    pub async fn new() -> Self {
        let mut env = TestEnvironment::bare(servers::tcs()).await;
        env.start_operator();
        env.secret("tcs", &servers::credentials()).await;
        env.secret("database", &json!({"url": env.database_url})).await;
        Self { env, cases: 0 }
    }

    /// Fills the table, changes the fleet, and executes a run under the faults of the case.
    pub async fn run(&mut self, case: &Case) -> RunResult {
        self.cases += 1;
        let name = format!("n{}", self.cases);
        self.start_simulator(case).await;
        let filled = self.fill_table(&name, case).await;
        let connection = if case.warm {
            name.clone()
        } else {
            let cold = format!("{name}-cold");
            self.create_connection(&cold, case).await;
            cold
        };
        change(&self.env.tcs, case.before);
        if let Some(refresh_tokens_too) = case.expire {
            self.env.tcs.expire_sessions(refresh_tokens_too);
        }
        let before = expected_table::stored_rows(&self.env.db).await;
        let versions = self.row_versions().await;
        let (sync, fleets) = self
            .run_with_faults(&format!("{name}-faults"), &connection, case)
            .await;
        let id = id_of(&sync);
        let changes = "select coalesce(jsonb_agg(to_jsonb(c) order by seq), '[]') from tarana_sync_changes c where run = $1";
        let Value::Array(changes) = self.env.json(changes, id).await else {
            panic!("not an array")
        };
        let outbox = "select to_jsonb(count(*)) from tarana_sync_outbox where run = $1";
        let result = RunResult {
            before,
            after: expected_table::stored_rows(&self.env.db).await,
            untouched: versions == self.row_versions().await,
            defects: self.defects(case, &fleets),
            fleets,
            log_row: self.env.log_row(&sync).await,
            changes,
            outbox: self.env.json(outbox, id).await.as_i64().unwrap(),
            open: self
                .env
                .number("select count(*) from tarana_sync_logs where status in ('pending', 'running')")
                .await,
            rules: self.env.tcs.rules(),
            sync,
        };
        self.env.tcs.clear_rules();
        self.delete_run(&filled.name_any(), id_of(&filled)).await;
        for connection in [Some(name.clone()), (!case.warm).then_some(connection)]
            .into_iter()
            .flatten()
        {
            let _ = self
                .env
                .connections()
                .delete(&connection, &DeleteParams::default())
                .await;
        }
        result
    }

    /// Starts a simulator with the fleet of the case, and empties the table.
    async fn start_simulator(&mut self, case: &Case) {
        let fleet = FleetConfig {
            base_nodes: case.base_nodes,
            training_nodes: 2,
            remote_nodes: 5,
            heavy_nodes: 1,
            ..FleetConfig::default()
        };
        self.env.tcs = Simulator::start(Config {
            seed: case.seed,
            fleet,
            page_cap: case.page_cap,
            ..servers::tcs()
        })
        .await
        .unwrap();
        if self.cases > 1 {
            sqlx::query("delete from tarana_base_stations")
                .execute(&self.env.db)
                .await
                .unwrap();
        }
    }

    /// Creates a connection and fills the table with a run.
    async fn fill_table(&self, name: &str, case: &Case) -> TaranaSync {
        self.create_connection(name, case).await;
        let filled = self.env.run(name, json!({"connectionRef": {"name": name}})).await;
        assert_eq!(
            phase(&filled),
            Phase::Completed,
            "the run that fills the table for {case:?}"
        );
        filled
    }

    async fn create_connection(&self, name: &str, case: &Case) {
        let api = json!({"listing": case.listing, "pageSize": case.page_size, "maxInFlight": case.in_flight, "requestTimeoutSeconds": case.timeout});
        let guard = json!({"freeCount": case.guard, "maxPercent": 0});
        self.env
            .connection(name, json!({"api": api, "deleteGuard": guard}))
            .await;
        self.env
            .wait_for_connection(name, "is ready", |c| {
                condition(&c.status.clone().unwrap_or_default().conditions, "Ready").0 == "True"
            })
            .await;
    }

    /// Executes the run under the faults. Returns it with the fleets.
    async fn run_with_faults(
        &self,
        name: &str,
        connection: &str,
        case: &Case,
    ) -> (TaranaSync, Vec<Vec<Device>>) {
        let tcs = &self.env.tcs;
        let mut fleets = vec![tcs.base_nodes()];
        let mut rules = case.rules.clone();
        for rule in &mut rules {
            choose_populated_region(tcs, rule);
        }
        if let Some((after, _)) = case.during {
            rules.push(
                Rule::on(Endpoint::Search, Fault::Hang { after_bytes: None })
                    .after(after)
                    .once(),
            );
        }
        tcs.set_rules(rules);
        let spec = json!({
            "connectionRef": {"name": connection}, "deleteStale": case.delete_stale, "backoffLimit": 1,
            "backoff": {"initialSeconds": 1, "maxSeconds": 1}, "activeDeadlineSeconds": case.deadline,
        });
        self.env.sync(name, spec).await;
        let Some((_, during)) = case.during else {
            return (self.env.finished(name).await, fleets);
        };
        tokio::select! {
            ended = self.env.finished(name) => return (ended, fleets),
            () = tcs.wait_until_hanging(1) => {}
        }
        change(tcs, during);
        fleets.push(tcs.base_nodes());
        tcs.release_hanging();
        (self.env.finished(name).await, fleets)
    }

    /// The defects of the records that the simulator returned.
    fn defects(&self, case: &Case, fleets: &[Vec<Device>]) -> BTreeMap<String, BTreeSet<Defect>> {
        let mut defects: BTreeMap<String, BTreeSet<Defect>> = BTreeMap::new();
        for (serial, defect) in self.env.tcs.defective_records() {
            defects.entry(serial).or_default().insert(Defect::Record(defect));
        }
        if case.rules.iter().any(|rule| rule.fault == Fault::Latin1) {
            let read = |row: &Device| {
                let device = row.value().unwrap();
                [&device["hostName"], &device["ancestry"]]
                    .map(ToString::to_string)
                    .concat()
            };
            for row in fleets.iter().flatten().filter(|row| !read(row).is_ascii()) {
                defects
                    .entry(row.serial.to_string())
                    .or_default()
                    .insert(Defect::Latin1);
            }
        }
        defects
    }

    /// Every row of the table with its version (`xmin`, `ctid`).
    async fn row_versions(&self) -> Vec<String> {
        sqlx::query_scalar("select t.xmin::text || ' ' || t.ctid::text || ' ' || t::text from tarana_base_stations t order by 1")
            .fetch_all(&self.env.db)
            .await
            .unwrap()
    }

    /// Deletes the run, so that diagnostics of later failures do not show it.
    pub async fn clean_up(&self, result: &RunResult) {
        self.delete_run(&result.sync.name_any(), id_of(&result.sync))
            .await;
    }

    async fn delete_run(&self, name: &str, id: Uuid) {
        self.env.delete(name).await;
        wait_until(&format!("TaranaSync {name} is gone"), || async {
            self.env
                .syncs()
                .get_opt(name)
                .await
                .unwrap()
                .is_none()
                .then_some(())
        })
        .await;
        sqlx::query("delete from tarana_sync_logs where id = $1")
            .bind(id)
            .execute(&self.env.db)
            .await
            .unwrap();
    }
}

/// A client cannot distinguish the empty listing of another region from an empty region. So the other region must have
/// stations, even after three more were removed.
fn choose_populated_region(tcs: &Simulator, rule: &mut Rule) {
    let Fault::OtherRegion { region } = &mut rule.fault else {
        return;
    };
    let is_in_region = |row: &&Device| row.value().unwrap()["ancestry"]["region"]["id"] == *region;
    if tcs.base_nodes().iter().filter(is_in_region).count() <= 3 {
        *region = 1073;
    }
}

fn change(tcs: &Simulator, change: Change) {
    tcs.add(change.add);
    tcs.vanish(change.vanish);
    tcs.drift(change.drift);
}
