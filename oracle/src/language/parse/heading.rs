//! The heading: what a scenario is, and who takes part in it.

use conntruth_engine::{Family, Helper, Knob, Profile, Rule, Unit};

use super::cursor::{Cursor, parse_address, parse_length, parse_number};
use super::packet::{endpoint, has_ports, protocol, protocol_words};
use super::{Reader, lines_below, new_name};
use crate::language::ast::packet::Protocol;
use crate::language::ast::{Flow, HelperPort, Host, Located, Name, Setting, Side};
use crate::language::message::{Message, Parse};
use crate::language::source::Line;
use crate::language::words::{GRADES, PROTOCOLS, nearest};

/// The words that begin a line of the heading.
pub(in crate::language) const HEADINGS: &[&str] = &[
    "grade",
    "source",
    "profile",
    "family",
    "host",
    "interface",
    "flow",
    "set",
    "stack",
    "network",
    "router",
    "route",
    "link",
    "limit",
    "rules",
    "helper",
];

const FAMILIES: &[(&str, Family)] = &[("4", Family::Ipv4), ("6", Family::Ipv6)];
const SIDES: &[(&str, Side)] = &[("inside", Side::Inside), ("outside", Side::Outside), ("dmz", Side::Dmz)];

impl Reader<'_> {
    /// A line of the heading.
    pub(super) fn heading(&mut self, first: &str, line: &Line, cursor: &mut Cursor<'_>) -> Parse<()> {
        self.check_in_heading(first, line)?;
        cursor.next();
        match first {
            "grade" => self.story.grade = cursor.word_from(GRADES, "`must`, `should` or `may`")?.value,
            "profile" => self.profiles(cursor)?,
            "family" => self.families(cursor)?,
            "host" => self.host(cursor, false)?,
            "interface" => self.host(cursor, true)?,
            "flow" => self.flow(line, cursor)?,
            "stack" => self.stack(cursor)?,
            "router" => self.router(cursor)?,
            "network" => self.network(cursor)?,
            "route" => self.route(cursor)?,
            "limit" => self.limit(cursor)?,
            "helper" => self.helper(cursor)?,
            "link" => {
                let cable = self.cable(cursor, line.span)?;
                self.story.cables.push(cable);
            }
            _ => self.story.settings.push(setting(cursor)?),
        }
        cursor.expect_end(&format!("`{first}`"))
    }

    /// `source RFC 9293 section 3.10.7`: the rest of the line as it is.
    pub(super) fn source(&mut self, line: &Line) -> Parse<()> {
        self.check_in_heading("source", line)?;
        let text = line.code.strip_prefix("source").unwrap_or("").trim();
        if text.is_empty() {
            return Message::new("`source` says nothing", line.span)
                .label("expected where the requirement comes from")
                .fail();
        }
        self.story.sources.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
        Ok(())
    }

    /// `rules` and its lines, or one behind it: `filter forward ct state invalid drop`, as nftables has it.
    pub(super) fn rules(&mut self, line: &Line) -> Parse<()> {
        const FIRST: &str = "rules";
        self.check_in_heading(FIRST, line)?;
        let rest = line.code.get(FIRST.len()..).unwrap_or_default();
        if !rest.trim().is_empty() {
            let skipped = line.code.len() - rest.trim_start().len();
            return self.rule(line, skipped);
        }
        let below = lines_below(self.lines, self.next, line.indent).count();
        if below == 0 {
            return Message::new("`rules` says nothing", line.span)
                .label("expected indented lines below it such as `filter forward ct state invalid drop`")
                .fail();
        }
        let body = &self.lines[self.next..self.next + below];
        self.next += below;
        for line in body {
            if let Err(mistake) = self.rule(line, 0) {
                self.mistakes.push(*mistake);
            }
        }
        Ok(())
    }

    fn rule(&mut self, line: &Line, start: usize) -> Parse<()> {
        let code = &line.code[start..];
        match Rule::read(code) {
            Ok(value) => {
                let span = line.locate(start, line.code.len());
                self.story.rules.push(Located { value, span });
                Ok(())
            }
            Err(error) => {
                let span = line.locate(start + error.place.start, start + error.place.end);
                let label = if error.expected.is_empty() {
                    String::new()
                } else {
                    format!("expected {}", error.expected)
                };
                Message::new(error.title, span).label(label).did_you_mean(error.nearest.as_deref()).fail()
            }
        }
    }

    fn check_in_heading(&self, first: &str, line: &Line) -> Parse<()> {
        match self.story.steps.iter().find(|_| self.has_begun()) {
            Some(step) => Message::new(format!("`{first}` belongs to the heading"), line.span)
                .label("expected before the first step")
                .other(step.span, "the first step")
                .fail(),
            None => Ok(()),
        }
    }

    fn profiles(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        while !cursor.is_at_end() || self.story.profiles.is_empty() {
            self.story.profiles.push(profile(cursor)?);
        }
        Ok(())
    }

    fn families(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        while !cursor.is_at_end() || self.story.families.is_empty() {
            let family = cursor.word_from(FAMILIES, "`4`, `6` or both")?;
            if self.story.families.contains(&family.value) {
                return Message::new("this family stands twice", family.span).fail();
            }
            self.story.families.push(family.value);
        }
        Ok(())
    }

    /// `host ann 10.0.0.7 fd00:a::7 inside`, `interface www of server 10.0.2.1 dmz`
    fn host(&mut self, cursor: &mut Cursor<'_>, is_another: bool) -> Parse<()> {
        let what = if is_another { "a name for the interface" } else { "a host's name" };
        let name = new_name(cursor.word(what)?)?;
        let of = if is_another { Some(self.owner(cursor)?) } else { None };
        let mut addresses = Vec::new();
        let (mut side, mut behind) = (None, None);
        while !cursor.is_at_end() {
            let here = cursor.here();
            if cursor.eat("behind").is_some() {
                super::once(&mut behind, self.place_name(cursor)?, "the router", here)?;
                continue;
            }
            if let Some(found) = cursor.eat_from(SIDES) {
                super::once(&mut side, found.value, "the side", found.span)?;
                continue;
            }
            let Some(address) = cursor.eat_known(parse_address) else {
                if let Some(word) = cursor.peek_word().filter(|word| word.contains(['.', ':'])) {
                    return Message::new(format!("`{word}` is no address"), cursor.here()).fail();
                }
                let sides = SIDES.iter().map(|(word, _)| *word).chain(["behind"]);
                let expected = "an address, `inside`, `outside`, `dmz` or `behind`";
                return cursor.unexpected(expected, sides).fail();
            };
            if addresses.iter().any(|other: &std::net::IpAddr| other.is_ipv4() == address.value.is_ipv4()) {
                return Message::new("a host has at most one address of each family", address.span).fail();
            }
            addresses.push(address.value);
        }
        if addresses.is_empty() {
            return Message::new(format!("host `{}` has no address", name.value), name.span)
                .label("expected an address after it")
                .fail();
        }
        self.names.add_host(&name)?;
        self.story.hosts.push(Host { name, of, addresses, behind, side });
        Ok(())
    }

    /// `helper ftp tcp 21`
    fn helper(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        let known = || Helper::ALL.iter().map(|info| info.name);
        let list = known().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let name = cursor.word(&format!("a helper: {list}"))?;
        let Some(helper) = Helper::find(&name.value) else {
            if Helper::LATER.contains(&&*name.value) {
                return Message::new(
                    format!("there is no helper `{}` in this version", name.value),
                    name.span,
                )
                .label(format!("expected one of {list}"))
                .fail();
            }
            return Message::new(format!("there is no helper `{}`", name.value), name.span)
                .label(format!("expected one of {list}"))
                .did_you_mean(nearest(&name.value, known()))
                .fail();
        };
        let speaks = |protocol: Protocol| {
            let number = PROTOCOLS.iter().find(|row| row.1 == protocol).map_or(0, |row| row.2);
            helper.info().protocols.contains(&number)
        };
        let words = PROTOCOLS.iter().filter(|row| speaks(row.1)).map(|row| format!("`{}`", row.0));
        let words = words.collect::<Vec<_>>().join(" or ");
        let Some(protocol) = protocol(cursor)? else {
            return cursor.unexpected(&format!("what it speaks: {words}"), protocol_words()).fail();
        };
        if !speaks(protocol.value) {
            return Message::new(format!("{} does not speak this", name.value), protocol.span)
                .label(format!("expected {words}"))
                .fail();
        }
        let port = cursor.number("the port", 0..=65_535)?;
        let port = Located { value: port.value as u16, span: port.span };
        let helper = Located { value: helper, span: name.span };
        self.story.helpers.push(HelperPort { helper, protocol, port });
        Ok(())
    }

    /// `of server`
    fn owner(&self, cursor: &mut Cursor<'_>) -> Parse<Name> {
        if cursor.eat("of").is_none() {
            return cursor.unexpected("`of` and the host that has it", ["of"]).fail();
        }
        let span = cursor.here();
        let owner = cursor.word("the host that has it")?;
        let is_interface =
            self.story.hosts.iter().any(|host| host.name.value == owner.value && host.of.is_some());
        if owner.value == "box"
            || is_interface
            || self.story.routers.iter().any(|router| router.name.value == owner.value)
        {
            return Message::new(format!("`{}` can have no other interfaces", owner.value), span)
                .label("expected a host with a line of its own, or `client` or `server`")
                .fail();
        }
        if self.names.is_host(&owner.value) {
            Ok(owner)
        } else {
            self.names.unknown(&owner.value, span, false).fail()
        }
    }

    /// `flow web tcp client:40000 > server:80`
    fn flow(&mut self, line: &Line, cursor: &mut Cursor<'_>) -> Parse<()> {
        let named = cursor.peek_word().is_some_and(|word| !protocol_words().any(|known| known == word));
        // `flow tpc client:1 > server:2`: a protocol misspelt, not a name.
        let protocol_next = cursor.peek_second().and_then(|token| token.word());
        let has_protocol = protocol_next.is_some_and(|word| protocol_words().any(|known| known == word));
        if named
            && !has_protocol
            && protocol_next.is_some_and(|word| word.contains(':') || self.names.is_host(word))
        {
            return cursor.unexpected("a protocol: tcp, udp, icmp, ...", protocol_words()).fail();
        }
        let name = if named { Some(new_name(cursor.word("a name or a protocol")?)?) } else { None };
        let Some(protocol) = protocol(cursor)? else {
            return cursor.unexpected("a protocol: tcp, udp, icmp, ...", protocol_words()).fail();
        };
        let from = endpoint(cursor, &self.names, false)?;
        let from_span = cursor.before();
        cursor.expect_mark('>', "`>` between the two sides of the flow")?;
        let to = endpoint(cursor, &self.names, false)?;
        let to_span = cursor.before();
        for (side, span) in [(&from, from_span), (&to, to_span)] {
            match (has_ports(protocol.value), side.port) {
                (true, None) => {
                    return Message::new("this side of the flow has no port", span)
                        .label("expected `:PORT` after it")
                        .fail();
                }
                (false, Some(_)) => {
                    return Message::new("this protocol has no ports", span)
                        .label("expected no `:` here")
                        .fail();
                }
                _ => {}
            }
        }
        let mut id = None;
        if let Some(word) = cursor.eat("id") {
            if !matches!(protocol.value, Protocol::Icmp(_)) {
                return Message::new("only ICMP flows have an `id`", word).fail();
            }
            id = Some(cursor.fit("`id`", 65_535)?);
        }
        let span = line.span;
        self.names.add_flow(name.as_ref(), protocol.value, span)?;
        self.story.flows.push(Flow { name, protocol: protocol.value, from, to, id, implied: false, span });
        Ok(())
    }
}

fn profile(cursor: &mut Cursor<'_>) -> Parse<Name> {
    let name = cursor.word("a profile such as `linux-6.18`")?;
    if Profile::find(&name.value).is_some() {
        return Ok(name);
    }
    Message::new(format!("there is no profile `{}`", name.value), name.span)
        .label("expected one of those that `conntruth profiles` lists")
        .did_you_mean(nearest(&name.value, Profile::ALL.iter().map(|profile| profile.name)))
        .fail()
}

/// The profiles after `for`: one at least, and all words behind it that are profiles.
pub(super) fn profiles(cursor: &mut Cursor<'_>) -> Parse<Vec<Name>> {
    let mut profiles = vec![profile(cursor)?];
    while cursor.peek_word().is_some_and(|word| Profile::find(word).is_some()) {
        let name = profile(cursor)?;
        if let Some(other) = profiles.iter().find(|other| other.value == name.value) {
            return Message::new("this profile stands twice", name.span)
                .other(other.span, "the first time")
                .fail();
        }
        profiles.push(name);
    }
    Ok(profiles)
}

/// `tcp_loose 0`, `tcp_timeout_established 1h`
pub(super) fn setting(cursor: &mut Cursor<'_>) -> Parse<Setting> {
    let name = cursor.word("a sysctl such as `tcp_loose`")?;
    let Some(knob) = Knob::find(&name.value) else {
        let short = name.value.rsplit('.').next().unwrap_or("").trim_start_matches("nf_conntrack_");
        return Message::new(format!("there is no sysctl `{}`", name.value), name.span)
            .did_you_mean(nearest(short, Knob::ALL.iter().map(|info| info.knob.short_name())))
            .fail();
    };
    let info = knob.info();
    let span = cursor.here();
    let value = setting_value(cursor, info.unit == Unit::Seconds)?;
    if !(i64::from(info.min)..=i64::from(info.max)).contains(&value) {
        let title = format!("`{}` takes {} to {}, not {value}", knob.short_name(), info.min, info.max);
        return Message::new(title, span).fail();
    }
    Ok(Setting { knob: Located { value: knob, span: name.span }, value: Located { value, span } })
}

/// A number, or for a knob in seconds a length of time.
fn setting_value(cursor: &mut Cursor<'_>, in_seconds: bool) -> Parse<i64> {
    let span = cursor.here();
    let word = cursor.word("the value of the sysctl")?.value;
    let (minus, digits) = word.strip_prefix('-').map_or((false, &*word), |digits| (true, digits));
    match parse_number(digits) {
        Some(number) => match number.and_then(|number| i64::try_from(number).ok()) {
            Some(number) => Ok(if minus { -number } else { number }),
            None => Message::new(format!("{word} is too large"), span).fail(),
        },
        None if in_seconds => {
            let (length, exact) = parse_length(&word, span)?;
            if exact {
                return Message::new("this sysctl takes whole seconds", span).fail();
            }
            Ok((length.nanos / 1_000_000_000) as i64)
        }
        None => Message::new(format!("`{word}` is no number"), span)
            .label("expected the value of the sysctl")
            .fail(),
    }
}
