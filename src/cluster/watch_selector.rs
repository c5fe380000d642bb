//! Pure: the label selector that chooses the objects of one operator among several, and the labels of the objects that it creates.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use kube::core::{Expression, Selector, SelectorExt as _};

use crate::api::schedule::SCHEDULE_LABEL;

/// Longest name of a label's key, and longest value.
const MAX_NAME_BYTES: usize = 63;
/// Longest prefix of a label's key.
const MAX_PREFIX_BYTES: usize = 253;

/// Which connections, runs and schedules an operator watches. The default selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchSelector(Selector);

/// Why a text is not a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; write requirements separated by commas, such as shard=a, env!=prod, shard in (a,b), shard notin (a,b), shard, !shard"
)]
pub struct InvalidSelector(String);

impl WatchSelector {
    /// Whether it selects all objects, because there is no selector.
    pub fn selects_all(&self) -> bool {
        self.0.selects_all()
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        labels.map_or_else(
            || self.0.matches(&BTreeMap::new()),
            |labels| self.0.matches(labels),
        )
    }

    /// The selector as a request names it; `None` if it selects all.
    pub fn label_selector(&self) -> Option<String> {
        (!self.selects_all()).then(|| self.0.to_string())
    }

    /// What a message adds to the statement that an object does not exist: it may exist and not be selected.
    pub fn hint(&self) -> String {
        if self.selects_all() {
            return String::new();
        }
        format!(
            ", or its labels do not match --watch-selector {:?}",
            self.0.to_string()
        )
    }

    /// Gives a new object the labels of its parent under the keys of the selector, so that it is selected exactly when the parent is.
    pub fn inherit_labels(
        &self,
        parent: Option<&BTreeMap<String, String>>,
        labels: &mut BTreeMap<String, String>,
    ) {
        for expression in self.0.clone() {
            let key = key_of(&expression);
            match parent.and_then(|parent| parent.get(key)) {
                Some(value) => drop(labels.insert(key.to_owned(), value.clone())),
                None => drop(labels.remove(key)),
            }
        }
    }
}

impl fmt::Display for WatchSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for WatchSelector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let requirements = split_requirements(text)?;
        let expressions = requirements.into_iter().map(parse_requirement);
        Ok(Self(expressions.collect::<Result<_, _>>()?))
    }
}

fn key_of(expression: &Expression) -> &str {
    match expression {
        Expression::In(key, _)
        | Expression::NotIn(key, _)
        | Expression::Equal(key, _)
        | Expression::NotEqual(key, _)
        | Expression::Exists(key)
        | Expression::DoesNotExist(key) => key,
    }
}

/// The parts between the commas that are not in parentheses.
fn split_requirements(text: &str) -> Result<Vec<&str>, InvalidSelector> {
    let (mut parts, mut start, mut is_in_list) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        match character {
            '(' if !is_in_list => is_in_list = true,
            ')' if is_in_list => is_in_list = false,
            '(' | ')' => {
                return Err(InvalidSelector(format!(
                    "a parenthesis of {text:?} has no counterpart"
                )));
            }
            ',' if !is_in_list => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if is_in_list {
        return Err(InvalidSelector(format!(
            "a parenthesis of {text:?} is not closed"
        )));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn parse_requirement(text: &str) -> Result<Expression, InvalidSelector> {
    let text = text.trim();
    if let Some(list) = text.strip_suffix(')') {
        return parse_set(text, list);
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Ok(Expression::NotEqual(parse_key(key)?, parse_value(value)?));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Expression::Equal(parse_key(key)?, parse_value(value)?));
    }
    match text.strip_prefix('!') {
        Some(key) => Ok(Expression::DoesNotExist(parse_key(key)?)),
        None => Ok(Expression::Exists(parse_key(text)?)),
    }
}

/// A requirement such as `key in (a,b)`; `list` is the same without the last parenthesis.
fn parse_set(text: &str, list: &str) -> Result<Expression, InvalidSelector> {
    let invalid = || InvalidSelector(format!("{text:?} is not a requirement"));
    let (before, values) = list.split_once('(').ok_or_else(invalid)?;
    let values = values.split(',').map(parse_value);
    let values = values.collect::<Result<BTreeSet<String>, _>>()?;
    let mut words = before.split_whitespace();
    let (Some(key), Some(operator), None) = (words.next(), words.next(), words.next()) else {
        return Err(invalid());
    };
    match operator {
        "in" => Ok(Expression::In(parse_key(key)?, values)),
        "notin" => Ok(Expression::NotIn(parse_key(key)?, values)),
        _ => Err(invalid()),
    }
}

fn parse_key(text: &str) -> Result<String, InvalidSelector> {
    let key = text.trim();
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    // The API server takes these two for operators.
    if !is_name(name) || !prefix.is_none_or(is_subdomain) || ["in", "notin"].contains(&key) {
        return Err(InvalidSelector(format!("{key:?} is not the key of a label")));
    }
    if key == SCHEDULE_LABEL {
        let message = format!("{key} cannot be selected, because the operator sets it: choose another label");
        return Err(InvalidSelector(message));
    }
    Ok(key.to_owned())
}

fn parse_value(text: &str) -> Result<String, InvalidSelector> {
    let value = text.trim();
    if value.is_empty() || is_name(value) {
        Ok(value.to_owned())
    } else {
        Err(InvalidSelector(format!("{value:?} is not the value of a label")))
    }
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_name(name: &str) -> bool {
    let is_outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    name.len() <= MAX_NAME_BYTES
        && is_outer(bytes.first())
        && is_outer(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn is_subdomain(prefix: &str) -> bool {
    let is_label = |label: &str| {
        is_name(label)
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    prefix.len() <= MAX_PREFIX_BYTES && prefix.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_grammar_of_kubectl_is_accepted() {
        for (text, canonical) in [
            ("", ""),
            (" ", ""),
            ("shard=a", "shard=a"),
            (" shard == a , env!=prod", "shard=a,env!=prod"),
            ("shard in (b, a),tier", "shard in (a,b),tier"),
            ("shard in(a)", "shard in (a)"),
            ("shard notin (a)", "shard notin (a)"),
            ("!shard", "!shard"),
            ("! example.org/shard", "!example.org/shard"),
            ("shard=", "shard="),
        ] {
            let parsed = text.parse::<WatchSelector>();
            match parsed {
                Ok(selector) => assert_eq!(selector.to_string(), canonical, "{text}"),
                Err(error) => panic!("{text}: {error}"),
            }
        }
    }

    #[test]
    fn another_text_is_refused() {
        for text in [
            "shard=a,",
            ",",
            "shard=(a)",
            "shard in a",
            "shard in (a",
            "shard in a)",
            "a in (b) c",
            "shard>1",
            "-a=b",
            "a=b=c",
            "a/b/c",
            "/a",
            "Example.org/a",
            "a b",
            "shard is (a)",
            "!a=b",
            "a=b c",
            "((a))",
            "tarana.dev/schedule=x",
            "in=x",
            "!notin",
        ] {
            let parsed = text.parse::<WatchSelector>();
            assert!(parsed.is_err(), "{text}: {parsed:?}");
        }
        let error = "shard>1".parse::<WatchSelector>().unwrap_err().to_string();
        assert!(
            error.starts_with("\"shard>1\" is not the key of a label; write "),
            "{error}"
        );
    }

    #[test]
    fn no_selector_selects_all_and_changes_no_labels() {
        let selector = WatchSelector::default();
        let mut own = labels(&[("shard", "a")]);
        selector.inherit_labels(Some(&labels(&[("shard", "b")])), &mut own);
        assert_eq!(own, labels(&[("shard", "a")]));
        assert!(selector.matches(None) && selector.hint().is_empty());
        assert_eq!(selector.label_selector(), None);
    }

    fn some_labels() -> impl Strategy<Value = BTreeMap<String, String>> {
        proptest::collection::btree_map("[a-c]", "[x-z]?", 0..4)
    }

    fn some_requirement() -> impl Strategy<Value = String> {
        let (key, value) = ("[a-c]", "[x-z]?");
        prop_oneof![
            (key, value).prop_map(|(k, v)| format!("{k}={v}")),
            (key, value).prop_map(|(k, v)| format!("{k}!={v}")),
            (key, value, value).prop_map(|(k, v, w)| format!("{k} in ({v},{w})")),
            (key, value, value).prop_map(|(k, v, w)| format!("{k} notin ({v},{w})")),
            key.prop_map(|k| k),
            key.prop_map(|k| format!("!{k}")),
        ]
    }

    proptest! {
        #[test]
        fn a_new_object_is_selected_exactly_when_its_parent_is(
            requirements in proptest::collection::vec(some_requirement(), 0..4),
            parent in some_labels(),
            template in some_labels(),
        ) {
            let selector: WatchSelector = requirements.join(",").parse().unwrap();
            let mut child = template.clone();
            selector.inherit_labels(Some(&parent), &mut child);
            if !selector.selects_all() {
                prop_assert_eq!(selector.matches(Some(&parent)), selector.matches(Some(&child)));
            }
            let text = selector.to_string();
            for (key, value) in &template {
                if !text.contains(key.as_str()) {
                    prop_assert_eq!(child.get(key), Some(value), "a label that the selector does not name");
                }
            }
        }

        #[test]
        fn the_canonical_text_is_the_same_selector(requirements in proptest::collection::vec(some_requirement(), 0..4)) {
            let selector: WatchSelector = requirements.join(",").parse().unwrap();
            prop_assert_eq!(selector.to_string().parse::<WatchSelector>(), Ok(selector));
        }
    }
}
