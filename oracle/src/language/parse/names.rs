//! The names a story has given so far, and what to say when one is unknown.

use crate::language::ast::packet::Protocol;
use crate::language::ast::{Name, Span};
use crate::language::message::{Message, Parse};
use crate::language::words::nearest;

/// Hosts that are there unasked.
const HOSTS: &[&str] = &["client", "server", "box"];

/// What a story has named so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    hosts: Vec<Name>,
    flows: Vec<(Option<Name>, Protocol, Span)>,
    /// What hosts do that is no flow, by the names it was given (`client traces server as t`).
    deeds: Vec<Name>,
    /// Names that lines of later issues give (`client connects server:7 as c`).
    later: Vec<String>,
}

impl Names {
    pub(super) fn add_host(&mut self, name: &Name) -> Parse<()> {
        self.check_free(name)?;
        self.hosts.push(name.clone());
        Ok(())
    }

    pub(super) fn add_flow(&mut self, name: Option<&Name>, protocol: Protocol, span: Span) -> Parse<()> {
        if let Some(name) = name {
            self.check_free(name)?;
            if HOSTS.contains(&&*name.value) {
                return Message::new(format!("`{}` is a host", name.value), name.span)
                    .label("expected another name")
                    .fail();
            }
        }
        let nameless = self.flows.iter().find(|(other, ..)| other.is_none() || name.is_none());
        if let Some((_, _, other)) = nameless {
            return Message::new("with several flows each needs a name", span)
                .other(*other, "the other flow")
                .help("`flow NAME tcp client:40000 > server:80`")
                .fail();
        }
        self.flows.push((name.cloned(), protocol, span));
        Ok(())
    }

    pub(super) fn add_deed(&mut self, name: &Name) -> Parse<()> {
        self.check_free(name)?;
        self.deeds.push(name.clone());
        Ok(())
    }

    pub(super) fn add_later(&mut self, name: &str) {
        self.later.push(name.to_owned());
    }

    fn check_free(&self, name: &Name) -> Parse<()> {
        let flows = self.flows.iter().filter_map(|(other, ..)| other.as_ref());
        match self.hosts.iter().chain(flows).chain(&self.deeds).find(|other| other.value == name.value) {
            Some(other) => Message::new(format!("there is already a `{}`", name.value), name.span)
                .label("expected another name")
                .other(other.span, "the first one")
                .fail(),
            None => Ok(()),
        }
    }

    pub(super) fn is_host(&self, name: &str) -> bool {
        HOSTS.contains(&name) || self.hosts.iter().any(|host| host.value == name)
    }

    /// Whether a name is that of a flow; what it speaks, if that is known.
    pub(super) fn flow(&self, name: &str) -> Option<Option<Protocol>> {
        let known =
            self.flows.iter().find(|(other, ..)| other.as_ref().is_some_and(|other| other.value == name));
        match known {
            Some((_, protocol, _)) => Some(Some(*protocol)),
            None => {
                let is_deed = self.deeds.iter().any(|deed| deed.value == name);
                (is_deed || self.later.iter().any(|later| later == name)).then_some(None)
            }
        }
    }

    /// Whether there is a flow of TCP.
    pub(super) fn speaks_tcp(&self) -> bool {
        self.flows.iter().any(|(_, protocol, _)| *protocol == Protocol::Tcp)
    }

    /// What the only flow speaks.
    pub(super) fn only_flow(&self, span: Span) -> Parse<Protocol> {
        match &*self.flows {
            [(_, protocol, _)] => Ok(*protocol),
            [] => Message::new("there is no flow yet", span)
                .label("expected the sender of this packet")
                .help("begin with a line such as `flow tcp client:40000 > server:80`")
                .about_a_name()
                .fail(),
            flows => Message::new("which flow?", span)
                .about_a_name()
                .label(format!(
                    "expected a flow's name: {}",
                    list(flows.iter().filter_map(|(name, ..)| name.as_ref()))
                ))
                .fail(),
        }
    }

    /// `no flow is called that`, with the names there are.
    pub(super) fn unknown_flow(&self, name: &str, span: Span) -> Message {
        self.unknown_among(format!("there is no flow `{name}`"), name, span, self.flow_names())
    }

    /// The same for hosts, and where flows could stand as well, for both.
    pub(super) fn unknown(&self, name: &str, span: Span, or_flow: bool) -> Message {
        let hosts = HOSTS.iter().copied().chain(self.hosts.iter().map(|host| &*host.value));
        if or_flow {
            let all: Vec<&str> = self.flow_names().chain(hosts).collect();
            return self.unknown_among(
                format!("there is no flow or host `{name}`"),
                name,
                span,
                all.into_iter(),
            );
        }
        let message = self.unknown_among(format!("there is no host `{name}`"), name, span, hosts);
        if message.help.is_some() {
            message
        } else {
            message.help("hosts are named in the heading: `host NAME ADDRESS`")
        }
    }

    fn unknown_among<'n>(
        &self,
        title: String,
        name: &str,
        span: Span,
        known: impl Iterator<Item = &'n str>,
    ) -> Message {
        Message::new(title, span).did_you_mean(nearest(name, known)).about_a_name()
    }

    fn flow_names(&self) -> impl Iterator<Item = &str> {
        self.flows
            .iter()
            .filter_map(|(name, ..)| Some(&*name.as_ref()?.value))
            .chain(self.deeds.iter().map(|name| &*name.value))
            .chain(self.later.iter().map(|name| &**name))
    }

    /// Flows and hosts.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.flow_names().chain(HOSTS.iter().copied()).chain(self.hosts.iter().map(|host| &*host.value))
    }
}

fn list<'n>(names: impl Iterator<Item = &'n Name>) -> String {
    names.map(|name| format!("`{}`", name.value)).collect::<Vec<_>>().join(", ")
}
