//! What makes a laptop a cluster: a control plane, PostgreSQL and a simulation of TCS.
//!
//! [`ControlPlane`] and [`Postgres`] start real servers on free ports of the loopback address, in folders of
//! their own, and leave nothing behind: neither when they are dropped, nor when the process that holds them
//! panics, is interrupted or is killed (`household` says how). [`tools`] builds the servers once per machine;
//! [`Kubectl`] and [`audit`] are for looking at what happened.
//!
//! ```no_run
//! # async fn example() -> Result<(), devenv::Error> {
//! let plane = devenv::ControlPlane::start().await?;
//! plane.kubectl().run(&["create", "namespace", "example"]).await?;
//! let postgres = devenv::Postgres::start().await?;
//! let url = postgres.create_database("example").await?;
//! # Ok(())
//! # }
//! ```

pub mod audit;
mod control_plane;
mod environment;
mod error;
mod household;
mod keeper;
mod kubectl;
mod operator;
mod postgres;
pub mod simulator;
pub mod soak;
pub mod tools;
pub mod wires;

pub use control_plane::ControlPlane;
pub use error::{Error, Result};
pub use kubectl::Kubectl;
pub use operator::{ACCOUNT, NAMESPACE, Operator, RIGHTS};
pub use postgres::{PgBouncer, PoolerSettings, Postgres, Settings};
