//! Pure: addresses of pages with their query.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

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

/// Text as a part of an address.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
