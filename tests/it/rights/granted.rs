//! The permissions that a rendered chart grants.

use std::collections::BTreeSet;

use serde::Deserialize;

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Granted {
    /// Empty for the core group.
    pub group: String,
    /// With the subresource after a slash.
    pub resource: String,
    pub verb: String,
    /// Empty for all namespaces, or if the resource has none.
    pub namespace: String,
    /// Empty for all objects.
    pub name: String,
}

/// A role of the rendered chart.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Role {
    kind: String,
    metadata: RoleMetadata,
    rules: Vec<RoleRule>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RoleMetadata {
    namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleRule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

/// The permissions of all roles in the manifests, and those of `system:auth-delegator` if it is bound.
pub fn granted(manifests: &str) -> BTreeSet<Granted> {
    let documents = manifests.split("\n---").filter(|text| text.contains("kind: "));
    let roles = documents.map(|text| serde_saphyr::from_str::<Role>(text).unwrap());
    let mut granted: BTreeSet<Granted> = roles
        .filter(|role| role.kind.ends_with("Role"))
        .flat_map(of_role)
        .collect();
    if manifests.contains("name: system:auth-delegator") {
        granted.extend(auth_delegator());
    }
    granted
}

fn of_role(role: Role) -> Vec<Granted> {
    let namespace = role.metadata.namespace.unwrap_or_default();
    let mut granted = Vec::new();
    for mut rule in role.rules {
        if rule.resource_names.is_empty() {
            rule.resource_names.push(String::new());
        }
        for group in &rule.api_groups {
            for (resource, verb) in pairs(&rule.resources, &rule.verbs) {
                granted.extend(rule.resource_names.iter().map(|name| Granted {
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                    namespace: namespace.clone(),
                    name: name.clone(),
                }));
            }
        }
    }
    granted
}

fn pairs<'a>(a: &'a [String], b: &'a [String]) -> impl Iterator<Item = (&'a String, &'a String)> {
    a.iter().flat_map(move |a| b.iter().map(move |b| (a, b)))
}

/// The `ClusterRole` `system:auth-delegator`, which every cluster has, grants these two.
fn auth_delegator() -> [Granted; 2] {
    let review = |group: &str, resource: &str| Granted {
        group: group.to_owned(),
        resource: resource.to_owned(),
        verb: "create".to_owned(),
        namespace: String::new(),
        name: String::new(),
    };
    [
        review("authentication.k8s.io", "tokenreviews"),
        review("authorization.k8s.io", "subjectaccessreviews"),
    ]
}
