//! A simulator of TCS: sessions, listings, a fleet generated from a seed, and scripted faults.
//!
//! It shares no type with the operator's client and writes its own JSON from what is known of the vendor's API. A fact that
//! both misread in the same way goes unnoticed. It runs inside a test ([`Simulator::start`]) or as a process ([`cli`]). The
//! control API under `/_sim/` offers the same functions as the methods. See the README of this folder.

mod call;
pub mod cli;
mod config;
mod connection;
mod control;
mod fault;
mod fleet;
mod hang_latch;
mod listing;
pub(crate) mod rng;
mod server;
mod session;
mod state;
mod tls;

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
pub use fault::{CutLength, ErrorShape, Fault, RecordDefect, Rule, RuleState};
pub use fleet::{Device, DeviceKind, Drift};
pub use state::{Counters, RecordedRequest};

use fault::RuleSet;
use state::{SharedState, SimulatorState};
use tls::Tls;

/// A running simulator. Dropping it closes all connections.
pub struct Simulator {
    shared: Arc<SharedState>,
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
    /// Starts the simulator. It serves requests when this returns.
    ///
    /// Fails when the address is in use or a given certificate cannot be parsed.
    pub async fn start(config: Config) -> io::Result<Self> {
        let (tls, ca_pem) = Tls::from_transport(&config.transport)?.unzip();
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(SharedState::new(config, format!("{scheme}://{address}")));
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

    /// Stops and returns when the port is free: the vendor is unreachable until another simulator starts at the same address.
    pub async fn stop(mut self) {
        self.server.abort();
        // The result is only that the task was aborted.
        let _ = (&mut self.server).await;
    }

    /// The base URL for clients: `http://127.0.0.1:…`.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CA certificate, if it serves TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Replaces all rules.
    pub fn set_rules(&self, rules: Vec<Rule>) {
        let mut state = self.shared.lock_state();
        state.rule_set = RuleSet::new(rules);
        state.defective_records.clear();
    }

    /// The serials of devices whose record was delivered defective since the rules were set, with the defects.
    pub fn defective_records(&self) -> BTreeSet<(String, RecordDefect)> {
        self.shared.lock_state().defective_records.clone()
    }

    /// Removes all rules. Calls that already hang keep hanging.
    pub fn clear_rules(&self) {
        self.set_rules(Vec::new());
    }

    /// The active rules, with how often they matched and fired.
    pub fn rules(&self) -> Vec<RuleState> {
        self.shared.lock_state().rule_set.rules.clone()
    }

    /// Lets all hanging calls continue.
    pub fn release_hanging(&self) {
        self.shared.hang_latch.release_all();
    }

    /// The number of hanging calls.
    pub fn hanging_calls(&self) -> usize {
        self.shared.hang_latch.waiting()
    }

    /// Waits until at least this many calls hang.
    pub async fn wait_until_hanging(&self, calls: usize) {
        self.shared.hang_latch.wait_until_waiting(calls).await;
    }

    /// Changes a fraction (0 to 1) of the base nodes, as happens over time.
    pub fn drift(&self, fraction: f64) -> Drift {
        self.shared.lock_state().fleet.drift(fraction)
    }

    /// Removes base nodes; returns their serials.
    pub fn vanish(&self, count: usize) -> Vec<String> {
        self.shared.lock_state().fleet.vanish(count)
    }

    /// Adds sites with one base node each; returns the serials.
    pub fn add(&self, count: usize) -> Vec<String> {
        self.shared.lock_state().fleet.add(count)
    }

    /// Changes the JSON of a device; false when the serial is unknown.
    pub fn edit(&self, serial: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.shared.lock_state().fleet.edit(serial, change)
    }

    /// Replaces the text of a device, valid JSON or not; false when the serial is unknown.
    pub fn put_raw(&self, serial: &str, raw: &str) -> bool {
        self.shared.lock_state().fleet.put_raw(serial, raw)
    }

    /// Adds a second record of a device, after `change`, to all listings.
    pub fn duplicate(&self, serial: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.shared.lock_state().fleet.duplicate(serial, change)
    }

    /// Removes a device; false when the serial is unknown.
    pub fn remove(&self, serial: &str) -> bool {
        self.shared.lock_state().fleet.remove(serial)
    }

    /// The current fleet: what a complete and correct listing of all regions contains.
    pub fn devices(&self) -> Vec<Device> {
        self.shared.lock_state().fleet.devices().to_vec()
    }

    /// The base nodes among [`devices`](Self::devices).
    pub fn base_nodes(&self) -> Vec<Device> {
        self.devices()
            .into_iter()
            .filter(|device| device.kind == DeviceKind::BaseNode)
            .collect()
    }

    /// Changes the accepted credentials. Open sessions stay open.
    pub fn set_credentials(&self, username: &str, password: &str) {
        let mut state = self.shared.lock_state();
        (state.sessions.username, state.sessions.password) = (username.to_owned(), password.to_owned());
    }

    /// The issued access, id and refresh tokens of the last 256 sessions.
    pub fn tokens(&self) -> Vec<String> {
        self.shared.lock_state().sessions.tokens()
    }

    /// Expires all sessions: 401 until the next refresh or login; with `refresh_too`, until the next login.
    pub fn expire_sessions(&self, refresh_too: bool) {
        self.shared.lock_state().sessions.revoke_all(refresh_too);
    }

    /// The counters.
    pub fn counters(&self) -> Counters {
        self.shared.lock_state().counters.clone()
    }

    /// The last 20,000 calls, in order of their responses.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared
            .lock_state()
            .recorded_requests
            .iter()
            .cloned()
            .collect()
    }

    /// Waits until the counters satisfy the condition. Tests use it instead of sleeping.
    pub async fn wait_until(&self, condition: impl Fn(&Counters) -> bool) {
        let mut activity = self.shared.activity.subscribe();
        // The sender lives as long as `self`.
        while !condition(&self.counters()) && activity.changed().await.is_ok() {}
    }

    /// Resets everything: the fleet of the seed, no rules, no sessions, all counters at zero.
    pub fn reset(&self) {
        *self.shared.lock_state() = SimulatorState::new(&self.shared.config, self.ca_pem.is_some());
        self.shared.hang_latch.release_all();
    }
}
