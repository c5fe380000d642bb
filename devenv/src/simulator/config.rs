//! What a simulation is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

/// Where the answer to a login carries its tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TokensIn {
    /// In the body and in the cookies, as the vendor was seen to do.
    #[default]
    Both,
    /// Only in `Set-Cookie`; the body has nulls.
    Cookies,
    /// Only in the body; no cookie is set.
    Body,
}

/// How the simulator speaks.
#[derive(Debug, Clone, Default)]
pub enum Transport {
    /// Plain HTTP.
    #[default]
    Plain,
    /// HTTPS with a certificate of the simulator's own making for `localhost` and 127.0.0.1; [`ca_pem`](super::Simulator::ca_pem)
    /// tells what to trust.
    SelfSigned,
    /// HTTPS with this chain and key, both PEM.
    Pem {
        /// The certificate, its issuers after it.
        chain: String,
        /// Its private key.
        key: String,
    },
}

/// How many devices there are and how much they say.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// Base nodes in all regions together. Default 718.
    pub base_nodes: usize,
    /// So many of them belong to the training region. Default 4.
    pub training_nodes: usize,
    /// Customers' radios. Default 40: an account may see only its own few.
    pub remote_nodes: usize,
    /// Fields that no client knows, on each base node. Default 6.
    pub unknown_fields: usize,
    /// The first so many base nodes carry 320 unknown fields each. Default 5.
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

/// What a simulation is started with. The default is a calm day at the real operator.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen. Default: a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// Plain HTTP by default.
    pub transport: Transport,
    /// Decides the whole fleet and every drift. Default 1.
    pub seed: u64,
    /// The devices.
    pub fleet: FleetConfig,
    /// The operator that the account belongs to. Default 219.
    pub operator_id: i64,
    /// The one account. Default `operator@example.com`.
    pub username: String,
    /// Its password. Default `correct horse`.
    pub password: String,
    /// How long access and id token live. Default an hour.
    pub token_lifetime: Duration,
    /// How long a refresh token lives. Default 30 days.
    pub refresh_lifetime: Duration,
    /// Where login and refresh put the tokens.
    pub tokens_in: TokensIn,
    /// What the tokens end with, where a signature would be. Default `unsigned`.
    pub signature: String,
    /// The most rows that `RegionSearch` and `RadioSearch` give on a page, whatever was asked. Default 5,000.
    pub page_cap: usize,
    /// Rows on a page of `OperatorList` that asks for no `count`. Default 10.
    pub operator_list_page: usize,
    /// Whether `OperatorList` heeds `count`. Default true.
    pub honour_count: bool,
    /// Whether `OperatorList` heeds `type`. Default false.
    pub honour_type: bool,
    /// Whether `RadioSearch` heeds the direction of `sort`. Default true.
    pub honour_sort: bool,
    /// Headers without which a call is refused (403). Default none.
    pub required_headers: Vec<String>,
    /// What every answer is delayed by. Default nothing.
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
            required_headers: Vec::new(),
            latency: Duration::ZERO,
        }
    }
}

impl Config {
    /// The default with so many base nodes; the training region gets none, so that every one of them is a customer's.
    pub fn of(base_nodes: usize) -> Self {
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
