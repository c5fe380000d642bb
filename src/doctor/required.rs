//! Pure: the permissions that the operator needs.

use crate::admin::{self, REVOKED_SESSIONS};
use crate::api::GROUP;
use crate::operator::Config;

/// Group of the Events.
const EVENTS: &str = "events.k8s.io";
/// What a watch cache needs.
const WATCH: &[&str] = &["list", "watch"];

/// In each watched namespace: group, resource and verbs.
const WATCHED: [(&str, &str, &[&str]); 9] = [
    (GROUP, "taranaconnections", WATCH),
    (GROUP, "taranasyncschedules", WATCH),
    (GROUP, "taranaconnections/status", &["update"]),
    (GROUP, "taranasyncs/status", &["update"]),
    (GROUP, "taranasyncschedules/status", &["update"]),
    (
        GROUP,
        "taranasyncs",
        &["get", "list", "watch", "create", "patch", "delete"],
    ),
    (GROUP, "taranasyncschedules/finalizers", &["update"]),
    ("", "secrets", &["get", "list", "watch"]),
    (EVENTS, "events", &["create", "patch"]),
];
/// The same for the admin API.
const WATCHED_BY_ADMIN: [(&str, &str, &[&str]); 3] = [
    (GROUP, "taranaconnections", &["get"]),
    (GROUP, "taranasyncschedules", &["patch"]),
    (EVENTS, "events", &["list"]),
];

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Resource in the plural, with the subresource after a slash.
    pub resource: &'static str,
    /// Verb.
    pub verb: &'static str,
    /// Namespace; `None` for all namespaces, or if the resource has none.
    pub namespace: Option<String>,
    /// Name of the object; `None` for all.
    pub name: Option<&'static str>,
    /// Whether syncs work without it.
    pub is_optional: bool,
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{} {}{dot}{}", self.verb, self.resource, self.group)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => write!(f, " in the cluster"),
        }
    }
}

/// What the operator needs with this configuration; the same as the chart's roles grant.
pub fn required(config: &Config) -> Vec<Permission> {
    let watched: Vec<Option<&str>> = match config.namespaces.as_slice() {
        [] => vec![None],
        namespaces => namespaces
            .iter()
            .map(|namespace| Some(namespace.as_str()))
            .collect(),
    };
    let by_admin = config.admin.iter().flat_map(|_| WATCHED_BY_ADMIN);
    let in_watched: Vec<_> = WATCHED.into_iter().chain(by_admin).collect();
    let in_watched = watched.iter().flat_map(|namespace| {
        let resources = in_watched.iter();
        resources.flat_map(|(group, resource, verbs)| permissions(group, resource, verbs, *namespace))
    });
    let lease = config.election.iter().flat_map(|election| {
        let verbs = &["get", "list", "watch", "create", "patch"];
        permissions("coordination.k8s.io", "leases", verbs, Some(&election.namespace))
    });
    let cluster_uid = Permission {
        name: Some("kube-system"),
        is_optional: true,
        ..permission("", "namespaces", "get", None)
    };
    let admin = config.admin.iter().flat_map(of_authentication);
    in_watched
        .chain(lease)
        .chain(admin)
        .chain([cluster_uid])
        .collect()
}

/// What the admin API needs to authenticate and authorize callers.
fn of_authentication(admin: &admin::Config) -> Vec<Permission> {
    let mut needed = Vec::new();
    if admin.auth.kubernetes.is_some() {
        needed.push(permission(
            "authentication.k8s.io",
            "tokenreviews",
            "create",
            None,
        ));
        needed.push(permission(
            "authorization.k8s.io",
            "subjectaccessreviews",
            "create",
            None,
        ));
    }
    if let Some(sessions) = &admin.auth.sessions {
        let own = Some(sessions.namespace.as_str());
        needed.push(permission("", "configmaps", "create", own));
        needed.extend(["get", "patch"].map(|verb| Permission {
            name: Some(REVOKED_SESSIONS),
            ..permission("", "configmaps", verb, own)
        }));
    }
    needed
}

fn permissions(
    group: &'static str,
    resource: &'static str,
    verbs: &[&'static str],
    namespace: Option<&str>,
) -> Vec<Permission> {
    let verbs = verbs.iter();
    verbs
        .map(|verb| permission(group, resource, verb, namespace))
        .collect()
}

fn permission(
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    namespace: Option<&str>,
) -> Permission {
    Permission {
        group,
        resource,
        verb,
        namespace: namespace.map(str::to_owned),
        name: None,
        is_optional: false,
    }
}
