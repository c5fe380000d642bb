//! Admission policies, with which the API server rejects writes.

use serde_json::{Value, json};

use super::environment::TestEnvironment;
use super::servers;

/// Rejects what matches these constraints in the namespace. It takes the API server some seconds until the policy is effective.
pub async fn reject(env: &TestEnvironment, name: &str, mut constraints: Value, message: &str, reason: &str) {
    constraints["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": env.namespace}});
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": name},
    "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": constraints,
        "validations": [{"expression": "false", "message": message, "reason": reason}],
    }});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}});
    let kubectl = servers::plane().await.kubectl();
    for manifest in [policy, binding] {
        kubectl.apply(&manifest.to_string()).await.unwrap();
    }
}
