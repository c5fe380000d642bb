//! The notes that `helm install` prints: the next step, which depends on the values.

use serde_json::Value;

use super::{CHART, helm};

/// The notes of the release `op` in the namespace `sys`.
async fn notes(arguments: &[&str]) -> String {
    let install = [
        "install",
        "op",
        CHART,
        "--namespace",
        "sys",
        "--dry-run=client",
        "--skip-crds",
        "--output",
        "json",
    ];
    let printed = helm(&[&install[..], &["--set", "fullnameOverride=op"], arguments].concat()).await;
    let release: Value = serde_json::from_str(&printed).unwrap();
    release["info"]["notes"].as_str().unwrap().to_owned()
}

const CONNECTION: &str = "connection.enabled=true,connection.name=c,connection.spec.api.url=https://a.org,connection.spec.api.credentialsSecretRef.name=tcs,connection.spec.database.secretRef.name=db";

const CREATE: &str = "Create a connection, which defines the source and the destination";
const LEASE: &str = "kubectl get lease tarana-operator --namespace sys";

type Case = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

/// What `--set` sets, which texts the notes have, and which they lack.
const CASES: &[Case] = &[
    (
        &[],
        &[
            "op watches all namespaces",
            CREATE,
            LEASE,
            "Service op-metrics",
            "kubectl apply --server-side --force-conflicts -f crds/",
        ],
        &["tconn/c", "schedule"],
    ),
    (
        &["watchNamespaces={a,b}"],
        &["op watches the namespaces a, b.", CREATE],
        &["all namespaces"],
    ),
    (
        &["replicas=1"],
        &["It has one replica: while its pod is replaced, no sync runs and the admin API is not available."],
        &[LEASE],
    ),
    (
        &["replicas=1,admin.enabled=false,metrics.enabled=false"],
        &["no sync runs."],
        &["admin API", "Metrics are on port"],
    ),
    (&["replicas=0"], &["nothing runs: set replicas"], &[LEASE]),
    (
        &[CONNECTION],
        &[
            "kubectl create secret generic tcs --namespace sys --from-literal=username=… --from-literal=password=…",
            "kubectl create secret generic db --namespace sys --from-literal=url=postgres://…",
            "kubectl wait --for=condition=Ready tconn/c --namespace sys",
            "connectionRef: {name: c}",
        ],
        &[CREATE, "schedule", "from-file"],
    ),
    (
        &[
            CONNECTION,
            "connection.namespace=n,connection.spec.database.secretRef.name=tcs,connection.spec.database.secretRef.caKey=ca,connection.spec.api.caSecretRef.name=authority",
            "connection.spec.api.credentialsSecretRef.usernameKey=user,connection.spec.eventSink.signingSecretRef.name=sink,connection.spec.eventSink.url=https://b.org",
            "schedule.enabled=true,schedule.name=s,schedule.spec.schedule=@daily",
        ],
        &[
            "kubectl create secret generic tcs --namespace n --from-literal=user=… --from-literal=password=… --from-literal=url=postgres://… --from-file=ca=database-ca.crt\n",
            "kubectl create secret generic authority --namespace n --from-file=ca.crt=api-ca.crt\n",
            "kubectl create secret generic sink --namespace n --from-literal=secret=…\n",
            "The schedule s then starts runs at \"@daily\" (Etc/UTC).",
        ],
        &[CREATE, "--namespace sys --from"],
    ),
    (
        &[
            "schedule.enabled=true,schedule.spec.schedule=@daily,schedule.spec.template.spec.connectionRef.name=other",
        ],
        &[
            CREATE,
            "The schedule default in namespace sys waits for its connection, other.",
        ],
        &["then starts runs"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_notes_say_what_to_do_next() {
    for (values, has, lacks) in CASES {
        let arguments: Vec<&str> = values.iter().flat_map(|values| ["--set", values]).collect();
        let notes = notes(&arguments).await;
        for text in *has {
            assert!(notes.contains(text), "{values:?}: {text} is not in\n{notes}");
        }
        for text in *lacks {
            assert!(!notes.contains(text), "{values:?}: {text} is in\n{notes}");
        }
        assert!(
            !notes.contains("\n\n\n") && !notes.contains("<no value>"),
            "{values:?}:\n{notes}"
        );
    }
}
