//! Pure: a region of the operator.

use std::sync::Arc;

/// A region that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its id.
    pub id: i32,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
}

impl Region {
    /// The region's listing, for messages.
    pub(super) fn listing_name(&self) -> String {
        match &self.name {
            Some(name) => format!("the listing of region {} ({name})", self.id),
            None => format!("the listing of region {}", self.id),
        }
    }
}
