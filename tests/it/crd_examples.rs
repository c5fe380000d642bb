//! The documentation in `crds/` and the printed columns: the API server accepts every example.

use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tarana_operator::api::reason::Reason;
use tarana_operator::api::schedule::TaranaSyncSchedule;

use super::environment::{TestEnvironment, of};
use super::servers;

fn examples(page: &str) -> Vec<String> {
    page.split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_example_is_accepted() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let kubectl = servers::plane().await.kubectl();
    for page in [
        include_str!("../../crds/taranaconnection.md"),
        include_str!("../../crds/taranasync.md"),
        include_str!("../../crds/taranasyncschedule.md"),
    ] {
        let examples = examples(page);
        assert!(!examples.is_empty());
        for example in examples {
            let made = kubectl
                .run_with(&["create", "-n", &env.namespace, "-f", "-"], &example)
                .await;
            assert!(made.is_ok(), "{example}\n{made:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_get_prints_the_expected_columns() {
    let env = TestEnvironment::new().await;
    env.run("first", json!({})).await;
    env.sync("waits", json!({"connectionRef": {"name": "nobody"}}))
        .await;
    env.wait_for_sync("waits", "waits", |s| of(s, "Ready").1 == "ConnectionNotFound")
        .await;
    let kubectl = servers::plane().await.kubectl();
    let get = async |args: &[&str]| {
        let printed = kubectl
            .run(&[&["get", "-n", env.namespace.as_str()], args].concat())
            .await
            .unwrap();
        printed
            .lines()
            .map(|l| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let wide = get(&["tsync", "-o", "wide"]).await;
    assert_eq!(
        wide[0].join(" "),
        "NAME CONNECTION PHASE REASON NEW CHANGED DELETED WITHHELD AGE STEP ATTEMPT FETCHED UNCHANGED SKIPPED DRY RUN TRIGGER"
    );
    assert_eq!(wide[1][..4], ["first", "default", "Completed", "Completed"]);
    assert_eq!(wide[2][..4], ["waits", "nobody", "Pending", "ConnectionNotFound"]);
    let connections = get(&["tconn"]).await;
    assert_eq!(
        connections[0].join(" "),
        "NAME READY REASON STATIONS ACTIVE LAST SUCCESS AGE"
    );
    assert_eq!(connections[1][..3], ["default", "True", "Verified"]);
    let selected = get(&[
        "tsync",
        "--field-selector",
        "status.phase=Failed",
        "--ignore-not-found",
    ])
    .await;
    assert!(selected.is_empty(), "{selected:?}");
    assert_eq!(
        get(&["tarana", "--no-headers"])
            .await
            .iter()
            .filter(|l| !l.is_empty())
            .count(),
        3
    );
}

/// Longest age that kubectl prints, such as `2y150d`.
const AGE_WIDTH: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_get_fits_in_120_columns() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    create_widest_objects(&env).await;
    let kubectl = servers::plane().await.kubectl();
    for (kind, columns) in [
        (
            "tsync",
            "NAME CONNECTION PHASE REASON NEW CHANGED DELETED WITHHELD AGE",
        ),
        ("tconn", "NAME READY REASON STATIONS ACTIVE LAST SUCCESS AGE"),
        ("tss", "NAME SCHEDULE READY REASON NEXT LAST SUCCESS FAILURES AGE"),
    ] {
        let printed = kubectl.run(&["get", kind, "-n", &env.namespace]).await.unwrap();
        let header = printed.lines().next().unwrap();
        let words: Vec<_> = header.split_whitespace().collect();
        assert_eq!(words.join(" "), columns);
        let width = header.find("AGE").unwrap() + AGE_WIDTH;
        assert!(width <= 120, "{width} columns:\n{printed}");
        println!("{kind}: {width} columns\n{printed}");
    }
}

/// An object of each kind, with the longest values that are usual.
async fn create_widest_objects(env: &TestEnvironment) {
    let by_length = |r: &&Reason| r.as_str().len();
    let reason = Reason::ALL.iter().max_by_key(by_length).unwrap().as_str();
    let run = "nightly-29384640";
    let conditions = |reason: &str| {
        json!([{"type": "Ready", "status": "Unknown", "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}])
    };
    let (params, count) = (PatchParams::default(), 718_000);
    env.sync(run, json!({})).await;
    env.sync("sync-x7k2p", json!({})).await;
    let counts = json!({"fetched": count, "inserted": count, "updated": count, "unchanged": count,
        "deleted": count, "skipped": count, "withheld": count});
    let status = json!({"phase": "Completed", "counts": counts, "conditions": conditions(reason)});
    let patch = Patch::Merge(json!({ "status": status }));
    env.syncs().patch_status(run, &params, &patch).await.unwrap();
    env.connection("default", json!({})).await;
    let status = json!({"stationCount": count, "activeSync": run, "conditions": conditions(reason),
        "lastSuccessfulSyncTime": "2026-01-01T00:00:00Z"});
    let patch = Patch::Merge(json!({ "status": status }));
    let connections = env.connections();
    connections
        .patch_status("default", &params, &patch)
        .await
        .unwrap();
    let schedules: Api<TaranaSyncSchedule> = Api::namespaced(env.client.clone(), &env.namespace);
    let object = json!({"metadata": {"name": "nightly"}, "spec": {"schedule": "*/15 6-20 * * 1-5"}});
    let object = serde_json::from_value(object).unwrap();
    schedules.create(&PostParams::default(), &object).await.unwrap();
    // The longest reason of a schedule.
    let status = json!({"conditions": conditions("ConnectionNotFound"), "consecutiveFailures": count,
        "nextScheduleTime": "2026-01-01T00:00:00Z", "lastSuccessfulTime": "2026-01-01T00:00:00Z"});
    let patch = Patch::Merge(json!({ "status": status }));
    let patched = schedules.patch_status("nightly", &params, &patch);
    patched.await.unwrap();
}
