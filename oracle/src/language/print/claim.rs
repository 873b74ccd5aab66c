//! Claims as they are written.

use std::fmt::{self, Display, Formatter};

use super::{DEEPER, Words};
use crate::language::ast::claim::{
    AtPort, Block, Check, Claim, Claims, ClassWord, EntryClaim, EntryPlace, EventClaim, EventLine,
    ExpectClaim, Flags, Key, KeyValue, Leaving, LeavingEnd, Named, Pattern, Timeout,
};
use crate::language::ast::packet::{HostRef, Protocol};
use crate::language::ast::{Located, Name};
use crate::language::words::{CLASSES, EVENTS, PROTOCOLS, word_of};

impl Display for Claims {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, claim) in self.each.iter().enumerate() {
            write!(f, "{}{claim}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl Display for Claim {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut words = Words::new(f);
        if let Some(class) = self.class {
            words.put(class.value)?;
        }
        if self.reply.is_some() {
            words.put("reply")?;
        }
        if let Some(state) = &self.state {
            words.put(&state.value)?;
        }
        if let Some(timeout) = self.timeout {
            words.put(timeout.value)?;
        }
        if let Some(flags) = self.flags {
            words.put(flags.value)?;
        }
        if self.open.is_some() {
            words.put('*')?;
        }
        self.named.iter().try_for_each(|named| words.put(&named.value))
    }
}

impl Display for ClassWord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(word_of(CLASSES, *self))
    }
}

impl Display for Timeout {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let whole = self.left.nanos.is_multiple_of(1_000_000_000) && self.left.ticks == 0;
        if self.exact && whole {
            // Exact, and said so by the fraction.
            return write!(f, "{}.0s", self.left.nanos / 1_000_000_000);
        }
        write!(f, "{}", self.left)
    }
}

impl Display for Flags {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.unreplied, self.assured) {
            (false, false) => "[]",
            (true, false) => "[UNREPLIED]",
            (false, true) => "[ASSURED]",
            (true, true) => "[UNREPLIED ASSURED]",
        })
    }
}

impl Display for Named {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Named::Because { slug, numbers } => {
                write!(f, "because {}", slug.value)?;
                numbers.iter().try_for_each(|(name, value)| write!(f, " {}={}", name.value, value.value))
            }
            Named::Events(events) if events.is_empty() => f.write_str("event none"),
            Named::Events(events) => {
                let mut words = Words::new(f);
                events.iter().try_for_each(|event| words.put(format_args!("event {event}")))
            }
            Named::Status(status) => write!(f, "status {}", status.names().collect::<Vec<_>>().join("+")),
            Named::Mark(mark) => write!(f, "mark {mark}"),
            Named::Zone(zone) => write!(f, "zone {zone}"),
            Named::Helper(helper) => write!(f, "helper {}", helper.as_deref().unwrap_or("none")),
            Named::Master(flow) => write!(f, "master {}", flow.value),
            Named::Dropped => f.write_str("dropped"),
            Named::Rejected(None) => f.write_str("rejected"),
            Named::Rejected(Some((class, reply))) => {
                write!(f, "rejected as {class}{}", if *reply { " reply" } else { "" })
            }
            Named::Accepted => f.write_str("accepted"),
            Named::Attached(true) => f.write_str("attached"),
            Named::Attached(false) => f.write_str("unattached"),
            Named::NoEntry => f.write_str("no entry"),
            Named::Leaves(None) => f.write_str("leaves unchanged"),
            Named::Leaves(Some(leaving)) => write!(f, "leaves {leaving}"),
        }
    }
}

impl Display for Leaving {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [from, to] = &self.ends;
        write!(f, "{from} > {to}")?;
        match &self.quoted {
            Some([from, to]) => write!(f, " quoting {from} > {to}"),
            None => Ok(()),
        }
    }
}

impl Display for LeavingEnd {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let LeavingEnd::Host { host, port } = self else { return f.write_str("*") };
        let host = match (host, port) {
            (HostRef::Name(name), _) => name.value.clone(),
            (HostRef::Address(address), Some(_)) if address.is_ipv6() => format!("[{address}]"),
            (HostRef::Address(address), _) => address.to_string(),
        };
        match port {
            None => f.write_str(&host),
            Some(AtPort::Any) => write!(f, "{host}:*"),
            Some(AtPort::Port(port)) => write!(f, "{host}:{port}"),
        }
    }
}

impl Display for EntryPlace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let EntryPlace { flow, reply, key } = self;
        write!(f, "{flow}.{}{key}", if *reply { "reply." } else { "" })
    }
}

impl Display for EventClaim {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(word_of(EVENTS, self.kind))?;
        if self.changes.is_empty() {
            return Ok(());
        }
        write!(f, " {}", self.changes.names().collect::<Vec<_>>().join("+"))
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let flow =
            |flow: &Option<Name>| flow.as_ref().map_or(String::new(), |flow| format!(" {}", flow.value));
        match self {
            Check::For { profiles, check } => write!(f, "for {} {check}", super::named(profiles)),
            Check::Table(block) => write_lines(f, "table", "empty", block),
            Check::Expectations(block) => write_lines(f, "expectations", "empty", block),
            Check::Events(block) => write_lines(f, "events", "none", block),
            Check::Entry(entry) => write!(f, "entry {entry}"),
            Check::NoEntry { flow: name } => write!(f, "no entry{}", flow(name)),
            Check::Host(check) => write!(f, "{check}"),
            Check::Count(count) => write!(f, "count {}", count.value),
            Check::Counter { name, packets, bytes } => {
                write!(f, "counter {} {}", name.value, packets.value)?;
                match bytes {
                    Some(bytes) => write!(f, " bytes {}", bytes.value),
                    None => Ok(()),
                }
            }
            Check::Alike { same, places } => {
                f.write_str(if *same { "same" } else { "distinct" })?;
                places.iter().try_for_each(|place| write!(f, " {}", place.value))
            }
            Check::States { flow: name, pattern } => {
                write_words(f, &format!("states{}", flow(name)), pattern, " ", Clone::clone)
            }
            Check::Classes { flow: name, pattern } => {
                let word = |(class, reply): &(ClassWord, bool)| {
                    format!("{class}{}", if *reply { " reply" } else { "" })
                };
                write_words(f, &format!("classes{}", flow(name)), pattern, ", ", word)
            }
            Check::Expires { flow: name, after } => write!(f, "expires{} {}", flow(name), after.value),
        }
    }
}

fn write_lines<T: Display>(f: &mut Formatter<'_>, word: &str, none: &str, block: &Block<T>) -> fmt::Result {
    f.write_str(word)?;
    match &*block.lines {
        [] => write!(f, " ({none})"),
        [line] if !block.below => write!(f, " {}", line.value),
        lines => lines.iter().try_for_each(|line| write!(f, "\n{:DEEPER$}{}", "", line.value)),
    }
}

fn write_words<T>(
    f: &mut Formatter<'_>,
    word: &str,
    block: &Block<Pattern<T>>,
    between: &str,
    write: impl Fn(&T) -> String,
) -> fmt::Result {
    let words: Vec<String> = block
        .lines
        .iter()
        .map(|part| match &part.value {
            Pattern::One(one) => write(one),
            Pattern::Any => "*".to_owned(),
        })
        .collect();
    f.write_str(word)?;
    if block.below {
        write!(f, "\n{:DEEPER$}", "")?
    } else {
        f.write_str(" ")?
    }
    f.write_str(&words.join(between))
}

impl Display for EventLine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.event)?;
        if self.expected != ExpectClaim::default() {
            return write!(f, " {}", self.expected);
        }
        if self.entry == EntryClaim::default() { Ok(()) } else { write!(f, " {}", self.entry) }
    }
}

impl Display for ExpectClaim {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut words = Words::new(f);
        match self.timeout.map(|timeout| timeout.value) {
            Some(Timeout { left, exact: false }) => words.put(left.nanos / 1_000_000_000)?,
            Some(timeout) => words.put(timeout)?,
            None => {}
        }
        // As it was written: where `sport` stands says whose it is.
        self.keys.iter().try_for_each(|(_, key)| put_key(&mut words, key))?;
        if let Some(flags) = &self.flags {
            words.put(flags.value.names().collect::<Vec<_>>().join(","))?;
        }
        match &self.master {
            Some(master) => words.put(format_args!("master {}", master.value)),
            None => Ok(()),
        }
    }
}

impl Display for EntryClaim {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut words = Words::new(f);
        if let Some(flow) = &self.flow {
            words.put(&flow.value)?;
        }
        let state = self.state.as_ref().map(|state| &*state.value);
        match (&self.protocol, self.timeout.map(|timeout| timeout.value)) {
            // As `conntrack -L` has it, the seconds bare before the state.
            (Some(Located { value: protocol, .. }), timeout) => {
                put_protocol(&mut words, *protocol)?;
                match timeout {
                    Some(Timeout { left, exact: false }) => words.put(left.nanos / 1_000_000_000)?,
                    Some(timeout) => words.put(timeout)?,
                    None => {}
                }
                state.map_or(Ok(()), |state| words.put(state))?;
            }
            (None, timeout) => {
                state.map_or(Ok(()), |state| words.put(state))?;
                timeout.map_or(Ok(()), |timeout| words.put(timeout))?;
            }
        }
        let flags = self.flags.map(|flags| flags.value);
        put_keys(&mut words, &self.original)?;
        if let Some(flags) = flags.filter(|flags| flags.unreplied || !flags.assured) {
            words.put(flags)?;
        }
        let turns = |first: &Key| self.original.iter().any(|key| key.name.value == first.name.value);
        if self.reply.first().is_some_and(|first| !turns(first)) {
            words.put("reply")?;
        }
        put_keys(&mut words, &self.reply)?;
        if let Some(flags) = flags.filter(|flags| flags.assured && !flags.unreplied) {
            words.put(flags)?;
        }
        put_keys(&mut words, &self.common)?;
        self.named.iter().try_for_each(|named| words.put(&named.value))
    }
}

/// `tcp 6`, `unknown 8`
fn put_protocol(words: &mut Words<'_, '_>, protocol: Protocol) -> fmt::Result {
    match protocol {
        Protocol::Other(number) => words.put(format_args!("unknown {number}")),
        _ => {
            let number = PROTOCOLS.iter().find(|row| row.1 == protocol).map_or(0, |row| row.2);
            words.put(format_args!("{protocol} {number}"))
        }
    }
}

fn put_keys(words: &mut Words<'_, '_>, keys: &[Key]) -> fmt::Result {
    keys.iter().try_for_each(|key| put_key(words, key))
}

fn put_key(words: &mut Words<'_, '_>, key: &Key) -> fmt::Result {
    match &key.value.value {
        KeyValue::Any => words.put(format_args!("{}=*", key.name.value)),
        KeyValue::Number(number) => words.put(format_args!("{}={number}", key.name.value)),
        KeyValue::Address(address) => words.put(format_args!("{}={address}", key.name.value)),
        KeyValue::Word(word) => words.put(format_args!("{}={word}", key.name.value)),
    }
}
