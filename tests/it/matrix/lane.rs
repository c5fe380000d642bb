//! Brings runs about, one after the other, and what befalls them.

use std::time::Duration;

use devenv::simulator::{Config, FleetConfig};
use devenv::wires::Target;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tarana_operator::api::sync::Phase;
use uuid::Uuid;

use super::end::End;
use super::scenario::{Blow, Scenario};
use super::{COMMIT, FINALIZER};
use crate::program::Program;
use crate::servers;
use crate::truth;
use crate::wired::Wired;
use crate::world::{id_of, of, phase, until};

/// What came of a case: the effect that was caught, and whether the end is that of a calm day.
pub type Met = (String, Result<(), String>);

/// What the operators of these worlds are told: they give a call to the API server up after two seconds.
const VARIABLES: [(&str, &str); 1] = [("TARANA_KUBERNETES_TIMEOUT_SECONDS", "2")];
/// Less than anybody waits.
const A_WHILE: Duration = Duration::from_millis(700);
/// More than the operator waits for the API server or (`requestTimeoutSeconds`) for TCS.
const TOO_LONG: Duration = Duration::from_secs(4);
/// More than it waits for the database: a minute for the COMMIT of Apply.
const FAR_TOO_LONG: Duration = Duration::from_secs(75);

/// A world in which one case after the other is tried.
pub struct Lane {
    scenario: Scenario,
    wired: Wired,
    operator: Program,
    tried: usize,
    /// The table before each run.
    before: Value,
    calm: End,
}

impl Lane {
    /// Tries a calm day first, with which the others are compared.
    pub async fn new(scenario: Scenario) -> Self {
        let wired = Wired::new(tcs()).await;
        let operator = wired.operator("0", &VARIABLES);
        let mut lane = Self {
            scenario,
            before: json!({}),
            calm: End {
                table: json!({}),
                status: None,
                rows: Vec::new(),
                changes: json!([]),
                outbox: json!([]),
            },
            wired,
            operator,
            tried: 0,
        };
        lane.prepare().await;
        let id = lane.begin(|_| {}).await;
        lane.over().await;
        lane.calm = lane.end(id).await;
        lane.see_that_it_is_calm().await;
        lane.clear().await;
        lane
    }

    /// A table with rows, and a fleet that has moved on.
    async fn prepare(&mut self) {
        if self.scenario.is_first_of_all() {
            return;
        }
        let w = &self.wired.w;
        self.wired.connect(spec()).await;
        w.ready().await;
        assert_eq!(phase(&w.run("fill", json!({})).await), Phase::Completed);
        sqlx::query("create table before as select * from tarana_base_stations")
            .execute(&w.db)
            .await
            .unwrap();
        self.before = json!(truth::rows(&w.db).await);
        w.tcs.drift(0.3);
        w.tcs.vanish(3);
        w.tcs.add(3);
    }

    /// Sets the table and the session back, lets `arm` have its way, and begins the run; where the scenario has it,
    /// hung up and given up. Returns the run's id.
    async fn begin(&mut self, arm: impl Fn(&Wired)) -> Uuid {
        if self.scenario.is_first_of_all() {
            return self.begin_from_nothing(arm).await;
        }
        // An effect that the last case asked for and never met would be caught in this one.
        self.wired.effects.count_anew();
        let w = &self.wired.w;
        let restore =
            "delete from tarana_base_stations; insert into tarana_base_stations select * from before";
        sqlx::raw_sql(restore).execute(&w.db).await.unwrap();
        // So that each run logs in.
        w.tcs.expire_sessions(true);
        let sync = if self.scenario.hangs() {
            w.tcs.script(vec![servers::hanging_search()]);
            let sync = w.sync("run", self.scenario.spec()).await;
            w.tcs.until_hanging(1).await;
            arm(&self.wired);
            self.give_up().await;
            sync
        } else {
            arm(&self.wired);
            w.sync("run", self.scenario.spec()).await
        };
        id_of(&sync)
    }

    /// The operator finds everything there when it starts.
    async fn begin_from_nothing(&mut self, arm: impl Fn(&Wired)) -> Uuid {
        self.wired = Wired::new(tcs()).await;
        self.wired.connect(spec()).await;
        let sync = self.wired.w.sync("run", self.scenario.spec()).await;
        arm(&self.wired);
        self.operator = self.wired.operator(&format!("{}-first", self.tried), &VARIABLES);
        id_of(&sync)
    }

    async fn give_up(&self) {
        if self.scenario.cancels() {
            self.wired.w.cancel("run").await;
        } else if self.scenario.deletes() {
            self.wired.w.delete("run").await;
        }
    }

    /// Deals the blow at this effect of a run, and sees the run through. Nothing if it never got to that effect.
    pub async fn case(&mut self, target: Target, blow: Blow) -> Option<Met> {
        self.tried += 1;
        let id = self
            .begin(|wired| wired.effects.catch(target, blow.moment()))
            .await;
        let effect = tokio::select! {
            effect = self.wired.effects.caught() => effect,
            () = self.over() => {
                self.clear().await;
                return None;
            }
        };
        let verdict = match blow {
            Blow::Kill(moment) => self.killed(id, &format!("{}-{moment:?}", self.tried)).await,
            _ => self.disturbed(id, blow, &effect).await,
        };
        assert!(
            self.operator.runs(),
            "the operator ended: {}",
            self.operator.said()
        );
        self.clear().await;
        Some((effect, verdict))
    }

    /// Kills the operator and lets another one, of this name, finish.
    async fn killed(&mut self, id: Uuid, next: &str) -> Result<(), String> {
        self.operator.kill();
        self.wired.effects.cut();
        self.wired.w.tcs.clear();
        self.wired.w.tcs.release();
        let committed = self.committed(id).await;
        if !self.scenario.hangs() {
            self.give_up().await;
        }
        self.operator = self.wired.operator(next, &VARIABLES);
        self.ended().await;
        self.wired.w.ready().await;
        let end = self.end(id).await;
        if self.scenario.hangs() || !(self.scenario.cancels() || self.scenario.deletes()) {
            end.compare(&self.calm)
        } else if committed {
            end.but_for_the_object().compare(&self.calm.but_for_the_object())
        } else {
            self.was_given_up(&end)
        }
    }

    /// Disturbs the wire; the operator must see to the rest, and tell of it.
    async fn disturbed(&mut self, id: Uuid, blow: Blow, effect: &str) -> Result<(), String> {
        let said = self.operator.said().len();
        match blow {
            Blow::Cut(_) | Blow::Kill(_) => self.wired.effects.cut(),
            Blow::Slow(_) => {
                tokio::time::sleep(A_WHILE).await;
                self.wired.effects.pass();
            }
            Blow::Stall(_) => {
                let stall = if effect == COMMIT { FAR_TOO_LONG } else { TOO_LONG };
                tokio::time::sleep(stall).await;
                self.wired.effects.pass();
            }
        }
        self.ended().await;
        self.wired.w.ready().await;
        let end = self.end(id).await;
        if blow.is_harmless() {
            return end.compare(&self.calm);
        }
        let log = self.operator.said();
        if !log[said..].contains("WARN") {
            return Err(format!("nothing was said of it:\n{}", &log[said..]));
        }
        end.but_for_attempts().compare(&self.calm.but_for_attempts())
    }

    /// Whether the run's one transaction was committed, whoever knows of it.
    async fn committed(&self, id: Uuid) -> bool {
        let completed = "select coalesce((select to_jsonb(status = 'completed') from tarana_sync_logs where id = $1), 'false')";
        // On an empty database there may be no table yet.
        let table = self
            .wired
            .w
            .number("select count(*) from pg_class where relname = 'tarana_sync_logs'")
            .await;
        table > 0 && self.wired.w.json(completed, id).await == json!(true)
    }

    /// The end of a run that nobody wanted any more when the second operator came: not before it had taken note of it, a
    /// run leaves no row.
    fn was_given_up(&self, end: &End) -> Result<(), String> {
        let cancelled = |row: &Value| row["status"] == "failed" && row["outcome"] == "cancelled";
        let rows = end.rows.len() <= 1 && end.rows.iter().all(cancelled);
        let told = end.outbox.as_array().unwrap().len() == end.rows.len();
        let untouched = end.table == self.before && end.changes == json!([]);
        let status = end.status.as_ref().is_none_or(|status| {
            status["phase"] == "Cancelled"
                && status["lastFailure"].is_null()
                && status["attempt"].as_i64() <= Some(1)
        });
        if rows && told && untouched && status {
            Ok(())
        } else {
            Err(format!("not cancelled as it should be: {end:#?}"))
        }
    }

    /// The calm day itself is what the scenario promises.
    async fn see_that_it_is_calm(&self) {
        let (w, calm) = (&self.wired.w, &self.calm);
        assert_eq!((calm.rows.len(), calm.outbox.as_array().unwrap().len()), (1, 1));
        match self.scenario {
            Scenario::FromNothing => truth::table_is_true(w).await,
            Scenario::WithDeletes | Scenario::CancelledMeanwhile | Scenario::DeletedMeanwhile => {
                truth::table_is_true(w).await;
                for counted in ["inserted", "updated", "deleted", "unchanged"] {
                    assert!(calm.rows[0][counted].as_i64() > Some(0), "{counted}: {calm:#?}");
                }
            }
            Scenario::Dry => {
                assert_eq!(calm.table, self.before);
                assert!(calm.changes.as_array().unwrap().len() > 6, "{calm:#?}");
            }
            Scenario::Cancelling | Scenario::Deleting => {
                assert_eq!(calm.table, self.before);
                assert_eq!(calm.rows[0]["outcome"], "cancelled");
            }
        }
    }

    async fn end(&self, id: Uuid) -> End {
        let w = &self.wired.w;
        let sync = w.syncs().get_opt("run").await.unwrap();
        let end = End::of(w, id, sync.as_ref()).await;
        if let Some(sync) = &sync {
            assert_eq!(of(sync, "Finished").0, "True");
            let told = w.events("run").await;
            let last = format!("{:?}", phase(sync));
            assert!(told.contains(&last), "no Event {last} among {told:?}");
        }
        end
    }

    /// Waits for the end of the run, and of its object where somebody deletes it.
    async fn ended(&self) {
        let w = &self.wired.w;
        if !self.scenario.deletes() {
            w.finished("run").await;
            return;
        }
        until("the run's object is gone, or has ended", || async {
            w.syncs()
                .get_opt("run")
                .await
                .unwrap()
                .is_none_or(|s| {
                    s.metadata.deletion_timestamp.is_none()
                        && phase(&s).is_final()
                        && s.finalizers().is_empty()
                })
                .then_some(())
        })
        .await;
    }

    /// Waits until the operator has nothing left to do for the run: the connection was looked at again after its end.
    async fn over(&self) {
        self.ended().await;
        let w = &self.wired.w;
        until("the connection was looked at after the end", || async {
            let told = self.wired.effects.told();
            let last = told.iter().rposition(|effect| effect == FINALIZER)?;
            told[last..].iter().any(|effect| effect == COMMIT).then_some(())
        })
        .await;
        let Some(sync) = w.syncs().get_opt("run").await.unwrap() else {
            return;
        };
        if phase(&sync) == Phase::Completed && !sync.spec.dry_run {
            let started = sync.status.and_then(|s| s.start_time);
            w.connection_when("default", "tells of the success", |c| {
                c.status
                    .as_ref()
                    .is_some_and(|s| s.last_successful_sync_time >= started)
            })
            .await;
        }
    }

    /// Takes the run away.
    async fn clear(&self) {
        let w = &self.wired.w;
        w.tcs.clear();
        w.tcs.release();
        let _ = w.syncs().delete("run", &DeleteParams::default()).await;
        until("the run is gone", || async {
            w.syncs().get_opt("run").await.unwrap().is_none().then_some(())
        })
        .await;
        sqlx::query("delete from tarana_sync_logs where name = 'run'")
            .execute(&w.db)
            .await
            .unwrap();
    }
}

/// What is special about the connection.
fn spec() -> Value {
    json!({"api": {"requestTimeoutSeconds": 2}, "deleteGuard": {"freeCount": 1000}})
}

/// A fleet that is read in several pages.
fn tcs() -> Config {
    let fleet = FleetConfig {
        base_nodes: 30,
        training_nodes: 2,
        remote_nodes: 5,
        heavy_nodes: 1,
        ..FleetConfig::default()
    };
    Config {
        fleet,
        page_cap: 10,
        ..servers::tcs()
    }
}
