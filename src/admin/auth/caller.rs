//! Pure: the identity of an authenticated caller.

use std::collections::BTreeMap;

/// An authenticated user, as Kubernetes describes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// User name.
    pub name: String,
    pub(super) uid: Option<String>,
    /// Groups.
    pub groups: Vec<String>,
    pub(super) extra: BTreeMap<String, Vec<String>>,
}
