//! The annotations for Artifact Hub in both charts: they name the generated CRDs, and the API server accepts their examples.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::crds::generated;
use super::{CHART, CRD_CHART, TestEnvironment, dry_run, read, servers};

fn chart(folder: &str) -> Value {
    serde_saphyr::from_str(&read(&format!("{folder}/Chart.yaml"))).unwrap()
}

/// The YAML in an annotation of Artifact Hub.
fn annotation(chart: &Value, name: &str) -> Vec<Value> {
    let text = chart["annotations"][format!("artifacthub.io/{name}")]
        .as_str()
        .unwrap();
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn the_annotations_name_the_generated_crds() {
    let expected: BTreeSet<String> = generated()
        .iter()
        .map(|crd| {
            let spec = &crd["spec"];
            json!([
                crd["metadata"]["name"],
                spec["names"]["kind"],
                spec["versions"][0]["name"]
            ])
            .to_string()
        })
        .collect();
    for folder in [CHART, CRD_CHART] {
        let chart = chart(folder);
        let crds = annotation(&chart, "crds");
        let named = crds
            .iter()
            .map(|crd| json!([crd["name"], crd["kind"], crd["version"]]).to_string());
        assert_eq!(named.collect::<BTreeSet<_>>(), expected, "{folder}");
        for crd in &crds {
            for field in ["displayName", "description"] {
                assert!(
                    crd[field].as_str().is_some_and(|text| !text.is_empty()),
                    "{folder}: {crd}"
                );
            }
        }
        assert_eq!(
            chart["annotations"]["artifacthub.io/license"],
            license(),
            "{folder}"
        );
    }
}

/// The license in Cargo.toml.
fn license() -> String {
    let manifest = read("Cargo.toml");
    let line = manifest.lines().find_map(|line| line.strip_prefix("license = "));
    line.unwrap().trim_matches('"').to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_an_example_of_each_kind() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    for folder in [CHART, CRD_CHART] {
        let mut examples = annotation(&chart(folder), "crdsExamples");
        for example in &mut examples {
            example["metadata"]["namespace"] = json!(env.namespace);
        }
        let kinds: BTreeSet<_> = examples
            .iter()
            .map(|example| example["kind"].to_string())
            .collect();
        let expected: BTreeSet<_> = generated()
            .iter()
            .map(|crd| crd["spec"]["names"]["kind"].to_string())
            .collect();
        assert_eq!(kinds, expected, "{folder}");
        dry_run(&examples)
            .await
            .unwrap_or_else(|error| panic!("{folder}: {error}"));
    }
}
