//! A table of cases for each template: what is rendered by default, and what the values change.

use std::collections::BTreeSet;

use super::{CHART, helm, root, run_helm};

mod access;
mod monitoring;
mod pods;

/// What a template renders with these values.
pub struct Case {
    /// The name of the file, without its extension.
    template: &'static str,
    /// What `--set` sets.
    values: &'static str,
    /// Lines that must be rendered, without indentation.
    has: &'static [&'static str],
    /// Texts that must not be rendered.
    lacks: &'static [&'static str],
}

fn cases() -> impl Iterator<Item = &'static Case> {
    [pods::CASES, access::CASES, monitoring::CASES]
        .into_iter()
        .flatten()
}

/// What the template renders for the release `op` in the namespace `sys`; empty if it renders nothing.
async fn render(template: &str, values: &str) -> Result<String, String> {
    let file = format!("templates/{template}.yaml");
    let arguments = [
        "template",
        "op",
        CHART,
        "--namespace",
        "sys",
        "--set",
        "fullnameOverride=op",
    ];
    let selected = ["--show-only", &file, "--set", values];
    match run_helm(&[&arguments[..], &selected[..]].concat()).await {
        Err(error) if error.contains("could not find template") => Ok(String::new()),
        rendered => rendered,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_template_renders_the_expected_lines() {
    for case in cases() {
        let Case {
            template,
            values,
            has,
            lacks,
        } = case;
        let text = render(template, values)
            .await
            .unwrap_or_else(|e| panic!("{template} {values}: {e}"));
        for line in *has {
            assert!(
                text.lines().any(|l| l.trim() == *line),
                "{template} {values}: {line} is not in\n{text}"
            );
        }
        for absent in *lacks {
            assert!(
                !text.contains(absent),
                "{template} {values}: {absent} is in\n{text}"
            );
        }
        assert!(
            !has.is_empty() || text.trim().is_empty(),
            "{template} {values}: a case without lines renders nothing, but there is\n{text}"
        );
    }
}

/// Templates that render no objects have tests of their own: NOTES.txt in `notes.rs`. The files that begin with `_` are part of the others.
#[test]
fn every_template_has_cases_with_the_defaults_and_with_other_values() {
    let folder = std::fs::read_dir(root().join(CHART).join("templates")).unwrap();
    let files: BTreeSet<String> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('_') && name != "NOTES.txt")
        .collect();
    let named: BTreeSet<String> = cases().map(|case| format!("{}.yaml", case.template)).collect();
    assert_eq!(files, named, "templates, and those with cases");
    for file in files {
        let of = cases().filter(|case| format!("{}.yaml", case.template) == file);
        let (defaults, changed): (Vec<_>, Vec<_>) = of.partition(|case| case.values.is_empty());
        assert!(
            defaults.len() == 1 && !changed.is_empty(),
            "{file} needs one case with the defaults, and one with other values"
        );
        assert!(
            changed.iter().chain(&defaults).any(|case| !case.has.is_empty()),
            "{file} is never rendered"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contradicting_values_are_rejected_with_the_remedy() {
    for (values, expected) in [
        (
            "leaderElection.enabled=false",
            "leaderElection.enabled: false needs replicas: 1, not 2 (the default is 2): set replicas: 1",
        ),
        (
            "leaderElection.enabled=false,replicas=3",
            "needs replicas: 1, not 3",
        ),
        ("metrics.port=8080", "metrics.port and admin.port must differ"),
        (
            "admin.auth={supabase}",
            "needs admin.supabase.url: the URL of the project",
        ),
        (
            "metrics.enabled=false,metrics.serviceMonitor.enabled=true",
            "needs metrics.enabled: true, or there is nothing to scrape",
        ),
        (
            "metrics.enabled=false,metrics.prometheusRule.enabled=true",
            "needs metrics.enabled: true, or TaranaDown fires forever",
        ),
        (
            "podDisruptionBudget.maxUnavailable=0",
            "/podDisruptionBudget/maxUnavailable",
        ),
        (
            "podDisruptionBudget.maxUnavailable=101%",
            "/podDisruptionBudget/maxUnavailable",
        ),
    ] {
        let arguments = ["template", "op", CHART, "--set", values];
        let error = run_helm(&arguments).await.unwrap_err();
        assert!(error.contains(expected), "{values}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_needs_no_leader_election() {
    for values in [
        "leaderElection.enabled=false,replicas=1",
        "leaderElection.enabled=false,replicas=0",
    ] {
        let deployment = render("deployment", values).await.unwrap();
        assert!(deployment.contains("type: Recreate"), "{deployment}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_of_constraints_leaves_the_spread_to_the_scheduler() {
    let arguments = [
        "template",
        "op",
        CHART,
        "--set-json",
        "topologySpreadConstraints=[]",
    ];
    let rendered = helm(&arguments).await;
    assert!(rendered.contains("kind: Deployment"), "{rendered}");
    assert!(!rendered.contains("topologySpreadConstraints"), "{rendered}");
}
