//! Sense in stories with hosts that act: who is a stack, who listens, what cannot be where real stacks answer.

use super::ast::claim::Check;
use super::ast::host::{HostCheck, Service, Term, Verb};
use super::ast::packet::{Endpoint, HostRef, Packet, Path, Stop};
use super::ast::{Action, Host, Name, Span, Step, Story};
use super::message::Message;

/// What listens, by host and port, as far as the steps so far say it.
#[derive(Debug, Default)]
pub(super) struct Listening<'s>(Vec<(&'s str, u16, bool)>);

/// The heading without steps.
pub(super) fn heading(story: &Story, mistakes: &mut Vec<Message>) {
    let needs = [
        story.routers.first().map(|router| router.name.span),
        story.cables.first().map(|cable| cable.span),
        story.routes.first().map(|way| way.from.span),
        story.networks.first().map(|network| network.name.span),
        story.hosts.iter().find(|host| host.of.is_some()).map(|host| host.name.span),
    ];
    if let Some(span) = needs.into_iter().flatten().next().filter(|_| story.stack.is_empty()) {
        mistakes.push(no_stack("routers, networks, cables and routes are for hosts that act", span));
    }
    for name in &story.stack {
        if story.routers.iter().any(|router| router.name.value == name.value) {
            mistakes.push(Message::new(format!("`{}` is a router, and no host", name.value), name.span));
        }
        let is_interface = |other: &Host| other.name.value == name.value && other.of.is_some();
        if story.hosts.iter().any(is_interface) {
            mistakes.push(Message::new(format!("`{}` is an interface, and no host", name.value), name.span));
        }
        if story.networks.iter().any(|network| network.name.value == name.value) {
            mistakes.push(Message::new(format!("`{}` is a network, and no host", name.value), name.span));
        }
        if name.value == "box" {
            mistakes.push(
                Message::new("the tracker's own host is a stack in any case", name.span)
                    .label("expected the names of other hosts"),
            );
        }
    }
}

fn no_stack(what: &str, span: Span) -> Message {
    Message::new(what.to_owned(), span).help("a line such as `stack client server` says which hosts act")
}

/// A step, where hosts act or seem to.
pub(super) fn step<'s>(
    story: &'s Story,
    step: &'s Step,
    listening: &mut Listening<'s>,
    mistakes: &mut Vec<Message>,
) {
    match &step.action {
        Action::Deed(deed) => {
            acts(story, &deed.host, mistakes);
            let hears = |port: u16, is_tcp: bool| (&*deed.host.value, port, is_tcp);
            let new = match &deed.verb {
                Verb::Listens(port) | Verb::Echoes(port) | Verb::Discards(port) => Some(hears(*port, true)),
                Verb::Offers(port, _) | Verb::Serves(Service::Ftp(_) | Service::Irc, port) => {
                    Some(hears(*port, true))
                }
                Verb::Serves(_, port) => Some(hears(*port, false)),
                Verb::Answers(port, _) | Verb::Ignores(port) => Some(hears(*port, false)),
                _ => None,
            };
            if let Some(new) = new {
                if listening.0.contains(&new) {
                    mistakes.push(Message::new("something listens at this port already", step.span));
                }
                listening.0.push(new);
            }
            let anyway = deed.terms.iter().any(|term| term.value == Term::Anyway);
            let peer = match &deed.verb {
                Verb::Connects(to) | Verb::Ftp(to) | Verb::Irc(to) => Some((to, true)),
                Verb::Asks(to) | Verb::Streams(to) | Verb::Resolves(_, to) | Verb::Tftp(to, _) => {
                    Some((to, false))
                }
                _ => None,
            };
            if let Some((to, is_tcp)) = peer.filter(|_| !anyway) {
                heard(story, (to, is_tcp), listening, step.span, mistakes);
            }
        }
        Action::Run(_) | Action::Cable(_) | Action::Offload(_) if story.stack.is_empty() => {
            mistakes.push(no_stack("nobody acts here", step.action_span));
        }
        Action::Check(check) => {
            if matches!(check.itself(), Check::Host(_)) && story.stack.is_empty() {
                mistakes.push(no_stack("a claim about hosts where none acts", step.action_span));
            }
            if let Check::Host(HostCheck::Sockets { host, .. }) = check.itself() {
                acts(story, host, mistakes);
            }
        }
        Action::Send { packet, .. } if !story.stack.is_empty() => played(packet, step.span, mistakes),
        Action::Hidden(_) if !story.stack.is_empty() => mistakes.push(
            Message::new("nothing is hidden from the tracker where hosts act", step.span)
                .help("`offload NAME` takes a flow past the tracker"),
        ),
        Action::Release { .. } if !story.stack.is_empty() => mistakes.push(waits(step.span)),
        _ => {}
    }
}

fn waits(span: Span) -> Message {
    Message::new("no packet waits in the tracker where hosts act", span)
}

/// A packet that a step sends into a world of hosts.
fn played(packet: &Packet, span: Span, mistakes: &mut Vec<Message>) {
    if matches!(packet.stop, Some(Stop::Waits(_))) {
        mistakes.push(waits(span));
    }
    if let Path::Hosts { from: Endpoint { host: HostRef::Name(name), .. }, .. } = &packet.path
        && name.value == "box"
    {
        mistakes.push(
            Message::new("the tracker's own host sends what it does itself", name.span)
                .help("`box connects server:7`, `box pings server`"),
        );
    }
}

fn acts(story: &Story, host: &Name, mistakes: &mut Vec<Message>) {
    let is_stack = story.stack.iter().any(|name| name.value == host.value);
    if !is_stack && (host.value != "box" || story.stack.is_empty()) {
        let message = Message::new(format!("`{}` does nothing by itself", host.value), host.span);
        let names: Vec<&str> = story.stack.iter().map(|name| &*name.value).chain([&*host.value]).collect();
        mistakes.push(
            message.help(format!("a line in the heading makes it a stack: `stack {}`", names.join(" "))),
        );
    }
}

/// Hosts that need no line, and their addresses.
const USUAL: [(&str, [&str; 2]); 2] =
    [("client", ["10.0.0.1", "fd00:a::1"]), ("server", ["10.0.1.1", "fd00:b::1"])];

fn heard(
    story: &Story,
    (to, is_tcp): (&Endpoint, bool),
    listening: &Listening<'_>,
    span: Span,
    mistakes: &mut Vec<Message>,
) {
    let Some(port) = to.port else { return };
    // Who answers behind a translation is not said by the address.
    let translates = |rule: &str| rule.starts_with("nat prerouting") || rule.starts_with("nat output");
    if story.rules.iter().any(|rule| translates(&rule.value.to_string())) {
        return;
    }
    let named;
    let name = match &to.host {
        HostRef::Name(name) => name,
        // The address of a host is that host; nobody is known to listen at others.
        HostRef::Address(address) => {
            let host = story.hosts.iter().find(|host| host.addresses.contains(address));
            let usual = USUAL.iter().find(|(_, own)| own.iter().any(|own| address.to_string() == *own));
            let Some(value) = host.map(|host| &*host.name.value).or(usual.map(|(name, _)| *name)) else {
                return;
            };
            named = Name { value: value.to_owned(), span };
            &named
        }
    };
    // An interface hears what its host does.
    let owner = story.hosts.iter().find(|host| host.name.value == name.value);
    let name = owner.and_then(|host| host.of.as_ref()).unwrap_or(name);
    if listening.0.contains(&(&*name.value, port, is_tcp)) {
        return;
    }
    let verb = if is_tcp { "listens" } else { "answers" };
    mistakes.push(
        Message::new(format!("nothing listens at port {port} of `{}`", name.value), span)
            .label(format!("expected a step before it such as `{} {verb} {port}`", name.value))
            .help("`anyway` at its end says that this is meant"),
    );
}
