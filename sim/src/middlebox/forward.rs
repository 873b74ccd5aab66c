//! Forwarding, as every router does it: hop limit, route, MTU, and the ICMP errors about them.
//!
//! Pure functions of a site and a packet. A box that is only a tracker is made a router with them, in the same two steps
//! that a system has before and after its rules.

use crate::packet::{Header, IcmpError, fragment, icmp_error, lower_hop_limit};
use crate::topology::{Hop, Site};

/// A packet on its way out, its hop limit already lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Where it goes next.
    pub hop: Hop,
    /// The packet.
    pub bytes: Vec<u8>,
}

/// A packet that goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Why, in a word.
    pub why: &'static str,
    /// The ICMP error to its sender, where one is due; it is a packet of the node's own.
    pub error: Option<Vec<u8>>,
}

/// Decides where a packet that came in by an interface goes, and whether it may: its hop limit, its route, and whether the
/// next link takes it.
///
/// # Errors
/// When it may not, with the ICMP error that says so.
pub fn forward(site: &Site, from: usize, mut bytes: Vec<u8>) -> Result<Forwarded, Dropped> {
    let Some(header) = Header::read(&bytes) else { return Err(Dropped { why: "malformed", error: None }) };
    let complain = |error: IcmpError, bytes: &[u8]| {
        let address = site.address_of(from, header.src)?;
        icmp_error(error, address, bytes)
    };
    if header.dst.is_loopback() || header.src.is_loopback() || header.dst.is_multicast() {
        return Err(Dropped { why: "not to be forwarded", error: None });
    }
    if header.hop_limit <= 1 {
        let error = complain(IcmpError::TimeExceeded, &bytes);
        return Err(Dropped { why: "hop limit", error });
    }
    let Some(hop) = site.route(header.dst) else {
        let error = complain(IcmpError::NoRoute, &bytes);
        return Err(Dropped { why: "no route", error });
    };
    let mtu = site.interfaces[hop.interface].mtu;
    if header.end > mtu && header.dont_fragment {
        let error = complain(IcmpError::TooBig { mtu: mtu as u32 }, &bytes);
        return Err(Dropped { why: "too big", error });
    }
    lower_hop_limit(&mut bytes);
    Ok(Forwarded { hop, bytes })
}

/// Cuts a packet that leaves by a link to what the link takes: IPv4's that may be cut, and IPv6's only where the node
/// itself sends them. `ident` names the datagram.
///
/// Empty where it cannot be cut.
pub fn fit(bytes: Vec<u8>, mtu: usize, ident: u32) -> Vec<Vec<u8>> {
    if bytes.len() <= mtu {
        return vec![bytes];
    }
    fragment(&bytes, mtu, ident).unwrap_or_default()
}
