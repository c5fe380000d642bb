//! Listening sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// A non-blocking socket that listens on an address. `[::]` means every address, also on a machine without IPv6.
///
/// # Errors
/// The address is in use, or does not belong to this machine.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).or_else(|error| {
        let is_any = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        if is_any && error.kind() != io::ErrorKind::AddrInUse {
            TcpListener::bind(v4)
        } else {
            Err(error)
        }
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
