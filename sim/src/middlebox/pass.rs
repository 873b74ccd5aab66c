//! A box that only forwards: what the world is like with nothing under test in it.

use super::{Edge, Middlebox, fit, forward};
use crate::packet::Header;
use crate::topology::Site;

/// A plain router with an own host.
#[derive(Debug, Default)]
pub struct PassThrough {
    site: Option<Site>,
    /// Names for datagrams that it cuts.
    ident: u32,
}

impl Middlebox for PassThrough {
    fn install(&mut self, site: &Site) -> Result<(), String> {
        self.site = Some(site.clone());
        Ok(())
    }

    fn handle(&mut self, _now: u64, from: Edge, packet: Vec<u8>, out: &mut Vec<(Edge, Vec<u8>)>) {
        self.pass(from, packet, out);
    }
}

impl PassThrough {
    fn pass(&mut self, from: Edge, packet: Vec<u8>, out: &mut Vec<(Edge, Vec<u8>)>) {
        let Some(site) = &self.site else { return };
        let Some(header) = Header::read(&packet) else { return };
        if site.owns(header.dst) {
            out.push((Edge::Local, packet));
            return;
        }
        let (interface, bytes) = match from {
            Edge::Local => match site.route(header.dst) {
                Some(hop) => (hop.interface, packet),
                None => return,
            },
            Edge::Interface(from) => match forward(site, from, packet) {
                Ok(forwarded) => (forwarded.hop.interface, forwarded.bytes),
                Err(dropped) => {
                    if let Some(error) = dropped.error {
                        self.pass(Edge::Local, error, out);
                    }
                    return;
                }
            },
        };
        self.ident += 1;
        let mtu = site.interfaces[interface].mtu;
        out.extend(fit(bytes, mtu, self.ident).into_iter().map(|bytes| (Edge::Interface(interface), bytes)));
    }
}
