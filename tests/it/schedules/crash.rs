//! The operator is killed around each effect of a reconcile of a schedule, and another one finishes.

use devenv::proxy::{Moment, Target};
use kube::ResourceExt;
use serde_json::json;
use tarana_operator::api::schedule::SlotOutcome::{Missed, Ran};
use tarana_operator::api::sync::Phase;

use super::{
    REQUEST, backdate, create, create_slot_run, newest, outcomes, runs, slot_name, trigger, wait_for_schedule,
};
use crate::environment::wait_until;
use crate::proxied::Proxied;
use crate::servers;

/// The effects of a reconcile: it creates the run, records it, and publishes Events. The run waits because its connection does
/// not exist.
const EFFECTS: [&str; 3] = [
    "POST taranasyncs",
    "PUT taranasyncschedules/s/status",
    "POST events",
];

#[tokio::test(flavor = "multi_thread")]
async fn each_slot_runs_once_despite_a_crash_at_any_effect() {
    at_each(&EFFECTS, kill_at).await;
}

/// Kills the operator at this effect. Returns the effect, or `None` if there is none.
async fn kill_at(target: Target, moment: Moment) -> Option<String> {
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
    let effect = kill_operator(&proxied, target, moment, settled).await;
    let _second = proxied.operator("second", &[]);
    let status = recorded().await.status.unwrap();
    let case = format!("{effect:?}, {moment:?}");
    assert_eq!(
        status.last_schedule_time.as_ref().map(|t| t.0),
        Some(slot),
        "{case}"
    );
    assert_eq!(status.not_before.as_ref().map(|t| t.0), Some(slot), "{case}");
    assert_eq!(outcomes(&status), [Ran, Missed], "{case}");
    let names: Vec<String> = runs(env).await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, [name], "{case}");
    effect
}

/// Runs an operator until this effect, or until `settled` if there is no such effect, and kills it.
async fn kill_operator(
    proxied: &Proxied,
    target: Target,
    moment: Moment,
    settled: impl Future<Output = ()>,
) -> Option<String> {
    proxied.interceptor.intercept(target, moment);
    let mut operator = proxied.operator("first", &[]);
    let effect = tokio::select! {
        effect = proxied.interceptor.wait_until_intercepted() => Some(effect),
        () = settled => None,
    };
    operator.kill();
    proxied.interceptor.drop_connection();
    effect
}

/// Calls `kill_at` for the first, second, … of these effects, at each moment.
async fn at_each(effects: &[&'static str], kill_at: impl AsyncFn(Target, Moment) -> Option<String>) {
    for moment in [Moment::Before, Moment::After] {
        for effect in effects {
            let mut nth = 1;
            while kill_at(Target::NthNamed(nth, effect), moment).await.is_some() {
                nth += 1;
            }
            assert!(nth > 1, "{moment:?}: no effect {effect:?}");
        }
    }
}

/// Replace cancels the active run, the slot's run is created, and the history limit deletes the cancelled one.
#[tokio::test(flavor = "multi_thread")]
async fn replace_and_history_limit_finish_despite_a_crash_at_any_effect() {
    at_each(
        &["PATCH taranasyncs/s-old", "DELETE taranasyncs/s-old"],
        async |target, moment| {
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
                    let names: Vec<String> = runs(env).await.iter().map(ResourceExt::name_any).collect();
                    (names == [name.clone()]).then_some(())
                })
                .await;
                wait_for_schedule(env, "s", "has recorded both runs", |s| {
                    s.status.as_ref().is_some_and(|s| {
                        s.active == [name.clone()]
                            && s.last_sync.as_ref().is_some_and(|last| last.name == "s-old")
                    })
                })
                .await
            };
            let effect = kill_operator(&proxied, target, moment, async { drop(settled().await) }).await;
            let _second = proxied.operator("second", &[]);
            let status = settled().await.status.unwrap();
            let case = format!("{effect:?}, {moment:?}");
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
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_creates_one_run_despite_a_crash_at_any_effect() {
    let effects = ["POST taranasyncs", "PUT taranasyncschedules/s/status"];
    at_each(&effects, async |target, moment| {
        let proxied = Proxied::new(servers::tcs()).await;
        let env = &proxied.env;
        create(env, "s", json!({"suspend": true})).await;
        trigger(env, "s", REQUEST).await;
        let settled = async || {
            wait_for_schedule(env, "s", "has handled the request", |s| {
                s.status.as_ref().is_some_and(|s| {
                    s.last_handled_trigger.as_deref() == Some(REQUEST) && s.active.len() == 1
                })
            })
            .await;
        };
        let effect = kill_operator(&proxied, target, moment, settled()).await;
        let _second = proxied.operator("second", &[]);
        settled().await;
        assert_eq!(runs(env).await.len(), 1, "{effect:?}, {moment:?}");
        effect
    })
    .await;
}
