//! Hosts that act: the lines of the heading that wire them, what they do, and claims about them.

use conntruth_sim::Chance;
use conntruth_sim::link::{Fault, Way, What, When};
use conntruth_sim::packet::protocol as number;

use super::cursor::{Cursor, is_name, parse_length, parse_number};
use super::names::Names;
use super::packet::{endpoint, host};
use super::{Reader, new_name, once, tcp};
use crate::language::ast::host::{
    Around, Cable, CableWord, DISAGREEMENTS, Deed, FINDINGS, FtpMode, Goal, HostCheck, Limit, OUTCOMES,
    Order, Place, Router, Run, SOCKET_STATES, Term, Verb, fault,
};
use crate::language::ast::packet::{Endpoint, HostRef, Protocol};
use crate::language::ast::{Flow, Located, Name, Side, Span};
use crate::language::lexer::located;
use crate::language::message::{Message, Parse};
use crate::language::words::nearest;

/// What a host can do.
pub(in crate::language) const VERBS: &[&str] = &[
    "listens",
    "echoes",
    "discards",
    "offers",
    "answers",
    "ignores",
    "serves",
    "connects",
    "asks",
    "pings",
    "traces",
    "scans",
    "ftp",
    "sends",
    "closes",
    "half-closes",
    "aborts",
];
/// Claims whose first word is a host.
pub(in crate::language) const PERCEPTIONS: &[&str] = &["sees", "received", "sent"];
/// Claims about hosts whose first word is their own.
pub(super) const HOST_CHECKS: &[&str] =
    &["believe", "took", "answered", "found", "hops", "sockets", "disagree"];

const SIDES: &[(&str, Side)] = &[("inside", Side::Inside), ("outside", Side::Outside)];
const INTERFACES: &[(&str, &str)] =
    &[("inside", "inside"), ("outside", "outside"), ("front", "front"), ("behind", "behind")];
const GOALS: &[(&str, Goal)] = &[
    ("open", Goal::Open),
    ("closed", Goal::Closed),
    ("gone", Goal::Gone),
    ("done", Goal::Done),
    ("idle", Goal::Done),
];
const MODES: &[(&str, FtpMode)] = &[
    ("active", FtpMode::Active),
    ("passive", FtpMode::Passive),
    ("eprt", FtpMode::Eprt),
    ("epsv", FtpMode::Epsv),
];
const CABLE_WORDS: &[&str] = &[
    "latency",
    "jitter",
    "bandwidth",
    "queue",
    "mtu",
    "lose",
    "corrupt",
    "truncate",
    "duplicate",
    "delay",
    "reorder",
    "cut",
    "restore",
];
/// The words that say how, each with the verbs that it goes with.
const TERMS: &[(&str, &[&str])] = &[
    ("give", &["connects", "listens", "echoes", "discards", "offers"]),
    ("keepalive", &["connects", "listens", "echoes", "discards", "offers"]),
    ("window", &["connects", "listens", "echoes", "discards", "offers"]),
    ("deaf", &["connects", "listens", "discards"]),
    ("backlog", &["listens", "echoes", "discards", "offers"]),
    ("from", &["connects", "asks", "ftp"]),
    ("times", &["asks", "pings"]),
    ("every", &["asks", "pings"]),
    ("size", &["asks", "pings"]),
    ("hops", &["connects", "pings"]),
    ("tries", &["asks"]),
    ("patience", &["asks", "pings", "scans", "traces"]),
    ("anyway", &["connects", "asks", "ftp"]),
];
/// The first port and identifier that are given to those who wish for none.
const FIRST_PORT: u16 = 40_000;

impl Reader<'_> {
    /// `stack client server`
    pub(super) fn stack(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        while !cursor.is_at_end() || self.story.stack.is_empty() {
            let name = host_name(cursor, &self.names)?;
            if self.story.stack.iter().any(|other| other.value == name.value) {
                return Message::new("this host stands twice", name.span).fail();
            }
            self.story.stack.push(name);
        }
        Ok(())
    }

    /// `router r1 outside`, `router r2 behind r1`
    pub(super) fn router(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        let name = new_name(cursor.word("a router's name")?)?;
        let place = if cursor.eat("behind").is_some() {
            Place::Behind(self.router_name(cursor)?)
        } else {
            Place::Side(cursor.word_from(SIDES, "`inside`, `outside` or `behind ROUTER`")?.value)
        };
        self.names.add_host(&name)?;
        self.story.routers.push(Router { name, place });
        Ok(())
    }

    pub(super) fn router_name(&self, cursor: &mut Cursor<'_>) -> Parse<Name> {
        let name = cursor.word("a router's name")?;
        let mut known = self.story.routers.iter().map(|router| &*router.name.value);
        if known.clone().any(|known| known == name.value) {
            return Ok(name);
        }
        Message::new(format!("there is no router `{}`", name.value), name.span)
            .label("expected one that has a line above: `router NAME outside`")
            .did_you_mean(nearest(&name.value, &mut known))
            .fail()
    }

    /// `route server > client around`
    pub(super) fn around(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        let from = host_name(cursor, &self.names)?;
        cursor.expect_mark('>', "`>` between sender and receiver")?;
        let to = host_name(cursor, &self.names)?;
        if cursor.eat("around").is_none() {
            return cursor.unexpected("`around`: the packets pass the tracker by", ["around"]).fail();
        }
        self.story.around.push(Around { from, to });
        Ok(())
    }

    /// `limit 10d`, `limit 1000 events`
    pub(super) fn limit(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        let is_count = cursor.peek_second().and_then(|token| token.word()) == Some("events");
        let limit = if is_count {
            let count = cursor.number("the bound on events", 1..=1_000_000_000)?;
            cursor.next();
            Limit::Events(count.value)
        } else {
            Limit::Time(cursor.length("the last moment, or `1000 events`")?.value)
        };
        self.story.limits.push(limit);
        Ok(())
    }

    /// `client connects server:7 as c  give up after 2min`
    pub(super) fn deed(&mut self, cursor: &mut Cursor<'_>, span: Span) -> Parse<Deed> {
        let host = host_name(cursor, &self.names)?;
        let word = cursor.peek_word().unwrap_or("");
        if !VERBS.contains(&word) {
            let known = VERBS.iter().chain(PERCEPTIONS).copied();
            return cursor
                .unexpected(&format!("what `{}` does, such as `connects`", host.value), known)
                .fail();
        }
        cursor.next();
        let verb = self.verb(word, cursor)?;
        let (mut name, mut terms) = (None, Vec::new());
        while !cursor.is_at_stop() {
            let here = cursor.here();
            if cursor.eat("as").is_some() {
                if !names_something(&verb) {
                    return Message::new(format!("`{word}` has nothing to be named"), here).fail();
                }
                once(&mut name, new_name(cursor.word("a name")?)?, "the name", here)?;
                continue;
            }
            let term = term(word, cursor)?;
            let same =
                |other: &Located<Term>| std::mem::discriminant(&other.value) == std::mem::discriminant(&term);
            if terms.iter().any(same) {
                return Message::new("this stands twice", here).fail();
            }
            terms.push(Located { value: term, span: here.to(cursor.before()) });
        }
        let flow = self.imply_flow(&host, &verb, name.as_ref(), &terms, span)?;
        Ok(Deed { host, verb, name, terms, flow })
    }

    /// What a host opens is a flow like any other, between ports that are known beforehand.
    fn imply_flow(
        &mut self,
        host: &Name,
        verb: &Verb,
        name: Option<&Name>,
        terms: &[Located<Term>],
        span: Span,
    ) -> Parse<Option<usize>> {
        let (protocol, to) = match verb {
            Verb::Connects(to) | Verb::Ftp(to) => (Protocol::Tcp, to.clone()),
            Verb::Asks(to) => (Protocol::Udp, to.clone()),
            Verb::Pings(to) => (Protocol::Icmp(None), Endpoint { host: to.clone(), port: None }),
            Verb::Traces(_) | Verb::Scans(..) => {
                if let Some(name) = name {
                    self.names.add_deed(name)?;
                }
                return Ok(None);
            }
            _ => return Ok(None),
        };
        let wish = terms.iter().find_map(|term| match term.value {
            Term::From(port) => Some(port as u16),
            _ => None,
        });
        let number = self.story.flows.iter().filter(|flow| flow.implied).count() as u16;
        let has_ports = !matches!(protocol, Protocol::Icmp(_));
        let from = Endpoint {
            host: HostRef::Name(host.clone()),
            port: has_ports.then(|| wish.unwrap_or(FIRST_PORT.wrapping_add(number))),
        };
        let id = (!has_ports).then_some(number + 1);
        self.names.add_flow(name, protocol, name.map_or(span, |name| name.span))?;
        self.story.flows.push(Flow { name: name.cloned(), protocol, from, to, id, implied: true, span });
        Ok(Some(self.story.flows.len() - 1))
    }

    fn verb(&self, word: &str, cursor: &mut Cursor<'_>) -> Parse<Verb> {
        let port = |cursor: &mut Cursor<'_>| -> Parse<u16> {
            cursor.number("the port", 1..=65_535).map(|port| port.value as u16)
        };
        Ok(match word {
            "listens" => Verb::Listens(port(cursor)?),
            "echoes" => Verb::Echoes(port(cursor)?),
            "discards" => Verb::Discards(port(cursor)?),
            "offers" => Verb::Offers(port(cursor)?, bytes(cursor)?),
            "answers" => {
                let port = port(cursor)?;
                let is_number = cursor.peek_word().is_some_and(|word| parse_number(word).is_some());
                Verb::Answers(port, if is_number { Some(bytes(cursor)?) } else { None })
            }
            "ignores" => Verb::Ignores(port(cursor)?),
            "serves" => {
                if cursor.eat("ftp").is_none() {
                    return cursor.unexpected("`ftp`: `serves ftp 21`", ["ftp"]).fail();
                }
                let port = port(cursor)?;
                let mut files = Vec::new();
                while cursor.eat("file").is_some() {
                    let name = cursor.word("the file's name")?.value;
                    files.push((name, bytes(cursor)?));
                }
                Verb::Serves(port, files)
            }
            "connects" => Verb::Connects(with_port(cursor, &self.names)?),
            "asks" => Verb::Asks(with_port(cursor, &self.names)?),
            "pings" => Verb::Pings(host(cursor, &self.names)?),
            "traces" => Verb::Traces(host(cursor, &self.names)?),
            "scans" => {
                let to = host(cursor, &self.names)?;
                let mut ports = vec![port(cursor)?];
                while cursor.peek_word().is_some_and(|word| parse_number(word).is_some()) {
                    ports.push(port(cursor)?);
                }
                Verb::Scans(to, ports)
            }
            "ftp" => match cursor.peek_word().filter(|word| self.names.flow(word).is_some()) {
                Some(_) => Verb::Orders(cursor.word("a control connection")?, order(cursor)?),
                None => Verb::Ftp(with_port(cursor, &self.names)?),
            },
            "sends" => {
                let count = cursor.number("the bytes to send", 1..=1 << 32)?.value;
                cursor.eat("bytes");
                Verb::Sends(count, self.on(cursor)?)
            }
            "closes" => Verb::Closes(self.optional_conn(cursor)?),
            "half-closes" => Verb::HalfCloses(self.optional_conn(cursor)?),
            _ => Verb::Aborts(self.optional_conn(cursor)?),
        })
    }

    /// `on c`; where it is left out there must be only one.
    fn on(&self, cursor: &mut Cursor<'_>) -> Parse<Option<Name>> {
        on(cursor, &self.names)
    }

    fn optional_conn(&self, cursor: &mut Cursor<'_>) -> Parse<Option<Name>> {
        if cursor.is_at_stop() {
            self.names.only_flow(cursor.here())?;
            return Ok(None);
        }
        known(cursor, &self.names).map(Some)
    }

    /// `run 5s`, `run until c closed`, `run until quiet`
    pub(super) fn run(&self, cursor: &mut Cursor<'_>) -> Parse<Run> {
        if cursor.eat("until").is_none() {
            let is_time =
                cursor.peek_word().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()));
            if !is_time {
                return cursor.unexpected("a length of time, or `until`", ["until"]).fail();
            }
            return Ok(Run::For(cursor.length("how long")?.value));
        }
        if cursor.eat("quiet").is_some() {
            return Ok(Run::Quiet);
        }
        let name = known(cursor, &self.names)?;
        let goal = cursor.word_from(GOALS, "`open`, `closed`, `gone`, `done` or `idle`")?;
        Ok(Run::Until(name, goal.value))
    }

    /// `offload c`, `offload nothing`
    pub(super) fn offload(&self, cursor: &mut Cursor<'_>) -> Parse<Option<Name>> {
        if cursor.eat("nothing").is_some() {
            return Ok(None);
        }
        known(cursor, &self.names).map(Some)
    }

    /// `link client latency 20ms lose 5% up`
    pub(super) fn cable(&self, cursor: &mut Cursor<'_>, span: Span) -> Parse<Cable> {
        let host = host_name(cursor, &self.names)?;
        let interface = cursor.eat_from(INTERFACES);
        let mut words = Vec::new();
        while !cursor.is_at_end() {
            words.push(cable_word(cursor)?);
        }
        if words.is_empty() {
            return cursor.unexpected("what the cable is like, such as `latency 20ms`", []).fail();
        }
        Ok(Cable { host, interface, words, span })
    }
}

fn names_something(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Connects(_) | Verb::Asks(_) | Verb::Pings(_) | Verb::Traces(_) | Verb::Scans(..) | Verb::Ftp(_)
    )
}

fn host_name(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Name> {
    let span = cursor.here();
    let name = cursor.word("a host")?;
    if names.is_host(&name.value) { Ok(name) } else { names.unknown(&name.value, span, false).fail() }
}

fn with_port(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Endpoint> {
    let span = cursor.here();
    let end = endpoint(cursor, names, false)?;
    if end.port.is_none_or(|port| port == 0) {
        return Message::new("which port?", span).label("expected `:PORT` after the host").fail();
    }
    Ok(end)
}

/// A name that was given with `as`, or by a line `flow`.
fn known(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Name> {
    let span = cursor.here();
    let name = cursor.word("what was named with `as`")?;
    if names.flow(&name.value).is_some() { Ok(name) } else { names.unknown_flow(&name.value, span).fail() }
}

fn on(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Option<Name>> {
    if cursor.eat("on").is_some() {
        return known(cursor, names).map(Some);
    }
    names.only_flow(cursor.here()).map(|_| None)
}

/// `1000 bytes`, `1000`
fn bytes(cursor: &mut Cursor<'_>) -> Parse<u64> {
    let count = cursor.number("the count of bytes", 0..=1 << 30)?.value;
    cursor.eat("bytes");
    Ok(count)
}

fn order(cursor: &mut Cursor<'_>) -> Parse<Order> {
    const ORDERS: &[(&str, u8)] = &[("login", 0), ("list", 1), ("get", 2), ("put", 3), ("quit", 4)];
    let mode = |cursor: &mut Cursor<'_>| -> Parse<FtpMode> {
        cursor.word_from(MODES, "`active`, `passive`, `eprt` or `epsv`").map(|mode| mode.value)
    };
    Ok(match cursor.word_from(ORDERS, "`login`, `list`, `get`, `put` or `quit`")?.value {
        0 => Order::Login(cursor.word("who")?.value),
        1 => Order::List(mode(cursor)?),
        2 => Order::Get(cursor.word("a file's name")?.value, mode(cursor)?),
        3 => {
            let name = cursor.word("a file's name")?.value;
            let count = bytes(cursor)?;
            Order::Put(name, count, mode(cursor)?)
        }
        _ => Order::Quit,
    })
}

fn term(verb: &str, cursor: &mut Cursor<'_>) -> Parse<Term> {
    let word = cursor.peek_word().unwrap_or("");
    let fitting = || TERMS.iter().filter(|(_, verbs)| verbs.contains(&verb)).map(|(word, _)| *word);
    let Some((_, verbs)) = TERMS.iter().find(|(known, _)| *known == word) else {
        let list = fitting().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let expected =
            if list.is_empty() { "nothing more".to_owned() } else { format!("{list}, or nothing more") };
        return cursor.unexpected(&expected, fitting().chain(["as", "on"])).fail();
    };
    if !verbs.contains(&verb) {
        return Message::new(format!("`{word}` says nothing about `{verb}`"), cursor.here())
            .label(format!("it goes with {}", verbs.join(", ")))
            .fail();
    }
    cursor.next();
    Ok(match word {
        "give" => {
            for next in ["up", "after"] {
                if cursor.eat(next).is_none() {
                    return cursor.unexpected("`give up after 2min`", [next]).fail();
                }
            }
            Term::GiveUp(cursor.length("when to give up")?.value)
        }
        "keepalive" => Term::KeepAlive(cursor.length("how often an idle connection is probed")?.value),
        "every" => Term::Every(cursor.length("how far apart")?.value),
        "patience" => Term::Patience(cursor.length("how long to wait")?.value),
        "from" => Term::From(cursor.number("the port", 1..=65_535)?.value),
        "window" => Term::Window(cursor.number("the window", 1..=1 << 24)?.value),
        "backlog" => Term::Backlog(cursor.number("the backlog", 0..=65_535)?.value),
        "times" => Term::Times(cursor.number("how often", 1..=65_535)?.value),
        "size" => Term::Size(cursor.number("the size", 0..=65_000)?.value),
        "hops" => Term::Hops(cursor.number("the hop limit", 1..=255)?.value),
        "tries" => Term::Tries(cursor.number("how often it is tried", 1..=100)?.value),
        "deaf" => Term::Deaf,
        _ => Term::Anyway,
    })
}

fn cable_word(cursor: &mut Cursor<'_>) -> Parse<CableWord> {
    let start = cursor.here();
    let word = cursor.peek_word().unwrap_or("");
    if !CABLE_WORDS.contains(&word) {
        return cursor
            .unexpected("what the cable is like, or what goes wrong on it", CABLE_WORDS.iter().copied())
            .fail();
    }
    cursor.next();
    let what = match word {
        "latency" => return Ok(CableWord::Latency(cursor.length("the latency")?.value)),
        "jitter" => return Ok(CableWord::Jitter(cursor.length("the jitter")?.value)),
        "bandwidth" => return bandwidth(cursor),
        "queue" => return Ok(CableWord::Queue(cursor.number("the queue in bytes", 1..=1 << 40)?.value)),
        "mtu" => return Ok(CableWord::Mtu(cursor.number("the MTU", 68..=65_535)?.value)),
        "cut" => return Ok(CableWord::Cut(moment(cursor)?)),
        "restore" => return Ok(CableWord::Restore(moment(cursor)?)),
        "lose" => What::Lose,
        "truncate" => {
            What::Truncate { length: cursor.number("the length that is left", 0..=65_535)?.value as usize }
        }
        "corrupt" if cursor.eat("byte").is_some() => {
            What::Corrupt { at: Some(cursor.number("the byte", 0..=65_535)?.value as usize) }
        }
        "corrupt" => What::Corrupt { at: None },
        "duplicate" if cursor.eat("after").is_some() => What::Duplicate { after: nanos(cursor)? },
        "duplicate" => What::Duplicate { after: 0 },
        _ => {
            if cursor.eat("by").is_none() {
                return cursor.unexpected("`by` and how long: `delay by 50ms`", ["by"]).fail();
            }
            What::Delay { by: nanos(cursor)? }
        }
    };
    let mut rule = fault(what);
    when(cursor, &mut rule)?;
    while !cursor.is_at_end() && filter(cursor, &mut rule)? {}
    match rule.check() {
        Ok(()) => Ok(CableWord::Fault(rule)),
        Err(error) => Message::new(error.to_string(), start.to(cursor.before())).fail(),
    }
}

/// `at 1h`
fn moment(cursor: &mut Cursor<'_>) -> Parse<Option<crate::language::ast::Length>> {
    match cursor.eat("at") {
        Some(_) => Ok(Some(cursor.length("when")?.value)),
        None => Ok(None),
    }
}

fn nanos(cursor: &mut Cursor<'_>) -> Parse<u64> {
    Ok(cursor.length("how long")?.value.nanos)
}

/// `10Mbit`, `64kbit`, `9600bit`
fn bandwidth(cursor: &mut Cursor<'_>) -> Parse<CableWord> {
    let name = cursor.word("the bandwidth, such as `10Mbit`")?;
    let units = [("kbit", 1_000), ("Mbit", 1_000_000), ("Gbit", 1_000_000_000), ("bit", 1)];
    let found = units.iter().find_map(|(unit, factor)| {
        let number = parse_number(name.value.strip_suffix(unit)?)??;
        number.checked_mul(*factor)
    });
    match found.filter(|&bits| bits > 0) {
        Some(bits) => Ok(CableWord::Bandwidth(bits)),
        None => Message::new(format!("`{}` is no bandwidth", name.value), name.span)
            .label("expected one such as `10Mbit` or `64kbit`")
            .fail(),
    }
}

/// `5%`, `packet 3,4`, `every 10`, `bursts 1% 30%`, `from 1s until 3s`, `all`
fn when(cursor: &mut Cursor<'_>, rule: &mut Fault) -> Parse<()> {
    if cursor.peek_word().is_some_and(|word| word.ends_with('%')) {
        rule.when = When::Chance(chance(cursor)?);
    } else if cursor.eat("packet").is_some() || cursor.eat("packets").is_some() {
        let mut numbers = vec![cursor.number("the packet", 0..=u64::MAX)?.value];
        while cursor.eat_mark(',').is_some() {
            numbers.push(cursor.number("the packet", 0..=u64::MAX)?.value);
        }
        rule.when = When::Numbers(numbers);
    } else if cursor.eat("every").is_some() {
        rule.when = When::Every(cursor.number("every so-manieth packet", 0..=u64::MAX)?.value);
    } else if cursor.eat("bursts").is_some() {
        rule.when = When::Burst { begins: chance(cursor)?, ends: chance(cursor)? };
    } else if cursor.eat("from").is_some() {
        let from = nanos(cursor)?;
        if cursor.eat("until").is_none() {
            return cursor.unexpected("`until` and when it ends", ["until"]).fail();
        }
        rule.when = When::Between { from, until: nanos(cursor)? };
    } else {
        cursor.eat("all");
    }
    Ok(())
}

/// `5%`, `0.1%`
fn chance(cursor: &mut Cursor<'_>) -> Parse<Chance> {
    let name = cursor.word("how likely, such as `5%`")?;
    let percent =
        name.value.strip_suffix('%').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    let millionths = percent.and_then(|digits| {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let part: u32 = format!("{fraction:0<4}").parse().ok().filter(|_| fraction.len() <= 4)?;
        whole.parse::<u32>().ok()?.checked_mul(10_000)?.checked_add(part)
    });
    match millionths.and_then(Chance::in_a_million) {
        Some(chance) => Ok(chance),
        None => Message::new(format!("`{}` is no chance", name.value), name.span)
            .label("expected `0%` to `100%`, at most four digits after the point")
            .fail(),
    }
}

/// A word that says which packets a fault is about; whether there was one.
fn filter(cursor: &mut Cursor<'_>, rule: &mut Fault) -> Parse<bool> {
    const WAYS: &[(&str, Way)] = &[("up", Way::Up), ("down", Way::Down)];
    const PROTOCOLS: &[(&str, u8)] =
        &[("tcp", number::TCP), ("udp", number::UDP), ("icmp", number::ICMP), ("icmpv6", number::ICMPV6)];
    if let Some(way) = cursor.eat_from(WAYS) {
        rule.way = Some(way.value);
    } else if let Some(protocol) = cursor.eat_from(PROTOCOLS) {
        rule.only.protocol = Some(protocol.value);
    } else if cursor.eat("port").is_some() {
        rule.only.port = Some(cursor.fit("the port", 65_535)?);
    } else if cursor.eat("flags").is_some() {
        rule.only.flags_set = flags(cursor)?;
    } else if cursor.eat("without").is_some() {
        rule.only.flags_clear = flags(cursor)?;
    } else if cursor.eat("data").is_some() {
        rule.only.data = Some(true);
    } else if cursor.eat("bare").is_some() {
        rule.only.data = Some(false);
    } else if cursor.eat("longer").is_some() {
        rule.only.longer_than = Some(cursor.number("the length", 0..=65_535)?.value as usize);
    } else if cursor.peek_word().is_some_and(|word| CABLE_WORDS.contains(&word)) {
        return Ok(false);
    } else {
        let known =
            ["up", "down", "tcp", "udp", "icmp", "port", "flags", "without", "data", "bare", "longer"];
        return cursor
            .unexpected("which packets: `up`, `down`, `tcp`, `port N`, `flags S`, `data`, ...", known)
            .fail();
    }
    Ok(true)
}

fn flags(cursor: &mut Cursor<'_>) -> Parse<u8> {
    let name = cursor.word("flags, such as `S.`")?;
    match tcp::bits(&name.value) {
        Some(bits) => Ok(bits),
        None => Message::new(format!("`{}` are no flags", name.value), name.span)
            .label("expected letters of `SFRP.UEW`")
            .fail(),
    }
}

/// A claim that begins with a host: `client sees reset on c`, `client received 1000 on c`.
pub(super) fn perception(cursor: &mut Cursor<'_>, names: &Names) -> Parse<HostCheck> {
    let host = host_name(cursor, names)?;
    let verb = cursor.word("`sees`, `received` or `sent`")?;
    let check = if verb.value == "sees" {
        let what = one_of(cursor, OUTCOMES, "what it was told in the end")?;
        HostCheck::Sees { host, what, on: on(cursor, names)? }
    } else {
        let received = verb.value == "received";
        let bytes = match received && cursor.eat("whole").is_some() {
            true => None,
            false => Some(cursor.number("the count of bytes", 0..=u64::MAX)?),
        };
        cursor.eat("bytes");
        let on = on(cursor, names)?;
        let hash = match cursor.eat("hash") {
            Some(_) => Some(cursor.number("the hash", 0..=u64::MAX)?),
            None => None,
        };
        HostCheck::Moved { host, received, bytes, on, hash }
    };
    cursor.expect_end(&format!("`{}`", verb.value))?;
    Ok(check)
}

/// A claim about hosts that begins with a word of its own.
pub(super) fn host_check(word: &str, cursor: &mut Cursor<'_>, names: &Names) -> Parse<HostCheck> {
    Ok(match word {
        "believe" => believe(cursor, names)?,
        "took" => {
            let what = known(cursor, names)?;
            let name = cursor.word("how long, such as `127s`")?;
            let (value, exact) = parse_length(&name.value, name.span)?;
            HostCheck::Took { what, length: Located { value, span: name.span }, exact }
        }
        "answered" => {
            let what = known(cursor, names)?;
            HostCheck::Answered { what, count: cursor.number("the count of answers", 0..=65_535)? }
        }
        "found" => {
            let what = known(cursor, names)?;
            let port = cursor.number("the port", 1..=65_535)?;
            HostCheck::Found { what, port, found: one_of(cursor, FINDINGS, "what a port is like")? }
        }
        "hops" => {
            let what = known(cursor, names)?;
            let mut hosts = Vec::new();
            while !cursor.is_at_end() {
                match cursor.peek_word() {
                    Some("*") => hosts.push(cursor.word("`*`")?),
                    _ => hosts.push(host_name(cursor, names)?),
                }
            }
            if hosts.is_empty() {
                return cursor.unexpected("who answered, in order: `hops t box server`", []).fail();
            }
            HostCheck::Hops { what, hosts }
        }
        "sockets" => {
            let host = host_name(cursor, names)?;
            HostCheck::Sockets { host, count: cursor.number("the count of sockets", 0..=1 << 32)? }
        }
        _ => {
            let conn = known(cursor, names)?;
            HostCheck::Disagree { conn, how: one_of(cursor, DISAGREEMENTS, "how they differ")? }
        }
    })
}

/// `believe c: client ESTABLISHED, server ESTABLISHED, tracker nothing`
fn believe(cursor: &mut Cursor<'_>, names: &Names) -> Parse<HostCheck> {
    let span = cursor.here();
    let name = cursor.word("a connection and a colon: `believe c:`")?;
    let Some(conn) = name.value.strip_suffix(':').filter(|conn| is_name(conn)) else {
        return Message::new(format!("`{}` is followed by no colon", name.value), span)
            .label("expected `believe c: client ESTABLISHED, tracker nothing`")
            .fail();
    };
    if names.flow(conn).is_none() {
        return names.unknown_flow(conn, span).fail();
    }
    let conn = located(conn, span);
    let mut parts: Vec<(Name, Name)> = Vec::new();
    loop {
        let is_tracker = cursor.peek_word() == Some("tracker");
        let who = if is_tracker { cursor.word("`tracker`")? } else { host_name(cursor, names)? };
        if let Some(other) = parts.iter().find(|(other, _)| other.value == who.value) {
            return Message::new(format!("`{}` stands twice", who.value), who.span)
                .other(other.0.span, "the first time")
                .fail();
        }
        let state = if is_tracker {
            let states: Vec<&str> = super::claim::states().chain(["nothing"]).collect();
            one_of(cursor, &states, "a state of the tracker, or `nothing`")?
        } else {
            one_of(cursor, SOCKET_STATES, "a state of a socket, or `nothing`")?
        };
        parts.push((who, state));
        if cursor.eat_mark(',').is_none() {
            break;
        }
    }
    Ok(HostCheck::Believe { conn, parts })
}

fn one_of(cursor: &mut Cursor<'_>, words: &[&str], what: &str) -> Parse<Name> {
    match cursor.peek_word().filter(|word| words.contains(word)) {
        Some(_) => cursor.word(what),
        None => cursor.unexpected(&format!("{what}: {}", words.join(", ")), words.iter().copied()).fail(),
    }
}
