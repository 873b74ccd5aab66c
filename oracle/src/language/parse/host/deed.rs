//! What hosts do, step by step.

use super::{PERCEPTIONS, host_name, known, on};
use crate::language::ast::host::{Deed, FtpMode, Moved, Offered, Order, Service, Term, Verb};
use crate::language::ast::packet::{Endpoint, HostRef, Protocol};
use crate::language::ast::{Flow, Length, Located, Name, Span};
use crate::language::message::{Message, Parse};
use crate::language::parse::cursor::{Cursor, parse_address, parse_number};
use crate::language::parse::names::Names;
use crate::language::parse::packet::{endpoint, host};
use crate::language::parse::{Reader, new_name, once};

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
    "streams",
    "resolves",
    "tftp",
    "irc",
    "pings",
    "traces",
    "scans",
    "ftp",
    "sends",
    "reads",
    "closes",
    "half-closes",
    "aborts",
];
const MODES: &[(&str, FtpMode)] = &[
    ("active", FtpMode::Active),
    ("passive", FtpMode::Passive),
    ("eprt", FtpMode::Eprt),
    ("epsv", FtpMode::Epsv),
];
/// The words that say how, each with the verbs that it goes with.
const TERMS: &[(&str, &[&str])] = &[
    ("give", &["connects", "listens", "echoes", "discards", "offers"]),
    ("keepalive", &["connects", "listens", "echoes", "discards", "offers"]),
    ("window", &["connects", "listens", "echoes", "discards", "offers"]),
    ("deaf", &["connects", "listens", "discards"]),
    ("reads", &["connects", "listens", "discards"]),
    ("backlog", &["listens", "echoes", "discards", "offers"]),
    ("from", &["connects", "asks", "streams", "resolves", "tftp", "ftp", "irc"]),
    ("times", &["asks", "streams", "pings"]),
    ("every", &["asks", "streams", "pings"]),
    ("size", &["asks", "streams", "pings"]),
    ("hops", &["connects", "pings"]),
    ("tries", &["asks"]),
    ("patience", &["asks", "resolves", "pings", "scans", "traces"]),
    ("anyway", &["connects", "asks", "streams", "resolves", "tftp", "ftp", "irc"]),
];
/// The first port and identifier that are given to those who wish for none.
const FIRST_PORT: u16 = 40_000;
/// The first port at which a server waits for data.
const FIRST_DATA_PORT: u16 = 50_000;

impl Reader<'_> {
    /// `client connects server:7 as c  give up after 2min`
    pub(in crate::language::parse) fn deed(&mut self, cursor: &mut Cursor<'_>, span: Span) -> Parse<Deed> {
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
        let (mut name, mut data, mut terms) = (None, None, Vec::new());
        while !cursor.is_at_stop() {
            let here = cursor.here();
            if cursor.eat("as").is_some() {
                if !names_something(&verb) {
                    return Message::new(format!("`{word}` has nothing to be named"), here).fail();
                }
                once(&mut name, new_name(cursor.word("a name")?)?, "the name", here)?;
                continue;
            }
            if matches!(verb, Verb::Tftp(..) | Verb::Announces(..)) && cursor.eat("data").is_some() {
                let what = "a name for the data's flow";
                once(&mut data, new_name(cursor.word(what)?)?, what, here)?;
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
        let data = match (data, &verb) {
            (Some(name), Verb::Announces(on, offer)) => Some(self.imply_fetch(on, &offer.to, name, span)?),
            (Some(name), _) => self.imply_data(flow, name, span)?,
            (None, _) => None,
        };
        Ok(Deed { host, verb, name, terms, flow, data })
    }

    /// What is moved by TFTP goes from a port of the server's own to the one that asked.
    fn imply_data(&mut self, flow: Option<usize>, name: Name, span: Span) -> Parse<Option<(Name, usize)>> {
        let Some(asked) = flow.and_then(|flow| self.story.flows.get(flow)).cloned() else { return Ok(None) };
        let from = Endpoint { port: Some(FIRST_DATA_PORT.wrapping_add(self.implied())), ..asked.to };
        let flow = self.add_implied(Some(&name), Protocol::Udp, (from, asked.from), span)?;
        Ok(Some((name, flow)))
    }

    /// A file that is offered by IRC is fetched by who gets the offer.
    fn imply_fetch(&mut self, on: &Name, to: &Name, name: Name, span: Span) -> Parse<(Name, usize)> {
        let is_its = |flow: &&Flow| flow.name.as_ref().is_some_and(|name| name.value == on.value);
        let Some(own) = self.story.flows.iter().find(is_its).cloned() else {
            return self.names.unknown_flow(&on.value, on.span).fail();
        };
        let number = self.implied();
        let from = Endpoint { host: HostRef::Name(to.clone()), port: Some(FIRST_PORT.wrapping_add(number)) };
        let to = Endpoint { port: Some(FIRST_DATA_PORT.wrapping_add(number)), ..own.from };
        let flow = self.add_implied(Some(&name), Protocol::Tcp, (from, to), span)?;
        Ok((name, flow))
    }

    /// How many flows hosts have opened so far.
    fn implied(&self) -> u16 {
        self.story.flows.iter().filter(|flow| flow.implied).count() as u16
    }

    fn add_implied(
        &mut self,
        name: Option<&Name>,
        protocol: Protocol,
        (from, to): (Endpoint, Endpoint),
        span: Span,
    ) -> Parse<usize> {
        let id = matches!(protocol, Protocol::Icmp(_)).then_some(self.implied() + 1);
        self.names.add_flow(name, protocol, name.map_or(span, |name| name.span))?;
        self.story.flows.push(Flow { name: name.cloned(), protocol, from, to, id, implied: true, span });
        Ok(self.story.flows.len() - 1)
    }

    /// The data connection of a transfer that has a name.
    fn imply_transfer(&mut self, control: &Name, order: &Order, name: &Name, span: Span) -> Parse<usize> {
        let is_control = |flow: &&Flow| flow.name.as_ref().is_some_and(|name| name.value == control.value);
        let Some(control) = self.story.flows.iter().find(is_control).cloned() else {
            return self.names.unknown_flow(&control.value, control.span).fail();
        };
        let (Order::List(mode) | Order::Get(_, mode, _) | Order::Put(_, _, mode)) = order else {
            return Message::new("this moves no data that could have a name", name.span).fail();
        };
        let number = self.implied();
        let near = Endpoint { port: Some(FIRST_PORT.wrapping_add(number)), ..control.from };
        let ends = match mode {
            FtpMode::Active | FtpMode::Eprt => {
                let port = control.to.port.map(|port| port.saturating_sub(1));
                (Endpoint { port, ..control.to }, near)
            }
            FtpMode::Passive | FtpMode::Epsv => {
                (near, Endpoint { port: Some(FIRST_DATA_PORT.wrapping_add(number)), ..control.to })
            }
        };
        self.add_implied(Some(name), Protocol::Tcp, ends, span)
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
            Verb::Connects(to) | Verb::Ftp(to) | Verb::Irc(to) => (Protocol::Tcp, to.clone()),
            Verb::Asks(to) | Verb::Streams(to) | Verb::Resolves(_, to) | Verb::Tftp(to, _) => {
                (Protocol::Udp, to.clone())
            }
            Verb::Orders(control, order) => {
                let Some(name) = name else { return Ok(None) };
                return self.imply_transfer(control, order, name, span).map(Some);
            }
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
        let number = self.implied();
        let has_ports = !matches!(protocol, Protocol::Icmp(_));
        let from = Endpoint {
            host: HostRef::Name(host.clone()),
            port: has_ports.then(|| wish.unwrap_or(FIRST_PORT.wrapping_add(number))),
        };
        self.add_implied(name, protocol, (from, to), span).map(Some)
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
            "serves" => serves(cursor)?,
            "streams" => Verb::Streams(with_port(cursor, &self.names)?),
            "resolves" => {
                let name = cursor.word("the name that is looked up")?.value;
                if cursor.eat("at").is_none() {
                    return cursor.unexpected("`at` and who is asked: `at server:53`", ["at"]).fail();
                }
                Verb::Resolves(name, with_port(cursor, &self.names)?)
            }
            "tftp" => {
                let to = with_port(cursor, &self.names)?;
                let is_put = cursor.word_from(&[("get", false), ("put", true)], "`get` or `put`")?.value;
                let file = cursor.word("a file's name")?.value;
                let moved = if is_put { Moved::Put(file, bytes(cursor)?) } else { Moved::Get(file) };
                Verb::Tftp(to, moved)
            }
            "irc" => match cursor.peek_word().filter(|word| self.names.flow(word).is_some()) {
                Some(_) => {
                    let on = cursor.word("a connection to a server")?;
                    if cursor.eat("offers").is_none() {
                        return cursor.unexpected("`offers` and a file", ["offers"]).fail();
                    }
                    let (file, bytes) = (cursor.word("a file's name")?.value, bytes(cursor)?);
                    if cursor.eat("to").is_none() {
                        return cursor.unexpected("`to` and the host that gets the offer", ["to"]).fail();
                    }
                    Verb::Announces(on, Offered { file, bytes, to: host_name(cursor, &self.names)? })
                }
                None => Verb::Irc(with_port(cursor, &self.names)?),
            },
            "reads" => {
                let is_count = |word: &str| parse_number(word).is_some();
                let has_name = !cursor.is_at_stop() && !cursor.peek_word().is_some_and(is_count);
                let on = if has_name { Some(known(cursor, &self.names)?) } else { None };
                if on.is_none() {
                    self.names.only_flow(cursor.here())?;
                }
                let slow = if cursor.is_at_stop() { None } else { Some(pace(cursor)?) };
                Verb::Reads(on, slow)
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
}

fn names_something(verb: &Verb) -> bool {
    match verb {
        Verb::Connects(_) | Verb::Ftp(_) | Verb::Irc(_) => true,
        Verb::Asks(_) | Verb::Streams(_) | Verb::Resolves(..) | Verb::Tftp(..) => true,
        Verb::Pings(_) | Verb::Traces(_) | Verb::Scans(..) => true,
        Verb::Orders(_, order) => !matches!(order, Order::Login(_) | Order::Quit),
        _ => false,
    }
}

/// `ftp 21 file readme.txt 5000 bytes`, `tftp 69 file boot 512 bytes`, `dns 53 name www.example 10.0.1.1`
fn serves(cursor: &mut Cursor<'_>) -> Parse<Verb> {
    const SERVICES: &[(&str, u8)] = &[("ftp", 0), ("tftp", 1), ("dns", 2), ("irc", 3)];
    let service = cursor.word_from(SERVICES, "`ftp`, `tftp`, `dns` or `irc`")?.value;
    let port = cursor.number("the port", 1..=65_535)?.value as u16;
    let (mut files, mut names) = (Vec::new(), Vec::new());
    while service < 2 && cursor.eat("file").is_some() {
        let name = cursor.word("the file's name")?.value;
        files.push((name, bytes(cursor)?));
    }
    while service == 2 && cursor.eat("name").is_some() {
        let name = cursor.word("the name")?.value;
        match cursor.eat_known(parse_address) {
            Some(address) => names.push((name, address.value)),
            None => return cursor.unexpected("the address of the name", []).fail(),
        }
    }
    let service = match service {
        0 => Service::Ftp(files),
        1 => Service::Tftp(files),
        2 => Service::Dns(names),
        _ => Service::Irc,
    };
    Ok(Verb::Serves(service, port))
}

/// `1000 every 1s`
fn pace(cursor: &mut Cursor<'_>) -> Parse<(u64, Length)> {
    let bytes = cursor.number("the bytes read at a time", 1..=1 << 30)?.value;
    if cursor.eat("every").is_none() {
        return cursor.unexpected("`every` and how often: `reads 1000 every 1s`", ["every"]).fail();
    }
    Ok((bytes, cursor.length("how often")?.value))
}
fn with_port(cursor: &mut Cursor<'_>, names: &Names) -> Parse<Endpoint> {
    let span = cursor.here();
    let end = endpoint(cursor, names, false)?;
    if end.port.is_none_or(|port| port == 0) {
        return Message::new("which port?", span).label("expected `:PORT` after the host").fail();
    }
    Ok(end)
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
        2 => {
            let (name, mode) = (cursor.word("a file's name")?.value, mode(cursor)?);
            let abort = match cursor.eat("abort") {
                Some(_) if cursor.eat("after").is_none() => {
                    return cursor.unexpected("`abort after 3000 bytes`", ["after"]).fail();
                }
                Some(_) => Some(bytes(cursor)?),
                None => None,
            };
            Order::Get(name, mode, abort)
        }
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
        "reads" => {
            let (bytes, every) = pace(cursor)?;
            Term::Reads(bytes, every)
        }
        "deaf" => Term::Deaf,
        _ => Term::Anyway,
    })
}
