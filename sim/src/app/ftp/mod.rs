//! FTP: a client and a server that speak it as people's do (RFC 959, RFC 2428), with data connections both ways.
//!
//! What matters to a tracker is on the wire as usual: addresses and ports in `PORT`, `EPRT` and the answers to `PASV` and
//! `EPSV`, each command and answer in a segment of its own, active data connections from port 20.

mod client;
mod server;
#[cfg(test)]
mod tests;
mod words;

pub(super) use client::listen;
pub use client::{Client, Mode, Order, Transferred};
pub use server::Server;
pub(super) use words::Lines;
pub use words::{Reply, Target, parse_epsv, parse_pasv, parse_reply, parse_target};
