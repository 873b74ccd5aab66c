//! Sequence numbers of connections between real stacks, as they have come by: for people, who count from the first, and for
//! packets that a step plays into a connection, which count from what its host has sent.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use conntruth_sim::packet::{Header, TcpHead, protocol};

use crate::language::ast::packet::{Seq, Tcp};
use crate::packet::internet_checksum;

/// From one end to another.
type Way = (SocketAddr, SocketAddr);

/// What was sent on each connection, each way.
#[derive(Debug, Default)]
pub(super) struct Numbers(BTreeMap<Way, Sent>);

#[derive(Clone, Copy, Debug)]
struct Sent {
    /// The first sequence number.
    first: u32,
    /// One past the last.
    end: u32,
}

impl Numbers {
    /// A segment has come by.
    pub(super) fn saw(&mut self, src: SocketAddr, dst: SocketAddr, head: &TcpHead) {
        let new = Sent { first: head.seq, end: head.end };
        let sent = self.0.entry((src, dst)).or_insert(new);
        if head.flags & TcpHead::SYN != 0 {
            *sent = new;
        } else if head.flags & TcpHead::RST == 0 && (head.end.wrapping_sub(sent.end) as i32) > 0 {
            sent.end = head.end;
        }
    }

    /// A sequence number counted from the first of its way; 0 where nothing is known of it.
    pub(super) fn relative(&self, way: Way, number: u32) -> i64 {
        self.0.get(&way).map_or(0, |sent| i64::from(number.wrapping_sub(sent.first) as i32))
    }

    /// Gives a segment that a step plays into a connection the numbers that it is said to have there: its step knows the
    /// hosts of packets alone, which begin at other ones. Where nothing was sent yet they stay as they are.
    pub(super) fn fill(&self, said: &Tcp, header: &Header, bytes: &mut [u8]) {
        let Some(head) = header.tcp(bytes) else { return };
        let (src, dst) = header.ends(head.ports);
        let number = |way: Way, said: Option<Seq>| {
            let sent = self.0.get(&way)?;
            Some(match said {
                Some(Seq::Absolute(number)) => number,
                Some(Seq::Relative(count)) => sent.first.wrapping_add(count as u32),
                Some(Seq::Next(count)) => sent.end.wrapping_add(count as u32),
                None => sent.end,
            })
        };
        // A SYN begins anew, unless it says where.
        let begins = head.flags & TcpHead::SYN != 0 && said.seq.is_none();
        let seq = number((src, dst), said.seq).filter(|_| !begins);
        let has_ack = head.flags & TcpHead::ACK != 0 || said.ack.is_some();
        let ack = number((dst, src), said.ack).filter(|_| has_ack);
        for (at, number) in [(4, seq), (8, ack)] {
            let field = bytes.get_mut(header.transport + at..header.transport + at + 4);
            if let (Some(field), Some(number)) = (field, number) {
                field.copy_from_slice(&number.to_be_bytes());
            }
        }
        // A checksum that is said to be something else stays so.
        if said.checksum.is_none() {
            complete(header, bytes);
        }
    }
}

/// Makes the checksum of a segment right.
pub(super) fn complete(header: &Header, bytes: &mut [u8]) {
    if header.protocol != protocol::TCP || header.fragment.is_some() {
        return;
    }
    let (start, end) = (header.transport, header.end);
    let Some(field) = bytes.get_mut(start + 16..start + 18) else { return };
    field.fill(0);
    let octets = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let length = ((end - start) as u32).to_be_bytes();
    let pseudo = [0, 0, 0, protocol::TCP];
    let (src, dst) = (octets(header.src), octets(header.dst));
    let sum = internet_checksum(&[&src, &dst, &length, &pseudo, &bytes[start..end]]);
    bytes[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
}
