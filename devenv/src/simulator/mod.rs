//! A simulation of TCS: session, listings, a fleet from a seed, and faults by script.
//!
//! It writes its JSON by itself, from what is known of the vendor's API, and shares no type with the operator's client: where
//! both misread a fact in the same way, no test would notice. It runs inside a test ([`Simulator::start`]) or as a process
//! ([`cli`]); the levers are the same in both, as methods and under `/_sim/`. See the README of this folder.

mod call;
pub mod cli;
mod config;
mod control;
mod fault;
mod fleet;
mod gate;
mod listing;
pub(crate) mod rng;
mod server;
mod session;
mod tls;
mod wire;
mod world;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use call::Endpoint;
pub use config::{Config, FleetConfig, TokensIn, Transport};
pub use fault::{Blemish, CutLength, ErrorShape, Fault, Rule, RuleState};
pub use fleet::{Drift, Kind, Row};
pub use world::{Counters, Seen};

use fault::Script;
use tls::Tls;
use world::{Shared, World};

/// A running simulation. It ends, connections and all, when this is dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    ca_pem: Option<String>,
    server: JoinHandle<std::convert::Infallible>,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Simulator {
    /// Starts to listen; it answers from the moment this returns.
    ///
    /// Errors when the address is taken, or a given certificate cannot be read.
    pub async fn start(config: Config) -> io::Result<Self> {
        let (tls, ca_pem) = Tls::of(&config.transport)?.unzip();
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared::new(config, format!("{scheme}://{address}")));
        #[expect(
            clippy::disallowed_methods,
            reason = "the task belongs to the handle, which aborts it when dropped"
        )]
        let server = tokio::spawn(server::serve(listener, tls, Arc::clone(&shared)));
        Ok(Self {
            shared,
            address,
            ca_pem,
            server,
        })
    }

    /// Stops, and returns when the port is free again: the vendor is away until one is started on the same address.
    pub async fn stop(mut self) {
        self.server.abort();
        // The task was told to end; that it ended in no other way is not of interest.
        let _ = (&mut self.server).await;
    }

    /// What a client is configured with: `http://127.0.0.1:…`.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate to trust, when it speaks TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// What it was started with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Puts these rules in the place of all that were in force.
    pub fn script(&self, rules: Vec<Rule>) {
        let mut world = self.shared.world();
        world.script = Script::new(rules);
        world.spoilt.clear();
    }

    /// Serials of the devices of which a blemished record was told since the script was set, and what was wrong with it.
    pub fn spoilt(&self) -> BTreeSet<(String, Blemish)> {
        self.shared.world().spoilt.clone()
    }

    /// Ends every rule; calls that hang already go on hanging.
    pub fn clear(&self) {
        self.script(Vec::new());
    }

    /// The rules in force, with how often they matched and fired.
    pub fn rules(&self) -> Vec<RuleState> {
        self.shared.world().script.rules.clone()
    }

    /// Lets every hanging call go on.
    pub fn release(&self) {
        self.shared.gate.open();
    }

    /// How many calls hang now.
    pub fn hanging(&self) -> usize {
        self.shared.gate.waiting()
    }

    /// Returns when at least so many calls hang.
    pub async fn until_hanging(&self, calls: usize) {
        self.shared.gate.until_waiting(calls).await;
    }

    /// Changes a part (0 to 1) of the base nodes, as time would.
    pub fn drift(&self, fraction: f64) -> Drift {
        self.shared.world().fleet.drift(fraction)
    }

    /// Takes so many base nodes away; returns their serials.
    pub fn vanish(&self, count: usize) -> Vec<String> {
        self.shared.world().fleet.vanish(count)
    }

    /// Builds so many new towers with one base node each; returns their serials.
    pub fn add(&self, count: usize) -> Vec<String> {
        self.shared.world().fleet.add(count)
    }

    /// Changes the JSON of one device; false when there is none of that serial.
    pub fn edit(&self, serial: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.shared.world().fleet.edit(serial, change)
    }

    /// Replaces the text of one device, be it JSON or not; false when there is none of that serial.
    pub fn put_raw(&self, serial: &str, raw: &str) -> bool {
        self.shared.world().fleet.put_raw(serial, raw)
    }

    /// Lists one device a second time, changed or not, in every listing from now on.
    pub fn duplicate(&self, serial: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.shared.world().fleet.duplicate(serial, change)
    }

    /// Takes one device away; false when there is none of that serial.
    pub fn remove(&self, serial: &str) -> bool {
        self.shared.world().fleet.remove(serial)
    }

    /// The fleet as it is now: what an honest and complete listing of all regions shows.
    pub fn truth(&self) -> Vec<Row> {
        self.shared.world().fleet.rows().to_vec()
    }

    /// The base nodes among [`truth`](Self::truth).
    pub fn base_nodes(&self) -> Vec<Row> {
        self.truth()
            .into_iter()
            .filter(|row| row.kind == Kind::BaseNode)
            .collect()
    }

    /// Changes whom it lets in; sessions that are open stay open.
    pub fn set_credentials(&self, username: &str, password: &str) {
        let mut world = self.shared.world();
        (world.sessions.username, world.sessions.password) = (username.to_owned(), password.to_owned());
    }

    /// The tokens that it gave out (of the last 256 sessions): access, id and refresh tokens.
    pub fn tokens(&self) -> Vec<String> {
        self.shared.world().sessions.tokens()
    }

    /// Ends every session: 401 until the next refresh or login; with `refresh_too`, only a login helps.
    pub fn expire_sessions(&self, refresh_too: bool) {
        self.shared.world().sessions.revoke_all(refresh_too);
    }

    /// What it saw so far.
    pub fn counters(&self) -> Counters {
        self.shared.world().counters.clone()
    }

    /// Every call so far (the last 20,000), in the order of their answers.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.world().seen.iter().cloned().collect()
    }

    /// Returns when the counters are as wished: how tests wait without sleeping.
    pub async fn until(&self, wished: impl Fn(&Counters) -> bool) {
        let mut activity = self.shared.activity.subscribe();
        // The sender lives as long as this handle, so that the wait can only end in a change.
        while !wished(&self.counters()) && activity.changed().await.is_ok() {}
    }

    /// Back to the start: the fleet of the seed, no rules, no sessions, all counters at zero.
    pub fn reset(&self) {
        *self.shared.world() = World::new(&self.shared.config, self.ca_pem.is_some());
        self.shared.gate.open();
    }
}
