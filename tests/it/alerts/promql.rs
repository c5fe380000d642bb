//! Pure: the metrics and labels that an expression of `PromQL` names.

use std::collections::BTreeSet;

use tarana_operator::metrics::names::{ALL, Kind, Metric};

/// Labels that every series of a target has.
const TARGET_LABELS: [&str; 3] = ["job", "pod", "instance"];
/// Series that Prometheus adds for each target.
const OF_PROMETHEUS: [&str; 1] = ["up"];
const OPERATORS: [&str; 6] = ["and", "or", "unless", "offset", "bool", "group_left"];
const GROUPINGS: [&str; 3] = ["by", "on", "without"];

/// What is wrong with an expression: unknown metrics, and labels that no metric of the expression has.
pub fn violations(expression: &str) -> Vec<String> {
    let tokens = tokens(expression);
    let (mut found, mut labels) = (Vec::new(), BTreeSet::from(TARGET_LABELS));
    let mut grouped = Vec::new();
    let mut rest = &tokens[..];
    while let [token, after @ ..] = rest {
        rest = after;
        let next = after.first().map_or("", String::as_str);
        let name = token.as_str();
        if GROUPINGS.contains(&name) && next == "(" {
            let end = after.iter().position(|token| token == ")").unwrap_or(after.len());
            grouped.extend(after[1..end].iter().filter(|token| is_name(token)));
            rest = &after[end..];
        } else if is_name(name) && next != "(" && !GROUPINGS.contains(&next) && !OPERATORS.contains(&name) {
            let Some(metric_labels) = labels_of(name) else {
                found.push(format!("{name} is no metric"));
                continue;
            };
            labels.extend(&metric_labels);
            if next == "{" {
                let end = after.iter().position(|token| token == "}").unwrap_or(after.len());
                let unknown = after[1..end].iter().filter(|token| {
                    is_name(token)
                        && !metric_labels.contains(&token.as_str())
                        && !TARGET_LABELS.contains(&token.as_str())
                });
                found.extend(unknown.map(|label| format!("{name} has no label {label}")));
                rest = &after[end..];
            }
        }
    }
    let unknown = grouped
        .into_iter()
        .filter(|label| !labels.contains(label.as_str()));
    found.extend(unknown.map(|label| format!("no metric of the expression has the label {label}")));
    found
}

/// Whether the name is that of a sample.
pub fn is_sample(name: &str) -> bool {
    labels_of(name).is_some()
}

/// The labels of the samples of that name; `None` without any.
fn labels_of(name: &str) -> Option<Vec<&'static str>> {
    if OF_PROMETHEUS.contains(&name) {
        return Some(vec![]);
    }
    let metric = ALL
        .iter()
        .find(|metric| metric.sample_names().iter().any(|n| n == name));
    metric.map(|metric: &Metric| {
        let bucket = (metric.kind == Kind::Histogram).then_some("le");
        metric.labels.iter().copied().chain(bucket).collect()
    })
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// Names and punctuation. Strings, numbers, durations and variables of Grafana are left out.
fn tokens(expression: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = if first == '"' {
            rest[1..].find('"').map_or(rest.len(), |end| end + 2)
        } else if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if first == '$' {
            1 + rest[1..].find(|c| !is_word(c)).unwrap_or(rest.len() - 1)
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        if is_name(token) || "(){}".contains(token) {
            tokens.push(token.to_owned());
        }
        rest = after;
    }
    tokens
}

#[test]
fn unknown_metrics_and_labels_are_detected() {
    for (expression, expected) in [
        ("sum(tarana_leader{job=\"a{\"}) != 1 or absent(up)", None),
        ("tarana_leaders", Some("tarana_leaders is no metric")),
        (
            "tarana_leader{version=\"1\"}",
            Some("tarana_leader has no label version"),
        ),
        (
            "histogram_quantile(0.9, sum by (le, class) (rate(tarana_vendor_request_duration_seconds_bucket[$__rate_interval])))",
            None,
        ),
        (
            "sum by (le) (rate(tarana_vendor_requests_total[5m] offset 1h))",
            Some("no metric of the expression has the label le"),
        ),
        (
            "tarana_leader unless on (namespace) tarana_leader",
            Some("no metric of the expression has the label namespace"),
        ),
    ] {
        let found = violations(expression);
        assert_eq!(found.first().map(String::as_str), expected, "{expression}");
    }
}
