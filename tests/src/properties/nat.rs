//! Address translation: no two connections have one mapping, and each leads back.

use std::collections::BTreeMap;

use conntruth::generate::{Event, Traffic};
use conntruth::target::{Reference, Target};
use conntruth_engine::{ConnSnapshot, Direction, Engine, LINUX_6_18, RuleSet, Status, Tuple};

/// Rules that translate, some of them into so few ports that connections meet.
const RULES: &[&[&str]] = &[
    &["nat postrouting oifname outside masquerade"],
    &["nat postrouting meta l4proto { tcp, udp } snat to 10.0.1.250-10.0.1.251:1024-1025"],
    &["nat postrouting meta l4proto tcp masquerade to :1024-1025"],
    &["nat prerouting tcp dport 80 dnat to 10.0.1.2:8080", "nat postrouting oifname outside masquerade"],
    &["nat prerouting udp dport 53 dnat to 10.0.1.2", "nat postrouting snat ip to 10.0.1.250"],
    &["nat postrouting icmp type echo-request snat ip to 10.0.1.250:5-6"],
    &["nat prerouting redirect"],
    &["nat postrouting meta l4proto { tcp, udp } snat to 10.0.1.250:2000-2003 random"],
];

/// One of the rule sets.
///
/// # Panics
/// Never: they can be read.
#[must_use]
pub fn rules(number: u8) -> RuleSet {
    let lines = RULES[usize::from(number) % RULES.len()];
    RuleSet::read(lines).unwrap_or_else(|(line, error)| panic!("{}: {error}", lines[line]))
}

/// After every event of a story with translation: no two entries of a zone have a tuple in common, every entry is found by
/// both of its tuples, and an entry says that its source or destination is translated exactly where the tuples do.
pub fn mappings_are_injective(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let traffic = Traffic::decode(rest);
    let mut config = traffic.config();
    config.rules = rules(*first);
    let lines: Vec<String> = config.rules.clone().into();
    let mut reference = Reference::new(&LINUX_6_18);
    reference.begin(&config).unwrap_or_else(|refusal| panic!("{refusal}\n{traffic}"));
    for event in traffic.events() {
        let ended = match event {
            // No packet waits where there are rules.
            Event::Packet(arrival) => {
                let arrival =
                    conntruth::target::Arrival { fate: no_waiting(arrival.fate), ..arrival.clone() };
                reference.packet(&arrival).map(drop)
            }
            Event::Release(_) => Ok(()),
            Event::Set { setting, .. } => reference.set(setting),
        };
        assert_eq!(ended, Ok(()), "{lines:?}\n{traffic}");
        check(reference.engine(), &|| format!("{lines:?}\n{traffic}"));
    }
}

fn no_waiting(fate: conntruth::target::Fate) -> conntruth::target::Fate {
    match fate {
        conntruth::target::Fate::Waits => conntruth::target::Fate::Passes,
        other => other,
    }
}

fn check(engine: &Engine, story: &dyn Fn() -> String) {
    let mut owners: BTreeMap<(u16, Tuple), ConnSnapshot> = BTreeMap::new();
    for conn in engine.conns() {
        for direction in [Direction::Original, Direction::Reply] {
            let tuple = *conn.tuple(direction);
            if let Some(other) = owners.insert((conn.zone, tuple), conn.clone())
                && other.id != conn.id
            {
                panic!("two entries have one tuple:\n{other}\n{conn}\n{}", story());
            }
            let found = engine.find(&tuple, conn.zone).map(|(found, _)| found.id);
            assert_eq!(found, Some(conn.id), "{conn} is not found by {tuple}\n{}", story());
        }
        let Some(back) = conn.reply.invert() else { panic!("{conn} has no way back\n{}", story()) };
        let (src, dst) = (
            (back.src, back.src_id) != (conn.original.src, conn.original.src_id),
            (back.dst, back.dst_id) != (conn.original.dst, conn.original.dst_id),
        );
        if conn.original.has_ports() {
            assert_eq!(conn.status.has(Status::SRC_NAT), src, "{conn} {:?}\n{}", conn.status, story());
            assert_eq!(conn.status.has(Status::DST_NAT), dst, "{conn} {:?}\n{}", conn.status, story());
        }
    }
}
