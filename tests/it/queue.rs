//! The queue of a connection with many runs: its order, its cost in writes, and what is updated after the end of a run.

use std::collections::BTreeMap;
use std::time::Instant;

use devenv::audit;
use futures::future::join_all;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::environment::{TestEnvironment, of, phase, wait_until};
use super::servers;

const RUNS: usize = 300;
/// Writes of one run: finalizer, status and Events; a run that waits writes its status once more.
const MAX_WRITES: usize = 10;

async fn with_small_fleet() -> TestEnvironment {
    TestEnvironment::with(servers::tcs_with(20)).await
}

fn name(number: usize) -> String {
    format!("run-{number:03}")
}

async fn events(env: &TestEnvironment) -> Vec<(String, String)> {
    let api: Api<Event> = Api::namespaced(env.client.clone(), &env.namespace);
    let events = api.list(&ListParams::default()).await.unwrap().items;
    let of_run = |e: Event| Some((e.regarding?.name?, e.reason?));
    events.into_iter().filter_map(of_run).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_runs_execute_in_order_and_each_is_written_a_few_times() {
    let env = with_small_fleet().await;
    env.ready().await;
    // The queue forms behind a run that hangs.
    env.tcs.set_rules(vec![servers::hanging_search()]);
    env.sync("blocker", json!({})).await;
    for chunk in (0..RUNS).collect::<Vec<_>>().chunks(20) {
        join_all(
            chunk
                .iter()
                .map(|n| async { env.sync(&name(*n), json!({})).await }),
        )
        .await;
    }
    for number in 0..RUNS {
        env.wait_for_sync(&name(number), "waits", |s| of(s, "Reconciling").1 == "Queued")
            .await;
    }
    let start = Instant::now();
    env.tcs.clear_rules();
    env.tcs.release_hanging();
    let mut runs = Vec::new();
    for number in 0..RUNS {
        runs.push(env.finished(&name(number)).await);
    }
    println!("{RUNS} runs: {:.1} s", start.elapsed().as_secs_f64());
    assert!(runs.iter().all(|run| phase(run) == Phase::Completed));

    runs.sort_by_key(|run| (run.metadata.creation_timestamp.clone(), run.name_any()));
    let expected: Vec<_> = runs.iter().map(ResourceExt::name_any).collect();
    let started: Vec<String> =
        sqlx::query_scalar("select name from tarana_sync_logs where name <> 'blocker' order by started_at")
            .fetch_all(&env.db)
            .await
            .unwrap();
    assert_eq!(started, expected, "by creation time, then name");

    let mut writes = BTreeMap::<String, usize>::new();
    for entry in audit::read(servers::plane().await.audit_log()).unwrap() {
        let object = &entry.object_ref;
        if object.namespace == env.namespace
            && object.resource == "taranasyncs"
            && entry.is_write()
            && entry.verb != "create"
        {
            *writes.entry(object.name.clone()).or_default() += 1;
        }
    }
    for (run, _) in events(&env).await {
        *writes.entry(run).or_default() += 1;
    }
    for number in 0..RUNS {
        let count = writes[&name(number)];
        assert!(
            (5..=MAX_WRITES).contains(&count),
            "{}: {count} writes",
            name(number)
        );
    }
}

/// Each end is announced once, also when many runs are deleted together.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_runs_that_are_deleted_together_end_once_each() {
    let env = with_small_fleet().await;
    env.ready().await;
    env.tcs.set_rules(vec![servers::hanging_search()]);
    env.sync("blocker", json!({})).await;
    let count = 100;
    for number in 0..count {
        env.sync(&name(number), json!({})).await;
    }
    for number in 0..count {
        env.wait_for_sync(&name(number), "waits", |s| of(s, "Reconciling").1 == "Queued")
            .await;
    }
    let all = ListParams::default().fields("metadata.name!=blocker");
    env.syncs()
        .delete_collection(&DeleteParams::default(), &all)
        .await
        .unwrap();
    wait_until("all are gone", || async {
        let left = env.syncs().list(&ListParams::default()).await.unwrap().items;
        (left.len() == 1).then_some(())
    })
    .await;
    let ends = wait_until("every end has its Event", || async {
        let mut ends = BTreeMap::<String, Vec<String>>::new();
        for (run, reason) in events(&env).await {
            ends.entry(run).or_default().push(reason);
        }
        (0..count).all(|n| ends.contains_key(&name(n))).then_some(ends)
    })
    .await;
    for number in 0..count {
        assert_eq!(ends[&name(number)], ["Cancelled"], "{}", name(number));
    }
    let cancelled = env
        .number("select count(*) from tarana_sync_logs where outcome = 'cancelled'")
        .await;
    assert_eq!(usize::try_from(cancelled), Ok(count));
    let patches = finalizer_patches(&env).await;
    assert_eq!(patches, (0, 1), "only the run that has started has a finalizer");
}

/// Patches of the operator that found no object, and all.
async fn finalizer_patches(env: &TestEnvironment) -> (usize, usize) {
    let entries = audit::read(servers::plane().await.audit_log()).unwrap();
    let patches = entries.iter().filter(|e| {
        let object = &e.object_ref;
        e.verb == "patch" && object.resource == "taranasyncs" && object.namespace == env.namespace
    });
    let codes: Vec<u16> = patches.map(|e| e.response_status.code).collect();
    (codes.iter().filter(|code| **code == 404).count(), codes.len())
}

/// `kubectl wait` and kstatus ignore conditions of an older generation.
#[tokio::test(flavor = "multi_thread")]
async fn a_finished_run_observes_later_changes_of_its_spec() {
    let env = with_small_fleet().await;
    let done = env.run("done", json!({})).await;
    for (generation, change) in [
        (2, json!({"ttlSecondsAfterFinished": 86400})),
        (3, json!({"cancel": true})),
    ] {
        let patch = Patch::Merge(json!({ "spec": change }));
        env.syncs()
            .patch("done", &PatchParams::default(), &patch)
            .await
            .unwrap();
        let observed = env
            .wait_for_sync("done", "observes the change", |s| {
                s.status.as_ref().unwrap().observed_generation == Some(generation)
            })
            .await;
        let same = |run: &TaranaSync| {
            let status = run.status.clone().unwrap();
            (
                status.phase,
                status.completion_time,
                status.counts,
                of(run, "Finished"),
            )
        };
        assert_eq!(same(&observed), same(&done));
        let conditions = observed.status.unwrap().conditions;
        assert!(
            conditions
                .iter()
                .all(|c| c.observed_generation == Some(generation)),
            "{conditions:?}"
        );
    }
}
