//! Rules for the chart: it contains the generated CRDs, sets only variables that the binary reads, and its README and schema
//! document every value.

use std::collections::BTreeSet;
use std::path::Path;

use super::assert_no_violations;
use super::files::{read, root, walk};

const CHART: &str = "charts/tarana-operator";

#[test]
fn the_chart_carries_the_generated_kinds() {
    let link = root().join(CHART).join("crds").read_link();
    assert_eq!(
        link.ok().as_deref(),
        Some(Path::new("../../crds")),
        "{CHART}/crds must be a link to the generated crds/, so that there is one copy: ln -s ../../crds {CHART}/crds"
    );
}

#[test]
fn the_chart_has_the_version_of_the_binary() {
    let (chart, version) = (read(&format!("{CHART}/Chart.yaml")), env!("CARGO_PKG_VERSION"));
    for line in ["version", "appVersion"] {
        let line = format!("\n{line}: {version}\n");
        assert!(
            chart.contains(&line),
            "{CHART}/Chart.yaml must say `{}`, as Cargo.toml does",
            line.trim()
        );
    }
}

#[test]
fn the_chart_sets_only_variables_that_the_binary_reads() {
    if !root().join("src/cli.rs").exists() {
        return;
    }
    let templates = walk(&root().join(CHART).join("templates"));
    let templates: String = templates
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert_no_violations(&unread_variables(&templates, &read("src/cli.rs")));
}

#[test]
fn every_value_is_documented_and_checked() {
    let [values, readme, schema] =
        ["values.yaml", "README.md", "values.schema.json"].map(|name| read(&format!("{CHART}/{name}")));
    assert_no_violations(&undocumented(&values, &readme, &schema));
}

/// Violations: variables that the templates set and the command line does not read.
fn unread_variables(templates: &str, cli: &str) -> Vec<String> {
    let heard = variables(cli);
    let unheard = variables(templates)
        .into_iter()
        .filter(|name| !heard.contains(name));
    unheard
        .map(|name| format!("the chart sets {name}, which src/cli.rs does not read: correct {CHART}/templates or add the flag"))
        .collect()
}

/// Words that begin with `TARANA_`.
fn variables(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("TARANA_")).collect()
}

/// Violations: top-level values that the README or the schema does not document.
fn undocumented(values: &str, readme: &str, schema: &str) -> Vec<String> {
    let keys = values
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, _)| key);
    let keys = keys.filter(|key| key.chars().all(char::is_alphanumeric));
    let is_documented =
        |key: &str| readme.contains(&format!("`{key}`")) || readme.contains(&format!("`{key}."));
    keys.filter(|key| !is_documented(key) || !schema.contains(&format!("\"{key}\"")))
        .map(|key| {
            format!(
                "{CHART}/values.yaml has `{key}`: put it into README.md and values.schema.json beside it too"
            )
        })
        .collect()
}

#[test]
fn these_walls_can_fail() {
    assert_eq!(
        unread_variables("name: TARANA_LOGS", "env = \"TARANA_LOG\"").len(),
        1
    );
    assert_eq!(
        unread_variables("name: TARANA_LOG", "env = \"TARANA_LOG\", env = \"TARANA_X\"").len(),
        0
    );
    let values = "# a: b\nlog:\n  filter: info\nreplicas: 1\n";
    assert_eq!(
        undocumented(values, "`log.filter` `replicas`", "\"log\" \"replicas\"").len(),
        0
    );
    assert_eq!(undocumented(values, "`log.filter`", "\"replicas\"").len(), 2);
}
