//! Resolves the host of a sink to permitted addresses only. The connection is made to the address that was checked: it is not resolved again.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::AddressPolicy;

/// Every address of the host is forbidden.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the host has no permitted address")]
pub(super) struct ForbiddenAddress;

/// The resolver of the system, behind the policy.
#[derive(Clone, Debug)]
pub(super) struct GuardedResolver(pub AddressPolicy);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            // The client sets the port.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> = found.filter(|address| policy.permits(address.ip())).collect();
            if permitted.is_empty() {
                return Err(ForbiddenAddress.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}
