#![doc = include_str!("README.md")]

mod clock;
mod connections;
mod kubernetes;
mod permissions;
mod report;
mod required;

use jiff::Timestamp;

pub use self::report::{Check, Outcome, Report, Section};
pub use self::required::{Permission, required};

use crate::cluster::Cluster;
use crate::operator::{self, Config};

/// Checks everything that a sync needs. `names` selects connections by `name` or `namespace/name`; empty: all.
pub async fn examine(cluster: &Cluster, config: Result<Config, operator::Error>, names: &[String]) -> Report {
    let client = &cluster.controllers;
    let mut own = Section::new("operator");
    let mut api = Section::new("Kubernetes");
    let mut connections = Vec::new();
    match config {
        Ok(config) => {
            own.add("configuration", Outcome::Ok, describe(&config));
            if kubernetes::check_server(client, &mut api).await {
                permissions::check(client, &config, &mut api).await;
                kubernetes::check_kinds(client, &mut api).await;
                connections = connections::check(client, &config, names, &mut api).await;
            }
        }
        Err(error) => {
            own.add("configuration", Outcome::Failed, error.to_string());
            api.skip(&["account", "permissions", "connections"], "configuration");
        }
    }
    let mut sections = vec![own, api];
    sections.append(&mut connections);
    Report { sections }
}

fn describe(config: &Config) -> String {
    let place = match config.namespaces.as_slice() {
        [] => "all namespaces".to_owned(),
        namespaces => format!("namespace(s) {}", namespaces.join(", ")),
    };
    let selected = match config.selector.label_selector() {
        Some(selector) => format!(" with --watch-selector {selector:?}"),
        None => String::new(),
    };
    let admin = match &config.admin {
        Some(admin) => format!("admin API on {}", admin.listen),
        None => "no admin API".to_owned(),
    };
    format!("the flags are valid: watches {place}{selected}, {admin}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "clocks are compared with this machine's"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
