//! Free ports of the loopback address.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::error::{Error, Result};

/// Ports below Linux's ephemeral range (from 32768): no outgoing connection and no `bind` to port 0 takes one between its
/// choice here and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
/// Processes start at different ports.
const STRIDE: u32 = 97;

/// The number of ports that this process has tried.
static TRIED: AtomicU16 = AtomicU16::new(0);

/// A port that is free now. This process returns it again only after all others.
///
/// # Errors
/// [`Error::Io`] when no port is free.
pub fn free_port() -> Result<u16> {
    let start = std::process::id().wrapping_mul(STRIDE) % u32::from(COUNT);
    let start = u16::try_from(start).unwrap_or_default();
    let mut tries = 0;
    loop {
        let offset = TRIED.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + offset) % COUNT;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) if tries == COUNT => return Err(Error::io("find a free port")(error)),
            Err(_) => tries += 1,
        }
    }
}

/// Distinct free ports.
///
/// # Errors
/// [`Error::Io`] when no port is free.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = free_port()?;
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_below_the_ephemeral_range() {
        let [a, b, c] = free_ports::<3>().unwrap();
        assert!(a != b && b != c && a != c);
        assert!([a, b, c].iter().all(|port| *port < 32_768));
    }

    #[test]
    fn a_port_in_use_is_skipped() {
        let port = free_port().unwrap();
        let _in_use = TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1));
        assert_ne!(free_port().unwrap(), port + 1);
    }
}
