//! Pure: compares the tables with what a run needs. What a run can do without is accepted: other columns, wider types, domains, indexes.

use super::catalog::{Column, Nulls, Table, UniqueIndex};
use super::expected::{self, ExpectedColumn, ExpectedTable, Key, Written};
use crate::store::identifier::quote;

/// What is wrong, and the statement that fixes it.
pub(super) struct Finding {
    pub what: String,
    pub remedy: String,
}

/// All findings about the tables that exist.
pub(super) fn findings(schema: &str, tables: &[Table]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for expected in expected::tables() {
        let Some(table) = tables.iter().find(|table| table.name == expected.name) else {
            // Reported with the privileges, which need it too.
            continue;
        };
        let place = Place { schema, table };
        findings.extend(expected.columns.iter().filter_map(|column| place.column(column)));
        if table.stores_rows {
            findings.extend(place.columns_without_value(&expected));
            findings.extend(expected.keys.iter().filter_map(|key| place.key(key)));
        }
    }
    findings
}

struct Place<'a> {
    schema: &'a str,
    table: &'a Table,
}

impl Place<'_> {
    /// `schema.table.column`, for a sentence.
    fn name(&self, column: &str) -> String {
        format!("{}.{}.{column}", self.schema, self.table.name)
    }

    fn alter(&self, action: &str) -> String {
        format!("ALTER TABLE {} {action};", self.quoted())
    }

    fn quoted(&self) -> String {
        format!("{}.{}", quote(self.schema), quote(&self.table.name))
    }

    fn column(&self, expected: &ExpectedColumn) -> Option<Finding> {
        let name = self.name(expected.name);
        let Some(column) = self.table.columns.iter().find(|c| c.name == expected.name) else {
            return Some(Finding {
                what: format!("column {name} is missing"),
                remedy: self.alter(&format!("ADD COLUMN {} {}", quote(expected.name), expected.kind)),
            });
        };
        let quoted = quote(expected.name);
        if expected.written != Written::Never && ["s", "v"].contains(&column.generation.as_str()) {
            return Some(Finding {
                what: format!("column {name} is generated, so a sync cannot write it"),
                remedy: self.alter(&format!("ALTER COLUMN {quoted} DROP EXPRESSION")),
            });
        }
        if expected.written != Written::Never && column.generation == "a" {
            return Some(Finding {
                what: format!("column {name} is an identity, so a sync cannot write it"),
                remedy: self.alter(&format!("ALTER COLUMN {quoted} DROP IDENTITY")),
            });
        }
        if !expected.types.contains(&column.base.as_str()) {
            return Some(self.other_type(expected, column));
        }
        let refuses_null =
            expected.is_nullable && column.nulls != Nulls::Admitted && !self.table.completes_rows;
        refuses_null.then(|| Finding {
            what: format!("column {name} is NOT NULL, but a sync writes NULL there"),
            remedy: self.alter(&without_not_null(column)),
        })
    }

    fn other_type(&self, expected: &ExpectedColumn, column: &Column) -> Finding {
        let (quoted, kind) = (quote(expected.name), &expected.kind);
        // A default is not converted.
        let drop = if column.has_default {
            format!("ALTER COLUMN {quoted} DROP DEFAULT, ")
        } else {
            String::new()
        };
        // There is no direct conversion between a boolean and a number with decimals, or between a time and a number.
        let through = match (column.base.as_str(), kind.as_str()) {
            ("bool", kind) if kind.starts_with("numeric") => "::int",
            _ => "::text",
        };
        let through = if (column.base == "bool" && kind == "int") || kind == "text" {
            ""
        } else {
            through
        };
        Finding {
            what: format!(
                "column {} is {} instead of {kind}",
                self.name(&column.name),
                column.kind
            ),
            remedy: self.alter(&format!(
                "{drop}ALTER COLUMN {quoted} TYPE {kind} USING {quoted}{through}::{kind}"
            )),
        }
    }

    /// Columns that nobody gives a value when a row is created.
    fn columns_without_value(&self, expected: &ExpectedTable) -> Vec<Finding> {
        if self.table.completes_rows {
            return Vec::new();
        }
        let is_inserted = |name: &str| {
            let mut columns = expected.columns.iter();
            columns.any(|column| column.name == name && column.written == Written::Inserted)
        };
        let columns = self.table.columns.iter().filter(|column| {
            column.nulls != Nulls::Admitted
                && !column.has_default
                && column.generation.is_empty()
                && !is_inserted(&column.name)
        });
        columns
            .map(|column| Finding {
                what: format!(
                    "column {} is NOT NULL without a default, and a sync gives a new row no value there",
                    self.name(&column.name)
                ),
                remedy: self.alter(&value_for(column)),
            })
            .collect()
    }

    fn key(&self, key: &Key) -> Option<Finding> {
        if self.table.keys.iter().any(|index| self.serves(index, key)) {
            return None;
        }
        let columns = key.columns.join(", ");
        let quoted: Vec<String> = key.columns.iter().map(|column| quote(column)).collect();
        let quoted = quoted.join(", ");
        let (name, condition) = key.partial.map_or_else(Default::default, |(name, condition)| {
            (format!("{} ", quote(name)), format!(" WHERE {condition}"))
        });
        Some(Finding {
            what: format!(
                "table {}.{} lacks a valid unique index on {columns}{condition}, so that {}",
                self.schema, self.table.name, key.purpose
            ),
            remedy: format!(
                "CREATE UNIQUE INDEX {name}ON {} ({quoted}){condition};",
                self.quoted()
            ),
        })
    }

    /// A partitioned table can have the key only together with the columns by which it is partitioned.
    fn serves(&self, index: &UniqueIndex, key: &Key) -> bool {
        let has_all = key
            .columns
            .iter()
            .all(|column| index.columns.iter().any(|c| c == column));
        let has_others = index.columns.len() > key.columns.len();
        let is_partial = match key.partial {
            None => index.condition.is_none(),
            Some((name, _)) => index.name == name && index.condition.is_some(),
        };
        has_all
            && (!has_others || (self.table.is_partitioned && !key.is_immediate))
            && is_partial
            && (index.is_immediate || !key.is_immediate)
    }
}

/// The action that gives a column a value in new rows.
fn value_for(column: &Column) -> String {
    let quoted = quote(&column.name);
    match (column.is_in_primary_key, column.base.as_str()) {
        (true, "uuid") => format!("ALTER COLUMN {quoted} SET DEFAULT gen_random_uuid()"),
        (true, "int2" | "int4" | "int8") => {
            format!("ALTER COLUMN {quoted} ADD GENERATED BY DEFAULT AS IDENTITY")
        }
        _ => without_not_null(column),
    }
}

/// The action after which a column admits NULL.
fn without_not_null(column: &Column) -> String {
    let quoted = quote(&column.name);
    let drop = format!("ALTER COLUMN {quoted} DROP NOT NULL");
    if column.nulls == Nulls::RefusedByDomain {
        format!("ALTER COLUMN {quoted} TYPE {}, {drop}", quote(&column.base))
    } else {
        drop
    }
}
