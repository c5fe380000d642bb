//! Rules for all rendered objects, in every example: namespace, labels, names, selectors and permissions.

use std::collections::BTreeSet;

use serde_json::Value;

use super::examples::{as_arguments, modes};
use super::{find, render};

/// As long as Helm permits.
const LONG_RELEASE: &str = "a-release-with-a-name-of-exactly-fifty-three-characte";
/// As long as Kubernetes permits.
const LONG_NAMESPACE: &str = "a-namespace-with-a-name-of-exactly-sixty-three-characters-abcde";
const CLUSTER_SCOPED: [&str; 4] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];
const STANDARD_LABELS: [&str; 5] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
];

/// The objects of each example, for a short and a long name of release and namespace.
async fn all_objects() -> Vec<(Vec<String>, Vec<Value>)> {
    let mut all = Vec::new();
    for mode in modes() {
        for (release, namespace) in [("op", "sys"), (LONG_RELEASE, LONG_NAMESPACE)] {
            let objects = render(release, namespace, &as_arguments(&mode)).await.unwrap();
            all.push((mode.clone(), objects));
        }
    }
    all
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// Whether the labels contain all of the selector.
fn selects(selector: &Value, labels: &Value) -> bool {
    let selector = selector.as_object().unwrap();
    !selector.is_empty() && selector.iter().all(|(key, value)| labels[key] == *value)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_has_namespace_labels_and_a_unique_name_of_at_most_63_characters() {
    assert_eq!((LONG_RELEASE.len(), LONG_NAMESPACE.len()), (53, 63));
    for (mode, objects) in all_objects().await {
        let mut names = BTreeSet::new();
        for object in &objects {
            let metadata = &object["metadata"];
            let kind = object["kind"].as_str().unwrap();
            let namespace = metadata["namespace"].as_str();
            assert_eq!(
                namespace.is_none(),
                CLUSTER_SCOPED.contains(&kind),
                "{mode:?}: {object:#}"
            );
            for label in STANDARD_LABELS {
                let value = metadata["labels"][label].as_str().unwrap_or_default();
                assert!((1..=63).contains(&value.len()), "{mode:?} {label}: {object:#}");
            }
            assert!(name(object).len() <= 63, "{mode:?}: {object:#}");
            assert!(
                names.insert((kind, namespace, name(object))),
                "{mode:?}: {kind} {} occurs twice",
                name(object)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_cluster_scoped_names_of_two_releases_differ() {
    let mut names = BTreeSet::new();
    let neighbor = LONG_NAMESPACE.replace("abcde", "abcdf");
    let arguments = ["--set", "admissionPolicy.enabled=true"];
    let mut objects = render(LONG_RELEASE, LONG_NAMESPACE, &arguments).await.unwrap();
    objects.extend(render(LONG_RELEASE, &neighbor, &arguments).await.unwrap());
    for object in &objects {
        let kind = object["kind"].as_str().unwrap();
        if CLUSTER_SCOPED.contains(&kind) {
            assert!(names.insert((kind, name(object))), "{kind} {}", name(object));
        }
    }
    assert!(names.len() > 10, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_selector_matches_the_pods() {
    for (mode, objects) in all_objects().await {
        let deployment = objects.iter().find(|o| o["kind"] == "Deployment").unwrap();
        let pod = &deployment["spec"]["template"];
        let labels = &pod["metadata"]["labels"];
        let mut selectors = vec![&deployment["spec"]["selector"]["matchLabels"]];
        for object in &objects {
            let spec = &object["spec"];
            match object["kind"].as_str().unwrap() {
                "Service" => selectors.push(&spec["selector"]),
                "NetworkPolicy" => selectors.push(&spec["podSelector"]["matchLabels"]),
                "PodDisruptionBudget" => selectors.push(&spec["selector"]["matchLabels"]),
                "ServiceMonitor" => {
                    let services = objects.iter().filter(|o| o["kind"] == "Service");
                    let selected = services.filter(|service| {
                        selects(&spec["selector"]["matchLabels"], &service["metadata"]["labels"])
                    });
                    assert_eq!(selected.count(), 1, "{mode:?}: {object:#}");
                }
                _ => {}
            }
        }
        let constraints = pod["spec"]["topologySpreadConstraints"].as_array().unwrap();
        selectors.extend(constraints.iter().map(|c| &c["labelSelector"]["matchLabels"]));
        for selector in selectors {
            assert!(selects(selector, labels), "{mode:?}: {selector} and {labels}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_port_of_a_service_is_one_of_the_container() {
    for (mode, objects) in all_objects().await {
        let deployment = objects.iter().find(|o| o["kind"] == "Deployment").unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let ports = container["ports"].as_array().cloned().unwrap_or_default();
        let names: Vec<_> = ports.iter().map(|port| &port["name"]).collect();
        for service in objects.iter().filter(|o| o["kind"] == "Service") {
            for port in service["spec"]["ports"].as_array().unwrap() {
                assert!(names.contains(&&port["targetPort"]), "{mode:?}: {port} {names:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_role_has_a_wildcard_and_every_binding_names_a_role_and_the_service_account() {
    for (mode, objects) in all_objects().await {
        let is_kind = |kinds: [&'static str; 2]| {
            let objects = objects.iter();
            objects.filter(move |o| kinds.contains(&o["kind"].as_str().unwrap()))
        };
        for role in is_kind(["ClusterRole", "Role"]) {
            assert!(!role["rules"].to_string().contains('*'), "{mode:?}: {role:#}");
            assert!(!role["rules"].as_array().unwrap().is_empty());
        }
        // That of the operator, and that of the uninstall hook.
        let accounts: Vec<_> = objects
            .iter()
            .filter(|o| o["kind"] == "ServiceAccount")
            .map(|o| &o["metadata"])
            .collect();
        for binding in is_kind(["ClusterRoleBinding", "RoleBinding"]) {
            let role = &binding["roleRef"];
            let (kind, role) = (role["kind"].as_str().unwrap(), role["name"].as_str().unwrap());
            if role != "system:auth-delegator" {
                let role = find(&objects, kind, role);
                if kind == "Role" {
                    let namespaces: Vec<_> = objects
                        .iter()
                        .filter(|o| o["kind"] == "Role" && o["metadata"]["name"] == role["metadata"]["name"])
                        .map(|o| &o["metadata"]["namespace"])
                        .collect();
                    assert!(
                        namespaces.contains(&&binding["metadata"]["namespace"]),
                        "{binding:#}"
                    );
                }
            }
            let subject = &binding["subjects"][0];
            let is_hook = |object: &Value| !object["annotations"]["helm.sh/hook"].is_null();
            let account = accounts.iter().find(|account| {
                account["name"] == subject["name"] && account["namespace"] == subject["namespace"]
            });
            let account = account.unwrap_or_else(|| panic!("no ServiceAccount for {binding:#}"));
            assert_eq!(is_hook(account), is_hook(&binding["metadata"]), "{binding:#}");
        }
    }
}
