//! The crash matrix of a schedule's turn: the operator is killed around each of its effects, and another one finishes.

use devenv::wires::{Moment, Target};
use kube::ResourceExt;
use serde_json::json;

use super::{backdate, create, newest, runs, schedule_when, slot_name};
use crate::servers;
use crate::wired::Wired;

/// What a turn does to the world: it creates the run, records it, and publishes its Events. The run itself waits for a
/// connection that is not there.
const EFFECTS: [&str; 3] = [
    "POST taranasyncs",
    "PUT taranasyncschedules/s/status",
    "POST events",
];

#[tokio::test(flavor = "multi_thread")]
async fn each_slot_once_wherever_it_is_killed() {
    for moment in [Moment::Before, Moment::After] {
        for effect in EFFECTS {
            let mut nth = 1;
            while killed(Target::NthNamed(nth, effect), moment).await.is_some() {
                nth += 1;
            }
            assert!(nth > 1, "{moment:?}: no effect {effect:?}");
        }
    }
}

/// The effect at which it was killed; nothing if it never came to so many.
async fn killed(target: Target, moment: Moment) -> Option<String> {
    let wired = Wired::new(servers::tcs()).await;
    let w = &wired.w;
    create(w, "s", json!({})).await;
    backdate(w, "s", 2).await;
    let slot = newest();
    let name = slot_name("s", slot);
    wired.effects.catch(target, moment);
    let mut operator = wired.operator("first", &[]);
    let done = async {
        schedule_when(w, "s", "has told of its slot", |s| {
            s.status
                .as_ref()
                .is_some_and(|s| s.active == [name.clone()] && s.last_schedule_time.is_some())
        })
        .await;
        w.sync_when(&name, "waits for its connection", |s| s.status.is_some())
            .await;
        crate::world::until("both Events are there", || async {
            (w.events("s").await.len() >= 3).then_some(())
        })
        .await;
    };
    let effect = tokio::select! {
        effect = wired.effects.caught() => Some(effect),
        () = done => None,
    };
    operator.kill();
    wired.effects.cut();
    let _second = wired.operator("second", &[]);
    let told = schedule_when(w, "s", "has told of its slot", |s| {
        s.status.as_ref().is_some_and(|s| s.active == [name.clone()])
    })
    .await;
    let status = told.status.unwrap();
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
    let names: Vec<String> = runs(w).await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, [name], "{case}");
    effect
}
