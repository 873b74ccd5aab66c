//! What a packet does on its way: to entries, deadlines and counters.

use std::collections::{BTreeMap, BTreeSet};

use conntruth::generate::{Event, Traffic};
use conntruth::target::{Arrival, Fate, Observation, Reference, Why};
use conntruth_engine::{
    Class, ConnSnapshot, Counter, Engine, EventKind, Knob, LINUX_6_18, ProtoInfo, Status, Time, Unit,
    Verdict, protocol,
};

/// An event, the entries before and after it, and what was observed.
struct Step<'a> {
    event: &'a Event,
    before: Vec<ConnSnapshot>,
    after: Vec<ConnSnapshot>,
    seen: Option<Observation>,
}

impl Step<'_> {
    fn slug(&self) -> &'static str {
        match self.seen.as_ref().and_then(|seen| seen.why.as_ref()) {
            Some(Why::Reason(reason)) => reason.slug(),
            _ => "",
        }
    }

    fn was(&self, conn: &ConnSnapshot) -> Option<&ConnSnapshot> {
        self.before.iter().find(|other| other.id == conn.id)
    }
}

/// Lets the reference see a story, with `acct` on all the time where it is asked for, and judges each event. `before` is taken at the
/// event's own time, so that whatever ended meanwhile is not the event's doing.
fn each_step(bytes: &[u8], acct: bool, mut judge: impl FnMut(&Step<'_>, &mut Engine)) {
    let traffic = Traffic::decode(bytes);
    let mut reference = Reference::new(&LINUX_6_18);
    let mut config = traffic.config();
    if acct {
        config.settings.retain(|setting| setting.name != "acct");
        config.settings.push(conntruth::target::Setting { name: "acct".to_owned(), value: 1 });
    }
    conntruth::target::Target::begin(&mut reference, &config)
        .unwrap_or_else(|refusal| panic!("{refusal}\n{traffic}"));
    for event in traffic.events() {
        reference.engine().handle_timeouts(event.at());
        if acct && matches!(event, Event::Set { setting, .. } if setting.name == "acct") {
            continue;
        }
        let before = reference.engine().conns().collect();
        let seen = see(&mut reference, event);
        let after = reference.engine().conns().collect();
        judge(&Step { event, before, after, seen }, reference.engine());
    }
}

fn see(reference: &mut Reference, event: &Event) -> Option<Observation> {
    use conntruth::target::Target;
    match event {
        Event::Packet(arrival) => {
            Some(reference.packet(arrival).unwrap_or_else(|refusal| panic!("{refusal}")))
        }
        Event::Release(release) => reference.release(release).ok(),
        Event::Set { setting, .. } => {
            reference.set(setting).unwrap_or_else(|refusal| panic!("{refusal}"));
            None
        }
    }
}

/// Nothing panics; the table holds no more than the packets made, fragments no more than their bounds, and what the
/// table needs is bounded by the entries it ever had. It is asked of so many stories that nothing else is looked at.
pub fn is_survived(bytes: &[u8]) {
    use conntruth::target::Target;
    let traffic = Traffic::decode(bytes);
    let mut reference = Reference::new(&LINUX_6_18);
    reference.begin(&traffic.config()).unwrap_or_else(|refusal| panic!("{refusal}\n{traffic}"));
    for event in traffic.events() {
        reference.engine().handle_timeouts(event.at());
        let before = reference.engine().len();
        let answers = match event {
            Event::Packet(arrival) => reference.pass(arrival).sent.len(),
            // One that never came to wait does not go on.
            Event::Release(release) => reference.go_on(release).map_or(0, |walk| walk.sent.len()),
            Event::Set { setting, .. } => {
                reference.set(setting).map_or_else(|refusal| panic!("{refusal}\n{traffic}"), |()| 0)
            }
        };
        let engine = reference.engine();
        assert!(engine.len() <= before + 1 + answers, "one packet, one entry\n{traffic}");
        let [ipv4, ipv6] = engine.fragment_bytes();
        assert!(ipv4 <= (4 << 20) + 70_000 && ipv6 <= (4 << 20) + 70_000, "{traffic}");
        while engine.poll_event().is_some() {}
    }
    // A table gives little back: what it ever needed is what it has at the end.
    let bytes = reference.engine().table_bytes();
    assert!(bytes <= 64 << 10, "{bytes} bytes\n{traffic}");
}

fn answers(step: &Step<'_>) -> usize {
    step.seen.as_ref().map_or(0, |seen| seen.sent.len())
}

/// Twice the same, to the last bit of the state.
pub fn is_determined(bytes: &[u8]) {
    let run = || {
        let traffic = Traffic::decode(bytes);
        let mut reference = Reference::new(&LINUX_6_18);
        let mut seen = Vec::new();
        let ended = traffic.run(&mut reference, |_, _, observation| seen.push(observation));
        (traffic.to_string(), ended, seen, reference.engine().save())
    };
    assert_eq!(run(), run());
}

/// An INVALID packet leaves every entry as it is. Two rules say otherwise, both TCP's: what a segment shows of a sender of
/// whom nothing was known stays noted, and after a FIN or RST outside the window from both sides an ASSURED connection has
/// `tcp_timeout_unacknowledged` left, if that is less.
pub fn invalid_changes_nothing(bytes: &[u8]) {
    each_step(bytes, true, |step, engine| {
        let is_invalid = step.seen.as_ref().is_some_and(|seen| seen.class == Class::Invalid);
        // What a rule sends in return may reset a connection.
        if !is_invalid || answers(step) > 0 {
            return;
        }
        assert_eq!(step.after.len(), step.before.len(), "{} makes or ends an entry", step.slug());
        let cut = cut(engine);
        for (old, new) in step.before.iter().zip(&step.after) {
            let is_cut =
                new.deadline < old.deadline && new.deadline == cut.1 && old.status.has(Status::ASSURED);
            let ProtoInfo::Tcp { .. } = old.info else {
                assert_eq!(new, old, "{} changes an entry", step.slug());
                continue;
            };
            let mut expected = ConnSnapshot { info: new.info, ..old.clone() };
            if is_cut {
                (expected.timeout, expected.deadline) = cut;
            }
            assert_eq!(*new, expected, "{} changes an entry", step.slug());
            assert_eq!(new.state(), old.state(), "{} changes a state", step.slug());
        }
    });
}

/// What is left of a connection that gets `tcp_timeout_unacknowledged` now, and when it then ends.
fn cut(engine: &Engine) -> (u64, Time) {
    let tick = 1_000_000_000 / u64::from(LINUX_6_18.hz);
    let seconds = u64::try_from(engine.sysctls().get(Knob::TcpUnack)).unwrap_or(0);
    let now = engine.now().as_nanos() / tick * tick;
    (seconds, Time(now).plus(Time::from_secs(seconds)))
}

/// Deadlines move only to a moment that a timeout which is, or was, in force is away.
pub fn deadlines_are_timeouts(bytes: &[u8]) {
    let tick = 1_000_000_000 / u64::from(LINUX_6_18.hz);
    let mut timeouts = BTreeSet::new();
    let mut is_first = true;
    each_step(bytes, false, |step, engine| {
        let seconds = Knob::ALL.iter().filter(|info| info.unit == Unit::Seconds);
        timeouts.extend(seconds.map(|info| u64::try_from(engine.sysctls().get(info.knob)).unwrap_or(0)));
        if std::mem::take(&mut is_first) {
            timeouts.insert(u64::from(LINUX_6_18.tcp_syn_sent2_secs));
            // What tcp_reset_with_no_ack leaves, and what GRE's first packet finds.
            timeouts.extend([0, 10]);
        }
        for conn in &step.after {
            if step.was(conn).is_some_and(|was| was.deadline == conn.deadline) {
                continue;
            }
            let now = engine.now().as_nanos() / tick;
            let ticks = conn.deadline.as_nanos() / tick - now;
            assert!(
                ticks.is_multiple_of(u64::from(LINUX_6_18.hz))
                    && timeouts.contains(&(ticks / u64::from(LINUX_6_18.hz)))
                    || waited(step),
                "{conn} has {ticks} ticks left after {}: no timeout is that long",
                step.slug(),
            );
            let fixed = step.was(conn).is_some_and(|was| was.status.has(Status::FIXED_TIMEOUT));
            assert!(!fixed, "a fixed timeout does not move");
        }
    });
}

/// What a packet does to the deadline of its entry. Protocols without states renew it with every packet, to the timeout
/// that is theirs; TCP and SCTP to one of the state that the packet has led to, or leave it; a packet that is about an
/// entry, or of none, renews nothing.
pub fn refresh_rules(bytes: &[u8]) {
    let tick = 1_000_000_000 / u64::from(LINUX_6_18.hz);
    each_step(bytes, false, |step, engine| {
        let (Event::Packet(_), Some(seen)) = (step.event, &step.seen) else { return };
        // What waits or is answered by a rule is two packets in one.
        if answers(step) > 0 {
            return;
        }
        let of_packet = seen.entry.as_ref().filter(|_| seen.attached).map(|entry| entry.id);
        for (conn, was) in step.after.iter().filter_map(|conn| Some((conn, step.was(conn)?))) {
            let says = || format!("{was}\nbecomes\n{conn}\nby {}", step.slug());
            let is_its = of_packet == Some(conn.id.number());
            if !is_its || step.slug() == "icmp-error" {
                let is_cut = step.slug().starts_with("tcp-") && conn.deadline < was.deadline;
                assert!(conn.deadline == was.deadline || is_cut, "{}", says());
                continue;
            }
            let sysctls = engine.sysctls();
            let from_now = |knob: Knob| {
                let now = engine.now().as_nanos() / tick * tick;
                Time(now).plus(Time::from_secs(u64::try_from(sysctls.get(knob)).unwrap_or(0)))
            };
            let (knobs, always) = timeouts(was, conn);
            let renewed = knobs.iter().any(|knob| from_now(*knob) == conn.deadline)
                || is_reset(step, conn, tick, engine);
            let kept = !always && conn.deadline == was.deadline;
            let fixed = was.status.has(Status::FIXED_TIMEOUT) && conn.deadline == was.deadline;
            assert!(renewed || kept || fixed, "{}\n{knobs:?}", says());
        }
    });
}

/// A reset that acknowledges nothing ends an unanswered connection at once, and GRE keeps the timeouts it began with.
fn is_reset(step: &Step<'_>, conn: &ConnSnapshot, tick: u64, engine: &Engine) -> bool {
    let now = engine.now().as_nanos() / tick * tick;
    match conn.info {
        ProtoInfo::Gre { timeout, stream_timeout } => [timeout, stream_timeout]
            .iter()
            .any(|seconds| Time(now).plus(Time::from_secs((*seconds).into())) == conn.deadline),
        ProtoInfo::Tcp { .. } => {
            let seconds = u64::from(LINUX_6_18.tcp_syn_sent2_secs);
            step.slug().starts_with("tcp-") && Time(now).plus(Time::from_secs(seconds)) == conn.deadline
        }
        _ => false,
    }
}

/// The sysctls that a packet may renew an entry by, and whether every packet does.
fn timeouts(was: &ConnSnapshot, conn: &ConnSnapshot) -> (Vec<Knob>, bool) {
    let prefix = match (conn.original.protocol, conn.state()) {
        (protocol::TCP, Some(state)) => format!("tcp_timeout_{}", state.to_lowercase()),
        (protocol::SCTP, Some(state)) => format!("sctp_timeout_{}", state.to_lowercase()),
        (protocol::UDP | protocol::UDPLITE, _) if !was.status.has(Status::SEEN_REPLY) => {
            "udp_timeout".to_owned()
        }
        (protocol::UDP, _) => return (vec![Knob::Udp, Knob::UdpStream], true),
        (protocol::UDPLITE, _) => "udp_timeout_stream".to_owned(),
        (protocol::ICMP, _) => "icmp_timeout".to_owned(),
        (protocol::ICMPV6, _) => "icmpv6_timeout".to_owned(),
        (protocol::GRE, _) => return (Vec::new(), true),
        _ => "generic_timeout".to_owned(),
    };
    let mut knobs: Vec<Knob> = Knob::find(&prefix).into_iter().collect();
    if conn.original.protocol == protocol::TCP {
        knobs.extend([Knob::TcpRetrans, Knob::TcpUnack, Knob::TcpClose]);
    }
    let has_states = matches!(conn.original.protocol, protocol::TCP | protocol::SCTP);
    (knobs, !has_states)
}

/// A packet that waited was tracked before now: what it set counts from when it is confirmed, or from then.
fn waited(step: &Step<'_>) -> bool {
    matches!(step.event, Event::Release(_))
}

/// Whether the packet of an event went all its way: its own fate, and the tracker's and the rules' verdict.
fn passes(step: &Step<'_>) -> bool {
    let fate = match step.event {
        Event::Packet(Arrival { fate, .. }) => *fate,
        Event::Release(release) => release.fate,
        Event::Set { .. } => return false,
    };
    fate == Fate::Passes && step.seen.as_ref().is_some_and(|seen| seen.verdict == Verdict::Accept)
}

/// What was not there before is the entry of the packet that has just passed.
pub fn entries_come_of_confirmed_packets(bytes: &[u8]) {
    each_step(bytes, false, |step, _| {
        for conn in step.after.iter().filter(|conn| step.was(conn).is_none()) {
            let Some(seen) = &step.seen else { panic!("a sysctl makes no entry") };
            // A rule's answer that leaves the host is a packet too.
            let is_answer = seen.sent.iter().any(|sent| sent.verdict == Verdict::Accept);
            assert!(passes(step) || is_answer, "{conn} was confirmed by a packet that did not pass");
            let is_its =
                seen.attached && seen.entry.as_ref().is_some_and(|entry| entry.id == conn.id.number());
            assert!(is_its || is_answer, "{conn} is not that of the packet");
            assert!(conn.status.has(Status::CONFIRMED));
        }
    });
}

/// Reasons for which a packet is attached and not counted: it renews nothing either.
const UNCOUNTED: [&str; 10] = [
    "icmp-error",
    "tcp-ignored",
    "tcp-challenge-ack",
    "tcp-syn-again",
    "tcp-seq-under",
    "tcp-ack-under",
    "tcp-overshoot",
    "sctp-init-again",
    "sctp-heartbeat",
    "sctp-collision",
];

/// Each packet is counted where it belongs: once, with the bytes that its header says, in its direction; one that is not
/// attached, or only looked at, nowhere. What listeners are told of an entry that ends is all that it had counted.
pub fn counters_add_up(bytes: &[u8]) {
    let mut waited: Vec<u64> = Vec::new();
    let mut gathered = false;
    let mut ledger = Ledger::default();
    each_step(bytes, true, |step, _| {
        ledger.note(step);
        let length = match step.event {
            Event::Packet(arrival) => {
                gathered |= step.seen.as_ref().is_some_and(|seen| seen.class == Class::Held);
                if arrival.fate == Fate::Waits {
                    waited.push(arrival.bytes.len() as u64);
                }
                said_length(&arrival.bytes)
            }
            _ => 0,
        };
        let [packets, bytes] = moved(step);
        let is_plain = |seen: &&Observation| answers(step) == 0 && !seen.destroyed;
        let Some(seen) = step.seen.as_ref().filter(is_plain) else {
            return assert!(packets <= answers(step) as u64 + 1, "{packets} packets counted for one");
        };
        let says = || format!("{packets} packets of {bytes} bytes for one of {length}: {}", step.slug());
        let entry = seen.entry.as_ref().map(|entry| entry.id);
        let is_known = step.before.iter().any(|conn| Some(conn.id.number()) == entry);
        match step.event {
            // What went on later was counted when it was tracked, or when it lost to another. Of a datagram that came in
            // pieces the whole is counted; one that is its only piece loses that header.
            Event::Release(_) => {
                let is_its =
                    bytes == 0 || waited.contains(&bytes) || waited.contains(&(bytes + 8)) || gathered;
                assert!(packets <= 1 && is_its, "{}", says());
            }
            _ if !seen.attached || UNCOUNTED.contains(&step.slug()) => assert_eq!(packets, 0, "{}", says()),
            _ if is_known || passes(step) => {
                assert_eq!(packets, 1, "{}", says());
                let is_atomic = bytes + 8 == length as u64;
                assert!(bytes == length as u64 || is_atomic || gathered, "{}", says());
            }
            _ => assert_eq!(packets, 0, "{}", says()),
        }
    });
}

/// The counters of all entries, as they last stood.
#[derive(Default)]
struct Ledger(BTreeMap<u64, [Counter; 2]>);

impl Ledger {
    /// Holds what is told of those that ended against what they had counted before.
    fn note(&mut self, step: &Step<'_>) {
        let told = step.seen.iter().flat_map(|seen| &seen.events);
        for event in told.filter(|event| event.kind == EventKind::Destroy) {
            let (mut last, mut at_end) = ([0, 0], [0, 0]);
            add(&mut last, self.0.remove(&event.entry.id));
            add(&mut at_end, event.entry.counters);
            // The packet that ends an entry is counted by it.
            let gained = at_end[0] - last[0];
            assert!(gained <= 1, "{gained} packets counted by an entry that ends: {}", step.slug());
            assert!(gained == 1 || at_end[1] == last[1], "bytes without a packet: {}", step.slug());
        }
        self.0.extend(step.after.iter().filter_map(|conn| Some((conn.id.number(), conn.counters?))));
        if step.seen.is_some() {
            let there: BTreeSet<u64> = step.after.iter().map(|conn| conn.id.number()).collect();
            let known: BTreeSet<u64> = self.0.keys().copied().collect();
            assert_eq!(known, there, "an entry that ended was not told: {}", step.slug());
        }
    }
}

/// By how much the counters of all entries together have moved; none of them falls.
fn moved(step: &Step<'_>) -> [u64; 2] {
    let mut moved = [0, 0];
    for conn in &step.after {
        let Some(counters) = conn.counters else { continue };
        let was = step.was(conn).and_then(|was| was.counters).unwrap_or_default();
        for (now, was) in counters.iter().zip(was) {
            assert!(now.packets >= was.packets && now.bytes >= was.bytes, "counters fall: {conn}");
            assert_eq!(now.packets == was.packets, now.bytes == was.bytes, "{conn}");
            moved = [moved[0] + now.packets - was.packets, moved[1] + now.bytes - was.bytes];
        }
    }
    moved
}

fn add(sum: &mut [u64; 2], counters: Option<[Counter; 2]>) {
    for counter in counters.iter().flatten() {
        *sum = [sum[0] + counter.packets, sum[1] + counter.bytes];
    }
}

/// What a packet's header says that it has: what lies behind that is not its own.
fn said_length(bytes: &[u8]) -> usize {
    let word = |at: usize| {
        bytes.get(at..at + 2).map_or(0, |pair| usize::from(u16::from_be_bytes([pair[0], pair[1]])))
    };
    match bytes.first().map(|first| first >> 4) {
        Some(4) => word(2),
        Some(6) => 40 + word(4),
        _ => 0,
    }
}
