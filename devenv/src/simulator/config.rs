//! The configuration of a simulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

/// Where a login response contains the tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TokensIn {
    /// In the body and in the cookies, like the real vendor.
    #[default]
    Both,
    /// Only in `Set-Cookie`; the body contains nulls.
    Cookies,
    /// Only in the body; no cookie is set.
    Body,
}

/// HTTP or HTTPS.
#[derive(Debug, Clone, Default)]
pub enum Transport {
    /// Plain HTTP.
    #[default]
    Plain,
    /// HTTPS with a self-signed certificate for `localhost` and 127.0.0.1; [`ca_pem`](super::Simulator::ca_pem) returns it.
    SelfSigned,
    /// HTTPS with this certificate chain and key, PEM.
    Pem {
        /// The certificate, followed by its issuers.
        chain: String,
        /// The private key.
        key: String,
    },
}

/// The size of the fleet and of its records.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// Base nodes in all regions together. Default 718.
    pub base_nodes: usize,
    /// How many of them are in the training region. Default 4.
    pub training_nodes: usize,
    /// Customers' radios. Default 40: an account sees only its own.
    pub remote_nodes: usize,
    /// The number of fields unknown to clients on each base node. Default 6.
    pub unknown_fields: usize,
    /// How many of the first base nodes have 320 unknown fields each. Default 5.
    pub heavy_nodes: usize,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            base_nodes: 718,
            training_nodes: 4,
            remote_nodes: 40,
            unknown_fields: 6,
            heavy_nodes: 5,
        }
    }
}

/// The configuration of a simulator. The default resembles the real operator without faults.
#[derive(Debug, Clone)]
pub struct Config {
    /// The listen address. Default: a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// Plain HTTP by default.
    pub transport: Transport,
    /// Determines the fleet and its drift. Default 1.
    pub seed: u64,
    /// The devices.
    pub fleet: FleetConfig,
    /// The operator id of the account. Default 219.
    pub operator_id: i64,
    /// The account's username. Default `operator@example.com`.
    pub username: String,
    /// The account's password. Default `correct horse`.
    pub password: String,
    /// The lifetime of access and id tokens. Default one hour.
    pub token_lifetime: Duration,
    /// The lifetime of refresh tokens. Default 30 days.
    pub refresh_lifetime: Duration,
    /// Where login and refresh responses contain the tokens.
    pub tokens_in: TokensIn,
    /// The text in place of the tokens' signature. Default `unsigned`.
    pub signature: String,
    /// The maximum number of rows on a page. Default 5,000.
    pub page_cap: usize,
    /// Rows on a page of `OperatorList` without `count`. Default 10.
    pub operator_list_page: usize,
    /// Whether `OperatorList` honours `count`. Default true.
    pub honour_count: bool,
    /// Whether `OperatorList` honours `type`. Default false.
    pub honour_type: bool,
    /// Whether `RadioSearch` honours the direction of `sort`. Default true.
    pub honour_sort: bool,
    /// How many regions the list of regions has twice. Default 0.
    pub repeated_regions: usize,
    /// Headers that every call must have, otherwise 403. Default none.
    pub required_headers: Vec<String>,
    /// The delay of every response. Default none.
    pub latency: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            transport: Transport::Plain,
            seed: 1,
            fleet: FleetConfig::default(),
            operator_id: 219,
            username: "operator@example.com".to_owned(),
            password: "correct horse".to_owned(),
            token_lifetime: Duration::from_hours(1),
            refresh_lifetime: Duration::from_hours(24 * 30),
            tokens_in: TokensIn::Both,
            signature: "unsigned".to_owned(),
            page_cap: 5000,
            operator_list_page: 10,
            honour_count: true,
            honour_type: false,
            honour_sort: true,
            repeated_regions: 0,
            required_headers: Vec::new(),
            latency: Duration::ZERO,
        }
    }
}

impl Config {
    /// The default configuration with this many base nodes and none in the training region.
    pub fn with_base_nodes(base_nodes: usize) -> Self {
        let fleet = FleetConfig {
            base_nodes,
            training_nodes: 0,
            ..FleetConfig::default()
        };
        Self {
            fleet,
            ..Self::default()
        }
    }
}
