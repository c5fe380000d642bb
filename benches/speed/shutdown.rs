//! SIGTERM while streams are open: until the next replica may lead, and until the process has ended.

use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use tokio::time::sleep;

use crate::Result;
use crate::report::Report;
use crate::servers::Servers;

/// The Lease's name by default.
const LEASE: &str = "tarana-operator";
const MAX_LEASE_SECONDS: f64 = 3.0;
const MAX_PROCESS_SECONDS: f64 = 10.0;
/// The operator is stuck if it is still running then.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Stops the operator, which must hold the Lease.
pub async fn measure(servers: &Servers<'_>, streams: usize, report: &mut Report) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(servers.client().await?, devenv::NAMESPACE);
    let is_held = async || Ok::<_, kube::Error>(holder(&leases.get(LEASE).await?).is_some());
    if !is_held().await? {
        return Err("the operator holds no Lease".into());
    }
    let begin = Instant::now();
    let pid = servers.operator.pid().to_string();
    Command::new("kill").args(["-TERM", &pid]).status()?;
    let (mut released, mut ended) = (None, None);
    while released.is_none() || ended.is_none() {
        if begin.elapsed() > TIMEOUT {
            break;
        }
        if released.is_none() && !is_held().await? {
            released = Some(begin.elapsed().as_secs_f64());
        }
        if ended.is_none() && servers.operator.check_running().is_err() {
            ended = Some(begin.elapsed().as_secs_f64());
        }
        sleep(Duration::from_millis(10)).await;
    }
    let seconds = |measured: Option<f64>| measured.unwrap_or(f64::NAN);
    let what = format!("SIGTERM with {streams} open streams, until the Lease is released");
    report.limit(&what, (seconds(released), MAX_LEASE_SECONDS), 2, " s");
    let what = format!("SIGTERM with {streams} open streams, until the process has ended");
    report.limit(&what, (seconds(ended), MAX_PROCESS_SECONDS), 2, " s");
    Ok(())
}

fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref();
    holder.filter(|holder| !holder.is_empty())
}
