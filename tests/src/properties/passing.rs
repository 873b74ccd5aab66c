//! What a packet does on its way: to entries, deadlines and counters.

use std::collections::{BTreeMap, BTreeSet};

use conntruth::generate::{Event, Traffic};
use conntruth::target::{Arrival, Fate, Observation, Reference, Why};
use conntruth_engine::{
    Class, ConnSnapshot, Engine, Knob, LINUX_6_18, ProtoInfo, Status, Time, Unit, Verdict,
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

/// Lets the reference see a story, with `acct` on where it is asked for, and judges each event. `before` is taken at the
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
/// table needs is bounded by the entries it ever had.
pub fn is_survived(bytes: &[u8]) {
    let mut most = 0;
    each_step(bytes, false, |step, engine| {
        most = most.max(step.after.len());
        assert!(step.after.len() <= step.before.len() + 1 + answers(step), "one packet, one entry");
        let [ipv4, ipv6] = engine.fragment_bytes();
        assert!(ipv4 <= (4 << 20) + 70_000 && ipv6 <= (4 << 20) + 70_000);
        assert!(engine.table_bytes() <= 64 << 10, "{} bytes for {most} entries", engine.table_bytes());
    });
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

/// All counters together move by one packet at most, and by its bytes, in its direction; an entry that ends takes its
/// own along.
pub fn counters_add_up(bytes: &[u8]) {
    let mut waited: Vec<usize> = Vec::new();
    let mut fragments = false;
    each_step(bytes, true, |step, _| {
        let length = match step.event {
            Event::Packet(arrival) => {
                fragments |= step.seen.as_ref().is_some_and(|seen| seen.class == Class::Held);
                if arrival.fate == Fate::Waits {
                    waited.push(arrival.bytes.len());
                }
                arrival.bytes.len()
            }
            _ => 0,
        };
        let old: BTreeMap<u64, _> =
            step.before.iter().map(|conn| (conn.id.number(), conn.counters.unwrap_or_default())).collect();
        let mut moved = 0;
        for conn in &step.after {
            let Some(counters) = conn.counters else { continue };
            let known = old.get(&conn.id.number());
            let was = known.copied().unwrap_or_default();
            for (now, was) in counters.iter().zip(was) {
                assert!(now.packets >= was.packets && now.bytes >= was.bytes, "counters fall: {conn}");
                assert_eq!(now.packets == was.packets, now.bytes == was.bytes, "{conn}");
                let (packets, bytes) = (now.packets - was.packets, (now.bytes - was.bytes) as usize);
                moved += packets;
                // Of a datagram that came in pieces the whole is counted; of one that waited, what it was.
                let is_whole = bytes == 0 || bytes <= length || waited.contains(&bytes);
                assert!(
                    is_whole || fragments || answers(step) > 0,
                    "{bytes} bytes of a packet of {length}: {conn}"
                );
            }
        }
        let most = 1 + answers(step) as u64;
        assert!(moved <= most, "{moved} packets counted for one event");
        let is_attached = step.seen.as_ref().is_some_and(|seen| seen.attached);
        assert!(moved == 0 || is_attached || answers(step) > 0, "{} was counted", step.slug());
    });
}
