//! Addresses and ports on loopback that no other stage has.
//!
//! All of 127.0.0.0/8 is ours to bind on Linux, so a server takes an address of its own, at random, out of 2²⁴: two stages
//! that run at once never want the same port of the same address. Name servers of one stage share one port number, as
//! they share port 53 in the world: that is what the operator's `--dns-port` is for.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

use anyhow::Context as _;
use rand::Rng as _;

/// Below the ranges that kernels take for outgoing sockets (Linux: 32768 and up; some sandboxes: 16000 and up), which are
/// bound to all addresses at once; above the well-known ones.
const PORTS: std::ops::Range<u16> = 10_000..16_000;
/// How many ports are tried before giving up.
const TRIES: usize = 64;

/// An address of 127.0.0.0/8 that nobody else is likely to use. Never in 127.0.0.0/16, where the system's own servers live.
#[must_use]
pub fn address() -> Ipv4Addr {
    let mut random = rand::rng();
    Ipv4Addr::new(127, random.random_range(1..=254), random.random(), random.random_range(1..=254))
}

/// A port that is free on the address, for TCP and for UDP.
///
/// # Errors
/// If none is: the address is not on loopback, or not of this machine.
pub fn port(address: Ipv4Addr) -> anyhow::Result<u16> {
    shared_port(&[address])
}

/// A port that is free on all of the addresses, for TCP and for UDP: the name servers' shared port.
///
/// # Errors
/// If none is.
pub fn shared_port(addresses: &[Ipv4Addr]) -> anyhow::Result<u16> {
    let mut random = rand::rng();
    let mut last = None;
    for _ in 0..TRIES {
        let port = random.random_range(PORTS);
        match addresses.iter().try_for_each(|address| try_bind(*address, port)) {
            Ok(()) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    let error = last.unwrap_or_else(|| io::Error::other("nothing was tried"));
    Err(error).with_context(|| format!("no port is free on {addresses:?}"))
}

fn try_bind(address: Ipv4Addr, port: u16) -> io::Result<()> {
    let socket = SocketAddrV4::new(address, port);
    TcpListener::bind(socket)?;
    UdpSocket::bind(socket)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_port_is_free_on_every_address() {
        let addresses = [address(), address(), address()];
        let port = shared_port(&addresses).expect("one is free");
        for address in addresses {
            try_bind(address, port).expect("still free");
        }
    }

    #[test]
    fn a_taken_port_is_not_free() {
        let taken = TcpListener::bind((address(), 0)).expect("binds").local_addr().expect("bound");
        let listener = TcpListener::bind(taken).expect("binds again once closed");
        let std::net::SocketAddr::V4(socket) = taken else { panic!("IPv4 was asked for") };
        assert!(try_bind(*socket.ip(), socket.port()).is_err());
        drop(listener);
    }
}
