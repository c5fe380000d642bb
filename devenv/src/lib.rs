//! A local development environment: a Kubernetes control plane, PostgreSQL and a simulator of TCS.
//!
//! [`ControlPlane`] and [`Postgres`] start real servers on free ports of the loopback address, in temporary folders. Servers
//! and folders are removed when their value is dropped, and also when the process panics, is interrupted or is killed (see
//! `process_group`). [`tools`] builds the servers once per machine. [`Kubectl`] and [`audit`] show what happened in a cluster.
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

mod apt;
pub mod audit;
mod buildah;
mod chromium;
mod control_plane;
mod environment;
mod error;
mod fake_clock;
mod kubectl;
mod operator;
mod ports;
mod postgres;
mod process_group;
mod promtool;
pub mod proxy;
pub mod simulator;
pub mod soak;
mod spawner;
pub mod tools;

pub use buildah::buildah;
pub use chromium::chromium;
pub use control_plane::ControlPlane;
pub use error::{Error, Result};
pub use fake_clock::FakeClock;
pub use kubectl::Kubectl;
pub use operator::{NAMESPACE, Operator, RENDER_RBAC_COMMAND, SERVICE_ACCOUNT};
pub use ports::free_port;
pub use postgres::{PgBouncer, PgBouncerSettings, Postgres, PostgresSettings};
pub use promtool::promtool;
