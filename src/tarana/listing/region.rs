//! Pure: a region of the operator.

use std::fmt;
use std::sync::Arc;

/// A region that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its id.
    pub id: i32,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.id),
            None => write!(f, "{}", self.id),
        }
    }
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
