//! Executes one disrupted run after the other in one environment.

use std::time::Duration;

use devenv::proxy::Target;
use devenv::simulator::{Config, FleetConfig};
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tarana_operator::api::sync::Phase;
use uuid::Uuid;

use super::outcome::Outcome;
use super::scenario::{Disruption, Scenario};
use super::{COMMIT, STATUS};
use crate::environment::{id_of, of, phase, wait_until};
use crate::expected_table;
use crate::operator_process::OperatorProcess;
use crate::proxied::Proxied;
use crate::servers;

/// The effect that was intercepted, and how the outcome differs from that of the undisturbed run.
pub type CaseResult = (String, Result<(), String>);

/// Short timeouts, so that a stall is short.
const VARIABLES: [(&str, &str); 1] = [("TARANA_KUBERNETES_TIMEOUT_SECONDS", "2")];
/// Within every timeout.
const SLOW_DELAY: Duration = Duration::from_millis(700);
/// Exceeds the timeouts for the API server and (`requestTimeoutSeconds`) for TCS.
const STALL: Duration = Duration::from_secs(4);
/// Exceeds the timeouts for the database; that of the COMMIT of Apply is 70 seconds.
const COMMIT_STALL: Duration = Duration::from_secs(75);

/// An environment, its operator, and the outcome of the undisturbed run.
pub struct TestBed {
    scenario: Scenario,
    proxied: Proxied,
    operator: OperatorProcess,
    /// How many cases were executed.
    cases: usize,
    /// The table before each run.
    before: Value,
    /// The outcome that every case must have.
    undisturbed: Outcome,
}

impl TestBed {
    /// Executes the undisturbed run.
    pub async fn new(scenario: Scenario) -> Self {
        let proxied = Proxied::new(tcs()).await;
        let operator = proxied.operator("0", &VARIABLES);
        let mut test_bed = Self {
            scenario,
            before: json!({}),
            undisturbed: Outcome {
                table: json!({}),
                status: None,
                rows: Vec::new(),
                changes: json!([]),
                outbox: json!([]),
            },
            proxied,
            operator,
            cases: 0,
        };
        test_bed.prepare().await;
        let id = test_bed.start_run(|_| {}).await;
        test_bed.wait_until_settled().await;
        test_bed.undisturbed = test_bed.outcome(id).await;
        test_bed.assert_reference().await;
        test_bed.delete_run().await;
        test_bed
    }

    /// Fills the table, then changes the fleet.
    async fn prepare(&mut self) {
        if self.scenario.is_first_run() {
            return;
        }
        let env = &self.proxied.env;
        self.proxied.connect(spec(self.scenario)).await;
        env.ready().await;
        assert_eq!(phase(&env.run("fill", json!({})).await), Phase::Completed);
        sqlx::query("create table before as select * from tarana_base_stations")
            .execute(&env.db)
            .await
            .unwrap();
        self.before = json!(expected_table::stored_rows(&env.db).await);
        env.tcs.drift(0.3);
        env.tcs.vanish(3);
        env.tcs.add(3);
    }

    /// Restores the table, ends the session, calls `arm`, and starts the run. A scenario that interrupts Fetch is cancelled or
    /// deleted while its listing hangs. Returns the run's id.
    async fn start_run(&mut self, arm: impl Fn(&Proxied)) -> Uuid {
        if self.scenario.is_first_run() {
            return self.start_first_run(arm).await;
        }
        // An interception that the last case did not reach must not affect this one.
        self.proxied.interceptor.reset();
        let env = &self.proxied.env;
        let restore =
            "delete from tarana_base_stations; insert into tarana_base_stations select * from before";
        sqlx::raw_sql(restore).execute(&env.db).await.unwrap();
        // Each run must log in.
        env.tcs.expire_sessions(true);
        let sync = if self.scenario.interrupts_fetch() {
            env.tcs.set_rules(vec![servers::hanging_search()]);
            let sync = env.sync("run", self.scenario.spec()).await;
            env.tcs.wait_until_hanging(1).await;
            arm(&self.proxied);
            self.interrupt_run().await;
            sync
        } else {
            arm(&self.proxied);
            env.sync("run", self.scenario.spec()).await
        };
        id_of(&sync)
    }

    /// Creates connection and run before the operator starts.
    async fn start_first_run(&mut self, arm: impl Fn(&Proxied)) -> Uuid {
        self.proxied = Proxied::new(tcs()).await;
        self.proxied.connect(spec(self.scenario)).await;
        let sync = self.proxied.env.sync("run", self.scenario.spec()).await;
        arm(&self.proxied);
        self.operator = self
            .proxied
            .operator(&format!("{}-first", self.cases), &VARIABLES);
        id_of(&sync)
    }

    async fn interrupt_run(&self) {
        if self.scenario.is_cancelled() {
            self.proxied.env.cancel("run").await;
        } else if self.scenario.is_deleted() {
            self.proxied.env.delete("run").await;
        }
    }

    /// Executes a run with this disruption. `None` if the run does not have the effect.
    pub async fn run_case(&mut self, target: Target, disruption: Disruption) -> Option<CaseResult> {
        self.cases += 1;
        let id = self
            .start_run(|proxied| proxied.interceptor.intercept(target, disruption.moment()))
            .await;
        let effect = tokio::select! {
            effect = self.proxied.interceptor.wait_until_intercepted() => effect,
            () = self.wait_until_settled() => {
                self.delete_run().await;
                return None;
            }
        };
        let comparison = match disruption {
            Disruption::Kill(moment) => {
                self.recover_from_kill(id, &format!("{}-{moment:?}", self.cases))
                    .await
            }
            _ => self.recover_from_network_fault(id, disruption, &effect).await,
        };
        assert!(
            self.operator.is_running(),
            "the operator exited: {}",
            self.operator.log_text()
        );
        self.delete_run().await;
        Some((effect, comparison))
    }

    /// Kills the operator and starts another one, of this name, which must finish the run.
    async fn recover_from_kill(&mut self, id: Uuid, next: &str) -> Result<(), String> {
        self.operator.kill();
        self.proxied.interceptor.drop_connection();
        self.proxied.env.tcs.clear_rules();
        self.proxied.env.tcs.release_hanging();
        let committed = self.is_committed(id).await;
        if !self.scenario.interrupts_fetch() {
            self.interrupt_run().await;
        }
        self.operator = self.proxied.operator(next, &VARIABLES);
        self.wait_until_ended().await;
        self.proxied.env.ready().await;
        let outcome = self.outcome(id).await;
        if self.scenario.interrupts_fetch() || !(self.scenario.is_cancelled() || self.scenario.is_deleted()) {
            outcome.compare(&self.undisturbed)
        } else if committed {
            outcome
                .without_status()
                .compare(&self.undisturbed.without_status())
        } else {
            self.check_cancelled(&outcome)
        }
    }

    /// Disrupts the connection. The operator must recover and log a warning.
    async fn recover_from_network_fault(
        &mut self,
        id: Uuid,
        disruption: Disruption,
        effect: &str,
    ) -> Result<(), String> {
        let log_length = self.operator.log_text().len();
        match disruption {
            Disruption::Cut(_) | Disruption::Kill(_) => self.proxied.interceptor.drop_connection(),
            Disruption::Slow(_) | Disruption::Stall(_) | Disruption::StallCommit(_) => {
                tokio::time::sleep(delay(disruption, effect)).await;
                self.proxied.interceptor.forward();
            }
        }
        self.wait_until_ended().await;
        self.proxied.env.ready().await;
        let outcome = self.outcome(id).await;
        if disruption.is_harmless_at(effect) {
            return outcome.compare(&self.undisturbed);
        }
        let log = self.operator.log_text();
        if !log[log_length..].contains("WARN") {
            return Err(format!("the operator logged no warning:\n{}", &log[log_length..]));
        }
        outcome
            .without_attempts()
            .compare(&self.undisturbed.without_attempts())
    }

    /// Whether the transaction of Apply was committed.
    async fn is_committed(&self, id: Uuid) -> bool {
        let completed = "select coalesce((select to_jsonb(status = 'completed') from tarana_sync_logs where id = $1), 'false')";
        // The database may be empty.
        let table = self
            .proxied
            .env
            .number("select count(*) from pg_class where relname = 'tarana_sync_logs'")
            .await;
        table > 0 && self.proxied.env.json(completed, id).await == json!(true)
    }

    /// A run that was cancelled or deleted before the second operator started is cancelled. It has no log row if no operator
    /// had seen it.
    fn check_cancelled(&self, outcome: &Outcome) -> Result<(), String> {
        let cancelled = |row: &Value| row["status"] == "failed" && row["outcome"] == "cancelled";
        let rows = outcome.rows.len() <= 1 && outcome.rows.iter().all(cancelled);
        let outbox = outcome.outbox.as_array().unwrap().len() == 2 * outcome.rows.len();
        let untouched = outcome.table == self.before && outcome.changes == json!([]);
        let status = outcome.status.as_ref().is_none_or(|status| {
            status["phase"] == "Cancelled"
                && status["lastFailure"].is_null()
                && status["attempt"].as_i64() <= Some(1)
        });
        if rows && outbox && untouched && status {
            Ok(())
        } else {
            Err(format!("not cancelled correctly: {outcome:#?}"))
        }
    }

    /// The undisturbed run itself does what the scenario describes.
    async fn assert_reference(&self) {
        let (env, undisturbed) = (&self.proxied.env, &self.undisturbed);
        assert_eq!(
            (
                undisturbed.rows.len(),
                undisturbed.outbox.as_array().unwrap().len()
            ),
            (1, 2)
        );
        match self.scenario {
            Scenario::FirstRun => expected_table::assert_table_matches_fleet(env).await,
            Scenario::WithDeletes | Scenario::CancelledWhileDown | Scenario::DeletedWhileDown => {
                expected_table::assert_table_matches_fleet(env).await;
                for counted in ["inserted", "updated", "deleted", "unchanged"] {
                    assert!(
                        undisturbed.rows[0][counted].as_i64() > Some(0),
                        "{counted}: {undisturbed:#?}"
                    );
                }
            }
            Scenario::DryRun => {
                assert_eq!(undisturbed.table, self.before);
                assert!(
                    undisturbed.changes.as_array().unwrap().len() > 6,
                    "{undisturbed:#?}"
                );
            }
            Scenario::CancelledInFetch | Scenario::DeletedInFetch => {
                assert_eq!(undisturbed.table, self.before);
                assert_eq!(undisturbed.rows[0]["outcome"], "cancelled");
            }
        }
    }

    async fn outcome(&self, id: Uuid) -> Outcome {
        let env = &self.proxied.env;
        let sync = env.syncs().get_opt("run").await.unwrap();
        let outcome = Outcome::of(env, id, sync.as_ref()).await;
        if let Some(sync) = &sync {
            assert_eq!(of(sync, "Finished").0, "True");
            let events = env.events("run").await;
            let last = format!("{:?}", phase(sync));
            assert!(events.contains(&last), "no Event {last} among {events:?}");
        }
        outcome
    }

    /// Waits until the run has ended, or its object is gone if it is deleted.
    async fn wait_until_ended(&self) {
        let env = &self.proxied.env;
        if !self.scenario.is_deleted() {
            env.finished("run").await;
            return;
        }
        wait_until("the run's object is gone or has ended", || async {
            env.syncs()
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

    /// Waits until the operator has nothing left to do: the connection records a success.
    async fn wait_until_settled(&self) {
        self.wait_until_ended().await;
        let env = &self.proxied.env;
        let Some(sync) = env.syncs().get_opt("run").await.unwrap() else {
            return;
        };
        if phase(&sync) != Phase::Completed || sync.spec.dry_run {
            return;
        }
        wait_until("the success was read after the end", || async {
            let effects = self.proxied.interceptor.recorded();
            let end = effects.iter().rposition(|effect| effect == STATUS)?;
            effects[end..].iter().any(|effect| effect == COMMIT).then_some(())
        })
        .await;
        let started = sync.status.and_then(|s| s.start_time);
        env.wait_for_connection("default", "records the success", |c| {
            c.status
                .as_ref()
                .is_some_and(|s| s.last_successful_sync_time >= started)
        })
        .await;
    }

    /// Deletes the run's object and log row.
    async fn delete_run(&self) {
        let env = &self.proxied.env;
        env.tcs.clear_rules();
        env.tcs.release_hanging();
        let _ = env.syncs().delete("run", &DeleteParams::default()).await;
        wait_until("the run is gone", || async {
            env.syncs().get_opt("run").await.unwrap().is_none().then_some(())
        })
        .await;
        sqlx::query("delete from tarana_sync_logs where name = 'run'")
            .execute(&env.db)
            .await
            .unwrap();
    }
}

fn delay(disruption: Disruption, effect: &str) -> Duration {
    match disruption {
        Disruption::StallCommit(_) => COMMIT_STALL,
        Disruption::Stall(_) if effect != COMMIT => STALL,
        _ => SLOW_DELAY,
    }
}

/// Changes to the default spec of the connection. Where the search hangs until the run is interrupted, it must not time out before.
fn spec(scenario: Scenario) -> Value {
    let timeout = if scenario.interrupts_fetch() { 60 } else { 2 };
    json!({"api": {"requestTimeoutSeconds": timeout}, "deleteGuard": {"freeCount": 1000}})
}

/// A fleet that needs several pages.
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
