//! Pure: a row to insert or to update.

use std::sync::Arc;

use super::fields;
use crate::station::Row;

/// A row to write, and its place in the plan.
#[derive(Clone)]
pub(super) struct Item<'i> {
    pub index: usize,
    /// What the table has; `None` for a new row.
    pub before: Option<&'i Row>,
    after: After<'i>,
}

#[derive(Clone)]
enum After<'i> {
    Planned(&'i Row),
    Changed(Arc<Row>),
}

impl<'i> Item<'i> {
    pub fn new(index: usize, before: Option<&'i Row>, after: &'i Row) -> Self {
        Self {
            index,
            before,
            after: After::Planned(after),
        }
    }

    pub fn after(&self) -> &Row {
        match &self.after {
            After::Planned(row) => row,
            After::Changed(row) => row,
        }
    }

    pub fn with(&self, after: Row) -> Self {
        Self {
            after: After::Changed(Arc::new(after)),
            ..self.clone()
        }
    }

    /// The row without any value of the vendor that can be dropped.
    pub fn base(&self) -> Row {
        match self.before {
            Some(before) => before.clone(),
            None => fields::minimal(self.after()),
        }
    }

    /// Whether an update changes nothing.
    pub fn is_unchanged(&self) -> bool {
        self.before == Some(self.after())
    }
}

/// The rows to write. A named type, because closures of this shape make futures that are not `Send`.
pub(super) struct Rows<'a, 'i>(std::slice::Iter<'a, Item<'i>>);

pub(super) fn rows<'a, 'i>(items: &'a [Item<'i>]) -> Rows<'a, 'i> {
    Rows(items.iter())
}

impl<'a> Iterator for Rows<'a, '_> {
    type Item = &'a Row;

    fn next(&mut self) -> Option<&'a Row> {
        self.0.next().map(Item::after)
    }
}
