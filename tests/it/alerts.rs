//! The alerts, the dashboard and the runbook of the chart: promtool tests each alert, and all of them name only metrics that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use super::store_support::{self, AccessMode};

mod promql;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/tarana-operator");
/// The files with the tests of promtool.
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/alerts");
const DASHBOARD: &str = "dashboards/tarana.json";

/// Renders the release `op` in the namespace `sys`, with these values; the error is that of Helm.
async fn render(values: &[&str], template: &str) -> Result<Value, String> {
    let helm = devenv::tools::helm().await.unwrap();
    let mut command = Command::new(helm);
    command.args([
        "template",
        "op",
        CHART,
        "--namespace",
        "sys",
        "--set",
        "fullnameOverride=op",
    ]);
    command.args(["--show-only", &format!("templates/{template}.yaml")]);
    let output = command.args(values).output().await.unwrap();
    if output.status.success() {
        let text = String::from_utf8(output.stdout).unwrap();
        return Ok(serde_saphyr::from_str(&text).unwrap());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn render_rules(values: &[&str]) -> Result<Value, String> {
    let enabled = [
        "--set",
        "metrics.prometheusRule.enabled=true,metrics.prometheusRule.runbookUrl=https://example.org/RUNBOOK.md",
    ];
    render(&[&enabled, values].concat(), "prometheusrule").await
}

/// The alerts of a `PrometheusRule` by name.
fn alerts(rule: &Value) -> BTreeMap<String, Value> {
    let groups = rule["spec"]["groups"].as_array().unwrap().iter();
    let alerts = groups.flat_map(|group| group["rules"].as_array().unwrap());
    alerts
        .map(|alert| (alert["alert"].as_str().unwrap().to_owned(), alert.clone()))
        .collect()
}

fn chart_file(name: &str) -> String {
    fs::read_to_string(Path::new(CHART).join(name)).unwrap()
}

/// Path and text of each file with tests of promtool.
fn test_files() -> Vec<(String, String)> {
    let files = fs::read_dir(TESTS).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Each query of the dashboard with its panel.
fn targets(dashboard: &Value) -> Vec<(&Value, &Value)> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let panels = panels.filter_map(|panel| Some((panel, panel["targets"].as_array()?)));
    panels
        .flat_map(|(panel, targets)| targets.iter().map(move |target| (panel, target)))
        .collect()
}

fn rules_of_the_dashboard() -> Value {
    let dashboard: Value = serde_json::from_str(&chart_file(DASHBOARD)).unwrap();
    let rules = targets(&dashboard)
        .into_iter()
        .enumerate()
        .map(|(at, (_, target))| {
            let expression = target["expr"].as_str().unwrap().replace("$__rate_interval", "5m");
            serde_json::json!({"record": format!("panel_{at}"), "expr": expression})
        });
    serde_json::json!({"groups": [{"name": "dashboard", "rules": rules.collect::<Vec<_>>()}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_accepts_the_alerts_and_their_tests_pass() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("alerts-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let rule = render_rules(&[]).await.unwrap();
    // JSON is YAML.
    fs::write(folder.join("rules.yaml"), rule["spec"].to_string()).unwrap();
    // The expressions of the dashboard, as rules, so that their syntax is checked as well.
    fs::write(
        folder.join("dashboard.yaml"),
        rules_of_the_dashboard().to_string(),
    )
    .unwrap();
    let tests = test_files();
    for (name, text) in &tests {
        fs::write(folder.join(name), text).unwrap();
    }
    let promtool = devenv::promtool().await.unwrap();
    let mut arguments = vec![vec!["check", "rules", "rules.yaml", "dashboard.yaml"]];
    arguments.extend(tests.iter().map(|(name, _)| vec!["test", "rules", name.as_str()]));
    for arguments in arguments {
        let run = Command::new(&promtool)
            .args(&arguments)
            .current_dir(&folder)
            .output();
        let output = run.await.unwrap();
        let text = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .concat();
        assert!(output.status.success(), "promtool {arguments:?}: {text}");
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_is_tested_firing_and_silent() {
    let (mut firing, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for (_, text) in test_files() {
        let file: Value = serde_saphyr::from_str(&text).unwrap();
        let groups = file["tests"].as_array().unwrap().iter();
        for case in groups.flat_map(|group| group["alert_rule_test"].as_array().unwrap()) {
            let expected = case["exp_alerts"]
                .as_array()
                .is_some_and(|alerts| !alerts.is_empty());
            let name = case["alertname"].as_str().unwrap().to_owned();
            if expected {
                firing.insert(name)
            } else {
                silent.insert(name)
            };
        }
    }
    let names: BTreeSet<String> = alerts(&render_rules(&[]).await.unwrap()).into_keys().collect();
    assert_eq!((&firing, &silent), (&names, &names));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_has_its_runbook_and_its_place_in_the_schema() {
    let runbook = chart_file("RUNBOOK.md");
    let sections: BTreeSet<String> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## Tarana"))
        .map(|rest| format!("Tarana{rest}"))
        .collect();
    let rule = render_rules(&["--set", "metrics.prometheusRule.alertLabels.team=network"])
        .await
        .unwrap();
    let alerts = alerts(&rule);
    assert_eq!(alerts.keys().cloned().collect::<BTreeSet<_>>(), sections);
    let schema: Value = serde_json::from_str(&chart_file("values.schema.json")).unwrap();
    let names = &schema["properties"]["metrics"]["properties"]["prometheusRule"]["properties"]["alerts"]["propertyNames"];
    let names: BTreeSet<String> = serde_json::from_value(names["enum"].clone()).unwrap();
    assert_eq!(names, sections);
    for (name, alert) in alerts {
        assert!(name.starts_with("Tarana"), "{name}");
        let url = format!("https://example.org/RUNBOOK.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook_url"], url.as_str());
        assert_eq!(alert["labels"]["team"], "network", "{name}");
        for text in [
            &alert["for"],
            &alert["labels"]["severity"],
            &alert["annotations"]["summary"],
            &alert["annotations"]["description"],
        ] {
            assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{alert}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_disabled_and_changed_by_name() {
    let all = alerts(&render_rules(&[]).await.unwrap());
    let values = [
        "--set",
        "metrics.prometheusRule.alerts.TaranaSyncStale.enabled=false,metrics.job=mine",
        "--set",
        "metrics.prometheusRule.alerts.TaranaDown.for=9m,metrics.prometheusRule.alerts.TaranaDown.severity=page",
        "--set",
        "metrics.prometheusRule.alerts.TaranaDown.labels.team=network,metrics.prometheusRule.alerts.TaranaDown.expr=up\\{job=\"$JOB\"\\}",
    ];
    let changed = alerts(&render_rules(&values).await.unwrap());
    let missing: Vec<_> = all.keys().filter(|name| !changed.contains_key(*name)).collect();
    assert_eq!(missing, ["TaranaSyncStale"]);
    let down = &changed["TaranaDown"];
    assert_eq!(
        (&down["for"], &down["expr"]),
        (&"9m".into(), &"up{job=\"mine\"}".into())
    );
    assert_eq!(
        down["labels"],
        serde_json::json!({"severity": "page", "team": "network"})
    );
    assert_eq!(
        changed["TaranaMassOffline"]["labels"],
        all["TaranaMassOffline"]["labels"]
    );
    let misspelled = [
        "--set",
        "metrics.prometheusRule.alerts.TaranaSyncStail.enabled=false",
    ];
    let error = render_rules(&misspelled).await.unwrap_err();
    assert!(error.contains("TaranaSyncStail"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alerts_name_only_metrics_and_labels_that_exist() {
    let alerts = alerts(&render_rules(&[]).await.unwrap());
    let mut found = Vec::new();
    for (name, alert) in &alerts {
        let expression = alert["expr"].as_str().unwrap();
        found.extend(
            promql::violations(expression)
                .into_iter()
                .map(|v| format!("{name}: {v}")),
        );
        // Another release must not trigger it.
        let series = expression.matches("tarana_").count() + expression.matches("up{").count();
        let selected = expression.matches("{job=\"sys/op\"").count();
        if series != selected {
            found.push(format!("{name}: {selected} of {series} selectors select the job"));
        }
    }
    assert!(alerts.len() > 10 && found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_dashboard_names_only_metrics_and_labels_that_exist() {
    let dashboard: Value = serde_json::from_str(&chart_file(DASHBOARD)).unwrap();
    let mut found = Vec::new();
    let mut expressions = 0;
    for (panel, target) in targets(&dashboard) {
        expressions += 1;
        let expression = target["expr"].as_str().unwrap();
        let title = panel["title"].as_str().unwrap();
        found.extend(
            promql::violations(expression)
                .into_iter()
                .map(|v| format!("{title}: {v}")),
        );
        if !expression.contains("job=\"$job\"") || panel["datasource"]["uid"] != "${datasource}" {
            found.push(format!("{title}: variables are not used"));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["query"]["query"].as_str() else {
            continue;
        };
        let inner = query
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'));
        let (metric, label) = inner.and_then(|inner| inner.rsplit_once(", ")).unwrap();
        found.extend(promql::violations(&format!("sum by ({label}) ({metric})")));
    }
    assert!(expressions > 20 && found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_runbook_names_only_metrics_and_tables_that_exist() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let migrations: String = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let is_table = |word: &str| {
        ["TABLE", "VIEW"]
            .iter()
            .any(|kind| migrations.contains(&format!("{kind} {word} ")))
    };
    let runbook = chart_file("RUNBOOK.md");
    let words = runbook.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words: BTreeSet<&str> = words.filter(|word| word.starts_with("tarana_")).collect();
    let (known, unknown): (Vec<&str>, Vec<&str>) = words
        .into_iter()
        .partition(|word| promql::is_sample(word) || is_table(word));
    assert!(known.len() > 5 && unknown.is_empty(), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_accepts_the_statements_of_the_runbook() {
    let (database, _store) = store_support::ready(AccessMode::Direct).await;
    let runbook = chart_file("RUNBOOK.md");
    let lines = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("psql \"$DATABASE_URL\" -c "));
    let statements: Vec<&str> = lines.map(|line| line.trim_matches('"')).collect();
    assert!(statements.len() > 5);
    for statement in statements {
        database.sql(statement).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_monitor_selects_the_metrics_of_this_release() {
    let values = [
        "--set",
        "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.labels.release=p",
    ];
    let monitor = render(&values, "servicemonitor").await.unwrap();
    let service = render(&[], "metrics").await.unwrap();
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    let has_labels = |object: &Value| {
        wanted
            .iter()
            .all(|(key, value)| object["metadata"]["labels"][key] == *value)
    };
    assert!(has_labels(&service) && !has_labels(&render(&[], "service").await.unwrap()));
    assert_eq!(monitor["metadata"]["labels"]["release"], "p");
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!(
        (&endpoint["port"], &endpoint["honorLabels"]),
        (&"metrics".into(), &true.into())
    );
    assert_eq!(endpoint["relabelings"][0]["replacement"], "sys/op");
    let port = &service["spec"]["ports"][0];
    assert_eq!(
        (&port["name"], &port["targetPort"]),
        (&"metrics".into(), &"metrics".into())
    );
    assert_eq!(service["spec"]["publishNotReadyAddresses"], true);
    for template in ["servicemonitor", "prometheusrule"] {
        let values =
            "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.enabled=false";
        let error = render(&["--set", values], template).await.unwrap_err();
        assert!(error.contains("needs metrics.enabled"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probes_use_the_port_of_the_metrics_if_there_is_one() {
    let container = async |values: &str| {
        let deployment = render(&["--set", values], "deployment").await.unwrap();
        deployment["spec"]["template"]["spec"]["containers"][0].clone()
    };
    let listen = |container: &Value| {
        let variables = container["env"].as_array().unwrap().iter();
        let mut listen = variables.filter(|variable| variable["name"] == "TARANA_METRICS_LISTEN");
        listen.next().unwrap()["value"].clone()
    };
    let with_metrics = container("metrics.port=9000,admin.tlsSecretName=tls").await;
    assert_eq!(listen(&with_metrics), "[::]:9000");
    let (liveness, readiness) = (&with_metrics["livenessProbe"], &with_metrics["readinessProbe"]);
    assert_eq!(
        liveness["httpGet"],
        serde_json::json!({"path": "/healthz", "port": "metrics"})
    );
    assert_eq!(
        readiness["httpGet"],
        serde_json::json!({"path": "/readyz", "port": "metrics"})
    );
    let seconds = ["periodSeconds", "failureThreshold"].map(|field| liveness[field].as_u64().unwrap());
    assert_eq!(seconds[0] * seconds[1], 60);
    let without = container("metrics.enabled=false,admin.tlsSecretName=tls").await;
    assert_eq!(listen(&without), "");
    assert_eq!(without["livenessProbe"]["httpGet"]["port"], "admin");
    assert_eq!(without["livenessProbe"]["httpGet"]["scheme"], "HTTPS");
    let same = render(&["--set", "metrics.port=8080"], "deployment")
        .await
        .unwrap_err();
    assert!(same.contains("must differ"), "{same}");
    let policy = render(
        &[
            "--set",
            "networkPolicy.metricsFrom[0].podSelector.matchLabels.app=p",
        ],
        "networkpolicy",
    )
    .await;
    let policy = policy.unwrap();
    let rules = &policy["spec"]["ingress"];
    assert_eq!(
        (&rules[0]["from"], &rules[0]["ports"][0]["port"]),
        (&Value::Null, &"admin".into())
    );
    assert_eq!(rules[1]["ports"][0]["port"], "metrics");
    assert_eq!(rules[1]["from"][0]["podSelector"]["matchLabels"]["app"], "p");
}
