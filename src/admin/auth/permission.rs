//! Pure: a permission, as Kubernetes RBAC describes it.

use std::fmt;

/// A verb on objects of the group `tarana.dev`, or on a path that is no resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permission {
    pub(super) verb: &'static str,
    /// The resource in the plural, or the path.
    pub(super) resource: &'static str,
    /// Whether it is a path.
    pub(super) is_path: bool,
    /// `None` for all namespaces.
    pub(super) namespace: Option<String>,
    /// `None` for all objects.
    pub(super) name: Option<String>,
}

impl Permission {
    /// On all objects of a resource in a namespace, or (`None`) in all namespaces.
    pub fn new(verb: &'static str, resource: &'static str, namespace: Option<&str>) -> Self {
        Self {
            verb,
            resource,
            is_path: false,
            namespace: namespace.map(str::to_owned),
            name: None,
        }
    }

    /// To read a path that is no resource (`nonResourceURLs` of a `ClusterRole`).
    pub fn path(path: &'static str) -> Self {
        Self {
            is_path: true,
            ..Self::new("get", path, None)
        }
    }

    /// On one object.
    #[must_use]
    pub fn on(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Whether it permits to change something.
    pub fn is_change(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }

    /// The message for a caller without this permission.
    pub(super) fn denied_message(&self, caller: &str) -> String {
        let remedy = if self.is_path {
            ": a ClusterRole grants it by nonResourceURLs"
        } else if self.namespace.is_none() {
            ": name a namespace that you may use, ?namespace=…"
        } else {
            ""
        };
        format!("{caller} may not {self}{remedy}")
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_path {
            return write!(f, "{} {}", self.verb, self.resource);
        }
        write!(f, "{} {}.tarana.dev ", self.verb, self.resource)?;
        match &self.namespace {
            Some(namespace) => write!(f, "in namespace {namespace}"),
            None => f.write_str("in all namespaces"),
        }
    }
}
