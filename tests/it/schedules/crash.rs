//! The operator is killed around each effect of a reconcile of a schedule, and another one finishes.

use devenv::proxy::{Moment, Target};
use kube::ResourceExt;
use serde_json::json;

use super::{backdate, create, newest, runs, slot_name, wait_for_schedule};
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
    for moment in [Moment::Before, Moment::After] {
        for effect in EFFECTS {
            let mut nth = 1;
            while kill_at(Target::NthNamed(nth, effect), moment).await.is_some() {
                nth += 1;
            }
            assert!(nth > 1, "{moment:?}: no effect {effect:?}");
        }
    }
}

/// Kills the operator at this effect. Returns the effect, or `None` if there is none.
async fn kill_at(target: Target, moment: Moment) -> Option<String> {
    let proxied = Proxied::new(servers::tcs()).await;
    let env = &proxied.env;
    create(env, "s", json!({})).await;
    backdate(env, "s", 2).await;
    let slot = newest();
    let name = slot_name("s", slot);
    proxied.interceptor.intercept(target, moment);
    let mut operator = proxied.operator("first", &[]);
    let done = async {
        wait_for_schedule(env, "s", "has recorded its slot", |s| {
            s.status
                .as_ref()
                .is_some_and(|s| s.active == [name.clone()] && s.last_schedule_time.is_some())
        })
        .await;
        env.wait_for_sync(&name, "waits for its connection", |s| s.status.is_some())
            .await;
        wait_until("the Events are published", || async {
            (env.events("s").await.len() >= 3).then_some(())
        })
        .await;
    };
    let effect = tokio::select! {
        effect = proxied.interceptor.wait_until_intercepted() => Some(effect),
        () = done => None,
    };
    operator.kill();
    proxied.interceptor.drop_connection();
    let _second = proxied.operator("second", &[]);
    let schedule = wait_for_schedule(env, "s", "has recorded its slot", |s| {
        s.status.as_ref().is_some_and(|s| s.active == [name.clone()])
    })
    .await;
    let status = schedule.status.unwrap();
    let case = format!("{effect:?}, {moment:?}");
    assert_eq!(
        status.last_schedule_time.as_ref().map(|t| t.0),
        Some(slot),
        "{case}"
    );
    assert_eq!(status.not_before.as_ref().map(|t| t.0), Some(slot), "{case}");
    assert_eq!(
        status.last_skipped.as_ref().map(|s| s.reason.as_str()),
        Some("SlotMissed"),
        "{case}"
    );
    let names: Vec<String> = runs(env).await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, [name], "{case}");
    effect
}
