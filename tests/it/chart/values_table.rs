//! The tables of values in the READMEs are generated from `values.yaml`: `make chart-docs` writes them, this test compares them.

use serde_json::Value;

use super::values_tree::{Entry, comments, entries};
use super::{CHART, CRD_CHART, read, root};

const BEGIN: &str = "<!-- Generated from values.yaml by `make chart-docs`. -->\n";
const END: &str = "<!-- End of the generated table. -->\n";
/// Set by `make chart-docs`: write the table instead of comparing it.
const UPDATE: &str = "UPDATE_CHART_DOCS";

/// The table of a chart; the error names the values without a description.
fn table(values: &str, schema: &Value) -> Result<String, Vec<String>> {
    let comments = comments(values);
    let mut rows = vec![
        "| value | default | meaning |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    let mut missing = Vec::new();
    for Entry { path, default } in entries(values, schema) {
        let meaning = comments.get(&path).map_or("", |(_, text)| text.as_str());
        match default {
            // A section without a comment needs no row.
            None if meaning.is_empty() => {}
            None => rows.push(format!("| `{path}` | | {} |", escape(meaning))),
            Some(_) if meaning.is_empty() => missing.push(path),
            Some(default) => rows.push(format!(
                "| `{path}` | `{}` | {} |",
                flow(&default),
                escape(meaning)
            )),
        }
    }
    if missing.is_empty() {
        Ok(rows.join("\n") + "\n")
    } else {
        Err(missing)
    }
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

/// The value in one line of YAML.
fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("{key}: {}", flow(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether YAML reads the text, without quotes, as the same text.
fn is_plain(text: &str) -> bool {
    let characters = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    characters && serde_saphyr::from_str::<Value>(text).is_ok_and(|value| value == text)
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "`make chart-docs` switches to the update by an environment variable, as insta does"
)]
fn the_readmes_have_the_generated_tables() {
    for chart in [CHART, CRD_CHART] {
        let path = format!("{chart}/README.md");
        let schema = serde_json::from_str(&read(&format!("{chart}/values.schema.json"))).unwrap();
        let table = table(&read(&format!("{chart}/values.yaml")), &schema)
            .unwrap_or_else(|missing| panic!("{chart}/values.yaml: no comment describes {missing:?}"));
        let readme = read(&path);
        let (before, rest) = readme
            .split_once(BEGIN)
            .unwrap_or_else(|| panic!("{path} lacks {BEGIN}"));
        let (found, after) = rest
            .split_once(END)
            .unwrap_or_else(|| panic!("{path} lacks {END}"));
        let expected = format!("\n{table}\n");
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(
                root().join(&path),
                format!("{before}{BEGIN}{expected}{END}{after}"),
            )
            .unwrap();
        } else {
            assert!(
                found == expected,
                "the table in {path} is not that of values.yaml: run `make chart-docs`\n{expected}"
            );
        }
    }
}

#[test]
fn a_table_has_a_row_for_each_value_and_each_described_section() {
    let schema = serde_json::json!({"properties": {"a": {"properties": {"b": {}, "c": {}}}, "d": {"properties": {"e": {}}}, "f": {}}});
    let values = "# All | of it.\na:\n  # Bee.\n  b: [x, 1, \"1\"]\n  # C\n  # is more.\n  c: {k: null}\nd:\n  # E <g>.\n  e: \"\"\n# F.\nf: 30s\n";
    let rows = [
        "| `a` | | All \\| of it. |",
        "| `a.b` | `[x, 1, \"1\"]` | Bee. |",
        "| `a.c` | `{k: null}` | C is more. |",
        "| `d.e` | `\"\"` | E &lt;g>. |",
        "| `f` | `30s` | F. |",
    ];
    let expected = format!(
        "| value | default | meaning |\n|---|---|---|\n{}\n",
        rows.join("\n")
    );
    assert_eq!(table(values, &schema), Ok(expected));
    let undescribed = values.replace("  # Bee.\n", "").replace("# F.\n", "");
    assert_eq!(
        table(&undescribed, &schema),
        Err(vec!["a.b".to_owned(), "f".to_owned()])
    );
}
