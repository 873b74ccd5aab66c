//! What nothing refers to is not in a story: labels, hosts, flows.

use std::collections::BTreeSet;

use crate::language::ast::packet::{Body, Endpoint, HostRef, Packet, Path, Piece, Quoted, Stop};
use crate::language::ast::{Action, Step, Story};

/// Takes away labels, flows and hosts that nothing names any more; the only flow loses its name. What the story sends
/// stays the same.
pub fn tidy(story: &mut Story) {
    settle(story);
    let mut used = Used::default();
    for step in &story.steps {
        used.step(step);
    }
    for step in &mut story.steps {
        let waits = matches!(&step.action, Action::Send { packet, .. } if matches!(packet.stop, Some(Stop::Waits(_))));
        step.label = step.label.take().filter(|label| waits || used.labels.contains(&label.value));
    }
    story.flows.retain(|flow| match &flow.name {
        Some(name) => used.flows.contains(&name.value),
        None => used.the_only,
    });
    if let [flow] = story.flows.as_mut_slice() {
        flow.name = None;
        story.steps.iter_mut().for_each(|step| unname(&mut step.action));
    }
    for flow in &story.flows {
        used.endpoint(&flow.from);
        used.endpoint(&flow.to);
    }
    story.hosts.retain(|host| used.hosts.contains(&host.name.value));
}

/// A sysctl that is set before the first packet is one of the story's settings.
fn settle(story: &mut Story) {
    while let Some(Step { action: Action::Set(setting), .. }) = story.steps.first() {
        let setting = setting.clone();
        story.settings.retain(|other| other.knob.value != setting.knob.value);
        story.settings.push(setting);
        story.steps.remove(0);
    }
}

#[derive(Default)]
struct Used {
    labels: BTreeSet<String>,
    flows: BTreeSet<String>,
    /// A flow without a name.
    the_only: bool,
    hosts: BTreeSet<String>,
}

impl Used {
    fn step(&mut self, step: &Step) {
        match &step.action {
            Action::Send { packet, .. } => self.packet(packet),
            Action::Opened { flow } => self.flow(flow.as_ref().map(|flow| &*flow.value)),
            Action::Release { label, .. } => {
                self.labels.insert(label.value.clone());
            }
            Action::Hidden(steps) => steps.iter().for_each(|step| self.step(step)),
            // Whatever these name is not looked for: nothing that is generated has them.
            _ => {}
        }
    }

    fn packet(&mut self, packet: &Packet) {
        for piece in packet.body.pieces() {
            if let Piece::Address { host, .. } = piece {
                self.hosts.insert(host.value.clone());
            }
        }
        match &packet.path {
            Path::Flow { flow, .. } => self.flow(flow.as_ref().map(|flow| &*flow.value)),
            Path::Hosts { from, to } => {
                self.endpoint(from);
                self.endpoint(to);
            }
            Path::Same => {}
        }
        match &packet.body {
            Body::Again(label) => {
                self.labels.insert(label.value.clone());
            }
            Body::Icmp(icmp) => match icmp.quote.as_ref().map(|quote| &quote.what) {
                Some(Quoted::Label(label)) => {
                    self.labels.insert(label.value.clone());
                }
                Some(Quoted::Packet(packet)) => self.packet(packet),
                _ => {}
            },
            _ => {}
        }
    }

    fn flow(&mut self, name: Option<&str>) {
        match name {
            Some(name) => {
                self.flows.insert(name.to_owned());
            }
            None => self.the_only = true,
        }
    }

    fn endpoint(&mut self, end: &Endpoint) {
        if let HostRef::Name(name) = &end.host {
            self.hosts.insert(name.value.clone());
        }
    }
}

fn unname(action: &mut Action) {
    match action {
        Action::Send { packet, .. } => unname_packet(packet),
        Action::Opened { flow } => *flow = None,
        Action::Hidden(steps) => steps.iter_mut().for_each(|step| unname(&mut step.action)),
        _ => {}
    }
}

fn unname_packet(packet: &mut Packet) {
    if let Path::Flow { flow, .. } = &mut packet.path {
        *flow = None;
    }
    if let Body::Icmp(icmp) = &mut packet.body
        && let Some(Quoted::Packet(quoted)) = icmp.quote.as_mut().map(|quote| &mut quote.what)
    {
        unname_packet(quoted);
    }
}
