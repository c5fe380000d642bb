//! Cases of accounts, permissions, the admission policy, and the release's own connection and schedule.

use super::Case;

pub const CASES: &[Case] = &[
    Case {
        template: "serviceaccount",
        values: "",
        has: &["name: op", "automountServiceAccountToken: false"],
        lacks: &["annotations"],
    },
    Case {
        template: "serviceaccount",
        values: "serviceAccount.name=sync,serviceAccount.annotations.team=network",
        has: &["name: sync", "team: network"],
        lacks: &["name: op"],
    },
    Case {
        template: "serviceaccount",
        values: "serviceAccount.create=false",
        has: &[],
        lacks: &["ServiceAccount"],
    },
    Case {
        template: "rbac",
        values: "",
        has: &[
            "name: sys:op",
            "name: sys:op-cluster-uid",
            "name: sys:op-auth",
            "name: op-leader",
            "resources: [secrets]",
            "verbs: [get, list, watch]",
            "resourceNames: [kube-system]",
        ],
        lacks: &["-sessions", "*"],
    },
    Case {
        template: "rbac",
        values: "watchNamespaces={a,b},admin.sessions.secretName=s",
        has: &[
            "namespace: a",
            "namespace: b",
            "name: op-sessions",
            "resourceNames: [tarana-operator-revoked-sessions]",
        ],
        lacks: &["name: sys:op\n"],
    },
    Case {
        template: "rbac",
        values: "admin.enabled=false,leaderElection.enabled=false,replicas=1",
        has: &["name: sys:op-cluster-uid"],
        lacks: &["auth-delegator", "leases", "resources: [taranasyncschedules]"],
    },
    Case {
        template: "rbac",
        values: "rbac.create=false",
        has: &[],
        lacks: &["Role"],
    },
    Case {
        template: "uninstall",
        values: "",
        has: &[
            "helm.sh/hook: post-delete",
            "name: op-uninstall",
            "name: sys:op-uninstall",
            "name: op-uninstall-lease",
            "args: [uninstall]",
        ],
        lacks: &["TARANA_WATCH_NAMESPACES"],
    },
    Case {
        template: "uninstall",
        values: "watchSelector=shard in (a\\,b)",
        has: &[
            "- name: TARANA_WATCH_SELECTOR",
            "value: \"shard in (a,b)\"",
            "value: \"op-shard\"",
        ],
        lacks: &[],
    },
    Case {
        template: "uninstall",
        values: "watchNamespaces={a,b},serviceAccount.create=false,serviceAccount.name=sync",
        has: &[
            "namespace: a",
            "namespace: b",
            "value: \"a,b\"",
            "serviceAccountName: sync",
        ],
        lacks: &["ClusterRole", "kind: ServiceAccount\nmetadata"],
    },
    Case {
        template: "uninstall",
        values: "uninstallHook.enabled=false",
        has: &[],
        lacks: &["Job"],
    },
    Case {
        template: "users",
        values: "",
        has: &[
            "rbac.authorization.k8s.io/aggregate-to-view: \"true\"",
            "rbac.authorization.k8s.io/aggregate-to-edit: \"true\"",
            "rbac.authorization.k8s.io/aggregate-to-admin: \"true\"",
            "verbs: [approve]",
        ],
        lacks: &["Binding", "*"],
    },
    Case {
        template: "users",
        values: "rbac.aggregate=false",
        has: &[],
        lacks: &["Role"],
    },
    Case {
        template: "admissionpolicy",
        values: "",
        has: &[],
        lacks: &["Policy"],
    },
    Case {
        template: "admissionpolicy",
        values: "admissionPolicy.enabled=true",
        has: &[
            "name: sys.op",
            "policyName: sys.op",
            "failurePolicy: Fail",
            "operations: [CREATE]",
            "validationActions: [Deny]",
            "expression: request.userInfo.username != 'system:serviceaccount:sys:op'",
        ],
        lacks: &["namespaceSelector", "not-by-an-exempt-user"],
    },
    Case {
        template: "admissionpolicy",
        values: "admissionPolicy.enabled=true,watchNamespaces={a,b,a},admissionPolicy.exemptUsers={x'y},serviceAccount.name=other",
        has: &[
            "- key: kubernetes.io/metadata.name",
            "values: [\"a\",\"b\"]",
            "!(request.userInfo.username in [\"x'y\"])",
            "expression: request.userInfo.username != 'system:serviceaccount:sys:other'",
        ],
        lacks: &["serviceaccount:sys:op'"],
    },
    Case {
        template: "connection",
        values: "",
        has: &[],
        lacks: &["TaranaConnection"],
    },
    Case {
        template: "connection",
        values: "connection.enabled=true,connection.name=c,connection.spec.api.url=https://a.org,connection.spec.api.credentialsSecretRef.name=tcs,connection.spec.database.secretRef.name=db",
        has: &[
            "name: c",
            "namespace: sys",
            "helm.sh/resource-policy: keep",
            "url: https://a.org",
        ],
        lacks: &["operatorId"],
    },
    Case {
        template: "connection",
        values: "connection.enabled=true,watchSelector=shard == a\\,!private\\,env!=prod\\,tier in (x\\,y),connection.labels.tier=x,connection.spec.api.url=https://a.org,connection.spec.api.credentialsSecretRef.name=tcs,connection.spec.database.secretRef.name=db",
        has: &["shard: a", "tier: x", "app.kubernetes.io/instance: op"],
        lacks: &["private", "env", "y)"],
    },
    Case {
        template: "schedule",
        values: "schedule.enabled=true,watchSelector=shard=a,schedule.spec.schedule=0 0 * * *",
        has: &["shard: a"],
        lacks: &[],
    },
    Case {
        template: "schedule",
        values: "",
        has: &[],
        lacks: &["TaranaSyncSchedule"],
    },
    Case {
        template: "schedule",
        values: "schedule.enabled=true,schedule.name=s,schedule.spec.schedule=@daily,connection.namespace=stations",
        has: &[
            "name: s",
            "namespace: stations",
            "helm.sh/resource-policy: keep",
            "schedule: '@daily'",
        ],
        lacks: &["timeZone"],
    },
];
