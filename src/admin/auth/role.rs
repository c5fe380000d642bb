//! Pure: the permissions of callers that Kubernetes does not know: one configured role in one namespace.

use super::permission::Permission;

/// What all Supabase users may do. The same as the chart's roles for Kubernetes users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Role {
    /// Read everything.
    Viewer,
    /// Also create and cancel runs, and change schedules.
    Editor,
    /// Also approve deletions beyond the delete guard.
    Approver,
}

/// The resources of the admin API.
const RESOURCES: [&str; 3] = ["taranasyncs", "taranasyncschedules", "taranaconnections"];

/// A role in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RoleGrant {
    pub role: Role,
    pub namespace: String,
}

impl Role {
    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Approver => "approver",
        }
    }

    /// The least role that has the permission, in whatever namespace.
    fn required(permission: &Permission) -> Option<Self> {
        match permission.verb {
            _ if !RESOURCES.contains(&permission.resource) => None,
            "get" | "list" | "watch" => Some(Self::Viewer),
            "create" | "patch" => Some(Self::Editor),
            "approve" if permission.resource == "taranasyncs" => Some(Self::Approver),
            _ => None,
        }
    }
}

impl RoleGrant {
    /// Whether the role includes the permission.
    pub fn allows(&self, permission: &Permission) -> bool {
        permission.namespace.as_ref() == Some(&self.namespace)
            && Role::required(permission).is_some_and(|required| required <= self.role)
    }

    /// The message for a caller of this role without the permission.
    pub fn denied_message(&self, caller: &str, permission: &Permission) -> String {
        format!(
            "{caller} may not {permission}: Supabase users have the role {} in namespace {} (--supabase-role, --admin-namespace)",
            self.role.name(),
            self.namespace
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn allowed(role: Role, namespace: Option<&str>) -> Vec<String> {
        let grant = RoleGrant {
            role,
            namespace: "home".into(),
        };
        let verbs = [
            "get", "list", "watch", "create", "patch", "approve", "delete", "update", "*",
        ];
        let resources = RESOURCES.into_iter().chain(["secrets"]);
        let permissions =
            resources.flat_map(|resource| verbs.map(|verb| Permission::new(verb, resource, namespace)));
        permissions
            .filter(|permission| grant.allows(permission))
            .map(|permission| format!("{} {}", permission.verb, permission.resource))
            .collect()
    }

    #[test]
    fn each_role_includes_the_one_before() {
        assert_eq!(allowed(Role::Viewer, Some("home")).len(), 9);
        let (editor, approver) = (
            allowed(Role::Editor, Some("home")),
            allowed(Role::Approver, Some("home")),
        );
        assert_eq!(editor.len(), 15);
        assert!(!editor.contains(&"approve taranasyncs".to_owned()));
        let more: Vec<_> = approver.iter().filter(|one| !editor.contains(one)).collect();
        assert_eq!(more, ["approve taranasyncs"]);
    }

    #[test]
    fn no_role_reaches_another_namespace() {
        for role in Role::value_variants() {
            for namespace in [None, Some("other"), Some("")] {
                assert!(allowed(*role, namespace).is_empty(), "{role:?} {namespace:?}");
            }
        }
    }

    #[test]
    fn a_denial_names_verb_resource_namespace_and_role() {
        let grant = RoleGrant {
            role: Role::Viewer,
            namespace: "home".into(),
        };
        let message = grant.denied_message("ann", &Permission::new("create", "taranasyncs", Some("home")));
        for part in [
            "ann may not create taranasyncs.tarana.dev in namespace home",
            "role viewer",
            "--supabase-role",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}
