//! A story while it is written: every step is planned at once, so its packets are known, and passes an engine, so that
//! the next step can be at an edge of what that would accept.

use std::borrow::Cow;

use conntruth_engine::{
    ConnId, ConnSnapshot, Direction, Engine, Family, Hook, LINUX_6_18, Packet as Passing, ProtoInfo, TcpSide,
};

use super::dialogue::{self, Rest};
use super::{Choices, Clock, Feature, Scope, Speaks, nat, scope, tidy};
use crate::language::ast::packet::{Body, Cut, Endpoint, HostRef, Packet, Path, Protocol, Stop, Way};
use crate::language::ast::{Action, Flow, Host, Length, Located, Name, Side, Span, Step, Story};
use crate::scenario::{Act, Lane, Move, Planner};
use crate::target::{Arrival, Fate};

/// Hosts, their addresses, and where they are: two on either side.
pub(super) const HOSTS: [(&str, [&str; 2], Side); 4] = [
    ("client", ["10.0.0.1", "fd00:a::1"], Side::Inside),
    ("ann", ["10.0.0.2", "fd00:a::2"], Side::Inside),
    ("server", ["10.0.1.1", "fd00:b::1"], Side::Outside),
    ("ben", ["10.0.1.2", "fd00:b::2"], Side::Outside),
];

const FLOWS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];
const LABELS: [&str; 8] = ["A", "B", "C", "D", "E", "F", "G", "H"];
/// Numbers without a tracker that no header chain knows either.
pub(super) const GENERIC: [u8; 8] = [8, 4, 41, 89, 103, 99, 253, 255];

/// What is known of a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub speaks: Speaks,
    /// The entry that its latest packet belonged to.
    pub conn: Option<ConnId>,
    /// Whose packets are in original direction, as far as that was seen.
    pub original: Way,
    /// The zone of nearly all its packets.
    zone: Option<u16>,
    /// Packets sent so far.
    pub sent: usize,
}

impl Known {
    pub fn new(speaks: Speaks) -> Known {
        Known { speaks, conn: None, original: Way::Forth, zone: None, sent: 0 }
    }
}

/// See the module.
pub(super) struct Writer<'c, 'b, 's> {
    pub choices: Choices<'c, 'b>,
    scope: &'s Scope,
    pub family: Family,
    story: Story,
    planner: Planner,
    engine: Engine,
    pub flows: Vec<Known>,
    labels: Vec<Name>,
    /// The labels of packets that wait.
    waiting: Vec<Name>,
    /// Whether time passes in this story.
    timed: bool,
    /// So many times as rare as in a wild story is what is odd: only calm ones get far.
    calm: usize,
    /// Moves of the plan that the engine has seen.
    seen: usize,
    /// What is still to be said of a line.
    pub rest: Option<Rest>,
    /// The port that was announced last, while nobody has come to it.
    pub announced: Option<u16>,
}

impl<'c, 'b, 's> Writer<'c, 'b, 's> {
    /// Writes a whole story.
    pub fn write(mut choices: Choices<'c, 'b>, scope: &'s Scope, lane: Lane) -> (Story, Vec<Move>) {
        let (story, flows) = heading(&mut choices, scope);
        let family = story.families[0];
        let mut engine = Engine::new(&LINUX_6_18);
        for setting in &story.settings {
            // What the engine refuses, every target does; it is theirs to say.
            let _ = engine.set(setting.knob.value, setting.value.value);
        }
        let planner = Planner::begin(&story, family, lane, LINUX_6_18.hz, false);
        let planner = planner.expect("the heading names hosts that are there, and ports");
        let is_udp = |flow: &Known| matches!(flow.speaks, Speaks::Udp | Speaks::Tftp);
        let is_aged = scope.clock == Clock::Ageing && flows.iter().any(is_udp);
        let timed =
            scope.features.has(Feature::Time) && scope.clock != Clock::Still && !is_aged && choices.one_in(2);
        let calm = choices.pick(&[3, 1, 3, 10]);
        let mut writer = Writer {
            choices,
            scope,
            family,
            story,
            planner,
            engine,
            flows,
            labels: Vec::new(),
            waiting: Vec::new(),
            timed,
            calm,
            seen: 0,
            rest: None,
            announced: None,
        };
        let more = if scope.translates { 6 } else { 0 };
        let steps = match writer.choices.below(4) {
            0 | 1 => 3 + writer.choices.below(5),
            2 => 6 + writer.choices.below(8),
            _ => 10 + writer.choices.below(14),
        };
        let steps = if scope.read { 6 + 2 * steps } else { steps };
        for _ in 0..steps + more {
            // A step that cannot be built ends the story: the hosts may have taken note of it in part.
            if !writer.step() {
                break;
            }
        }
        writer.finish()
    }

    fn finish(self) -> (Story, Vec<Move>) {
        let Writer { mut story, planner, .. } = self;
        tidy(&mut story);
        (story, planner.moves)
    }

    /// Whether this story may have a feature.
    pub fn may(&self, feature: Feature) -> bool {
        self.scope.features.has(feature)
            && !(feature == Feature::Fragments && self.timed && self.scope.clock == Clock::Ageing)
    }

    /// Whether the tracker's host has rules.
    pub fn has_rules(&self) -> bool {
        !self.story.rules.is_empty()
    }

    /// Whether a feature that may occur does, once in so many times.
    pub fn odd(&mut self, feature: Feature, times: usize) -> bool {
        self.may(feature) && self.rarely(times)
    }

    /// Once in so many times in a wild story.
    pub fn rarely(&mut self, times: usize) -> bool {
        self.choices.one_in((times * self.calm).min(256))
    }

    /// The entry of a flow, as the engine knows it.
    pub fn entry(&self, flow: usize) -> Option<ConnSnapshot> {
        self.engine.conn(self.flows[flow].conn?)
    }

    /// What the engine knows of a TCP sender and of its peer.
    pub fn sides(&self, flow: usize, way: Way) -> Option<[TcpSide; 2]> {
        let ProtoInfo::Tcp { sides, .. } = self.entry(flow)?.info else { return None };
        let [original, reply] = sides;
        Some(if way == self.flows[flow].original { [original, reply] } else { [reply, original] })
    }

    /// A flow as it is said.
    pub fn flow(&self, flow: usize) -> &Flow {
        &self.story.flows[flow]
    }

    /// The plan so far: the flows and their honest stacks.
    pub fn planner(&self) -> &Planner {
        &self.planner
    }

    /// The label of an earlier packet.
    pub fn label(&mut self) -> Option<Name> {
        match self.labels.len() {
            0 => None,
            count => Some(self.labels[self.choices.below(count)].clone()),
        }
    }

    fn step(&mut self) -> bool {
        let after = (self.timed && self.choices.one_in(5)).then(|| self.after());
        if let Some(action) = self.between() {
            return self.add(None, after, action, None);
        }
        let error = self.may(Feature::Errors) && !self.labels.is_empty() && self.rarely(5);
        let again = !error && self.odd(Feature::Again, 14) && !self.labels.is_empty();
        let (flow, mut packet) = if error {
            (None, self.icmp_error())
        } else if again {
            let label = self.label().unwrap_or_else(|| name(LABELS[0]));
            (None, packet(Path::Same, Body::Again(label)))
        } else {
            let flow = self.choices.below(self.flows.len());
            let flow = if self.scope.read { self.who_comes(flow) } else { flow };
            (Some(flow), self.of_flow(flow))
        };
        self.fate(&mut packet, flow);
        if packet.cut != Cut::Whole {
            // A byte that is cut off cannot be written.
            packet.pokes.clear();
        }
        let wants_label = self.may(Feature::Again) || self.may(Feature::Errors) || self.may(Feature::Waits);
        let label = (wants_label && self.labels.len() < LABELS.len() && self.choices.below(3) == 0)
            .then(|| name(LABELS[self.labels.len()]));
        if let Some(label) = label.as_ref().filter(|_| self.may_wait(&packet)) {
            packet.stop = Some(Stop::Waits(None));
            self.waiting.push(label.clone());
        }
        self.add(label, after, Action::Send { times: 1, packet: Box::new(packet) }, flow)
    }

    /// Adds a step, and lets the engine see what it does. Not where it cannot be built.
    fn add(
        &mut self,
        label: Option<Name>,
        after: Option<Located<Length>>,
        action: Action,
        flow: Option<usize>,
    ) -> bool {
        let step = Step {
            label: label.clone(),
            after,
            action,
            claims: None,
            qualified: Vec::new(),
            span: Span::default(),
            action_span: Span::default(),
        };
        if self.planner.step(self.story.steps.len(), &step).is_err() {
            return false;
        }
        self.story.steps.push(step);
        self.labels.extend(label);
        self.pass(flow);
        true
    }

    /// What may happen between two packets: a sysctl changes, a packet that waits goes on or is lost.
    fn between(&mut self) -> Option<Action> {
        if self.may(Feature::Waits) && !self.waiting.is_empty() && self.choices.one_in(3) {
            let label = self.waiting.remove(self.choices.below(self.waiting.len()));
            return Some(Action::Release { label, goes_on: !self.choices.one_in(4) });
        }
        let sets = !self.story.steps.is_empty() && self.odd(Feature::Sets, 12);
        sets.then(|| Action::Set(scope::setting(&mut self.choices)))
    }

    /// Whether a packet is one that may wait: whole, and where no rule looks at it.
    fn may_wait(&mut self, packet: &Packet) -> bool {
        self.may(Feature::Waits)
            && !self.has_rules()
            && packet.cut == Cut::Whole
            && packet.stop.is_none()
            && !matches!(packet.body, Body::Again(_))
            && self.choices.one_in(4)
    }

    fn of_flow(&mut self, flow: usize) -> Packet {
        match self.flows[flow].speaks {
            Speaks::Ftp | Speaks::Irc => self.lines(flow),
            Speaks::Tftp => self.request(flow),
            Speaks::Tcp if self.scope.read => self.data(flow),
            Speaks::Tcp => self.tcp(flow),
            Speaks::Udp => self.udp(flow, false),
            Speaks::UdpLite => self.udp(flow, true),
            Speaks::Icmp => self.icmp(flow),
            Speaks::Sctp => self.sctp(flow),
            Speaks::Gre => self.gre(flow),
            Speaks::Generic | Speaks::Nat => self.generic(flow),
        }
    }

    /// A length of time, most of them near one of the timeouts.
    fn after(&mut self) -> Located<Length> {
        const SECONDS: [u64; 12] = [1, 2, 3, 9, 10, 11, 29, 30, 60, 120, 300, 432_000];
        let mut seconds = self.choices.pick(&SECONDS);
        if self.choices.one_in(3)
            && let Some(setting) = self.story.settings.len().checked_sub(1)
        {
            let index = self.choices.below(setting + 1);
            seconds = self.story.settings[index].value.value.clamp(1, 500_000) as u64;
        }
        seconds = match self.choices.below(4) {
            0 => seconds.saturating_sub(1).max(1),
            1 => seconds + 1,
            _ => seconds,
        };
        let free = self.scope.clock == Clock::Free;
        let ticks = if free { self.choices.pick(&[0, 0, 0, 1, -1]) } else { 0 };
        located(Length { nanos: seconds * 1_000_000_000, ticks })
    }

    /// What the tracker's host does with the packet: other rules, and what the network has done to it.
    fn fate(&mut self, packet: &mut Packet, flow: Option<usize>) {
        self.decorate(packet, flow);
        // What rules say of single pieces would be said of the datagram they make, by whichever comes first or last.
        if matches!(packet.cut, Cut::Fragment { .. }) {
            return;
        }
        // Of two rules in raw the later one would count; a packet that is sent again keeps its zone.
        let has_zone = flow.is_none_or(|flow| self.flows[flow].zone.is_some());
        packet.notrack = !has_zone && self.odd(Feature::Notrack, 24);
        let zone = flow.and_then(|flow| self.flows[flow].zone).filter(|_| !packet.notrack);
        packet.zone = zone.filter(|_| !self.choices.one_in(12));
        if self.odd(Feature::Lost, 16) {
            packet.stop = Some(Stop::Lost(None));
        }
    }

    /// Lets the engine see what the last step has sent.
    fn pass(&mut self, flow: Option<usize>) {
        for index in self.seen..self.planner.moves.len() {
            let sent = match &self.planner.moves[index].act {
                Act::Packet(sent) => sent,
                Act::Set(setting) => {
                    // What the engine refuses, every target does.
                    let _ = self.engine.set_by_name(&setting.name, setting.value);
                    continue;
                }
                _ => continue,
            };
            let arrival = &sent.arrival;
            let outcome = pass(&mut self.engine, arrival);
            let Some(known) = flow.map(|flow| &mut self.flows[flow]) else { continue };
            known.sent += 1;
            let Some(conn) = outcome.and_then(|id| self.engine.conn(id)) else { continue };
            let forth = sent.shown.way == Way::Forth;
            let is_original = self.planner.talks.talks.get(flow.unwrap_or(0)).is_some_and(|talk| {
                let spot = talk.spots[usize::from(!forth)];
                let keys = talk.ports[usize::from(!forth)];
                let original = conn.tuple(Direction::Original);
                original.src == spot.address.into() && (!original.has_ports() || original.src_id == keys)
            });
            known.conn = Some(conn.id);
            known.original = if is_original == forth { Way::Forth } else { Way::Back };
        }
        self.seen = self.planner.moves.len();
    }
}

/// Lets a packet pass, and says whose it was.
fn pass(engine: &mut Engine, arrival: &Arrival) -> Option<ConnId> {
    let packet = Passing { notrack: arrival.notrack, zone: arrival.zone, ..Passing::new(&arrival.bytes) };
    let passage = engine.handle(arrival.at, Hook::Prerouting, &packet);
    let outcome = match arrival.fate {
        Fate::Passes => engine.confirm(arrival.at, passage),
        // What waits is taken to be lost: nobody knows yet what becomes of it.
        Fate::Dropped | Fate::Waits => engine.discard(passage),
    };
    outcome.conn
}

/// Hosts, flows and settings.
fn heading(choices: &mut Choices<'_, '_>, scope: &Scope) -> (Story, Vec<Known>) {
    let may = scope.features.has(Feature::Ipv6);
    let family = match scope.translates {
        true => nat::family(choices, may),
        false if may && choices.one_in(3) => Family::Ipv6,
        false => Family::Ipv4,
    };
    let count = match scope.features.has(Feature::Several) {
        true if scope.translates => choices.pick(&[2, 3, 3, 4, 5, 6]),
        true => choices.pick(&[1, 1, 2, 3]),
        false => 1,
    };
    let speaks: Vec<Speaks> = scope.protocols.iter().collect();
    let mut story = Story {
        families: vec![family],
        settings: scope.settings.clone(),
        rules: scope.rules.iter().cloned().map(located).collect(),
        ..Story::default()
    };
    for (host, addresses, side) in HOSTS.iter().filter(|row| !matches!(row.0, "client" | "server")) {
        let addresses = addresses.iter().filter_map(|address| address.parse().ok()).collect();
        story.hosts.push(Host { name: name(host), of: None, addresses, behind: None, side: Some(*side) });
    }
    if scope.read {
        let known = dialogue::flows(choices, scope, &mut story);
        return (story, known);
    }
    let mut known = Vec::new();
    for word in FLOWS.into_iter().take(count) {
        let speaks = match speaks.is_empty() {
            _ if scope.translates => nat::speaks(choices),
            true => Speaks::Tcp,
            false => choices.pick(&speaks),
        };
        let flow_name = (count > 1).then(|| name(word));
        story.flows.push(flow(choices, speaks, flow_name, scope.translates));
        let zone = (scope.features.has(Feature::Zones) && choices.one_in(4)).then(|| choices.pick(&[1, 2]));
        known.push(Known { speaks, conn: None, original: Way::Forth, zone, sent: 0 });
    }
    (story, known)
}

fn flow(choices: &mut Choices<'_, '_>, speaks: Speaks, flow_name: Option<Name>, translates: bool) -> Flow {
    const LOW: [u16; 6] = [80, 53, 443, 1, 65_535, 40_000];
    const HIGH: [u16; 6] = [40_000, 40_000, 50_000, 1025, 80, 0];
    let (inside, outside) =
        (choices.pick(&["client", "client", "ann"]), choices.pick(&["server", "server", "ben"]));
    let (from, to) = if choices.one_in(4) { (outside, inside) } else { (inside, outside) };
    let protocol = match speaks {
        Speaks::Tcp => Protocol::Tcp,
        Speaks::Udp => Protocol::Udp,
        Speaks::UdpLite => Protocol::UdpLite,
        Speaks::Icmp => Protocol::Icmp(None),
        Speaks::Sctp => Protocol::Sctp,
        Speaks::Gre => Protocol::Gre,
        Speaks::Generic | Speaks::Nat => Protocol::Other(choices.pick(&GENERIC)),
        // These have flows of their own making.
        Speaks::Ftp | Speaks::Irc => Protocol::Tcp,
        Speaks::Tftp => Protocol::Udp,
    };
    let has_ports = matches!(speaks, Speaks::Tcp | Speaks::Udp | Speaks::UdpLite | Speaks::Sctp);
    if translates {
        let ((from, to), ports) = nat::ends(choices);
        let id = (speaks == Speaks::Icmp).then(|| choices.pick(&nat::IDS));
        let [from, to] = [(from, ports[0]), (to, ports[1])].map(|(host, port)| Endpoint {
            host: HostRef::Name(name(host)),
            port: has_ports.then_some(port),
        });
        return Flow { name: flow_name, protocol, from, to, id, implied: false, span: Span::default() };
    }
    let mut end = |host: &str, ports: &[u16]| Endpoint {
        host: HostRef::Name(name(host)),
        port: has_ports.then(|| choices.pick(ports)),
    };
    let (from, to) = (end(from, &HIGH), end(to, &LOW));
    let id = (speaks == Speaks::Icmp && choices.one_in(2)).then(|| choices.pick(&[7, 0, 65_535]));
    Flow { name: flow_name, protocol, from, to, id, implied: false, span: Span::default() }
}

/// A name from nowhere.
pub(super) fn name(word: &str) -> Name {
    located(Cow::Borrowed(word).into_owned())
}

/// Something from nowhere.
pub(super) fn located<T>(value: T) -> Located<T> {
    Located { value, span: Span::default() }
}

/// A packet of which only this is said.
pub(super) fn packet(path: Path, body: Body) -> Packet {
    Packet {
        path,
        foreign: false,
        body,
        ip: Default::default(),
        cut: Cut::Whole,
        pokes: Vec::new(),
        notrack: false,
        zone: None,
        stop: None,
    }
}

impl Writer<'_, '_, '_> {
    /// A packet along a flow.
    pub fn along(&self, flow: usize, way: Way, body: Body) -> Packet {
        packet(Path::Flow { flow: self.story.flows[flow].name.clone(), way }, body)
    }

    /// The other way, once in so many times.
    pub fn way(&mut self, honest: Way, times: usize) -> Way {
        if self.choices.one_in(times) { other(honest) } else { honest }
    }
}

/// Against it.
pub(super) const fn other(way: Way) -> Way {
    match way {
        Way::Forth => Way::Back,
        Way::Back => Way::Forth,
    }
}
