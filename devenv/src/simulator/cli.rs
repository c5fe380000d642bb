//! Runs the simulator as a process.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::{Config, FleetConfig, Simulator, Transport};

/// Simulate TCS until Ctrl-C.
#[derive(Debug, Clone, Args)]
pub struct SimulatorArgs {
    /// Listen address; port 0 picks a free one
    #[arg(long, env = "TCS_SIM_LISTEN", default_value = "127.0.0.1:8219")]
    pub listen: SocketAddr,
    /// Serve HTTPS with a self-signed certificate, which is printed
    #[arg(long, env = "TCS_SIM_TLS")]
    pub tls: bool,
    /// Determines the fleet and its drift
    #[arg(long, env = "TCS_SIM_SEED", default_value_t = 1)]
    pub seed: u64,
    /// Base nodes in all regions together
    #[arg(long, env = "TCS_SIM_BASE_NODES", default_value_t = 718)]
    pub base_nodes: usize,
    /// How many of them are in the training region
    #[arg(long, env = "TCS_SIM_TRAINING_NODES", default_value_t = 4)]
    pub training_nodes: usize,
    /// Customers' radios
    #[arg(long, env = "TCS_SIM_REMOTE_NODES", default_value_t = 40)]
    pub remote_nodes: usize,
    /// The operator id of the account
    #[arg(long, env = "TCS_SIM_OPERATOR_ID", default_value_t = 219)]
    pub operator_id: i64,
    /// The account's username
    #[arg(long, env = "TCS_SIM_USERNAME", default_value = "operator@example.com")]
    pub username: String,
    /// The account's password
    #[arg(
        long,
        env = "TCS_SIM_PASSWORD",
        default_value = "correct horse",
        hide_env_values = true
    )]
    pub password: String,
    /// The lifetime of access and id tokens
    #[arg(long, env = "TCS_SIM_TOKEN_SECONDS", default_value_t = 3600)]
    pub token_seconds: u64,
    /// The maximum number of rows on a page
    #[arg(long, env = "TCS_SIM_PAGE_CAP", default_value_t = 5000)]
    pub page_cap: usize,
    /// The delay of every response, in milliseconds
    #[arg(long, env = "TCS_SIM_LATENCY_MS", default_value_t = 0)]
    pub latency_ms: u64,
}

impl From<SimulatorArgs> for Config {
    fn from(args: SimulatorArgs) -> Self {
        let defaults = FleetConfig::default();
        Self {
            listen: args.listen,
            transport: if args.tls {
                Transport::SelfSigned
            } else {
                Transport::Plain
            },
            seed: args.seed,
            fleet: FleetConfig {
                base_nodes: args.base_nodes,
                training_nodes: args.training_nodes,
                remote_nodes: args.remote_nodes,
                ..defaults
            },
            operator_id: args.operator_id,
            username: args.username,
            password: args.password,
            token_lifetime: Duration::from_secs(args.token_seconds),
            page_cap: args.page_cap,
            latency: Duration::from_millis(args.latency_ms),
            ..Self::default()
        }
    }
}

/// Starts a simulator, prints its URL and runs until Ctrl-C.
pub async fn serve(args: SimulatorArgs) -> io::Result<()> {
    let simulator = Simulator::start(args.into()).await?;
    println!("export TCS_URL={}", simulator.url());
    if let Some(certificate) = simulator.ca_pem() {
        println!("{certificate}");
    }
    tokio::signal::ctrl_c().await
}
