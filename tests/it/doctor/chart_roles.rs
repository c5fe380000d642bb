//! The permissions that the doctor requires are those that the chart grants.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Parser;
use tarana_operator::cli::{Cli, Command};
use tarana_operator::doctor;
use tarana_operator::metrics::Metrics;
use tarana_operator::operator::Config;

use crate::chart;
use crate::rights::granted::{Granted, granted};

/// What the doctor requires with these flags.
fn required(arguments: &[&str]) -> BTreeSet<Granted> {
    let arguments = [
        &["tarana-operator", "run", "--lease-namespace", "home"],
        arguments,
    ]
    .concat();
    let Command::Run(flags) = Cli::parse_from(arguments).command else {
        panic!("the flags are those of run")
    };
    let config = Config::from_flags(&flags, "home", Metrics::default()).unwrap();
    let permissions = doctor::required(&config).into_iter();
    permissions
        .map(|p| Granted {
            group: p.group.to_owned(),
            resource: p.resource.to_owned(),
            verb: p.verb.to_owned(),
            namespace: p.namespace.unwrap_or_default(),
            name: p.name.unwrap_or_default().to_owned(),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_grants_exactly_what_the_doctor_requires() {
    let key = Path::new(env!("CARGO_TARGET_TMPDIR")).join("doctor.key");
    std::fs::write(&key, [7; 64]).unwrap();
    let key = key.to_str().unwrap();
    let cases: [(&str, &[&str], bool); 3] = [
        ("admin.enabled=true", &[], true),
        (
            "watchNamespaces={a,b},admin.sessions.secretName=s",
            &["--watch-namespace", "a,b", "--admin-session-key-file", key],
            true,
        ),
        (
            "admin.enabled=false,leaderElection.enabled=false,replicas=1",
            &["--admin-listen", "", "--leader-elect", "false"],
            false,
        ),
    ];
    for (values, flags, delegates) in cases {
        let arguments = [
            "template",
            "x",
            "charts/tarana-operator",
            "--namespace",
            "home",
            "--set",
            values,
        ];
        let rendered = chart::helm(&[&arguments[..], &["--show-only", "templates/rbac.yaml"]].concat()).await;
        assert_eq!(rendered.contains("system:auth-delegator"), delegates);
        assert_eq!(required(flags), granted(&rendered), "{values}");
    }
}
