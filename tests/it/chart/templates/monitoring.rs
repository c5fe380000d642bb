//! Cases of the objects for metrics. `alerts.rs` tests the rules themselves.

use super::Case;

pub const CASES: &[Case] = &[
    Case {
        template: "metrics",
        values: "",
        has: &[
            "name: op-metrics",
            "publishNotReadyAddresses: true",
            "port: 8081",
            "targetPort: metrics",
        ],
        lacks: &["port: 80\n"],
    },
    Case {
        template: "metrics",
        values: "metrics.port=9000",
        has: &["port: 9000"],
        lacks: &["8081"],
    },
    Case {
        template: "metrics",
        values: "metrics.enabled=false",
        has: &[],
        lacks: &["Service"],
    },
    Case {
        template: "servicemonitor",
        values: "",
        has: &[],
        lacks: &["ServiceMonitor"],
    },
    Case {
        template: "servicemonitor",
        values: "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.labels.release=prometheus,metrics.serviceMonitor.interval=15s",
        has: &[
            "honorLabels: true",
            "interval: 15s",
            "release: prometheus",
            "replacement: sys/op",
        ],
        lacks: &["30s"],
    },
    Case {
        template: "prometheusrule",
        values: "",
        has: &[],
        lacks: &["PrometheusRule"],
    },
    Case {
        template: "prometheusrule",
        values: "metrics.prometheusRule.enabled=true,metrics.prometheusRule.labels.release=prometheus,metrics.job=mine",
        has: &[
            "release: prometheus",
            "absent(up{job=\"mine\"} == 1)",
            "- name: tarana-syncs",
        ],
        lacks: &["$JOB"],
    },
    Case {
        template: "dashboard",
        values: "",
        has: &[],
        lacks: &["ConfigMap"],
    },
    Case {
        template: "dashboard",
        values: "metrics.dashboard.enabled=true,metrics.dashboard.annotations.grafana_folder=Tarana",
        has: &[
            "name: op-dashboard",
            "grafana_dashboard: \"1\"",
            "grafana_folder: Tarana",
            "tarana.json: |",
        ],
        lacks: &[],
    },
];
