//! Checks of the connections: their Secrets, databases, vendor APIs and event sinks.

use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::clock;
use super::report::{Outcome, Section};
use crate::api::connection::TaranaConnection;
use crate::connection::{self, ConnectionClients, Key};
use crate::fault::Fault;
use crate::operator::Config;
use crate::store::{ServerInfo, Store};
use crate::tarana::{Sample, ServerTime};
use crate::webhook::Sink;

/// Connections that are checked at the same time.
const CONCURRENCY: usize = 4;

const CONFIGURATION: &str = "spec and Secrets";
const DATABASE_CHECKS: [&str; 4] = [
    "database login",
    "database clock",
    "database schema",
    "database privileges",
];
const VENDOR_CHECKS: [&str; 3] = ["vendor login", "vendor listing", "vendor clock"];

/// Checks the connections that are named as `name` or `namespace/name`, or all. What concerns none of them is added to `section`.
pub(super) async fn check(
    client: &Client,
    config: &Config,
    names: &[String],
    section: &mut Section,
) -> Vec<Section> {
    let listed = match list(client, config).await {
        Ok(listed) => listed,
        Err(error) => {
            let message = format!("the TaranaConnections cannot be listed: {error}");
            section.add("connections", Outcome::Failed, message);
            return Vec::new();
        }
    };
    for name in names
        .iter()
        .filter(|name| !listed.iter().any(|c| is_named(c, name)))
    {
        let message = format!(
            "there is no TaranaConnection {name} in the watched namespaces{}: correct --connection",
            config.selector.hint()
        );
        section.add("connections", Outcome::Failed, message);
    }
    if listed.is_empty() {
        let message = format!(
            "there is none in the watched namespaces{}: create one; `crds/taranaconnections.md` has an example",
            config.selector.hint()
        );
        section.add("connections", Outcome::Warning, message);
    }
    let selected = listed
        .iter()
        .filter(|connection| names.is_empty() || names.iter().any(|name| is_named(connection, name)));
    let checks: Vec<_> = selected
        .map(|connection| check_connection(client, config, connection))
        .collect();
    stream::iter(checks).buffered(CONCURRENCY).collect().await
}

async fn list(client: &Client, config: &Config) -> Result<Vec<TaranaConnection>, kube::Error> {
    let params = ListParams {
        label_selector: config.selector.label_selector(),
        ..ListParams::default()
    };
    if config.namespaces.is_empty() {
        let all: Api<TaranaConnection> = Api::all(client.clone());
        return Ok(all.list(&params).await?.items);
    }
    let mut listed = Vec::new();
    for namespace in &config.namespaces {
        let api: Api<TaranaConnection> = Api::namespaced(client.clone(), namespace);
        listed.extend(api.list(&params).await?.items);
    }
    Ok(listed)
}

fn is_named(connection: &TaranaConnection, name: &str) -> bool {
    match name.split_once('/') {
        Some((namespace, name)) => {
            connection.namespace().as_deref() == Some(namespace) && connection.name_any() == name
        }
        None => connection.name_any() == name,
    }
}

async fn check_connection(client: &Client, config: &Config, connection: &TaranaConnection) -> Section {
    let mut section = Section::new(format!("TaranaConnection {}", Key::of(connection)));
    let built = connection::build_clients(client, connection, &config.metrics).await;
    let built = section.add_result(CONFIGURATION, built, |_| "valid".to_owned());
    if let Some(clients) = built {
        check_database(&clients.store, config.migrate, &mut section).await;
        check_vendor(&clients, &mut section).await;
        clients.store.close_pool().await;
    } else {
        section.skip(&DATABASE_CHECKS, CONFIGURATION);
        section.skip(&VENDOR_CHECKS, CONFIGURATION);
    }
    if connection.spec.event_sink.is_some() {
        let sink = sink(client, config, connection).await;
        section.add_result("event sink", sink, |()| {
            "its configuration is valid; POST …/test-event of the admin API sends an event".to_owned()
        });
    }
    section
}

async fn sink(client: &Client, config: &Config, connection: &TaranaConnection) -> Result<(), Fault> {
    match connection::sink_config(client, connection).await? {
        Some(sink) => Sink::new(&sink, &config.sink_addresses).map(drop),
        None => Ok(()),
    }
}

async fn check_database(store: &Store, migrates: bool, section: &mut Section) {
    let [login, clock, schema, privileges] = DATABASE_CHECKS;
    let info = section.add_result(login, store.server_info().await, |info| {
        format!(
            "PostgreSQL {} as role {}, answered in {} ms",
            info.version,
            info.role,
            info.round_trip.as_millis()
        )
    });
    let Some(info) = info else {
        section.skip(&[clock, schema, privileges], login);
        return;
    };
    let (outcome, message) = clock::compare("the database", info.time, time_of(&info));
    section.add(clock, outcome, message);
    match store.pending_migrations().await {
        Err(fault) => {
            section.add_fault(schema, &fault);
            section.skip(&[privileges], schema);
        }
        Ok(pending) if pending.is_empty() => {
            section.add(schema, Outcome::Ok, "current");
            section.add_result(privileges, store.verify_access().await, |()| {
                "the role may read and write what a sync does".to_owned()
            });
        }
        Ok(pending) => {
            add_pending(section, &pending, migrates);
            section.skip(&[privileges], "a current schema");
        }
    }
}

fn add_pending(section: &mut Section, pending: &[&str], migrates: bool) {
    let lacks = format!("lacks {} migration(s): {}", pending.len(), pending.join(", "));
    let [_, _, schema, _] = DATABASE_CHECKS;
    if migrates {
        let message = format!("{lacks}; the operator applies them when it verifies the connection");
        section.add(schema, Outcome::Warning, message);
    } else {
        let message = format!("{lacks}; run `tarana-operator migrate` as the owner");
        section.add(schema, Outcome::Failed, message);
    }
}

/// This machine's clock when the database read its own: halfway between query and result.
fn time_of(info: &ServerInfo) -> Timestamp {
    before_now(info.received.elapsed() + info.round_trip / 2)
}

fn before_now(ago: std::time::Duration) -> Timestamp {
    let ago = SignedDuration::try_from(ago).unwrap_or_default();
    super::now().checked_sub(ago).unwrap_or(Timestamp::MIN)
}

async fn check_vendor(clients: &ConnectionClients, section: &mut Section) {
    let [login, listing, clock] = VENDOR_CHECKS;
    let verified = section.add_result(login, clients.tarana.verify().await, |verified| {
        format!(
            "operator {}, {} region(s)",
            verified.operator_id,
            verified.regions.len()
        )
    });
    match &verified {
        Some(verified) => add_sample(section, listing, clients.tarana.sample(verified).await),
        None => section.skip(&[listing], login),
    }
    match clients.tarana.server_time() {
        Some(ServerTime { time, received }) => {
            let (outcome, message) = clock::compare(
                "the vendor's API",
                clock::of_date(time),
                before_now(received.elapsed()),
            );
            section.add(clock, outcome, message);
        }
        None => section.skip(&[clock], "an answer with a Date"),
    }
}

fn add_sample(section: &mut Section, check: &'static str, sample: Result<Sample, Fault>) {
    let describe = |sample: &Sample| {
        let total = sample
            .total
            .map_or_else(String::new, |total| format!(" of {total}"));
        let (devices, list, listing) = (sample.devices, &sample.list, sample.listing);
        format!("{listing}: {devices}{total} devices on the first page of {list}")
    };
    match sample {
        Ok(sample) if sample.devices == 0 => {
            let message = format!(
                "{}; an empty listing fails a sync: check the account's rights in TCS",
                describe(&sample)
            );
            section.add(check, Outcome::Warning, message);
        }
        Ok(sample) => match &sample.rejected {
            Some((count, why)) => {
                let message = format!(
                    "{}; {count} cannot be used, the first because {why}",
                    describe(&sample)
                );
                section.add(check, Outcome::Warning, message);
            }
            None => section.add(check, Outcome::Ok, describe(&sample)),
        },
        Err(fault) => section.add_fault(check, &fault),
    }
}
