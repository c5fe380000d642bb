//! Pure: a permission, as Kubernetes RBAC describes it.

/// A verb on objects of the group `tarana.dev`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permission {
    pub(super) verb: &'static str,
    pub(super) resource: &'static str,
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
            namespace: namespace.map(str::to_owned),
            name: None,
        }
    }

    /// On one object.
    #[must_use]
    pub fn on(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The message for a caller without this permission.
    pub(super) fn denied_message(&self, caller: &str) -> String {
        let place = self.namespace.as_ref().map_or_else(
            || "in all namespaces: name a namespace that you may use, ?namespace=…".to_owned(),
            |namespace| format!("in namespace {namespace}"),
        );
        format!(
            "{caller} may not {} {}.tarana.dev {place}",
            self.verb, self.resource
        )
    }
}
