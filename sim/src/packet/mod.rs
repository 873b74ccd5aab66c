//! IP packets as bytes: what hosts, routers and links must know of them, and what they do to them.
//!
//! Reading is [`Header`]; writing on the way is [`lower_hop_limit`] and fragments; new packets are ICMP errors,
//! datagrams and echo requests. Header layouts and checksums are smoltcp's. The tracker has a reader of its own, so that no mistake hides
//! in both.

mod build;
mod cidr;
mod fragment;
mod header;
mod icmp;
mod reassembly;
#[cfg(test)]
mod tests;

pub use build::{Datagram, EchoRequest};
pub use cidr::Cidr;
pub use fragment::fragment;
pub(crate) use header::destination;
pub use header::{Header, Ports, Slice, TcpHead, lower_hop_limit, protocol};
pub use icmp::{IcmpError, Quote, icmp_error, read_icmp_error};
pub use reassembly::{Gathered, Reassembly};
