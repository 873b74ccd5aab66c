//! What `dpctl/dump-conntrack -m -s` prints, as entries. A listing of its own: nothing here knows what was sent.

use std::borrow::Cow;
use std::net::IpAddr;

use conntruth_engine::{Addr, Family, Status, Time, Tuple, protocol};

use crate::target::{Entry, Left, Peers};

/// An entry as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) original: Tuple,
    pub(super) reply: Tuple,
    pub(super) state: Option<Cow<'static, str>>,
    /// Rounded down.
    pub(super) seconds: u64,
    pub(super) mark: u32,
    pub(super) zone: u16,
}

/// Reads a listing.
///
/// # Errors
/// The line that makes no sense.
pub(super) fn read(text: &str) -> Result<Vec<Listed>, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| entry(line).ok_or_else(|| format!("Open vSwitch lists `{line}`"))).collect()
}

/// `tcp,orig=(src=…),reply=(src=…),id=0,status=0,timeout=30,protoinfo=(state_orig=…)`
fn entry(line: &str) -> Option<Listed> {
    let (name, rest) = line.trim().split_once(',')?;
    let protocol = number(name)?;
    let parts = parts(rest);
    let part = |name: &str| parts.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let peers = part("protoinfo").map(self::parts).unwrap_or_default();
    let peer = |name: &str| peers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let state = match (peer("state_orig"), peer("state_reply")) {
        (Some(original), Some(reply)) => Some(tcp_state(original, reply)),
        _ => None,
    };
    Some(Listed {
        original: tuple(part("orig")?, protocol)?,
        reply: tuple(part("reply")?, protocol)?,
        state,
        seconds: part("timeout")?.parse().ok()?,
        mark: part("mark").map_or(Some(0), |mark| mark.parse().ok())?,
        zone: part("zone").map_or(Some(0), |zone| zone.parse().ok())?,
    })
}

/// `a=1,b=(c=2,d=3)` as pairs; the outer parentheses of a value are taken off.
fn parts(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, letter) in text.char_indices().chain([(text.len(), ',')]) {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 || at == text.len() => {
                if let Some((key, value)) = text[start..at].split_once('=') {
                    let inner = value.strip_prefix('(').and_then(|value| value.strip_suffix(')'));
                    found.push((key, inner.unwrap_or(value)));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// The names that it has for protocols; others are numbers.
fn number(name: &str) -> Option<u8> {
    Some(match name {
        "icmp" => protocol::ICMP,
        "igmp" => 2,
        "tcp" => protocol::TCP,
        "udp" => protocol::UDP,
        "dccp" => 33,
        "icmpv6" => protocol::ICMPV6,
        "sctp" => protocol::SCTP,
        "udplite" => protocol::UDPLITE,
        other => other.parse().ok()?,
    })
}

fn tuple(text: &str, protocol: u8) -> Option<Tuple> {
    let parts = parts(text);
    let part = |name: &str| parts.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let number = |name: &str| part(name).map_or(Some(0), |value| value.parse::<u16>().ok());
    let [src, dst]: [IpAddr; 2] = [part("src")?.parse().ok()?, part("dst")?.parse().ok()?];
    let (src_id, dst_id) = match protocol {
        protocol::ICMP | protocol::ICMPV6 => (number("id")?, number("type")? << 8 | number("code")?),
        _ => (number("sport")?, number("dport")?),
    };
    let family = if src.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
    Some(Tuple { src: Addr::from(src), dst: Addr::from(dst), src_id, dst_id, protocol, family })
}

/// It keeps a state for each peer; Linux one for both. The pairs that its rules can reach, and what Linux calls the
/// moment at which honest peers are there. Any other pair is shown as it is.
fn tcp_state(original: &str, reply: &str) -> Cow<'static, str> {
    Cow::Borrowed(match (original, reply) {
        ("SYN_SENT", "CLOSED") => "SYN_SENT",
        ("SYN_SENT", "SYN_SENT") => "SYN_SENT2",
        ("ESTABLISHED", "SYN_SENT") => "SYN_RECV",
        ("ESTABLISHED", "ESTABLISHED") => "ESTABLISHED",
        // One side has sent its FIN.
        ("CLOSING", "ESTABLISHED" | "SYN_SENT") | ("ESTABLISHED" | "SYN_SENT", "CLOSING") => "FIN_WAIT",
        // It was acknowledged.
        ("FIN_WAIT_2", "ESTABLISHED") | ("ESTABLISHED", "FIN_WAIT_2") => "CLOSE_WAIT",
        // Both have.
        ("CLOSING" | "FIN_WAIT_2", "CLOSING") | ("CLOSING", "FIN_WAIT_2") => "LAST_ACK",
        ("FIN_WAIT_2", "FIN_WAIT_2") => "TIME_WAIT",
        // A RST takes both there.
        ("TIME_WAIT", "TIME_WAIT") => "CLOSE",
        _ => return Cow::Owned(format!("{original}/{reply}")),
    })
}

impl Listed {
    /// As an entry with a name of its own.
    pub(super) fn entry(&self, id: u64) -> Entry {
        Entry {
            id,
            original: self.original,
            reply: self.reply,
            state: self.state.clone(),
            left: Left::exactly(Time::from_secs(self.seconds)),
            status: Status::CONFIRMED,
            mark: self.mark,
            zone: self.zone,
            helper: None,
            master: None,
            master_tuple: None,
            counters: None,
            lived: None,
            peers: Peers::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_entries() {
        let text = "tcp,orig=(src=10.0.0.1,dst=10.0.1.1,sport=40000,dport=80),\
            reply=(src=10.0.1.1,dst=10.0.0.1,sport=80,dport=40000),id=0,zone=7,status=0,timeout=60,mark=42,\
            protoinfo=(state_orig=ESTABLISHED,state_reply=SYN_SENT,flags_orig=0,flags_reply=0)\n\
            icmpv6,orig=(src=fd00:a::1,dst=fd00:b::1,id=9,type=128,code=0),\
            reply=(src=fd00:b::1,dst=fd00:a::1,id=9,type=129,code=0),id=0,status=0,timeout=29\n";
        let listed = read(text).unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(
            listed[0].entry(1).to_string(),
            "tcp 6 60 SYN_RECV src=10.0.0.1 dst=10.0.1.1 sport=40000 dport=80 [UNREPLIED] \
             src=10.0.1.1 dst=10.0.0.1 sport=80 dport=40000 mark=42 zone=7"
        );
        assert_eq!(listed[1].original.dst_id, 128 << 8);
        assert_eq!(listed[1].original.invert(), Some(listed[1].reply));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for text in ["tcp", "tcp,orig=(src=1", "zzz,orig=()", "udp,orig=(src=x,dst=y),reply=(),timeout=1"] {
            assert!(read(text).unwrap_err().contains(text), "{text}");
        }
    }
}
