//! Pure: a statement whose parameters are unknown, which the server can plan but not execute.

use std::borrow::Cow;

/// The text of a statement and the types of its parameters.
pub(super) struct Planned {
    sql: String,
    types: Cow<'static, str>,
}

impl Planned {
    /// `types` are those of `$1`, `$2` and so on, separated by spaces.
    pub fn new(sql: impl Into<String>, types: impl Into<Cow<'static, str>>) -> Self {
        Self {
            sql: sql.into(),
            types: types.into(),
        }
    }

    /// A statement that returns its plan. It has the same privileges and locks as the statement, and fires no trigger.
    pub fn explain(&self) -> String {
        let types: Vec<&str> = self.types.split_whitespace().collect();
        let mut sql = self.sql.clone();
        // `$1` is the beginning of `$10`.
        for (at, kind) in types.iter().enumerate().rev() {
            sql = sql.replace(&format!("${}", at + 1), &format!("(NULL::{kind})"));
        }
        format!("EXPLAIN (COSTS OFF) {sql}")
    }
}

#[cfg(test)]
mod tests {
    use super::Planned;

    #[test]
    fn parameters_become_null_of_their_type() {
        let types = "int int int int int int int int int text";
        let planned = Planned::new("SELECT $1, $10::json, $2", types);
        assert_eq!(
            planned.explain(),
            "EXPLAIN (COSTS OFF) SELECT (NULL::int), (NULL::text)::json, (NULL::int)"
        );
    }
}
