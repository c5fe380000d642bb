//! Pure: addresses of pages with their query.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::admin::defaults::Defaults;
use crate::admin::station_query::ConnectionQuery;

/// A parameter and its value.
pub type Pair = (&'static str, String);

/// The parameters that have a value.
pub fn given<const N: usize>(pairs: [(&'static str, Option<String>); N]) -> Vec<Pair> {
    pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// A path with its query.
pub fn address(path: &str, pairs: &[Pair]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    let separator = if pairs.is_empty() { "" } else { "?" };
    format!("{path}{separator}{}", pairs.join("&"))
}

/// A page of a connection. That of the default connection has no query.
pub fn of_connection(path: &str, defaults: &Defaults, query: &ConnectionQuery) -> String {
    address(path, &connection_pairs(defaults, query))
}

/// The parameters that select a connection; none for the default connection.
pub fn connection_pairs(defaults: &Defaults, query: &ConnectionQuery) -> Vec<Pair> {
    let namespace = query.namespace.as_ref().unwrap_or(&defaults.namespace);
    let connection = query.connection.as_ref().unwrap_or(&defaults.connection);
    if (namespace, connection) == (&defaults.namespace, &defaults.connection) {
        return Vec::new();
    }
    vec![
        ("namespace", namespace.clone()),
        ("connection", connection.clone()),
    ]
}

/// Text as a part of an address.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
