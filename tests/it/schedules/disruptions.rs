//! At each effect of a reconcile of a schedule, the operator is killed and another one finishes, or the connection is cut or stalled and the
//! same one finishes.

use std::time::Duration;

use devenv::proxy::{Moment, Target};
use kube::ResourceExt;
use serde_json::json;
use tarana_operator::api::schedule::SlotOutcome::{Missed, Ran};
use tarana_operator::api::sync::Phase;

use super::{
    REQUEST, backdate, create, create_slot_run, newest, outcomes, runs, slot_name, trigger, wait_for_schedule,
};
use crate::environment::{TestEnvironment, wait_until};
use crate::operator_process::OperatorProcess;
use crate::proxied::Proxied;
use crate::servers;

/// A short timeout, so that a stall is short.
const VARIABLES: [(&str, &str); 1] = [("TARANA_KUBERNETES_TIMEOUT_SECONDS", "2")];
/// Exceeds that timeout.
const STALL: Duration = Duration::from_secs(4);

/// The effects of a reconcile: it creates the run, records it, and publishes Events. The run waits because its connection does
/// not exist.
const SLOT: [&str; 3] = [
    "POST taranasyncs",
    "PUT taranasyncschedules/s/status",
    "POST events",
];
const REPLACEMENT: [&str; 2] = ["PATCH taranasyncs/s-old", "DELETE taranasyncs/s-old"];
const REQUESTED: [&str; 2] = ["POST taranasyncs", "PUT taranasyncschedules/s/status"];

/// What happens at an effect.
#[derive(Clone, Copy, Debug)]
enum Disruption {
    Kill,
    Cut,
    Stall,
}

/// A disruption of one effect.
#[derive(Clone, Copy, Debug)]
struct Case {
    target: Target,
    moment: Moment,
    disruption: Disruption,
}

/// Runs an operator until this effect, or until `settled` if there is none. Returns the effect, and the operator that finishes.
async fn disrupt(
    proxied: &Proxied,
    case: Case,
    settled: impl Future<Output = ()>,
) -> (Option<String>, OperatorProcess) {
    proxied.interceptor.intercept(case.target, case.moment);
    let mut operator = proxied.operator("first", &VARIABLES);
    let effect = tokio::select! {
        effect = proxied.interceptor.wait_until_intercepted() => Some(effect),
        () = settled => None,
    };
    match case.disruption {
        Disruption::Kill => {
            operator.kill();
            proxied.interceptor.drop_connection();
            operator = proxied.operator("second", &VARIABLES);
        }
        Disruption::Cut => proxied.interceptor.drop_connection(),
        Disruption::Stall => {
            tokio::time::sleep(STALL).await;
            proxied.interceptor.forward();
        }
    }
    (effect, operator)
}

/// Executes a case for the first, second, … of these effects, at each moment, until it returns that there is none.
async fn at_each(
    effects: &[&'static str],
    disruption: Disruption,
    run: impl AsyncFn(Case) -> Option<String>,
) {
    for moment in [Moment::Before, Moment::After] {
        for effect in effects {
            let case = |nth| Case {
                target: Target::NthNamed(nth, effect),
                moment,
                disruption,
            };
            let mut nth = 1;
            while run(case(nth)).await.is_some() {
                nth += 1;
            }
            assert!(nth > 1, "{moment:?}: no effect {effect:?}");
        }
    }
}

async fn names(env: &TestEnvironment) -> Vec<String> {
    runs(env).await.iter().map(ResourceExt::name_any).collect()
}

/// One slot is missed, and one runs.
async fn run_slot(case: Case) -> Option<String> {
    let proxied = Proxied::new(servers::tcs()).await;
    let env = &proxied.env;
    create(env, "s", json!({})).await;
    backdate(env, "s", 2).await;
    let slot = newest();
    let name = slot_name("s", slot);
    let recorded = async || {
        wait_for_schedule(env, "s", "has recorded its slot", |s| {
            s.status
                .as_ref()
                .is_some_and(|s| s.active == [name.clone()] && s.last_schedule_time.is_some())
        })
        .await
    };
    let settled = async {
        recorded().await;
        env.wait_for_sync(&name, "waits for its connection", |s| s.status.is_some())
            .await;
        wait_until("the Events are published", || async {
            (env.events("s").await.len() >= 3).then_some(())
        })
        .await;
    };
    let (effect, _operator) = disrupt(&proxied, case, settled).await;
    let status = recorded().await.status.unwrap();
    let case = format!("{effect:?}, {case:?}");
    assert_eq!(
        status.last_schedule_time.as_ref().map(|t| t.0),
        Some(slot),
        "{case}"
    );
    assert_eq!(status.not_before.as_ref().map(|t| t.0), Some(slot), "{case}");
    assert_eq!(outcomes(&status), [Ran, Missed], "{case}");
    assert_eq!(names(env).await, [name], "{case}");
    effect
}

/// Replace cancels the active run, the slot's run is created, and the history limit deletes the cancelled one.
async fn replace_run(case: Case) -> Option<String> {
    let proxied = Proxied::new(servers::tcs()).await;
    let env = &proxied.env;
    let spec = json!({"concurrencyPolicy": "Replace", "failedSyncsHistoryLimit": 0});
    let schedule = create(env, "s", spec).await;
    create_slot_run(env, &schedule, "s-old").await;
    backdate(env, "s", 1).await;
    let slot = newest();
    let name = slot_name("s", slot);
    let settled = async || {
        wait_until("only the run of the slot is left", || async {
            (names(env).await == [name.clone()]).then_some(())
        })
        .await;
        wait_for_schedule(env, "s", "has recorded both runs", |s| {
            s.status.as_ref().is_some_and(|s| {
                s.active == [name.clone()] && s.last_sync.as_ref().is_some_and(|last| last.name == "s-old")
            })
        })
        .await
    };
    let (effect, _operator) = disrupt(&proxied, case, async { drop(settled().await) }).await;
    let status = settled().await.status.unwrap();
    let case = format!("{effect:?}, {case:?}");
    assert_eq!(
        status.last_sync.as_ref().unwrap().phase,
        Phase::Cancelled,
        "{case}"
    );
    assert_eq!(
        status.last_schedule_time.as_ref().map(|t| t.0),
        Some(slot),
        "{case}"
    );
    assert_eq!(outcomes(&status), [Ran], "{case}");
    effect
}

/// A request creates one run.
async fn handle_request(case: Case) -> Option<String> {
    let proxied = Proxied::new(servers::tcs()).await;
    let env = &proxied.env;
    create(env, "s", json!({"suspend": true})).await;
    trigger(env, "s", REQUEST).await;
    let settled = async || {
        wait_for_schedule(env, "s", "has handled the request", |s| {
            s.status
                .as_ref()
                .is_some_and(|s| s.last_handled_trigger.as_deref() == Some(REQUEST) && s.active.len() == 1)
        })
        .await;
    };
    let (effect, _operator) = disrupt(&proxied, case, settled()).await;
    settled().await;
    assert_eq!(runs(env).await.len(), 1, "{effect:?}, {case:?}");
    effect
}

#[tokio::test(flavor = "multi_thread")]
async fn each_slot_runs_once_despite_a_crash_at_any_effect() {
    at_each(&SLOT, Disruption::Kill, run_slot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replace_and_history_limit_finish_despite_a_crash_at_any_effect() {
    at_each(&REPLACEMENT, Disruption::Kill, replace_run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_creates_one_run_despite_a_crash_at_any_effect() {
    at_each(&REQUESTED, Disruption::Kill, handle_request).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn schedules_finish_their_turns_despite_a_cut_or_stalled_connection_at_any_effect() {
    for disruption in [Disruption::Cut, Disruption::Stall] {
        tokio::join!(
            at_each(&SLOT, disruption, run_slot),
            at_each(&REPLACEMENT, disruption, replace_run),
            at_each(&REQUESTED, disruption, handle_request)
        );
    }
}
