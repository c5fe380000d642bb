//! The documentation in `crds/` and the printed columns: the API server accepts every example.

use super::environment::TestEnvironment;
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
    env.run("first", serde_json::json!({})).await;
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
        "NAME CONNECTION PHASE STEP FETCHED NEW CHANGED DELETED SKIPPED AGE ATTEMPT UNCHANGED WITHHELD DRY RUN TRIGGER REASON"
    );
    assert_eq!(wide[1][..3], ["first", "default", "Completed"]);
    assert_eq!(wide[1].last().unwrap(), "Completed");
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
        2
    );
}
