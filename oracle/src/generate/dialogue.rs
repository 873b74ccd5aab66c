//! Dialogues that helpers read: FTP, TFTP and IRC as they are spoken, nearly as they are spoken, and as nobody should. Some
//! of what is announced then comes: data connections have flows of their own, at ports from the same few.

use conntruth_engine::{Family, Rule, TcpState};

use super::writer::{HOSTS, Known, Writer, name, other};
use super::{Choices, Protocols, Scope, Speaks, nat, rules};
use crate::language::ast::packet::{
    AddressStyle, Body, Endpoint, HostRef, Packet, Payload, Piece, Protocol, Tcp, Udp, Way,
};
use crate::language::ast::{Flow, Span, Story};
use crate::packet::flag::{ACK, FIN, PSH, RST, SYN};

/// The protocols that are read.
pub(super) const READ: [Speaks; 3] = [Speaks::Ftp, Speaks::Tftp, Speaks::Irc];
/// What is announced, and where data connections go.
const PORTS: [u16; 6] = [4242, 4242, 5001, 20, 1, 65_535];
const INSIDE: [&str; 2] = ["client", "ann"];
const CONTROLS: [&str; 3] = ["ctl", "ctl2", "ctl3"];
const DATA: [&str; 4] = ["data", "data2", "data3", "data4"];

/// Rules that assign the helpers of these protocols, and sometimes others beside them.
pub(super) fn assigning(choices: &mut Choices<'_, '_>, protocols: Protocols) -> Vec<Rule> {
    let mut all = if choices.one_in(4) { rules::rules(choices) } else { Vec::new() };
    for speaks in protocols.iter() {
        let (helper, ports) = match speaks {
            Speaks::Ftp => ("ftp", "tcp dport 21"),
            Speaks::Irc => ("irc", "tcp dport 6667"),
            Speaks::Tftp => ("tftp", "udp dport 69"),
            _ => continue,
        };
        const PLACES: [&str; 6] = [
            "mangle prerouting",
            "mangle prerouting",
            "filter forward",
            "mangle forward ct state new",
            "mangle postrouting",
            "filter prerouting ct direction original",
        ];
        let place = choices.pick(&PLACES);
        let line = format!("{place} {ports} ct helper set \"{helper}\"");
        let at = choices.below(all.len() + 1);
        // What is dropped before has no helper; mostly it is not.
        let at = if choices.one_in(3) { at } else { 0 };
        all.extend(rules::read(line));
        all[at..].rotate_right(1);
    }
    if choices.one_in(6) {
        let extra =
            ["filter forward ct helper \"ftp\" counter name c", "filter forward ct state related drop"];
        all.extend(Rule::read(choices.pick(&extra)));
    }
    if choices.one_in(3) {
        all.extend(Rule::read("mangle prerouting ct state new ct direction original ct mark set 5"));
    }
    all
}

/// Rules that translate what dialogues are about, so that addresses in them are written anew: hosts inside go out under
/// another name, or are known outside under one.
#[rustfmt::skip]
const TRANSLATING: &[(u8, &str)] = &[
    (6, "nat postrouting oifname outside masquerade"),
    (2, "nat postrouting oifname outside masquerade random"),
    (1, "nat postrouting oifname outside masquerade fully-random"),
    (2, "nat postrouting oifname outside meta l4proto { tcp, udp } masquerade to :40000-40002"),
    (1, "nat postrouting oifname outside meta l4proto { tcp, udp } masquerade to :30000-60000 random"),
    (2, "nat postrouting oifname outside snat ip to 10.0.1.250"),
    (2, "nat postrouting oifname outside snat ip to 1.1.1.1"),
    (1, "nat postrouting oifname outside snat ip to 10.0.1.250-10.0.1.251 persistent"),
    (1, "nat postrouting tcp dport { 21, 6667 } snat ip to 10.0.1.250:7000-7003 random"),
    (2, "nat postrouting oifname outside snat ip6 to fd00:b::250"),
    (1, "nat postrouting oifname inside masquerade"),
    (4, "nat prerouting iifname outside dnat ip to 10.0.0.1"),
    (2, "nat prerouting ip daddr 10.0.1.254 dnat ip to 10.0.0.1"),
    (2, "nat prerouting tcp dport { 21, 6667 } dnat ip to 10.0.0.1"),
    (2, "nat prerouting udp dport 69 dnat ip to 10.0.0.1"),
    (2, "nat prerouting iifname outside dnat ip6 to fd00:a::1"),
    (1, "nat prerouting tcp dport 2121 dnat ip to 10.0.0.1:21"),
    (1, "nat prerouting tcp dport 21 dnat ip to 10.0.0.1-10.0.0.2"),
    (1, "nat prerouting tcp dport 21 redirect to :2121"),
    (1, "nat prerouting iifname outside tcp dport 4242 drop"),
];

/// Some of them.
pub(super) fn translating(choices: &mut Choices<'_, '_>) -> Vec<Rule> {
    let mut all = Vec::new();
    for _ in 0..choices.pick(&[1, 1, 2, 2, 3]) {
        all.extend(Rule::read(choices.weighed(TRANSLATING)));
    }
    // Without any the worlds of a batch would not be kept apart.
    if all.is_empty() || choices.one_in(5) {
        all.extend(nat::rules(choices));
    }
    all
}

/// Where control connections go in worlds that translate. Who calls at the tracker's host is let through to one inside.
const CALLS: &[(u8, (&str, &str))] = &[
    (5, ("client", "server")),
    (3, ("ann", "server")),
    (1, ("client", "ben")),
    (4, ("server", BOX)),
    (2, ("ben", BOX)),
    (1, ("client", BOX)),
    (1, ("server", "client")),
];
/// The tracker's own host, and who is meant by it.
const BOX: &str = "box";
const MEANT: &str = "client";

/// Names that hosts inside have outside, in either family.
const OUTSIDE_NAMES: [&[&str]; 2] = [&["10.0.1.250", "1.1.1.1", "10.0.1.251"], &["fd00:b::250"]];

/// Who really answers to a name.
fn meant(host: String) -> String {
    if host == BOX { MEANT.to_owned() } else { host }
}

/// The flows of a story of dialogues: those that are read, and those that may be announced.
pub(super) fn flows(choices: &mut Choices<'_, '_>, scope: &Scope, story: &mut Story) -> Vec<Known> {
    let among: Vec<Speaks> = scope.protocols.iter().collect();
    let family = story.families.first().copied().unwrap_or(Family::Ipv4);
    let controls = choices.pick(&[1, 1, 1, 2, 3]);
    let mut known = Vec::new();
    for word in &CONTROLS[..controls] {
        let speaks = if among.is_empty() { Speaks::Ftp } else { choices.pick(&among) };
        let (protocol, port, from) = match speaks {
            Speaks::Tftp => (Protocol::Udp, 69, 5000),
            Speaks::Irc => (Protocol::Tcp, 6667, 40_000),
            _ => (Protocol::Tcp, 21, 40_000),
        };
        let from = choices.pick(&[from, from, from + 1, 4242]);
        let port = if choices.one_in(24) { 2121 } else { port };
        let (inside, outside) =
            (choices.pick(&["client", "client", "ann"]), choices.pick(&["server", "server", "ben"]));
        let (opener, opened) = match choices.one_in(8) {
            _ if scope.translates => choices.weighed(CALLS),
            true => (outside, inside),
            false => (inside, outside),
        };
        story.flows.push(flow(word, protocol, (opener, from), (opened, port)));
        known.push(Known::new(speaks));
    }
    let data = 1 + choices.below(4);
    for word in &DATA[..data] {
        let of = choices.below(controls);
        let control = story.flows[of].clone();
        let (client, server) = (host_of(&control.from), host_of(&control.to));
        let called = server.clone();
        let server = meant(server);
        let client_port = control.from.port.unwrap_or(0);
        let stranger = choices.pick(&["ann", "ben", "client", "server"]);
        let port = choices.pick(&PORTS);
        let source = choices.pick(&[20, 40_010, 50_000]);
        let (from, to) = match (known[of].speaks, choices.below(8)) {
            (Speaks::Tftp, 7) => ((stranger.to_owned(), source), (client, client_port)),
            (Speaks::Tftp, _) => ((server, choices.pick(&[40_001, 40_002, 69])), (client, client_port)),
            (Speaks::Irc, 0..=5) => ((stranger.to_owned(), source), (client, port)),
            (_, 7) => ((stranger.to_owned(), source), (client, port)),
            (_, 3..=5) => ((client, source), (called, port)),
            _ => ((server, source), (client, port)),
        };
        if from.0 == to.0 {
            continue;
        }
        let name = (to.0 == INSIDE[0] || to.0 == INSIDE[1]) && scope.translates;
        let to = if name { (outside_name(choices, family, to.0), to.1) } else { to };
        let speaks = if known[of].speaks == Speaks::Tftp { Speaks::Udp } else { Speaks::Tcp };
        let protocol = if speaks == Speaks::Udp { Protocol::Udp } else { Protocol::Tcp };
        story.flows.push(flow(word, protocol, (&from.0, from.1), (&to.0, to.1)));
        known.push(Known::new(speaks));
    }
    known
}

/// A name under which others may know a host inside: mostly that of the tracker's host.
fn outside_name(choices: &mut Choices<'_, '_>, family: Family, host: String) -> String {
    match choices.below(6) {
        0 => host,
        1 | 2 => choices.pick(OUTSIDE_NAMES[usize::from(family == Family::Ipv6)]).to_owned(),
        _ => BOX.to_owned(),
    }
}

fn flow(word: &str, protocol: Protocol, from: (&str, u16), to: (&str, u16)) -> Flow {
    let end = |(host, port): (&str, u16)| {
        let named = |_| HostRef::Name(name(host));
        Endpoint { host: host.parse().map_or_else(named, HostRef::Address), port: Some(port) }
    };
    let (from, to) = (end(from), end(to));
    Flow { name: Some(name(word)), protocol, from, to, id: None, implied: false, span: Span::default() }
}

fn host_of(end: &Endpoint) -> String {
    match &end.host {
        HostRef::Name(name) => name.value.clone(),
        HostRef::Address(_) => HOSTS[0].0.to_owned(),
    }
}

/// What is still to be said of a line.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    flow: usize,
    way: Way,
    pieces: Vec<Piece>,
}

impl Writer<'_, '_, '_> {
    /// Whose turn it is, where this flow was drawn: who is announced comes soon, and others mostly wait until they are.
    pub(super) fn who_comes(&mut self, drawn: usize) -> usize {
        let is_fresh = |known: &Known| known.sent == 0 && !READ.contains(&known.speaks);
        if let Some(port) = self.announced
            && self.choices.below(2) == 0
        {
            let comes =
                |index: &usize| is_fresh(&self.flows[*index]) && self.flow(*index).to.port == Some(port);
            if let Some(flow) = (0..self.flows.len()).find(comes) {
                self.announced = None;
                return flow;
            }
        }
        if is_fresh(&self.flows[drawn]) && !self.choices.one_in(6) { 0 } else { drawn }
    }

    /// The next packet of a control connection over TCP: it opens, and then both sides say lines.
    pub(super) fn lines(&mut self, flow: usize) -> Packet {
        let state = self.entry(flow).and_then(|entry| entry.state().map(str::to_owned));
        let state = TcpState::ALL.iter().position(|known| Some(known.word()) == state.as_deref());
        let opening = match state {
            None => Some((Way::Forth, SYN)),
            Some(1) => Some((Way::Back, SYN | ACK)),
            Some(2) => Some((Way::Forth, ACK)),
            _ => None,
        };
        if self.rarely(12) {
            return self.tcp(flow);
        }
        if let Some((way, flags)) = opening {
            return self.along(flow, way, Body::Tcp(Tcp { flags, ..Tcp::default() }));
        }
        if self.choices.one_in(40) {
            let flags = self.choices.pick(&[FIN | ACK, RST | ACK]);
            let way = self.way(Way::Forth, 2);
            return self.along(flow, way, Body::Tcp(Tcp { flags, ..Tcp::default() }));
        }
        if self.choices.one_in(10) {
            let way = self.way(Way::Forth, 2);
            return self.along(flow, way, Body::Tcp(Tcp { flags: ACK, ..Tcp::default() }));
        }
        let (way, pieces) = self.saying(flow);
        let mut tcp = Tcp { flags: PSH | ACK, payload: Some(payload(pieces)), ..Tcp::default() };
        if self.choices.one_in(12) {
            self.numbers(flow, way, &mut tcp);
        }
        self.along(flow, way, Body::Tcp(tcp))
    }

    /// What is said next: the rest of a line that was cut in two, or another line, or its first part.
    fn saying(&mut self, flow: usize) -> (Way, Vec<Piece>) {
        if let Some(rest) = self.rest.take_if(|rest| rest.flow == flow)
            && !self.choices.one_in(8)
        {
            return (rest.way, rest.pieces);
        }
        let way = self.way(Way::Forth, 2);
        let mut pieces = match self.flows[flow].speaks {
            Speaks::Irc => self.irc_line(flow, way),
            _ => self.ftp_line(flow, way),
        };
        if self.choices.one_in(3) {
            for _ in 0..=self.choices.below(3) {
                self.mistake(&mut pieces);
            }
        }
        if self.choices.one_in(7) {
            let rest = self.cut(&mut pieces);
            self.rest = Some(Rest { flow, way, pieces: rest });
        }
        (way, pieces)
    }

    fn ftp_line(&mut self, flow: usize, way: Way) -> Vec<Piece> {
        let host = self.speaker(flow, way);
        let port = self.port();
        let text = |text: &str| Piece::Bytes(text.as_bytes().to_vec());
        let address = |style| Piece::Address { host: host.clone(), style };
        let is_right = !self.choices.one_in(10);
        let family = if (self.family == Family::Ipv4) == is_right { 1 } else { 2 };
        let kind = self.choices.below(8);
        if kind < 5 {
            self.announced = Some(port);
        }
        match (way, kind) {
            (Way::Forth, 0..=2) => {
                vec![text("PORT "), address(AddressStyle::WithPort(port)), text("\r\n")]
            }
            (Way::Forth, 3 | 4) => {
                let (before, after) = (format!("EPRT |{family}|"), format!("|{port}|\r\n"));
                vec![text(&before), address(AddressStyle::Plain), text(&after)]
            }
            (Way::Forth, _) => {
                const COMMANDS: [&str; 7] = [
                    "USER anonymous\r\n",
                    "PASV\r\n",
                    "EPSV\r\n",
                    "LIST\r\n",
                    "NOOP\r\n",
                    "RETR a\r\n\r\n",
                    "\n",
                ];
                vec![text(self.choices.pick(&COMMANDS))]
            }
            (Way::Back, 0..=2) => vec![
                text("227 Entering Passive Mode ("),
                address(AddressStyle::WithPort(port)),
                text(").\r\n"),
            ],
            (Way::Back, 3 | 4) => {
                vec![text(&format!("229 Entering Extended Passive Mode (|||{port}|)\r\n"))]
            }
            (Way::Back, _) => {
                const ANSWERS: [&str; 6] =
                    ["220 ready\r\n", "200 ok\r\n", "150 data\r\n", "226 sent\r\n", "227\r\n", "22"];
                vec![text(self.choices.pick(&ANSWERS))]
            }
        }
    }

    fn irc_line(&mut self, flow: usize, way: Way) -> Vec<Piece> {
        let host = self.speaker(flow, way);
        let text = |text: &str| Piece::Bytes(text.as_bytes().to_vec());
        let command = self.choices.pick(&["SEND", "CHAT", "MOVE", "TSEND", "SCHAT", "send", "SEND CHAT"]);
        let what = self.choices.pick(&["file", "a.very.long.file.name", "\"a b\"", "x"]);
        if self.choices.one_in(4) {
            const OTHERS: [&str; 5] = [
                "NICK somebody\r\n",
                "PRIVMSG bob :hello, how are you today, my friend?\r\n",
                "JOIN #channel with a long line of words behind it\r\n",
                "PING :server\r\n",
                "PRIVMSG bob :\x01VERSION\x01 and something behind it to make it long\r\n",
            ];
            return vec![text(self.choices.pick(&OTHERS))];
        }
        let before = self.choices.pick(&["", "", "", " ", "\r\n", "NICK me\r\n"]);
        let verb = self.choices.pick(&["PRIVMSG", "PRIVMSG", "privmsg", "NOTICE"]);
        let start = format!("{before}{verb} bob :\x01DCC {command} {what} ");
        let port = self.port();
        self.announced = Some(port);
        let gap = self.choices.pick(&[" ", " ", "    "]);
        let end = self.choices.pick(&[" 1000\x01\r\n", "\x01\r\n", "\x01\n", "\x01"]);
        let mut pieces = vec![
            text(&start),
            Piece::Address { host: host.clone(), style: AddressStyle::Number },
            text(&format!("{gap}{port}{end}")),
        ];
        if self.choices.one_in(6) {
            pieces.push(text(&format!("PRIVMSG eve :\x01DCC {command} {what} ")));
            pieces.push(Piece::Address { host, style: AddressStyle::Number });
            pieces.push(text(" 5001 1000\x01\r\n"));
        }
        pieces
    }

    /// Who says it, or somebody else.
    fn speaker(&mut self, flow: usize, way: Way) -> crate::language::ast::Name {
        if self.choices.one_in(6) {
            return name(self.choices.pick(&["client", "ann", "server", "ben"]));
        }
        let flow = self.flow(flow);
        let end = if way == Way::Forth { &flow.from } else { &flow.to };
        name(&meant(host_of(end)))
    }

    fn port(&mut self) -> u16 {
        let data: Vec<u16> = self.data_ports();
        match self.choices.below(8) {
            7 => self.choices.pick(&[0, 21, 6667, 1023, 40_000]),
            6 => self.choices.pick(&PORTS),
            _ if data.is_empty() => PORTS[0],
            _ => self.choices.pick(&data),
        }
    }

    /// The ports that data connections go to.
    fn data_ports(&self) -> Vec<u16> {
        let is_data = |index: &usize| matches!(self.flows[*index].speaks, Speaks::Tcp);
        (0..self.flows.len()).filter(is_data).filter_map(|index| self.flow(index).to.port).collect()
    }

    /// Something that should not stand in a line.
    fn mistake(&mut self, pieces: &mut [Piece]) {
        if pieces.is_empty() {
            return;
        }
        let index = self.choices.below(pieces.len());
        let (word, byte) = (self.choices.word() as usize, self.choices.byte());
        let kind = self.choices.below(12);
        let Piece::Bytes(bytes) = &mut pieces[index] else {
            // Numbers in the place of an address: too many, too few, too large.
            const NUMBERS: [&str; 10] = [
                "300,5,1,1,1,1",
                "10,0,0,1,300,5",
                "1,2,3,4,5",
                "1,2,3,4,5,6,7",
                ",,,,,",
                "4294967306,0,0,1,16,146",
                "10.0.0.1",
                "99999999999999999999",
                "::1",
                "1:2:3:4:5:6:7:8:9",
            ];
            pieces[index] = Piece::Bytes(NUMBERS[word % NUMBERS.len()].as_bytes().to_vec());
            return;
        };
        let at = word % (bytes.len() + 1);
        match kind {
            0 => bytes.insert(at, byte),
            1 | 2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            4 => bytes.make_ascii_lowercase(),
            5 => bytes.insert(at, b' '),
            6 => bytes.splice(at..at, *b"\r\n").for_each(drop),
            7 => bytes.splice(at..at, [b'0' + byte % 10, b'0']).for_each(drop),
            8 if at < bytes.len() => bytes[at] = byte,
            9 if at < bytes.len() => bytes[at] = b"|,.():!\r\n\0"[usize::from(byte) % 10],
            10 => bytes.extend_from_slice(b"x\r\n"),
            _ => bytes.splice(0..0, *b"\n").for_each(drop),
        }
    }

    /// Cuts a line in two; the second part is what is left.
    fn cut(&mut self, pieces: &mut Vec<Piece>) -> Vec<Piece> {
        let index = self.choices.below(pieces.len().max(1));
        let Some(Piece::Bytes(bytes)) = pieces.get_mut(index) else {
            return pieces.split_off(index.min(pieces.len()));
        };
        let at = self.choices.below(bytes.len() + 1);
        let behind = bytes.split_off(at);
        let rest = pieces.split_off(index + 1);
        std::iter::once(Piece::Bytes(behind)).chain(rest).collect()
    }

    /// A datagram of a TFTP session at the server's port.
    pub(super) fn request(&mut self, flow: usize) -> Packet {
        const FILE: &[u8] = b"a.txt\0octet\0";
        let opcode = self.choices.pick(&[1, 1, 2, 1, 2, 3, 4, 5, 0, 6]);
        let mut bytes = vec![0, opcode];
        bytes.extend_from_slice(FILE);
        if self.choices.one_in(6) {
            bytes.truncate(self.choices.pick(&[0, 1, 2, 3]));
        }
        if self.choices.one_in(16) {
            bytes.insert(0, self.choices.byte());
        }
        let way = self.way(Way::Forth, 5);
        self.announced = if way == Way::Forth { self.flow(flow).from.port } else { self.flow(flow).to.port };
        let udp = Udp { payload: Some(Payload::Bytes(bytes)), ..Udp::default() };
        self.along(flow, way, Body::Udp(udp))
    }

    /// A segment of a data connection: mostly as it opens and goes on.
    pub(super) fn data(&mut self, flow: usize) -> Packet {
        let state = self.entry(flow).and_then(|entry| entry.state().map(str::to_owned));
        let opener = self.flows[flow].original;
        let (way, flags) = match state.as_deref() {
            _ if self.rarely(5) => return self.tcp(flow),
            None => (Way::Forth, SYN),
            Some("SYN_SENT") if self.choices.one_in(6) => (opener, SYN),
            Some("SYN_SENT") => (other(opener), SYN | ACK),
            Some("SYN_RECV") => (opener, ACK),
            _ => return self.tcp(flow),
        };
        self.along(flow, way, Body::Tcp(Tcp { flags, ..Tcp::default() }))
    }
}

/// A line as a payload.
fn payload(pieces: Vec<Piece>) -> Payload {
    // What stands beside each other is one.
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (_, Piece::Bytes(bytes)) if bytes.is_empty() => {}
            (Some(Piece::Bytes(before)), Piece::Bytes(more)) => before.extend(more),
            (_, piece) => joined.push(piece),
        }
    }
    match &joined[..] {
        [] => Payload::Bytes(Vec::new()),
        [Piece::Bytes(bytes)] => Payload::Bytes(bytes.clone()),
        _ => Payload::Text(joined),
    }
}
