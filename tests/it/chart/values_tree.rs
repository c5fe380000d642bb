//! Pure: the values of a chart as a tree: its sections, its values, and their comments.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values that the chart passes on as they are. Their schema describes only what is required.
const PASSED_ON: [&str; 2] = ["connection.spec", "schedule.spec"];

/// A section or a value of `values.yaml`.
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// The keys, joined by dots.
    pub path: String,
    /// The default; none for a section.
    pub default: Option<Value>,
}

/// Whether this part of the schema is a section, whose keys are all known.
pub fn is_section(schema: &Value, path: &str) -> bool {
    schema.get("properties").is_some() && !PASSED_ON.contains(&path)
}

/// The sections and values in the order of the file.
pub fn entries(values: &str, schema: &Value) -> Vec<Entry> {
    let parsed: Value = serde_saphyr::from_str(values).unwrap();
    let comments = comments(values);
    let mut entries = Vec::new();
    collect(&parsed, schema, "", &mut entries);
    entries.sort_by_key(|entry| comments.get(&entry.path).map_or(usize::MAX, |(line, _)| *line));
    entries
}

fn collect(values: &Value, schema: &Value, path: &str, entries: &mut Vec<Entry>) {
    for (key, value) in values.as_object().into_iter().flatten() {
        let path = join(path, key);
        let schema = &schema["properties"][key];
        let section = is_section(schema, &path);
        entries.push(Entry {
            path: path.clone(),
            default: (!section).then(|| value.clone()),
        });
        if section {
            collect(value, schema, &path, entries);
        }
    }
}

pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The line of each key, and the comment directly above it. Keys in lists are not distinguished from keys in sections.
pub fn comments(values: &str) -> BTreeMap<String, (usize, String)> {
    let mut comments = BTreeMap::new();
    let mut parents: Vec<(usize, &str)> = Vec::new();
    let mut block: Vec<&str> = Vec::new();
    for (at, line) in values.lines().enumerate() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(comment) = text.strip_prefix('#') {
            block.push(comment.trim());
            continue;
        }
        let comment = std::mem::take(&mut block).join(" ");
        let Some((key, _)) = text
            .split_once(':')
            .filter(|(key, _)| key.chars().all(char::is_alphanumeric))
        else {
            continue;
        };
        parents.retain(|(of_parent, _)| *of_parent < indent);
        parents.push((indent, key));
        let keys: Vec<&str> = parents.iter().map(|(_, key)| *key).collect();
        comments.entry(keys.join(".")).or_insert((at, comment));
    }
    comments
}

#[test]
fn comments_belong_to_the_key_below_them() {
    let values =
        "# No key.\n\n# One\n# line.\na: 1\nb:\n  # Two.\n  c:\n    - d: x\n  e: []\n# Three.\nf: {}\n";
    let found = comments(values);
    let texts: Vec<(&str, &str)> = found
        .iter()
        .map(|(path, (_, text))| (path.as_str(), text.as_str()))
        .collect();
    assert_eq!(
        texts,
        [
            ("a", "One line."),
            ("b", ""),
            ("b.c", "Two."),
            ("b.e", ""),
            ("f", "Three.")
        ]
    );
}
