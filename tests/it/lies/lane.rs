//! Brings runs about, one after the other, each with a fleet, a simulator and a connection of its own.

use std::collections::BTreeMap;

use devenv::simulator::{Config, Endpoint, Fault, FleetConfig, Row, Rule, RuleState, Simulator};
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tarana_operator::api::sync::{Phase, TaranaSync};
use uuid::Uuid;

use super::allowed::Spoilt;
use super::case::{Case, Change};
use crate::servers;
use crate::truth;
use crate::world::{World, condition, id_of, of, phase, until};

/// What became of a run.
pub struct End {
    pub sync: TaranaSync,
    pub before: BTreeMap<String, Value>,
    pub after: BTreeMap<String, Value>,
    /// Not one row was written: they are the same versions.
    pub untouched: bool,
    pub fleets: Vec<Vec<Row>>,
    pub fates: BTreeMap<String, std::collections::BTreeSet<Spoilt>>,
    /// The run's log row, its change rows and its outbox rows, and how many rows of any run are still open.
    pub log: Value,
    pub changes: Vec<Value>,
    pub outbox: i64,
    pub open: i64,
    pub rules: Vec<RuleState>,
}

impl End {
    pub fn phase(&self) -> Phase {
        phase(&self.sync)
    }

    pub fn reason(&self) -> String {
        of(&self.sync, "Finished").1
    }

    /// For a tally.
    pub fn word(&self) -> String {
        match self.phase() {
            Phase::Completed => "Completed".to_owned(),
            other => format!("{other:?} {}", self.reason()),
        }
    }
}

/// A world in which one run after the other is tried.
pub struct Lane {
    w: World,
    tried: usize,
}

impl Lane {
    pub async fn new() -> Self {
        let mut w = World::bare(servers::tcs()).await;
        w.start_operator();
        w.secret("tcs", &servers::credentials()).await;
        w.secret("database", &json!({"url": w.database_url})).await;
        Self { w, tried: 0 }
    }

    /// Fills the table, changes the fleet, and lets a run meet the lies.
    pub async fn run(&mut self, case: &Case) -> End {
        self.tried += 1;
        let name = format!("n{}", self.tried);
        self.fleet(case).await;
        let filled = self.calm(&name, case).await;
        let connection = if case.warm {
            name.clone()
        } else {
            let cold = format!("{name}-cold");
            self.connection(&cold, case).await;
            cold
        };
        change(&self.w.tcs, case.before);
        if let Some(refresh_too) = case.expire {
            self.w.tcs.expire_sessions(refresh_too);
        }
        let before = truth::rows(&self.w.db).await;
        let versions = self.versions().await;
        let (sync, fleets) = self.meet(&format!("{name}-lies"), &connection, case).await;
        let id = id_of(&sync);
        let changes = "select coalesce(jsonb_agg(to_jsonb(c) order by seq), '[]') from tarana_sync_changes c where run = $1";
        let Value::Array(changes) = self.w.json(changes, id).await else {
            panic!("no list")
        };
        let outbox = "select to_jsonb(count(*)) from tarana_sync_outbox where run = $1";
        let end = End {
            before,
            after: truth::rows(&self.w.db).await,
            untouched: versions == self.versions().await,
            fates: self.fates(case, &fleets),
            fleets,
            log: self.w.log_row(&sync).await,
            changes,
            outbox: self.w.json(outbox, id).await.as_i64().unwrap(),
            open: self
                .w
                .number("select count(*) from tarana_sync_logs where status in ('pending', 'running')")
                .await,
            rules: self.w.tcs.rules(),
            sync,
        };
        self.w.tcs.clear();
        self.drop_run(&filled.name_any(), id_of(&filled)).await;
        for connection in [Some(name.clone()), (!case.warm).then_some(connection)]
            .into_iter()
            .flatten()
        {
            let _ = self
                .w
                .connections()
                .delete(&connection, &DeleteParams::default())
                .await;
        }
        end
    }

    /// A fleet of the case's seed, and a table with nothing in it.
    async fn fleet(&mut self, case: &Case) {
        let fleet = FleetConfig {
            base_nodes: case.base_nodes,
            training_nodes: 2,
            remote_nodes: 5,
            heavy_nodes: 1,
            ..FleetConfig::default()
        };
        self.w.tcs = Simulator::start(Config {
            seed: case.seed,
            fleet,
            page_cap: case.page_cap,
            ..servers::tcs()
        })
        .await
        .unwrap();
        if self.tried > 1 {
            sqlx::query("delete from tarana_base_stations")
                .execute(&self.w.db)
                .await
                .unwrap();
        }
    }

    /// A connection, and the run that fills the table through it.
    async fn calm(&self, name: &str, case: &Case) -> TaranaSync {
        self.connection(name, case).await;
        let filled = self.w.run(name, json!({"connectionRef": {"name": name}})).await;
        assert_eq!(phase(&filled), Phase::Completed, "a calm run of {case:?}");
        filled
    }

    async fn connection(&self, name: &str, case: &Case) {
        let api = json!({"listing": "RegionSearch", "pageSize": case.page_size, "maxInFlight": case.in_flight, "requestTimeoutSeconds": case.timeout});
        let guard = json!({"freeCount": case.guard, "maxPercent": 0});
        self.w
            .connection(name, json!({"api": api, "deleteGuard": guard}))
            .await;
        self.w
            .connection_when(name, "is ready", |c| {
                condition(&c.status.clone().unwrap_or_default().conditions, "Ready").0 == "True"
            })
            .await;
    }

    /// The run that meets the lies, and the fleet at each moment of it.
    async fn meet(&self, name: &str, connection: &str, case: &Case) -> (TaranaSync, Vec<Vec<Row>>) {
        let tcs = &self.w.tcs;
        let mut fleets = vec![tcs.base_nodes()];
        let mut rules = case.rules.clone();
        for rule in &mut rules {
            show_somebody(tcs, rule);
        }
        if let Some((after, _)) = case.midway {
            rules.push(
                Rule::on(Endpoint::Search, Fault::Hang { after_bytes: None })
                    .after(after)
                    .once(),
            );
        }
        tcs.script(rules);
        let spec = json!({
            "connectionRef": {"name": connection}, "deleteStale": case.delete_stale, "backoffLimit": 1,
            "backoff": {"initialSeconds": 1, "maxSeconds": 1}, "activeDeadlineSeconds": case.deadline,
        });
        self.w.sync(name, spec).await;
        let Some((_, midway)) = case.midway else {
            return (self.w.finished(name).await, fleets);
        };
        tokio::select! {
            ended = self.w.finished(name) => return (ended, fleets),
            () = tcs.until_hanging(1) => {}
        }
        change(tcs, midway);
        fleets.push(tcs.base_nodes());
        tcs.release();
        (self.w.finished(name).await, fleets)
    }

    /// Which stations' records were spoilt, and how.
    fn fates(
        &self,
        case: &Case,
        fleets: &[Vec<Row>],
    ) -> BTreeMap<String, std::collections::BTreeSet<Spoilt>> {
        let mut fates: BTreeMap<String, std::collections::BTreeSet<Spoilt>> = BTreeMap::new();
        for (serial, blemish) in self.w.tcs.spoilt() {
            fates.entry(serial).or_default().insert(Spoilt::By(blemish));
        }
        if case.rules.iter().any(|rule| rule.fault == Fault::Latin1) {
            let read = |row: &Row| {
                let device = row.value().unwrap();
                [&device["hostName"], &device["ancestry"]]
                    .map(ToString::to_string)
                    .concat()
            };
            for row in fleets.iter().flatten().filter(|row| !read(row).is_ascii()) {
                fates
                    .entry(row.serial.to_string())
                    .or_default()
                    .insert(Spoilt::Latin1);
            }
        }
        fates
    }

    /// Every row of the table with the transaction that wrote it.
    async fn versions(&self) -> Vec<String> {
        sqlx::query_scalar("select t.xmin::text || ' ' || t.ctid::text || ' ' || t::text from tarana_base_stations t order by 1")
            .fetch_all(&self.w.db)
            .await
            .unwrap()
    }

    /// What went well need not be told when a later run fails.
    pub async fn forget(&self, end: &End) {
        self.drop_run(&end.sync.name_any(), id_of(&end.sync)).await;
    }

    async fn drop_run(&self, name: &str, id: Uuid) {
        self.w.delete(name).await;
        until(&format!("TaranaSync {name} is gone"), || async {
            self.w
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
            .execute(&self.w.db)
            .await
            .unwrap();
    }
}

/// A region whose listing is another one's, and that one's is empty, looks to any client like a region that is empty. So the
/// other one is one that has stations, now and after three more have vanished.
fn show_somebody(tcs: &Simulator, rule: &mut Rule) {
    let Fault::OtherRegion { region } = &mut rule.fault else {
        return;
    };
    let is_there = |row: &&Row| row.value().unwrap()["ancestry"]["region"]["id"] == *region;
    if tcs.base_nodes().iter().filter(is_there).count() <= 3 {
        *region = 1073;
    }
}

fn change(tcs: &Simulator, change: Change) {
    tcs.add(change.add);
    tcs.vanish(change.vanish);
    tcs.drift(change.drift);
}
