//! What a user requested, from the audit log.

use std::collections::BTreeSet;

use devenv::audit::{self, Entry};

use super::granted::Granted;
use crate::servers;

/// The requests of one user on the shared control plane.
pub struct Usage(Vec<Entry>);

impl Usage {
    pub async fn of(user: &str) -> Self {
        let mut entries = audit::read(servers::plane().await.audit_log()).unwrap();
        entries.retain(|entry| entry.user.username == user);
        Self(entries)
    }

    /// The requests that the API server did not permit.
    pub fn denied(&self) -> Vec<&Entry> {
        let denied = |entry: &&Entry| entry.response_status.code == 403;
        self.0.iter().filter(denied).collect()
    }

    /// The permissions that no successful request used.
    pub fn unused(&self, granted: &BTreeSet<Granted>) -> Vec<Granted> {
        let is_unused = |granted: &&Granted| !self.0.iter().any(|entry| is_use(entry, granted));
        granted.iter().filter(is_unused).cloned().collect()
    }
}

/// Whether the request succeeded and needed this permission.
fn is_use(entry: &Entry, granted: &Granted) -> bool {
    let object = &entry.object_ref;
    let resource = match object.subresource.as_str() {
        "" => object.resource.clone(),
        subresource => format!("{}/{subresource}", object.resource),
    };
    (200..300).contains(&entry.response_status.code)
        && (&object.api_group, &resource, &entry.verb) == (&granted.group, &granted.resource, &granted.verb)
        && (granted.namespace.is_empty() || granted.namespace == object.namespace)
        && (granted.name.is_empty() || granted.name == object.name)
}
