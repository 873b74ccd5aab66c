//! Sense: what can be wrong with a scenario that reads well, found without running it. Labels that are not there,
//! hosts without an address of the family at hand, more claims than packets.

use std::net::IpAddr;

use conntruth_engine::Family;

use super::ast::claim::Check;
use super::ast::packet::{Body, Cut, Endpoint, HostRef, Icmp, IcmpKind, Packet, Path, Quoted, Stop};
use super::ast::{Action, Name, Script, Span, Step, Story};
use super::message::Message;
use super::sense::Listening;
use super::words::nearest;

/// All that makes no sense in a scenario, in the order of the file.
pub fn check(script: &Script) -> Vec<Message> {
    let mut mistakes: Vec<Message> = Vec::new();
    for story in &script.stories {
        let mut sense = Sense {
            story,
            labels: Vec::new(),
            waiting: Vec::new(),
            listening: Listening::default(),
            mistakes: Vec::new(),
        };
        sense.story();
        // Every variant has the same mistake in the same place: once is enough.
        mistakes.extend(sense.mistakes);
        if !mistakes.is_empty() {
            break;
        }
    }
    mistakes.sort_by_key(|message| (message.span.start, message.span.end));
    mistakes
}

struct Sense<'s> {
    story: &'s Story,
    /// The labels so far.
    labels: Vec<&'s Name>,
    /// The labels of packets that wait.
    waiting: Vec<&'s str>,
    /// What listens so far.
    listening: Listening<'s>,
    mistakes: Vec<Message>,
}

impl<'s> Sense<'s> {
    fn story(&mut self) {
        if self.story.steps.is_empty() && self.story.not_yet.is_empty() {
            self.mistakes.push(
                Message::new("nothing happens in this scenario", Span::default())
                    .label("expected at least one step, such as `+0 > S`"),
            );
        }
        super::sense::heading(self.story, &mut self.mistakes);
        for flow in &self.story.flows {
            for end in [&flow.from, &flow.to] {
                self.endpoint(end, flow.span);
            }
        }
        for step in &self.story.steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: &'s Step) {
        super::sense::step(self.story, step, &mut self.listening, &mut self.mistakes);
        match &step.action {
            Action::Send { packet, .. } => self.packet(packet, step.span),
            Action::Hidden(steps) => steps.iter().for_each(|step| self.hidden(step)),
            Action::Release { label, .. } => self.release(label),
            Action::Check(check) => {
                if let Check::Counter { name, .. } = check.itself() {
                    self.counter(name);
                }
            }
            _ => {}
        }
        self.waits(step);
        if let Some(label) = &step.label {
            match self.labels.iter().find(|other| other.value == label.value) {
                Some(other) => self.mistakes.push(
                    Message::new(format!("there is already a label `{}`", label.value), label.span)
                        .label("expected another name")
                        .other(other.span, "the first one"),
                ),
                None => self.labels.push(label),
            }
        }
        let Some(packets) = packets(&step.action) else { return };
        for claims in step.all_claims() {
            if claims.each.len() <= 1 || claims.each.len() == packets {
                continue;
            }
            let count =
                |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
            let title = format!("{} for {}", count(claims.each.len(), "claim"), count(packets, "packet"));
            self.mistakes.push(
                Message::new(title, claims.span)
                    .label("expected one for each packet, or a single one for all of them")
                    .other(step.span, "the packets"),
            );
        }
    }

    /// A counter must be one of a rule.
    fn counter(&mut self, name: &Name) {
        let story = self.story;
        let known = || story.rules.iter().flat_map(|rule| rule.value.counters());
        if known().any(|counter| counter == name.value) {
            return;
        }
        self.mistakes.push(
            Message::new(format!("no rule has a counter `{}`", name.value), name.span)
                .label(format!("expected the name of one in `rules`: `counter name {}`", name.value))
                .did_you_mean(nearest(&name.value, known())),
        );
    }

    fn hidden(&mut self, step: &'s Step) {
        self.step(step);
        let waits = matches!(&step.action, Action::Send { packet, .. } if is_waiting(packet));
        if waits {
            let message = Message::new("a packet that the tracker does not see cannot wait in it", step.span);
            self.mistakes.push(message);
        }
    }

    /// A packet that waits has a name, so that it can be said when it goes on.
    fn waits(&mut self, step: &'s Step) {
        let Action::Send { times, packet } = &step.action else { return };
        if !is_waiting(packet) {
            return;
        }
        if *times > 1 || matches!(packet.cut, Cut::Fragments { .. }) {
            let message = Message::new("one packet waits at a time", step.span);
            self.mistakes.push(message.help("write a step with a label for each of them"));
        }
        match &step.label {
            Some(label) => self.waiting.push(&label.value),
            None => self.mistakes.push(
                Message::new("a packet that waits needs a label", step.span)
                    .label("expected one before it: `A: ...`, so that a later step can say `A goes on`"),
            ),
        }
    }

    /// What goes on must have waited, and not have gone on before.
    fn release(&mut self, label: &Name) {
        let known = self.waiting.iter().position(|waiting| *waiting == label.value);
        if let Some(at) = known {
            self.waiting.remove(at);
            return;
        }
        let own = self.labels.iter().find(|other| other.value == label.value);
        self.mistakes.push(match own {
            Some(other) => Message::new(format!("`{}` does not wait here", label.value), label.span)
                .label("expected a packet that waits, and has not gone on before")
                .other(other.span, "it is sent here"),
            None => Message::new(format!("no packet `{}` waits", label.value), label.span)
                .label("expected the label of an earlier packet with `waits`")
                .did_you_mean(nearest(&label.value, self.waiting.iter().copied())),
        });
    }

    fn packet(&mut self, packet: &'s Packet, span: Span) {
        if let Path::Hosts { from, to } = &packet.path {
            self.endpoint(from, span);
            self.endpoint(to, span);
        }
        match &packet.body {
            Body::Again(label) => self.label(label),
            Body::Icmp(icmp) => self.icmp(icmp, span),
            _ => {}
        }
        let ip = &packet.ip;
        let only_v4 = ip.options.is_some()
            || ip.dont_fragment.is_some()
            || ip.header_words.is_some()
            || ip.checksum.is_some();
        for (family, wrong, what) in [
            (Family::Ipv6, only_v4, "`ipopt`, `dontfrag`, `ihl` and `ipchecksum` are fields of IPv4"),
            (Family::Ipv4, !ip.extensions.is_empty(), "`ext` is for IPv6"),
        ] {
            if wrong && self.story.families.contains(&family) {
                self.mistakes.push(self.in_family(Message::new(what, span), family));
            }
        }
        if let Cut::Fragments { order: Some(order), .. } = &packet.cut
            && order.is_empty()
        {
            self.mistakes.push(Message::new("no fragment is sent at all", span));
        }
    }

    fn icmp(&mut self, icmp: &'s Icmp, span: Span) {
        match icmp.quote.as_ref().map(|quote| &quote.what) {
            Some(Quoted::Label(label)) => self.label(label),
            Some(Quoted::Packet(packet)) => self.packet(packet, span),
            _ => {}
        }
        let Some(IcmpKind::Named(name)) = icmp.kind else { return };
        for &family in &self.story.families {
            let known = match icmp.version.unwrap_or(family) {
                Family::Ipv4 => name.v4,
                Family::Ipv6 => name.v6,
            };
            if known.is_none() {
                let message = Message::new(
                    format!("{} has no message `{}`", icmp_name(icmp.version.unwrap_or(family)), name.words),
                    span,
                );
                self.mistakes.push(message.help("`type N code N` sends any number"));
            }
        }
    }

    /// A label must stand at an earlier step.
    fn label(&mut self, label: &Name) {
        if self.labels.iter().any(|known| known.value == label.value) {
            return;
        }
        let later = all_labels(&self.story.steps).find(|other| other.value == label.value);
        self.mistakes.push(match later {
            Some(other) => Message::new(format!("`{}` has not been sent yet", label.value), label.span)
                .label("expected the label of an earlier packet")
                .other(other.span, "it is sent here"),
            None => Message::new(format!("no packet has the label `{}`", label.value), label.span)
                .label(format!("expected a label that stands before a packet: `{}: ...`", label.value))
                .did_you_mean(nearest(&label.value, self.labels.iter().map(|name| &*name.value))),
        });
    }

    /// A host must have an address of every family the story is run in.
    fn endpoint(&mut self, end: &Endpoint, span: Span) {
        for &family in &self.story.families {
            let is_there = |address: &IpAddr| address.is_ipv4() == (family == Family::Ipv4);
            let (what, span, found) = match &end.host {
                HostRef::Address(address) => (format!("`{address}` is"), span, is_there(address)),
                HostRef::Name(name) => {
                    let host = self.story.hosts.iter().find(|host| host.name.value == name.value);
                    let found = host.is_none_or(|host| host.addresses.iter().any(is_there));
                    (format!("`{}` has", name.value), name.span, found)
                }
            };
            if !found {
                let message = Message::new(format!("{what} no {} address", family_name(family)), span);
                self.mistakes.push(self.in_family(message, family));
            }
        }
    }

    fn in_family(&self, message: Message, family: Family) -> Message {
        let digit = if family == Family::Ipv4 { 4 } else { 6 };
        match &*self.story.families {
            [_] if digit == 4 => message.help("without a `family` line a scenario is run in IPv4"),
            [_] => message.help("`family 6` says so"),
            _ => message.help("`family 4 6` runs the scenario in both"),
        }
    }
}

fn is_waiting(packet: &Packet) -> bool {
    matches!(packet.stop, Some(Stop::Waits(_)))
}

fn family_name(family: Family) -> &'static str {
    if family == Family::Ipv4 { "IPv4" } else { "IPv6" }
}

fn icmp_name(version: Family) -> &'static str {
    if version == Family::Ipv4 { "ICMP" } else { "ICMPv6" }
}

fn all_labels(steps: &[Step]) -> impl Iterator<Item = &Name> {
    steps.iter().flat_map(|step| {
        let inside = match &step.action {
            Action::Hidden(steps) => steps.as_slice(),
            _ => &[],
        };
        step.label.iter().chain(inside.iter().filter_map(|step| step.label.as_ref()))
    })
}

/// How many packets a step sends, where that can be seen.
fn packets(action: &Action) -> Option<usize> {
    match action {
        Action::Opened { .. } => Some(3),
        Action::Release { .. } => Some(1),
        Action::Send { times, packet } => match &packet.cut {
            Cut::Fragments { order: Some(order), .. } => Some(order.len() * *times as usize),
            Cut::Fragments { order: None, .. } => None,
            _ => Some(*times as usize),
        },
        _ => None,
    }
}
