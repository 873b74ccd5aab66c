//! The flow rules of the switch, and the frames in which packets enter.
//!
//! A packet brings along how it is to be treated: in its Ethernet destination, `02:TT:00:00:ZZ:ZZ`, stand a tag and its
//! zone. The first table tracks it, or does not; the second writes `ct_state` into the Ethernet source, copies the packet
//! to the recorder's port, and commits what is new, as a rule of Linux's `ct state new accept` lets it be confirmed.
//!
//! The rules that commit name the protocols that a timeout policy is for. Otherwise a packet of another protocol, whose
//! compiled rule has no policy, would take the policy from all that follow: the compiled rule does not look at the
//! protocol (ofproto-dpif-xlate.c `put_ct_timeout`).

use std::fmt::Write;

use super::Refusal;
use super::keeper::Keeper;

/// Where packets enter: inside, outside.
pub(super) const PORTS: [&str; 2] = ["inside", "outside"];
/// Where the rules record them.
pub(super) const RECORDER: &str = "recorder";
/// The bridge.
pub(super) const BRIDGE: &str = "conntruth";
/// How many commands are answered until a packet that was not recorded never will be: the main loop looks at its ports
/// once a round, and answers up to ten commands in each.
pub(super) const ROUNDS: usize = 22;

/// Not to be tracked.
pub(super) const NOTRACK: u8 = 1;
/// A rule drops it between tracking and commitment.
pub(super) const DROPPED: u8 = 2;

/// The rules, in the words of `ovs-ofctl`.
const RULES: &str = "\
table=0,priority=20,dl_dst=02:01:00:00:00:00/ff:01:00:00:00:00,actions=set_field:00:00:00:00:00:00->eth_src,output:3
table=0,priority=10,ip,actions=ct(zone=NXM_OF_ETH_DST[0..15],table=1)
table=0,priority=10,ipv6,actions=ct(zone=NXM_OF_ETH_DST[0..15],table=1)
table=1,priority=10,actions=move:NXM_NX_CT_STATE[]->NXM_OF_ETH_SRC[0..31],output:3,resubmit(,2)
table=2,priority=30,dl_dst=02:02:00:00:00:00/ff:02:00:00:00:00,actions=drop
table=2,priority=20,tcp,ct_state=+trk+new-inv,actions=ct(commit,zone=NXM_OF_ETH_DST[0..15])
table=2,priority=20,udp,ct_state=+trk+new-inv,actions=ct(commit,zone=NXM_OF_ETH_DST[0..15])
table=2,priority=20,icmp,ct_state=+trk+new-inv,actions=ct(commit,zone=NXM_OF_ETH_DST[0..15])
table=2,priority=20,tcp6,ct_state=+trk+new-inv,actions=ct(commit,zone=NXM_OF_ETH_DST[0..15])
table=2,priority=20,udp6,ct_state=+trk+new-inv,actions=ct(commit,zone=NXM_OF_ETH_DST[0..15])
table=2,priority=20,icmp6,ct_state=+trk+new-inv,actions=ct(commit,zone=NXM_OF_ETH_DST[0..15])
table=2,priority=10,ip,ct_state=+trk+new-inv,actions=ct(commit,zone=NXM_OF_ETH_DST[0..15])
table=2,priority=10,ipv6,ct_state=+trk+new-inv,actions=ct(commit,zone=NXM_OF_ETH_DST[0..15])
table=2,priority=0,actions=drop
";

/// Loads the rules.
///
/// # Errors
/// When the switch does not take them.
pub(super) fn load(keeper: &Keeper) -> Result<(), Refusal> {
    keeper.flows(RULES)
}

/// A packet on its way in.
pub(super) struct Frame<'a> {
    pub(super) port: &'static str,
    pub(super) tag: u8,
    pub(super) zone: u16,
    pub(super) packet: &'a [u8],
}

/// The length of an Ethernet header.
const ETHERNET: usize = 14;
/// Where the rules write `ct_state`: the last four bytes of the source address.
const STATE: std::ops::Range<usize> = 8..12;

impl Frame<'_> {
    /// As the port takes it.
    pub(super) fn hex(&self) -> String {
        let [high, low] = self.zone.to_be_bytes();
        let is_v6 = self.packet.first().is_some_and(|byte| byte >> 4 == 6);
        let kind = if is_v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let mut header = vec![0x02, self.tag, 0, 0, high, low, 0x02, 0, 0, 0, 0, 1];
        header.extend_from_slice(&kind);
        let mut text = String::with_capacity((ETHERNET + self.packet.len()) * 2);
        for byte in header.iter().chain(self.packet) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// The `ct_state` of a record, if it is this packet's.
pub(super) fn recorded(record: &[u8], packet: &[u8]) -> Option<u32> {
    let state = record.get(STATE)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    state.filter(|_| record.get(ETHERNET..).is_some_and(|rest| rest.starts_with(packet)))
}

/// A packet of a protocol for experiments.
pub(super) fn throwaway() -> Vec<u8> {
    let mut packet = Vec::new();
    let header =
        etherparse::Ipv4Header::new(4, 64, etherparse::IpNumber(253), [10, 0, 0, 250], [10, 0, 1, 250]);
    // Writing to a vector cannot fail.
    if let Ok(header) = header {
        let _ = header.write(&mut packet);
    }
    packet.extend_from_slice(b"warm");
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_how_it_is_to_be_treated() {
        let frame = Frame { port: PORTS[0], tag: DROPPED, zone: 0x0102, packet: &[0x60, 7] };
        assert_eq!(frame.hex(), "020200000102020000000001".to_owned() + "86dd" + "6007");
    }

    #[test]
    fn only_its_own_record_is_read() {
        let mut record = vec![0; 14];
        record[8..12].copy_from_slice(&[0, 0, 0, 0x21]);
        record.extend_from_slice(&[0x45, 1, 0]);
        assert_eq!(recorded(&record, &[0x45, 1]), Some(0x21));
        assert_eq!(recorded(&record, &[0x45, 2]), None);
        assert_eq!(recorded(&[1, 2], &[]), None);
    }
}
