//! Cases of the Deployment, and of what spreads and protects its pods.

use super::Case;

pub const CASES: &[Case] = &[
    Case {
        template: "deployment",
        values: "",
        has: &[
            "replicas: 2",
            "type: RollingUpdate",
            "image: tarana-operator:0.1.0",
            "serviceAccountName: op",
            "runAsNonRoot: true",
            "readOnlyRootFilesystem: true",
            "drop: [ALL]",
            "topologyKey: kubernetes.io/hostname",
            "whenUnsatisfiable: ScheduleAnyway",
            "- maxSkew: 1",
            "matchLabelKeys: [pod-template-hash]",
            "value: \"[::]:8080\"",
            "value: \"[::]:8081\"",
            "- name: TARANA_ADMIN_NAMESPACE",
        ],
        lacks: &["volumes:", "TARANA_WATCH_NAMESPACES", "nodeSelector", "OTEL_"],
    },
    Case {
        template: "deployment",
        values: "databaseConnections=5,maxConcurrentSyncs=7",
        has: &[
            "- name: TARANA_DATABASE_CONNECTIONS",
            "value: \"5\"",
            "- name: TARANA_MAX_CONCURRENT_SYNCS",
            "value: \"7\"",
        ],
        lacks: &[],
    },
    Case {
        template: "deployment",
        values: "traces.endpoint=http://collector:4318",
        has: &[
            "- name: OTEL_EXPORTER_OTLP_ENDPOINT",
            "value: \"http://collector:4318\"",
        ],
        lacks: &[],
    },
    Case {
        template: "deployment",
        values: "replicas=1,leaderElection.enabled=false",
        has: &["replicas: 1", "type: Recreate", "value: \"false\""],
        lacks: &["RollingUpdate"],
    },
    Case {
        template: "deployment",
        values: "topologySpreadConstraints[0].topologyKey=zone,topologySpreadConstraints[0].maxSkew=2,watchNamespaces={a,b,a}",
        has: &["topologyKey: zone", "- maxSkew: 2", "value: \"a,b\""],
        lacks: &["kubernetes.io/hostname", "matchLabelKeys"],
    },
    Case {
        template: "deployment",
        values: "admin.publicUrl=https://tarana.example.org,admin.corsOrigins={https://a.org,https://b.org}",
        has: &[
            "value: \"https://tarana.example.org\"",
            "value: \"https://a.org,https://b.org\"",
        ],
        lacks: &["TARANA_MAP"],
    },
    Case {
        template: "deployment",
        values: "admin.map.tileUrl=https://a.org/\\{z\\}/\\{x\\}/\\{y\\},admin.map.attribution=A",
        has: &["value: \"https://a.org/{z}/{x}/{y}\"", "value: \"A\""],
        lacks: &["volumes:"],
    },
    Case {
        template: "deployment",
        values: "admin.map.tileFile.path=planet.pmtiles,admin.map.tileFile.volume.persistentVolumeClaim.claimName=maps,admin.map.attribution=A",
        has: &[
            "value: \"/var/lib/tarana-operator/map/planet.pmtiles\"",
            "mountPath: /var/lib/tarana-operator/map",
            "claimName: maps",
        ],
        lacks: &["TARANA_MAP_TILE_URL"],
    },
    Case {
        template: "deployment",
        values: "admin.tlsSecretName=tls,admin.sessions.secretName=sessions,metrics.enabled=false",
        has: &[
            "scheme: HTTPS",
            "secretName: \"tls\"",
            "secretName: sessions",
            "value: \"\"",
        ],
        lacks: &["name: metrics", "scheme: HTTP\n"],
    },
    Case {
        template: "deployment",
        values: "image.repository=r.example.org/x,image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000,serviceAccount.create=false",
        has: &[
            "image: r.example.org/x@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "serviceAccountName: default",
        ],
        lacks: &["0.1.0\n          imagePullPolicy"],
    },
    Case {
        template: "poddisruptionbudget",
        values: "",
        has: &[
            "name: op",
            "maxUnavailable: 1",
            "unhealthyPodEvictionPolicy: AlwaysAllow",
            "app.kubernetes.io/instance: op",
        ],
        lacks: &["minAvailable"],
    },
    Case {
        template: "poddisruptionbudget",
        values: "replicas=4,podDisruptionBudget.maxUnavailable=50%,podDisruptionBudget.unhealthyPodEvictionPolicy=IfHealthyBudget",
        has: &[
            "maxUnavailable: \"50%\"",
            "unhealthyPodEvictionPolicy: IfHealthyBudget",
        ],
        lacks: &["AlwaysAllow"],
    },
    Case {
        template: "poddisruptionbudget",
        values: "replicas=1",
        has: &[],
        lacks: &["PodDisruptionBudget"],
    },
    Case {
        template: "poddisruptionbudget",
        values: "podDisruptionBudget.enabled=false",
        has: &[],
        lacks: &["PodDisruptionBudget"],
    },
    Case {
        template: "service",
        values: "",
        has: &["name: op", "- name: http", "port: 80", "targetPort: admin"],
        lacks: &["https"],
    },
    Case {
        template: "service",
        values: "admin.tlsSecretName=tls",
        has: &["- name: https", "port: 443"],
        lacks: &["port: 80"],
    },
    Case {
        template: "service",
        values: "admin.enabled=false",
        has: &[],
        lacks: &["Service"],
    },
    Case {
        template: "ingress",
        values: "",
        has: &[],
        lacks: &["Ingress"],
    },
    Case {
        template: "ingress",
        values: "admin.tlsSecretName=tls,admin.ingress.enabled=true,admin.ingress.host=sync.example.com,admin.ingress.className=nginx",
        has: &[
            "- host: \"sync.example.com\"",
            "name: https",
            "ingressClassName: \"nginx\"",
        ],
        lacks: &["secretName"],
    },
    Case {
        template: "ingress",
        values: "admin.ingress.enabled=true,admin.ingress.host=a.org,admin.ingress.tlsSecretName=web,admin.ingress.annotations.team=network",
        has: &[
            "name: http",
            "- hosts: [\"a.org\"]",
            "secretName: \"web\"",
            "team: network",
        ],
        lacks: &["ingressClassName"],
    },
    Case {
        template: "httproute",
        values: "",
        has: &[],
        lacks: &["HTTPRoute"],
    },
    Case {
        template: "httproute",
        values: "admin.httpRoute.enabled=true,admin.httpRoute.parentRefs[0].name=gateway,admin.httpRoute.hostnames={sync.example.com}",
        has: &["- name: gateway", "- sync.example.com", "port: 80", "- name: op"],
        lacks: &["443"],
    },
    Case {
        template: "networkpolicy",
        values: "",
        has: &["policyTypes: [Ingress]", "- port: admin", "- port: metrics"],
        lacks: &["from:", "Egress"],
    },
    Case {
        template: "networkpolicy",
        values: "networkPolicy.from[0].podSelector.matchLabels.a=b,networkPolicy.metricsFrom[0].podSelector.matchLabels.c=d",
        has: &["from:", "a: b", "c: d"],
        lacks: &["ingress: []"],
    },
    Case {
        template: "networkpolicy",
        values: "admin.enabled=false,metrics.enabled=false",
        has: &["ingress: []"],
        lacks: &["port:"],
    },
    Case {
        template: "networkpolicy",
        values: "networkPolicy.enabled=false",
        has: &[],
        lacks: &["NetworkPolicy"],
    },
];
